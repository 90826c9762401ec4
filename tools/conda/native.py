"""What conda installed: one distribution for each of its packages, and what pip has put over them since.

conda writes a file into conda-meta/ for each package, with its sha256 and every path that it owns; so a Python
package's dist-info belongs to one of them, whatever the two are called. No dist-info is read here but its size:
importlib.metadata would read them all. https://docs.conda.io/projects/conda/en/stable/dev-guide/deep-dives/install.html
"""

# Thousands of paths are handled here, for which pathlib takes several times as long.
# ruff: noqa: PTH118

import json
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from .drift import Distribution
from .lock import Lock, canonical

Record = dict[str, Any]
# The folder of a distribution: right in site-packages, since packages carry others of their own further down.
METADATA = re.compile(r"(.*\bsite-packages/[^/]+\.(?:dist|egg)-info)(?:/.*)?")
# Files that pip writes anew when it puts its own copy over conda's, by their sizes: `pip` is shorter than `conda`.
TELLTALES = frozenset({"INSTALLER", "METADATA", "RECORD"})


@lru_cache
def _records(prefix: Path) -> tuple[Record, ...]:
    """Return conda's record of each package; one that cannot be read counts as not installed."""
    found = []
    for path in sorted((prefix / "conda-meta").glob("*.json")):
        try:
            record = json.loads(path.read_bytes())
            owned = sorted({match[1] for file in record["files"] if (match := METADATA.fullmatch(file))})
            found.append({**record, "name": canonical(record["name"]).strip("-"), "path": str(path), "owned": owned})
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
    return tuple(found)


def _metadata(prefix: Path, record: Record) -> str:
    """Return the dist-info that a package owns, its record in conda-meta/ where it owns none."""
    return os.path.join(os.path.realpath(prefix), record["owned"][0]) if record["owned"] else record["path"]


def owners(prefix: Path) -> dict[str, str]:
    """Return the name of the conda package that brought it, for the folder of each dist-info that one brought."""
    real = os.path.realpath(prefix)
    return {os.path.join(real, path): record["name"] for record in _records(prefix) for path in record["owned"]}


def packages(prefix: Path, distributions: Iterable[Distribution]) -> Iterator[Distribution]:
    """Yield what no conda package owns, as it was found, then each conda package under conda's name.

    A package whose dist-info is gone is not installed: pip has removed it, or replaced it by another version.
    """
    owned = owners(prefix)
    for distribution in distributions:
        if distribution.metadata not in owned:
            yield distribution
    for record in _records(prefix):
        metadata = _metadata(prefix, record)
        # pip leaves a folder with the files that it does not know.
        if any(map(os.path.isfile, (metadata, f"{metadata}/METADATA", f"{metadata}/PKG-INFO"))):
            yield Distribution(record["name"], str(record["version"]), metadata)


def altered(prefix: Path, lock: Lock) -> Iterator[tuple[Distribution, str]]:
    """Yield what has the locked version and is not what is locked, with what is wrong with it."""
    locked = {package.name: package for package in lock.packages}
    for record in _records(prefix):
        package, version = locked.get(record["name"]), str(record["version"])
        here = Distribution(record["name"], version, _metadata(prefix, record))
        if package is None or package.version != version:
            continue  # told already, as extra or by its version
        if package.hashes and record.get("sha256") not in package.hashes:
            yield here, f"is build {record['build']} of it, and another build is locked"
        elif any(_resized(prefix, entry) for entry in _paths(record) if _telltale(entry)):
            yield here, "was replaced by pip"


def _paths(record: Record) -> Iterator[Record]:
    """Yield what is known of each file; conda names those of a noarch package as in the package, micromamba as here."""
    files = frozenset(record["files"])
    site = next((file[: file.index("site-packages/")] for file in record["files"] if "site-packages/" in file), "")
    for entry in record.get("paths_data", {}).get("paths", ()):
        path = entry["_path"]
        if path not in files:
            path = re.sub("^python-scripts/", "bin/", f"{site}{path}" if path.startswith("site-packages/") else path)
        yield {**entry, "_path": path}


def _telltale(entry: Record) -> bool:
    folder, _, name = entry["_path"].rpartition("/")
    return name in TELLTALES and METADATA.fullmatch(folder) is not None


def _resized(prefix: Path, entry: Record) -> bool:
    wanted = entry.get("size_in_bytes")
    try:
        return wanted is not None and os.stat(os.path.join(prefix, entry["_path"])).st_size != wanted  # noqa: PTH116
    except OSError:
        return False  # a dist-info without METADATA is not installed, which is told already


def records(prefix: Path, distribution: Distribution) -> list[tuple[str, str]] | None:
    """Return (path, hash) of each file that a conda package brought; None: the distribution is not conda's.

    The form is that of RECORD: paths relative to the distribution's folder, "" where the file is made on this machine.
    """
    own = next((r for r in _records(prefix) if r["name"] == distribution.name), None)
    if own is None or _metadata(prefix, own) != distribution.metadata:
        return None
    real = os.path.realpath(prefix)
    inside = f"{os.path.relpath(distribution.folder, real)}/"
    up = f"{os.path.relpath(real, distribution.folder)}/"
    return [
        (path.removeprefix(inside) if (path := entry["_path"]).startswith(inside) else up + path, _hash(entry))
        for entry in _paths(own)
    ]


def _hash(entry: Record) -> str:
    # Where the environment's prefix was written into a file, conda notes the hash of the result.
    digest = str(entry.get("sha256_in_prefix") or entry.get("sha256") or "")
    # A .pyc that came with the package is made anew where it looks stale, as in RECORD's rule.
    made = (
        entry["_path"].endswith(".pyc")
        or entry.get("path_type") in ("softlink", "directory", "pyc_file")
        or not re.fullmatch("[0-9a-f]{64}", digest)
    )
    return "" if made else f"sha256={urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip('=')}"
