"""What pyproject.toml and poetry.lock say, as data: what applies where, every file, what the lock was made for.

Owned by the template. Offline and without Poetry; what is wrong with it is said by check_lock.py. Poetry documents what
the file is for and not its fields: https://python-poetry.org/docs/basic-usage/#installing-with-poetrylock. What is read
here stands in poetry/packages/locker.py, and the template's tests compare it with what Poetry installs.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from packaging.dependency_groups import resolve_dependency_groups
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

NAME = "poetry"
MANIFESTS = ("pyproject.toml",)
LOCKS = ("poetry.lock",)
# Since 2.1 each entry has its groups and markers: from an older lock Poetry would resolve again. It reads all below 3.
SCHEMAS = ("2.1", "3")
ADDRESSED = ("legacy", "git", "url")  # kinds of source with an address; "file" and "directory" have a path
EVERYWHERE, NOWHERE = ("", "*"), "<empty>"  # what Poetry writes beside markers as PEP 508 has them
Entry = dict[str, Any]

_loads = lru_cache(tomllib.loads)  # several questions are asked of one lock


def read(root: Path, name: str) -> Entry:
    """Return one of the files above, parsed; raises ValueError with one sentence."""
    try:
        return _loads((root / name).read_text(encoding="utf-8"))
    except ValueError as error:  # no TOML, or no UTF-8
        raise ValueError(f"{name} is not TOML ({error}): run `git checkout -- {name}`.") from None


def _lock(root: Path) -> Entry:
    """Return the lock, of a schema that has what is read here."""
    document = read(root, LOCKS[0])
    schema = document["metadata"]["lock-version"]
    oldest, beyond = map(Version, SCHEMAS)
    if not oldest <= Version(schema) < beyond:
        raise ValueError(
            f"{LOCKS[0]} has lock-version {schema} and this reader knows {SCHEMAS[0]}: make it anew with the Poetry"
            " that this repository pins, `make lock`."
        )
    return document


def locked(root: Path, environment: Mapping[str, str]) -> list[Entry]:
    """Return the packages that apply in this marker environment, the project itself left out.

    Each has name, version, hashes (hex sha256), direct (the manifest names it) and groups: "main" is what the project
    needs to run, "dev" every group that `poetry sync` installs unasked. What only optional groups or extras of the
    project reach may be installed and need not be: its groups are empty. Raises ValueError.
    """
    document, manifest = _lock(root), read(root, MANIFESTS[0])
    asked = [Requirement(line).name for lines in _wanted(manifest).values() for line in lines]
    direct, unasked = {*map(canonicalize_name, asked)}, _unasked(manifest)
    packages = []
    for entry in document.get("package", []):
        reached = _reached(entry, [""], environment)
        if reached or _reached(entry, document.get("extras", {}), environment):
            groups = {"main": "main" in reached, "dev": bool(reached & unasked)}
            name = canonicalize_name(entry["name"])
            packages.append(
                {
                    "name": name,
                    "version": entry["version"],
                    "hashes": sorted({file.get("hash", "").removeprefix("sha256:") for file in entry["files"]}),
                    "groups": [group for group, member in groups.items() if member],
                    "direct": name in direct,
                }
            )
    return packages


def _reached(entry: Entry, extras: Iterable[str], environment: Mapping[str, str]) -> set[str]:
    """Return the groups whose marker holds, with one of these extras of the project."""
    markers = entry.get("markers", "")
    return {
        canonicalize_name(group)
        for group in entry["groups"]
        for extra in extras
        if _holds(markers if isinstance(markers, str) else markers.get(group, ""), {**environment, "extra": extra})
    }


def _holds(marker: str, environment: Mapping[str, str]) -> bool:
    return marker in EVERYWHERE or (marker != NOWHERE and Marker(marker).evaluate(dict(environment)))


def _unasked(manifest: Entry) -> frozenset[str]:
    """https://python-poetry.org/docs/managing-dependencies/#optional-groups."""
    poetry = manifest.get("tool", {}).get("poetry", {}).get("group", {})
    optional = {canonicalize_name(name) for name, group in poetry.items() if group.get("optional")}
    return frozenset(map(canonicalize_name, (*manifest.get("dependency-groups", {}), *poetry))) - optional


def entries(root: Path) -> list[Entry]:
    """Return every entry of the lock, for all platforms; raises ValueError.

    Each has name, version, folder (None: it is no code of a folder), commit (None: it is not from git), addresses
    (of where it is found: none for the default index) and files, each with its name as address and its hash
    ("sha256:…"), "" where there is none.
    """
    return [_entry(package, package.get("source", {})) for package in _lock(root).get("package", [])]


def _entry(package: Entry, source: Entry) -> Entry:
    kind, address = source.get("type"), source.get("url", "")
    commit = source.get("resolved_reference", "")
    return {
        "name": package["name"],
        "version": package["version"],
        "folder": address if kind == "directory" else None,
        # The name of a branch is no id: what it stands for may change.
        "commit": None if kind != "git" else commit if re.fullmatch("[0-9a-f]{40,64}", commit) else "",
        "addresses": [_spelt_out(address)] if kind in ADDRESSED else [],
        "files": [{"address": file.get("file", ""), "hash": file.get("hash", "")} for file in package["files"]],
    }


def _spelt_out(address: str) -> str:
    """Return git's short form of an address, git@host:path, as the URL that it stands for."""
    return re.sub(r"^([\w.-]+@)?([\w.-]+):(?!/)", r"ssh://\1\2/", address)


def asked(root: Path) -> dict[str, Any]:
    """Return what the manifest asks for, and the digest of it beside the one that the lock has; raises ValueError.

    `wanted` are lines by group, of which "" is the project itself.
    """
    manifest, metadata = read(root, MANIFESTS[0]), _lock(root)["metadata"]
    return {"wanted": _wanted(manifest), "digest": (_digest(manifest), metadata.get("content-hash", ""))}


def _wanted(manifest: Entry) -> dict[str, list[str]]:
    groups, unasked = manifest.get("dependency-groups", {}), _unasked(manifest)
    names = [name for name in groups if canonicalize_name(name) in unasked]
    developers = [line for name in names for line in resolve_dependency_groups(groups, name)]
    return {"": manifest.get("project", {}).get("dependencies", []), "dev": developers}


RELEVANT = ("requires-python", "dependencies", "optional-dependencies")
LEGACY = ("dependencies", "source", "extras", "dev-dependencies")


def _digest(manifest: Entry) -> str:
    """Return the content-hash as Poetry makes it: Locker._get_content_hash, whose form older manifests explain."""
    of_project, poetry = manifest.get("project", {}), manifest.get("tool", {}).get("poetry", {})
    project = {key: of_project[key] for key in RELEVANT if key in of_project}
    groups = manifest.get("dependency-groups", {})
    missing = () if project or groups else LEGACY  # these count even where they are not there
    relevant = {key: poetry.get(key) for key in (*LEGACY, "group") if key in missing or poetry.get(key) is not None}
    if project or groups:
        parts = {"project": project, "dependency-groups": groups}
        relevant = {**{name: part for name, part in parts.items() if part}, "tool": {"poetry": relevant}}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()
