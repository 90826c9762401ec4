"""What differs between a lock and what is installed: one finding for each difference, in one sentence."""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from . import distributions
from .artifacts import same_version
from .distributions import Distribution
from .lock import Lock, LockedPackage

# `python -m venv` brings pip, uv's environments have none: it is told, and an error only with --strict, as in
# the image, where no installer should be.
INSTALLERS = frozenset({"pip"})
SYNC, ANEW, SETUP = "make sync", "make clean sync", "make clean setup"  # each does more than the one before it


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference; a warning breaks no link."""

    kind: str  # missing, extra, version, changed, shadowed, interpreter, hashes; stale, fault, stray, contract
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


def interpreter(pinned: Mapping[str, str], *, strict: bool) -> Iterator[Finding]:
    """Yield a finding where this Python is not the pinned one; another patch of it is an error if `strict`."""
    here = platform.python_version()
    if here == pinned["patch"]:
        return
    same_minor = here.startswith(f"{pinned['version']}.")
    wanted, repair = (pinned["patch"], SETUP) if same_minor else (pinned["version"], ANEW)
    how = f": install {wanted}, remove .tools/venv and run `{SETUP}`." if same_minor else "."
    message = f"Python {here} runs here and {wanted} is pinned{how}"
    yield Finding("interpreter", "python", message, repair, wanted, here, warning=same_minor and not strict)


def packages(lock: Lock, first: Mapping[str, Distribution], *, strict: bool) -> Iterator[Finding]:
    """Yield a finding for each package that is missing, extra, of another version, or from a folder."""
    locked = {package.name: package for package in lock.packages}
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
        yield Finding("changed", name, message, ANEW, wanted, version, role(locked))


def shadowed(lock: Lock, found: Iterable[Distribution]) -> Iterator[Finding]:
    """Yield a finding for each distribution that another one of the same name hides or overlays."""
    locked = {package.name: package for package in lock.packages}
    first: dict[str, Distribution] = {}
    for other in found:
        one = first.setdefault(other.name, other)
        if one is other or other.name == lock.project:
            continue
        same = one.folder == other.folder
        effect = "into one folder, so files of both may run" if same else f"and {one.folder} hides {other.folder}"
        message = f"{other.name} is installed twice, {one.version} and {other.version}, {effect}."
        asked = one.folder in map(os.path.realpath, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        repair = "unset PYTHONPATH" if asked and not same else ANEW
        known = locked.get(other.name)
        yield Finding(
            "shadowed", other.name, message, repair, known.version if known else "", other.version, role(known)
        )


def files(lock: Lock, first: Mapping[str, Distribution]) -> Iterator[Finding]:
    """Yield a finding for each file that is not what its wheel brought; files of nobody are a warning."""
    locked = {package.name: package for package in lock.packages}
    for distribution, file, state in distributions.changed(first.values()):
        name, version, package = distribution.name, distribution.version, locked.get(distribution.name)
        message = f"{file} of {name} {version} is {state}."
        yield Finding("changed", name, message, ANEW, package.version if package else "", version, role(package))
    stray = distributions.stray(first.values())
    if stray:
        count = "1 file belongs" if len(stray) == 1 else f"{len(stray)} files belong"
        yield Finding("stray", stray[0], f"{count} to no package: {', '.join(stray[:3])}.", ANEW, warning=True)


def edited(lock: Lock, before: Lock) -> Iterator[Finding]:
    """Yield a finding for each package that was installed with hashes that the lock no longer has.

    A tool looks at hashes while it downloads, so an edited lock goes unnoticed where the package is installed.
    """
    known = {package.name: package for package in before.packages}
    for package in lock.packages:
        then = known.get(package.name, package)
        if then.version == package.version and not then.hashes <= package.hashes:
            repair = f"git checkout -- {lock.source}"
            message = (
                f"{lock.source} was edited by hand: {package.name} {package.version} was installed with hashes that it"
                f" no longer has, restore it with `{repair}`."
            )
            yield Finding("hashes", package.name, message, repair, package.version, then.version, role(package))
