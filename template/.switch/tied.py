"""What has an index of its own, as PyTorch's wheels for the CPU, and how a tool ties it there. Owned by the template.

Most tools have a table for it, which the template renders; one has local versions alone, as in torch==2.15.0+cpu. Which
it is, is data of the tool, `exact`; the index is the answer `source`, {} where there is none.
"""

import re
from collections.abc import Mapping
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def concerns(line: str, source: Mapping[str, Any]) -> bool:
    """Tell whether a requirement is of a package that the index delivers."""
    return canonicalize_name(Requirement(line).name) in source.get("packages", ())


def bare(line: str, source: Mapping[str, Any]) -> str:
    """Return a requirement without a local version, which ties it to the index."""
    return re.sub(r"\+[a-z0-9.]+", "", line) if concerns(line, source) else line


def free(line: str, source: Mapping[str, Any]) -> str:
    """Return a requirement without what ties it to the index: the template's own exact version is a range again."""
    ranges = {exact: source["ranges"][name] for name, exact in source.get("exactly", {}).items()}
    return str(ranges.get(line, bare(line, source)))


def tied(line: str, tool: Mapping[str, Any], locked: Mapping[str, str]) -> str:
    """Return a requirement as a tool needs it to find the package in the index; `locked` has versions by name."""
    source: Mapping[str, Any] = tool.get("source") or {}
    if not concerns(line, source) or not tool.get("exact"):
        return bare(line, source)
    name = canonicalize_name(Requirement(line).name)
    version = locked.get(name, "")
    return f"{name}=={version}" if "+" in version else str(source["exactly"][name])


def without_tie(line: str, tool: Mapping[str, Any]) -> str:
    """Return a manifest's line without the words that tie its package to the template's own index."""
    source = tool.get("source") or {}
    return line.replace(str(tool["tie"]).format(**source), "") if source and "tie" in tool else line
