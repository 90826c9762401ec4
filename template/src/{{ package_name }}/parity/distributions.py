"""What is installed here: names and versions in milliseconds, and every byte where that is asked for.

importlib.metadata is not used: it parses the whole description of each package, which takes longer than all the
rest of `verify`. https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

# Thousands of paths are handled here, for which pathlib takes several times as long.
# ruff: noqa: PTH113, PTH118, PTH119, PTH120, PTH123, PTH208

import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .lock import canonical

STEM = re.compile(r"(?P<name>.+?)-(?P<version>\d[^-]*)(-py\d.*)?")
# What virtual environments made by uv and virtualenv bring beside packages, which no RECORD lists.
OWN_FILES = frozenset({"_virtualenv.py", "_virtualenv.pth"})

BATCH = 256  # files that a thread takes at once
BLOCK = 1 << 18  # bytes that are read at once


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installed distribution: canonical name, version, metadata folder, and its address if editable."""

    name: str
    version: str
    metadata: str
    editable: str = ""

    @property
    def folder(self) -> str:
        """Return the folder that it is installed in, one of sys.path."""
        return os.path.dirname(self.metadata)


def found(paths: Iterable[str] | None = None) -> Iterator[Distribution]:
    """Yield every distribution on `paths` (None: sys.path), of each name the one that is imported first."""
    folders = dict.fromkeys(map(os.path.realpath, sys.path if paths is None else paths))
    for folder in folders:
        for name in _listed(folder):
            if name.endswith((".dist-info", ".egg-info")):
                yield from _read(os.path.join(folder, name))


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:  # a zip, or nothing that this user may read: no package can be installed there
        return []


def installed(paths: Iterable[str] | None = None) -> dict[str, Distribution]:
    """Return, for each canonical name, the distribution that is imported."""
    first: dict[str, Distribution] = {}
    for distribution in found(paths):
        first.setdefault(distribution.name, distribution)
    return first


def _read(metadata: str) -> Iterator[Distribution]:
    stem = STEM.fullmatch(os.path.basename(metadata)[: -len(".dist-info")].removesuffix("."))
    headers = metadata if os.path.isfile(metadata) else _first(metadata, "METADATA", "PKG-INFO")
    # An uninstall that did not finish leaves a folder without METADATA: nobody sees that as installed.
    if not headers:
        return
    name, version = (stem["name"], stem["version"]) if stem else _headers(headers)
    yield Distribution(canonical(name), version, metadata, _editable(metadata))


def _first(folder: str, *names: str) -> str:
    return next((path for name in names if os.path.isfile(path := f"{folder}/{name}")), "")


def _headers(path: str) -> tuple[str, str]:
    with open(path, encoding="utf-8", errors="replace") as file:
        head = file.read().split("\n\n")[0]
    fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    return fields.get("Name", ""), fields.get("Version", "")


def _editable(metadata: str) -> str:
    """https://packaging.python.org/en/latest/specifications/direct-url/."""
    try:
        with open(f"{metadata}/direct_url.json", encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return ""
    import json  # noqa: PLC0415 - most environments hold one such file at most

    try:
        address = json.loads(text)
        return str(address["url"]) if address.get("dir_info", {}).get("editable") else ""
    except (ValueError, KeyError, AttributeError):
        return ""


def records(distribution: Distribution) -> list[tuple[str, str]] | None:
    """Return (path, hash) of each file that the wheel brought, None where nothing was written down.

    A path is relative to the distribution's folder; the hash is "" for what is made on this machine (.pyc).
    """
    import csv  # noqa: PLC0415 - only where bytes are asked for

    try:
        with open(f"{distribution.metadata}/RECORD", encoding="utf-8", newline="") as file:
            return [(row[0], row[1]) for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error, IndexError):
        return None


def changed(distributions: Iterable[Distribution]) -> Iterator[tuple[Distribution, str, str]]:
    """Yield (distribution, file, what is wrong) for each file that is not what its wheel brought.

    It finds accidents and edits by hand, not an attacker, who would write RECORD anew. A .pyc stands in RECORD
    without a hash: one that was replaced is not seen here, `make clean sync` makes it anew.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only bytes are worth threads

    files: list[tuple[Distribution, str, str]] = []
    for distribution in distributions:
        listed = records(distribution)
        if listed is None:
            yield distribution, "RECORD", "missing"
        files += [(distribution, path, wanted) for path, wanted in listed or () if wanted]
    # hashlib lets other threads run while it works, so two cores hash twice as fast.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for part in threads.map(_altered, [files[at : at + BATCH] for at in range(0, len(files), BATCH)]):
            yield from part


def _altered(files: Iterable[tuple[Distribution, str, str]]) -> list[tuple[Distribution, str, str]]:
    states = ((d, path, _state(f"{d.folder}/{path}", wanted)) for d, path, wanted in files)
    return [item for item in states if item[2]]


def _state(path: str, wanted: str) -> str:
    import base64  # noqa: PLC0415 - only where bytes are asked for

    algorithm, _, value = wanted.partition("=")
    try:
        digest = base64.urlsafe_b64encode(_digest(path, algorithm)).decode()
    except OSError:
        return "missing"
    except ValueError:
        return f"recorded with {algorithm}, which this Python does not know"
    return "" if digest.rstrip("=") == value.rstrip("=") else "changed"


def _digest(path: str, algorithm: str) -> bytes:
    """Return the digest of a file; most are small, and hashlib.file_digest takes longer to open one than to read it."""
    import hashlib  # noqa: PLC0415 - only where bytes are asked for

    digest = hashlib.new(algorithm)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # Windows would change line ends
    try:
        while block := os.read(handle, BLOCK):
            digest.update(block)
    finally:
        os.close(handle)
    return digest.digest()


def stray(distributions: Iterable[Distribution]) -> list[str]:
    """Return the files beside the packages that belong to none: copied there by hand, or left over."""
    owned: dict[str, set[str]] = {}
    for distribution in distributions:
        paths = owned.setdefault(distribution.folder, set())
        paths.update(os.path.normpath(path) for path, _ in records(distribution) or ())
    return sorted(path for folder, paths in owned.items() for path in _unowned(folder, paths))


def _unowned(folder: str, owned: set[str]) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for path in (os.path.relpath(os.path.join(place, name), folder) for name in files):
            if path not in owned and path not in OWN_FILES and not path.endswith(".pyc"):
                yield path
