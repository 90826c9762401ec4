"""What is installed here, and how it differs from the lock: one finding for each difference, in one sentence.

importlib.metadata is not used: it parses the whole description of each package, which takes longer than all the
rest of `verify`. https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

# Thousands of paths are handled here, for which pathlib takes several times as long.
# ruff: noqa: PTH118, PTH119, PTH120, PTH123, PTH208

import hashlib
import json
import os
import platform
import re
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .lock import Lock, LockedPackage, canonical

STEM = re.compile(r"(?P<name>.+?)-(?P<version>\d[^-]*)(-py\d.*)?")
Files = list[tuple[str, str]]  # path, hash
Brought = Mapping[str, Files | None]  # by distribution
BATCH = 256  # files that a thread takes at once
# `python -m venv` brings pip, uv's environments have none: it is told, and an error only with --strict, as in
# the image, where no installer should be.
INSTALLERS = frozenset({"pip"})
SYNC, ANEW, SETUP = "make sync", "make clean sync", "make clean setup"  # each does more than the one before it


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference; a warning breaks no link."""

    kind: str  # missing, extra, version, changed, shadowed, interpreter, hashes, library; stale, fault, contract
    name: str
    message: str  # one sentence
    repair: str  # one command
    locked: str = ""
    installed: str = ""
    role: str = ""  # direct, transitive, dev, extra
    warning: bool = False


def role(package: LockedPackage | None) -> str:
    """Return who wants a package: the manifest itself, another package, only developers, or nobody."""
    if package is None:
        return "extra"
    if "main" not in package.groups:
        return "dev"
    return "direct" if package.direct else "transitive"


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
    """Yield every distribution on `paths` (None: sys.path), of each name first the one that is imported."""
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


def installed(distributions: Iterable[Distribution]) -> dict[str, Distribution]:
    """Return, for each canonical name, the first distribution: the one that is imported."""
    return {distribution.name: distribution for distribution in reversed([*distributions])}


def _read(metadata: str) -> Iterator[Distribution]:
    stem = STEM.fullmatch(os.path.basename(metadata)[: -len(".dist-info")].removesuffix("."))
    places = (metadata, f"{metadata}/METADATA", f"{metadata}/PKG-INFO")
    headers = next(filter(os.path.isfile, places), "")
    # An uninstall that did not finish leaves a folder without METADATA: nobody sees that as installed.
    if not headers:
        return
    name, version = (stem["name"], stem["version"]) if stem else _headers(headers)
    yield Distribution(canonical(name), version, metadata, _editable(metadata))


def _headers(path: str) -> tuple[str, str]:
    with open(path, encoding="utf-8", errors="replace") as file:
        head = file.read().split("\n\n")[0]
    fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    return fields.get("Name", ""), fields.get("Version", "")


def _editable(metadata: str) -> str:
    """https://packaging.python.org/en/latest/specifications/direct-url/."""
    try:
        with open(f"{metadata}/direct_url.json", encoding="utf-8") as file:
            address = json.load(file)
        return str(address["url"]) if address.get("dir_info", {}).get("editable") else ""
    except (OSError, ValueError, KeyError, AttributeError):
        return ""


def same_version(one: str, other: str) -> bool:
    """Tell whether two spellings are one version: 1.0 and 1.0.0 are."""
    if one == other:
        return True
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - rarely spelled in two ways

    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return False


def interpreter(pinned: Mapping[str, str], *, strict: bool) -> Iterator[Finding]:
    """Yield a finding where this Python is not the pinned one; another patch of it is an error if `strict`."""
    here = platform.python_version()
    if here == pinned["patch"]:
        return
    same_minor = here.startswith(f"{pinned['version']}.")
    wanted, repair = (pinned["patch"], SETUP) if same_minor else (pinned["version"], ANEW)
    how = f": install that, then `{SETUP}`." if same_minor else "."
    message = f"Python {here} runs here and {wanted} is pinned{how}"
    yield Finding("interpreter", "python", message, repair, wanted, here, warning=same_minor and not strict)


def packages(lock: Lock, first: Mapping[str, Distribution], *, strict: bool) -> Iterator[Finding]:
    """Yield a finding for each package that is missing, extra, of another version, or from a folder."""
    locked = lock.named
    for name in sorted({*locked, *first} - {lock.project}):
        yield from _package(name, locked.get(name), first.get(name), strict=strict)


def _package(name: str, locked: LockedPackage | None, here: Distribution | None, *, strict: bool) -> Iterator[Finding]:
    wanted, version = locked.version if locked else "", here.version if here else ""
    kind = message = ""
    if here is None:
        if locked and locked.groups:
            kind, message = "missing", f"{name} {wanted} is locked and not installed."
    elif locked is None:
        kind, message = "extra", f"{name} {version} is installed and not in the lock."
    elif wanted and not same_version(wanted, version):
        kind, message = "version", f"{name} {version} is installed and {wanted} is locked."
    if kind:
        warning = kind == "extra" and name in INSTALLERS and not strict
        yield Finding(kind, name, message, SYNC, wanted, version, role(locked), warning=warning)
    # A lock without hashes means a folder of this repository, which is where editable installs belong.
    if here and here.editable and (locked is None or locked.hashes):
        message = f"{name} {version} is an editable install of {here.editable}: its code changes unseen."
        yield _between("changed", locked, here, message, ANEW)


def _between(kind: str, locked: LockedPackage | None, here: Distribution, message: str, repair: str) -> Finding:
    """Return the finding for one package that is installed, whether it is locked or not."""
    wanted = locked.version if locked else ""
    return Finding(kind, here.name, message, repair, wanted, here.version, role(locked))


def shadowed(lock: Lock, every: Iterable[Distribution]) -> Iterator[Finding]:
    """Yield a finding for each distribution that another one of the same name hides or overlays."""
    locked = lock.named
    first: dict[str, Distribution] = {}
    for other in every:
        one = first.setdefault(other.name, other)
        if one is other or other.name == lock.project:
            continue
        same = one.folder == other.folder
        effect = "into one folder, so files of both may run" if same else f"and {one.folder} hides {other.folder}"
        message = f"{other.name} is installed twice, {one.version} and {other.version}, {effect}."
        asked = one.folder in map(os.path.realpath, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        repair = "unset PYTHONPATH" if asked and not same else ANEW
        yield _between("shadowed", locked.get(other.name), other, message, repair)


def changes(lock: Lock, told: Iterable[tuple[Distribution, str]]) -> Iterator[Finding]:
    """Yield a finding for each distribution that is not what was installed, with its sentence."""
    return (_between("changed", lock.named.get(one.name), one, sentence, ANEW) for one, sentence in told)


def records(distribution: Distribution) -> Files | None:
    """Return (path, hash) of each file that the wheel brought, None where nothing was written down.

    A path is relative to the distribution's folder; the hash is "" for what is made on this machine (.pyc).
    """
    import csv  # noqa: PLC0415 - only where bytes are asked for

    try:
        with open(f"{distribution.metadata}/RECORD", encoding="utf-8", newline="") as file:
            return [(row[0], row[1]) for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error, IndexError):
        return None


def changed(distributions: Iterable[Distribution], brought: Brought) -> Iterator[tuple[Distribution, str]]:
    """Yield (distribution, sentence) for each file that is not what its package brought.

    `brought` says which files these are, and RECORD where it does not.
    It finds accidents and edits by hand, not an attacker, who would write RECORD anew. A .pyc stands in RECORD
    without a hash: one that was replaced is not seen here, `make clean sync` makes it anew.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only bytes are worth threads

    files: list[tuple[Distribution, str, str]] = []
    for distribution in distributions:
        listed = records(distribution) if (told := brought.get(distribution.name)) is None else told
        if listed is None:
            yield distribution, _changed(distribution, "RECORD", "missing")
        files += [(distribution, path, wanted) for path, wanted in listed or () if wanted]
    # hashlib lets other threads run while it works, so two cores hash twice as fast.
    parts = [files[at : at + BATCH] for at in range(0, len(files), BATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for part in threads.map(_altered, parts):
            yield from ((one, _changed(one, file, state)) for one, file, state in part)


def _changed(one: Distribution, file: str, state: str) -> str:
    return f"{file} of {one.name} {one.version} is {state}."


def _altered(files: Iterable[tuple[Distribution, str, str]]) -> list[tuple[Distribution, str, str]]:
    states = ((d, path, _state(os.path.join(d.folder, path), wanted)) for d, path, wanted in files)
    return [item for item in states if item[2]]


def _state(path: str, wanted: str) -> str:
    algorithm, _, value = wanted.partition("=")
    try:
        with open(path, "rb", buffering=0) as file:
            digest = urlsafe_b64encode(hashlib.file_digest(file, algorithm).digest()).decode()
    except OSError:
        return "missing"
    except ValueError:
        return f"recorded with {algorithm}, which this Python does not know"
    return "" if digest.rstrip("=") == value.rstrip("=") else "changed"
