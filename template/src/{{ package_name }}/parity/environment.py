"""Checks the chain link by link, each against the one before it, in words that name what differs.

    manifest -> lock -> environment -> image -> model

In an image there is no manifest and no tool: the lock is the neutral one that the image's builder wrote.
"""

import platform
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from . import drift
from . import lock as locks
from .drift import Distribution, Finding, same_version
from .lock import Lock, LockError


class EnvironmentDriftError(RuntimeError):
    """The environment is not what the lock says; the message names each difference and the repair."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain; ok is None where it was not checked."""

    name: str
    detail: str
    ok: bool | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The whole chain; signature and packages are empty where no lock says what belongs here."""

    links: tuple[Link, ...]
    signature: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Tell whether no link is broken."""
        return all(link.ok is not False for link in self.links)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return what breaks the first broken link."""
        broken = next((link.findings for link in self.links if link.ok is False), ())
        return tuple(finding for finding in broken if not finding.warning)

    @property
    def repair(self) -> str:
        """Return the one command that repairs the first broken link, "" where none is."""
        order = ("", drift.SYNC, drift.ANEW, drift.SETUP)
        asked = ["", *(finding.repair for finding in self.errors)]
        return max(asked, key=lambda command: order.index(command) if command in order else len(order))


@dataclass
class _Chain:
    """What the links are checked with, read once and only when a link asks."""

    deep: bool
    strict: bool
    root: Path | None

    @cached_property
    def checked(self) -> Lock | None:
        """The lock that `make sync` checked: None where it or the manifest changed since, and in an image."""
        return locks.checked(self.root) if self.root else None

    @cached_property
    def lock(self) -> Lock:
        return self.checked or locks.load()

    @cached_property
    def found(self) -> list[Distribution]:
        return found()

    @cached_property
    def first(self) -> dict[str, Distribution]:
        return drift.installed(self.found)

    def link(self, name: str, held: str, findings: list[Finding]) -> Link:
        """Return the link with what was found; in an image the repair is a new image."""
        if self.root is None:
            findings = [replace(finding, repair="make image") for finding in findings]
        findings = sorted(findings, key=lambda finding: finding.warning)
        errors = sum(not finding.warning for finding in findings)
        return Link(name, _count(errors, "difference") if errors else held, not errors, tuple(findings))


def native() -> ModuleType | None:
    """Return the module of a tool that installs more than Python's packages, None where the tool has none."""
    return import_module(".native", __package__) if find_spec(f"{__package__}.native") else None


def found() -> list[Distribution]:
    """Return everything that is installed; what the tool itself installed stands under the tool's name for it."""
    own = native()
    return list(own.packages(Path(sys.prefix), drift.found()) if own else drift.found())


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _told(kind: str, sentence: str, name: str = "", *, otherwise: str = "make lock") -> Finding:
    """Return the finding for a sentence whose last command is its repair, `otherwise` where it names none."""
    return Finding(kind, name, sentence, (re.findall(r"`([^`]+)`", sentence) or [otherwise])[-1])


def _manifest(chain: _Chain) -> Link:
    if chain.root is None:
        return Link("manifest", f"not in an image (sha256 {chain.lock.manifest_digest[:12]} when it was built)")
    names = locks.pins()["tool"]["manifests"]
    held = Link("manifest", f"{', '.join(names)} (sha256 {locks.digest(chain.root, names)[:12]})", ok=True)
    if chain.checked:
        return held
    unreadable = locks.developers("check_lock", chain.root).unreadable(chain.root)
    return chain.link("manifest", held.detail, [_told("fault", sentence) for sentence in unreadable])


def _lock(chain: _Chain) -> Link:
    if chain.root is None:
        return Link("lock", f"the production part of {chain.lock.source}: {len(chain.lock.packages)} packages", ok=True)
    findings = []
    if not chain.checked:
        reasons = locks.developers("check_lock", chain.root).reasons(chain.root, locks.neutral_path())
        findings = [_told(reason.kind, reason.sentence, reason.name) for reason in reasons]
    count = "" if findings else _count(len(chain.lock.packages), "package")
    held = f"{', '.join(locks.pins()['tool']['locks'])} answers it: {count}, each with its hashes"
    return chain.link("lock", held, findings)


def _environment(chain: _Chain) -> Link:
    own, prefix = native(), Path(sys.prefix)
    pinned, python = locks.pins()["python"], chain.lock.named.get("python")
    findings = [
        # A lock may hold the interpreter too, and then it says which patch version.
        *drift.interpreter({**pinned, "patch": python.version} if python else pinned, strict=chain.strict),
        *drift.packages(chain.lock, chain.first, strict=chain.strict),
        *drift.shadowed(chain.lock, chain.found),
    ]
    if own:
        rebuilt = own.altered(prefix, chain.lock)
        findings += drift.changes(chain.lock, ((one, f"{one.name} {one.version} {how}.") for one, how in rebuilt))
    if chain.deep:
        brought = {name: own.records(prefix, one) for name, one in chain.first.items()} if own else {}
        findings += drift.changes(chain.lock, drift.changed(chain.first.values(), brought))
    if chain.deep and chain.root is None:
        findings += import_module(".needs", __package__).missing_libraries(prefix)
    count = sum(package.name in chain.first for package in chain.lock.packages)
    every = ", every file as its wheel brought it" if chain.deep else ""
    return chain.link("environment", f"Python {platform.python_version()}, {count} packages as locked{every}", findings)


def _image(chain: _Chain) -> Link:
    if chain.root is not None:
        return Link("image", "not here (make image-verify)")
    return Link("image", f"holds that and nothing else ({chain.lock.source} sha256 {chain.lock.digest[:12]})", ok=True)


def _model(chain: _Chain) -> Link:
    ok, detail, reasons = import_module(".provenance", __package__).verify_link()
    # Reasons of a link that holds warn: the model serves, and the data has moved on.
    warning = ok is not False and not chain.strict
    findings = tuple(replace(_told("contract", reason, otherwise=""), warning=warning) for reason in reasons)
    return Link("model", detail, ok=ok if warning or not findings else False, findings=findings)


LINKS: Mapping[str, Callable[[_Chain], Link]] = {
    "manifest": _manifest,
    "lock": _lock,
    "environment": _environment,
    "image": _image,
    "model": _model,
}


def check(*, deep: bool = False, strict: bool = False, until: str = "model") -> Report:
    """Check the chain up to the link `until` and return what was found; raises nothing.

    `deep` compares every installed file with the hash that its wheel brought, `strict` turns warnings about the
    interpreter's patch version and about pip into errors. After a broken link nothing is checked.
    """
    chain, links = _Chain(deep=deep, strict=strict, root=locks.find_root()), list[Link]()
    for name in list(LINKS)[: list(LINKS).index(until) + 1]:
        whole = all(link.ok is not False for link in links)
        links.append(_guarded(name, chain) if whole else Link(name, "not checked"))
    try:
        packages = runtime_versions(chain.lock, chain.first)
    except LockError:
        return Report(tuple(links))
    return Report(tuple(links), locks.signature(packages, python_minor()), packages)


def _guarded(name: str, chain: _Chain) -> Link:
    try:
        return LINKS[name](chain)
    except LockError as error:
        return Link(name, "cannot be read", ok=False, findings=(_told("fault", str(error)),))
    except OSError as error:
        sentence = f"{error.filename} cannot be read here: {error.strerror}."
        return Link(name, "cannot be read", ok=False, findings=(_told("fault", sentence, otherwise=""),))


def python_minor() -> str:
    """Return X.Y of this interpreter."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def runtime_versions(lock: Lock | None = None, present: Mapping[str, Distribution] | None = None) -> dict[str, str]:
    """Return name -> version of the runtime closure for the platform that serves: what the signature is made of.

    What applies here counts as it is installed; what only that platform has, as it is locked. Where a fork of the
    lock chooses another version there, the right version here stands for the right one there. So a Mac and the
    image agree. Raises LockError.
    """
    lock = lock or locks.load()
    present = drift.installed(found()) if present is None else present
    versions = {}
    for name, target in lock.target.items():
        here = lock.runtime.get(name)
        if here is None or (name in present and same_version(here.version, present[name].version)):
            versions[name] = target
        elif name in present:
            versions[name] = present[name].version
    return versions


def generate_env_signature() -> str:
    """Return `sha256:…`, equal wherever the same versions are installed for the runtime; raises LockError."""
    return locks.signature(runtime_versions(), python_minor())


def validate_environment(*, deep: bool = False) -> None:
    """Raise EnvironmentDriftError, naming every difference, where this environment is not the locked one."""
    report = check(deep=deep, until="image")
    if not report.ok:
        words = " ".join(finding.message for finding in report.errors)
        repair = "" if f"`{report.repair}`" in words else f" Run `{report.repair}`."
        raise EnvironmentDriftError(f"Environment drift detected! {words}{repair}")
