"""Does the lock answer the manifest, with a hash and a known origin for everything? Owned by the template.

    check_lock.py --package NAME [--note-origins] [--holds PACKAGE] [--write FILE [--production]] [--labels]
                  [-- COMMAND…]

COMMAND is the tool's own check. It runs before anything is installed, with the Python of .tools/venv; `verify` asks
it where the files are not those that `make sync` checked. What differs between tools is in lock_reader.py.
"""

import argparse
import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from packaging.markers import InvalidMarker, Marker, default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

import lock_reader

ROOT = Path(__file__).absolute().parent.parent
INSTALLED = Path(".venv", "parity-lock.json")
ANSWERS, PROJECT = ".copier-answers.yml", "pyproject.toml"
ORIGINS = Path(".tools", "origins.txt")
ORIGINS_HEADER = (
    "# Where the lock's packages come from, as `make lock` found it: a new line wants a second look.\n"
    "# A name behind an address: of the lock's packages that one alone comes from there.\n"
)
MANIFEST, LOCK = ", ".join(lock_reader.MANIFESTS), ", ".join(lock_reader.LOCKS)
ASKS, WAS = ("ask", "were") if ", " in MANIFEST else ("asks", "was")
RESTORE = f"git checkout -- {' '.join(lock_reader.LOCKS)}"
# What a file causes that is TOML and still not what its tool writes.
MALFORMED = (
    *(AttributeError, LookupError, TypeError, ExceptionGroup),
    *(InvalidMarker, InvalidRequirement, InvalidSpecifier, InvalidVersion),
)
Groups = Mapping[str, Sequence[str]]
Entry = dict[str, Any]


class Reason(NamedTuple):
    """Why not to install from this lock: one sentence, whose last command is the repair."""

    kind: str  # stale: the manifest has moved on; fault: the lock is broken; hashes: it was edited after the install
    sentence: str
    name: str = ""  # the package


def reasons(root: Path, installed: Path, *, noting: bool = False) -> Iterator[Reason]:
    """Yield each reason of the first check that finds one; the cheapest check comes first.

    `installed` is the neutral form of the lock that the environment was installed from, where there is one.
    `noting` allows every origin, as `make lock` does before it notes them.
    """
    allowed = None if noting else noted_origins(root)
    checks = (
        *(another_tools(root), missing(root, noting=noting), stale(root)),
        *(faults(root, allowed), altered(root, installed)),
    )
    for check in checks:
        found = False
        try:
            for reason in check:
                found = True
                yield reason
        except MALFORMED as error:
            yield Reason("fault", malformed(error))
            return
        except ValueError as error:
            yield Reason("fault", str(error))
            return
        if found:
            return


def malformed(error: Exception) -> str:
    """Return the sentence for a lock that cannot be understood."""
    return f"{LOCK} is not as {lock_reader.NAME} writes it ({cause(error)}): run `{RESTORE}`."


def cause(error: BaseException) -> str:
    """Return what an error says in one line."""
    first = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
    return f"{type(first).__name__}: {' '.join(str(first).split())}"


def locked(root: Path, environment: Mapping[str, str] | None = None) -> list[Entry]:
    """Return the packages that apply in a marker environment (None: this one); raises ValueError, one sentence."""
    try:
        return lock_reader.locked(root, environment or {k: str(v) for k, v in default_environment().items()})
    except MALFORMED as error:
        raise ValueError(malformed(error)) from None


def project_name(root: Path) -> str:
    """Return the canonical name of the project, "" where pyproject.toml has none; raises ValueError."""
    try:
        document = tomllib.loads((root / PROJECT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{PROJECT} cannot be read ({cause(error)}): run `git checkout -- {PROJECT}`.") from None
    return canonicalize_name(str(document.get("project", {}).get("name", "")))


def unreadable(root: Path) -> Iterator[str]:
    """Yield a sentence for each file of the manifest that cannot be read."""
    for name in lock_reader.MANIFESTS:
        try:
            lock_reader.read(root, name)
        except ValueError as error:
            yield str(error)


def another_tools(root: Path) -> Iterator[Reason]:
    """Yield a reason where the answers name another tool than the one whose files these are."""
    try:
        answers = (root / ANSWERS).read_text(encoding="utf-8")
    except OSError:  # a repository that is no longer updated may have thrown them away
        return
    named = re.search(r"^package_manager: *[\"']?([\w-]+)", answers, re.MULTILINE)
    if named and named[1] != lock_reader.NAME:
        yield Reason(
            "fault",
            f"{ANSWERS} names {named[1]}, and the files here are {lock_reader.NAME}'s: a tool is changed by"
            f" `make switch TO={named[1]}`, which starts from the answer of before: run `git checkout -- {ANSWERS}`.",
        )


def missing(root: Path, *, noting: bool = False) -> Iterator[Reason]:
    """Yield a reason for each file of manifest and lock that is not there, and for origins that nobody noted."""
    for name in (*lock_reader.MANIFESTS, *lock_reader.LOCKS):
        if not (root / name).exists():
            repair = "`make lock`, then commit it" if name in lock_reader.LOCKS else f"`git checkout -- {name}`"
            yield Reason("fault", f"{name} is missing: run {repair}.")
    if not noting and not (root / ORIGINS).exists():
        yield Reason(
            "fault", f"{ORIGINS.as_posix()} is missing, so any address would pass: run `make lock`, then commit it."
        )


# Does the lock answer the manifest? Requirements are compared by meaning and not by spelling: a tool rewrites what it
# records. It sorts specifiers, drops what requires-python implies, normalizes names.
# https://packaging.python.org/en/latest/specifications/dependency-specifiers/


def stale(root: Path) -> Iterator[Reason]:
    """Yield a reason for each thing in the manifest that the lock was not made for, and the reverse."""
    try:
        yield from [Reason("stale", sentence) for sentence in _moved_on(root, lock_reader.asked(root))]
    except MALFORMED as error:
        sentence = f"{MANIFEST} cannot be compared with {LOCK} ({cause(error)}): correct it, then run `make lock`."
        yield Reason("stale", sentence)


def _moved_on(root: Path, asked: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentences; a tool records the requirements themselves, or a digest of them, or neither."""
    wanted, recorded = asked.get("requirements", ({}, {}))
    sentences = [
        *differences(wanted, recorded, asked.get("python", ("", ""))[1] or ""),
        *unanswered(asked.get("wanted", {}), locked(root)),
        *_of_another(asked),
    ]
    now, then = asked.get("digest", ("", ""))
    # What exactly has changed is the better sentence.
    if now != then and not sentences:
        sentences = [f"{MANIFEST} {WAS} changed since {LOCK} was made: run `make lock`."]
    yield from sentences


def _of_another(asked: Mapping[str, Any]) -> Iterator[str]:
    for what, same in {"python": same_pythons, "version": same_version}.items():
        wanted, recorded = asked.get(what, (None, None))
        if wanted and recorded and not same(wanted, recorded):
            told = what.replace("python", "Python")
            yield f"{MANIFEST} has {told} {wanted} and {LOCK} was made for {recorded}: run `make lock`."


GROUPS = {"": "main"}  # what a manifest calls nothing, a lock calls main


def unanswered(wanted: Groups, packages: Sequence[Entry]) -> Iterator[str]:
    """Yield one sentence for each requirement that these locked packages do not answer, and the reverse."""
    found = {package["name"]: package for package in packages}
    named: set[str] = set()
    for group, lines in wanted.items():
        for one in map(Requirement, lines):
            if one.marker and not one.marker.evaluate():
                continue
            named.add(_name(one))
            if state := _unanswered(one, GROUPS.get(group, group), found.get(_name(one))):
                where = f" in group {group}" if group else ""
                yield f"{MANIFEST} {ASKS} for {one}{where} and {LOCK} {state}: run `make lock`."
    for package in packages if wanted else ():
        if package["direct"] and package["name"] not in named:
            yield f"{MANIFEST} no longer {ASKS} for {package['name']}, as {LOCK} does: run `make lock`."


def _unanswered(one: Requirement, group: str, package: Entry | None) -> str:
    """Return how a locked package fails to answer a requirement, "" where it does."""
    if package is None or group not in package["groups"]:
        return "does not know it"
    if not package["version"] or one.specifier.contains(package["version"], prereleases=True):
        return ""
    return f"has {package['name']} {package['version']}"


def differences(wanted: Groups, recorded: Groups, python: str = "") -> Iterator[str]:
    """Yield one sentence for each requirement that differs; `python` is the project's requires-python."""
    for group in sorted({*wanted, *recorded}):
        ours, theirs = ([*map(Requirement, lines.get(group, ()))] for lines in (wanted, recorded))
        where = f" in group {group}" if group else ""
        asked = [one for one in ours if not any(same(one, other, python) for other in theirs)]
        known = [other for other in theirs if not any(same(other, one, python) for one in ours)]
        for one in asked:
            before = next((other for other in known if _name(other) == _name(one)), None)
            known = [other for other in known if other is not before]
            state = "does not know it" if before is None else f"was made for {before}"
            yield f"{MANIFEST} {ASKS} for {one}{where} and {LOCK} {state}: run `make lock`."
        for other in known:
            yield f"{MANIFEST} no longer {ASKS} for {other}{where}, as {LOCK} does: run `make lock`."


def _name(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def same(one: Requirement, other: Requirement, python: str) -> bool:
    """Tell whether two requirements mean the same, in a project with this requires-python."""
    return (
        _name(one) == _name(other)
        and {*map(canonicalize_name, one.extras)} == {*map(canonicalize_name, other.extras)}
        # A lock that names a source instead of a version says nothing about the specifier.
        and (bool(one.url or other.url) or one.specifier == other.specifier)
        and same_markers(str(one.marker or ""), str(other.marker or ""), python)
    )


def same_version(one: str, other: str) -> bool:
    """Tell whether two spellings are one version: 1.0 and 1.0.0 are."""
    return Version(one) == Version(other)


def same_pythons(one: str, other: str) -> bool:
    """Tell whether two version specifiers of Python admit the same releases from 3.0 on."""
    first, second = SpecifierSet(one), SpecifierSet(other)
    releases = [f"3.{minor}.{patch}" for minor in range(30) for patch in (0, 1, 5, 15, 40)]
    bounds = {specifier.version for specifier in (*first, *second) if "*" not in specifier.version}
    return all(first.contains(v) == second.contains(v) for v in [*releases, *bounds, "4.0.0"])


COMPARISON = re.compile(r"(\w+)\s*(?:[=!<>~]=?=?|not\s+in|in)\s*[\"']([^\"']*)[\"']")
# Platforms on which two markers are tried; what the markers name themselves is tried as well.
SYSTEMS = (("posix", "linux", "Linux"), ("posix", "darwin", "Darwin"), ("nt", "win32", "Windows"))
MACHINES = ("x86_64", "aarch64", "arm64", "AMD64")
IMPLEMENTATIONS = (("cpython", "CPython"), ("pypy", "PyPy"))


def same_markers(one: str, other: str, python: str = "") -> bool:
    """Tell whether two markers ("" for none) hold in the same environments, of all that could tell them apart.

    A tool rewrites the markers that it records: it asks sys_platform for platform_system, and drops what `python`,
    the project's requires-python, implies.
    """
    if one == other:
        return True
    first, second = (Marker(text).evaluate if text else None for text in (one, other))
    return all(
        (first is None or first(environment)) == (second is None or second(environment))
        for environment in _environments(one, other, python)
    )


def _environments(one: str, other: str, python: str) -> Iterator[dict[str, str]]:
    """Yield marker environments: common platforms, admitted Pythons, and the values that the markers name."""
    named = [dict.fromkeys(COMPARISON.findall(marker)) for marker in (one, other)]
    variables = [{variable for variable, _ in pairs} for pairs in named]
    # A value that only one marker names may be said of another variable in the other, which is no difference.
    values = {(k, v) for pairs in named for k, v in pairs if all(k in own for own in variables)}
    pythons = {value for pairs in named for variable, value in pairs if variable.startswith("python_")}
    for version, system, machine, implementation in product(
        _admitted(pythons, python), SYSTEMS, MACHINES, IMPLEMENTATIONS
    ):
        environment = {
            "python_full_version": version,
            "python_version": ".".join(version.split(".")[:2]),
            **dict(zip(("os_name", "sys_platform", "platform_system"), system, strict=True)),
            "platform_machine": machine,
            **dict(zip(("implementation_name", "platform_python_implementation"), implementation, strict=True)),
            "extra": "",
        }
        yield environment
        yield from ({**environment, variable: value} for variable, value in values if variable[:7] != "python_")


def _admitted(named: Iterable[str], python: str) -> list[str]:
    """Return versions of Python on which two markers are tried, beside those that they name."""
    versions = {f"3.{minor}.{patch}" for minor in range(10, 16) for patch in (0, 20)}
    versions |= {version if version.count(".") > 1 else f"{version}.1" for version in named}
    return sorted(SpecifierSet(python).filter(versions))


# Would the tool install something without proof of what it is? Its own check sees none of this: it compares the lock
# with the manifest only.


def faults(root: Path, allowed: frozenset[str] | None) -> Iterator[Reason]:
    """Yield a reason for each entry without a hash, with another file's, or from an origin that is not `allowed`."""
    for entry in lock_reader.entries(root):
        for fault in _in_folder(entry) if entry["folder"] is not None else _in_archive(entry, allowed):
            yield Reason("fault", f"{LOCK}: {fault}, `{RESTORE}`.", entry["name"])


def _in_folder(entry: Entry) -> Iterator[str]:
    # Code of this repository has no hash: git keeps it. A folder elsewhere is on no other machine.
    if entry["folder"].startswith(("/", "..")) or ":" in entry["folder"]:
        yield (
            f"{entry['name']} is the folder {entry['folder']}, outside of this repository: move it in, or restore the"
            " lock"
        )


def _in_archive(entry: Entry, allowed: frozenset[str] | None) -> Iterator[str]:
    name, version = entry["name"], entry["version"]
    files = [(file_name(file["address"]), sha256(file["hash"])) for file in entry["files"]]
    # The id of a commit is a digest of its content, so what comes from git needs no hash.
    if entry["commit"] == "":
        yield f"{name} comes from git without the id of a commit: restore the lock"
    if entry["commit"] is None and not files:
        yield f"{name} {version} has no file with a hash: restore the lock"
    # One file is told of each entry: what was edited by hand is wrong for all of them.
    for file in [file for file, digest in files if not digest][:1]:
        yield f"{name} {version} has no sha256 for {file or 'one of its files'}: restore the lock"
    for file in [file for file, _ in files if not claims(file, name, version)][:1]:
        yield f"{name} {version} was edited by hand, for its file is {file}: restore the lock"
    foreign = [one for one in sorted(origins(entry)) if allowed is not None and allowed.isdisjoint(lines(one, name))]
    for one in foreign[:1]:
        yield f"{name} {version} comes from {one}, which {ORIGINS.as_posix()} does not hold for it: restore the lock"


def sha256(text: str) -> str:
    """Return the hex digest in `sha256:…`, "" where that is something else."""
    found = re.fullmatch(r"sha256:([0-9a-f]{64})", text)
    return found[1] if found else ""


def file_name(address: str) -> str:
    """Return the file's name at the end of an address or a path; 2.15.0%2Bcpu is a local version."""
    return unquote(re.split(r"[?#]", address)[0].rpartition("/")[2])


def claims(file: str, name: str, version: str) -> bool:
    """Tell whether a wheel's file name holds this name and version; other files follow no rule.

    https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-name-convention
    """
    if not file.endswith(".whl"):
        return True
    own_name, own_version = [*file.split("-"), ""][:2]
    try:
        return canonicalize_name(own_name) == canonicalize_name(name) and same_version(own_version, version)
    except InvalidVersion:
        return False


def origin(address: str) -> str:
    """Return scheme://host[:port] of an address without its credentials, "" where it is a path."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\\]*)", address)
    return f"{found[1]}://{found[2].rpartition('@')[2]}".lower() if found else ""


def origins(entry: Entry) -> frozenset[str]:
    """Return the origins of an entry's source and of its files."""
    return frozenset(map(origin, [*entry["addresses"], *(file["address"] for file in entry["files"])])) - {""}


def lines(origin: str, name: str) -> tuple[str, str]:
    """Return the lines of ORIGINS that each let a package come from an origin: all may, or this one."""
    return origin, f"{origin} {canonicalize_name(name)}"


def delivered(root: Path) -> frozenset[str]:
    """Return the lines for a lock: an origin of most packages stands for all, of another one only what it delivers.

    An index beside the main one, such as PyTorch's, could otherwise deliver a package of any name.
    """
    found = [(one, entry["name"]) for entry in lock_reader.entries(root) for one in origins(entry)]
    named = {one: {name for other, name in found if other == one} for one, _ in found}
    every = {entry["name"] for entry in lock_reader.entries(root)}
    return frozenset(lines(one, name)[2 * len(named[one]) <= len(every)] for one, name in found)


def noted_origins(root: Path) -> frozenset[str] | None:
    """Return the lines (scheme://host, and a package's name where it is for that alone), None where none are noted."""
    try:
        noted = (root / ORIGINS).read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return None
    return frozenset(" ".join(line.split()) for line in noted if line.strip() and not line.startswith("#"))


def note_origins(root: Path) -> None:
    """Write the origins of a lock that the tool has just made, and say which are new."""
    known, now = noted_origins(root) or frozenset(), delivered(root)
    for origin, _, name in sorted(line.partition(" ") for line in now if not known & {line, line.split()[0]}):
        print(f"New origin in the lock: {origin}{f', for {name}' if name else ''}. Make sure that it is one of yours.")
    partial = (root / ORIGINS).with_suffix(".part")
    partial.write_text(ORIGINS_HEADER + "".join(f"{one}\n" for one in sorted(now)), encoding="utf-8")
    partial.replace(root / ORIGINS)


def altered(root: Path, installed: Path) -> Iterator[Reason]:
    """Yield a reason for each package that was installed with hashes that the lock no longer has.

    A tool looks at hashes while it downloads, so an edited lock goes unnoticed where the package is installed. Not
    where a version is built again and again: there other hashes are another build, and `make sync` looks at all.
    """
    if getattr(lock_reader, "REBUILDS", False):
        return
    try:
        before = {package["name"]: package for package in json.loads(installed.read_bytes())["packages"]}
    except (OSError, ValueError, LookupError, TypeError):
        return
    for package in locked(root):
        then, name, version = before.get(package["name"], package), package["name"], package["version"]
        if then["version"] == version and not {*then["hashes"]} <= {*package["hashes"]}:
            sentence = (
                f"{LOCK} was edited by hand: {name} {version} was installed with hashes that it no longer has, restore"
                f" it with `{RESTORE}`."
            )
            yield Reason("hashes", sentence, name)


def refused_by_tool(root: Path, command: Sequence[str]) -> Iterator[str]:
    """Yield a sentence where the tool's own check fails, with what it said."""
    if not command:
        return
    result = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode:
        said = "".join(f"\n    {line}" for line in result.stdout.strip().splitlines())
        yield f"{LOCK} no longer answers the manifest: run `make lock`. The tool says:{said}"


def write(package: str, path: Path, *, production: bool) -> Iterator[str]:
    """Write the lock in the neutral form, all of it or what the project needs to run; yield what went wrong."""
    kit = importlib.import_module(f"{package}.parity.lock")
    try:
        kit.write_neutral(kit.read_native(ROOT), path, ("main",) if production else None)
    except kit.LockError as error:
        yield str(error)
    except OSError as error:
        yield f"{path} cannot be written ({error.strerror}): name a file in a folder of yours."


def label(package: str) -> Iterator[str]:
    """Print what an image of this lock says of itself, as options of `docker build`; yield what went wrong.

    https://github.com/opencontainers/image-spec/blob/main/annotations.md#pre-defined-annotation-keys
    """
    kit = importlib.import_module(f"{package}.parity.lock")
    try:
        lock = kit.read_native(ROOT)
    except kit.LockError as error:
        yield str(error)
        return
    said = {
        "org.opencontainers.image.title": lock.project,
        "org.opencontainers.image.revision": commit(),
        "parity.lock": f"sha256:{lock.digest}",
        "parity.signature": kit.signature(lock.target, kit.pins()["python"]["version"]),
    }
    print(*(f"--label={key}={value}" for key, value in said.items() if value))


def commit() -> str:
    """Return the commit that is checked out, with -dirty where files of git's have changed, "" without git."""
    words = ("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def not_held(line: str) -> Iterator[str]:
    """Yield a sentence where the lock does not hold the package that a requirement names."""
    try:
        name = canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        yield f"{line!r} is no requirement: name a package, as in PKG=numpy or PKG=numpy==2.4.6."
        return
    if name not in {canonicalize_name(entry["name"]) for entry in lock_reader.entries(ROOT)}:
        yield f"{name} is not in {LOCK}: look for its name there, or add it with `make add PKG={name}`."


def findings(options: argparse.Namespace) -> Iterator[str]:
    """Yield what is wrong, and do what was asked for where nothing is."""
    yield from (reason.sentence for reason in reasons(ROOT, ROOT / INSTALLED, noting=options.note_origins))
    yield from refused_by_tool(ROOT, options.command)
    if options.holds:
        yield from not_held(options.holds)
    if options.note_origins:
        note_origins(ROOT)
    if options.write:
        yield from write(options.package, options.write, production=options.production)
    if options.labels:
        yield from label(options.package)


def main() -> int:
    """Print the first reason against the lock and return 1; return 0 where there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", required=True, help="the project's package, which holds the kit")
    parser.add_argument("--note-origins", action="store_true", help="write .tools/origins.txt")
    parser.add_argument("--holds", metavar="PACKAGE", help="a package that must be in the lock")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the lock in the neutral form")
    parser.add_argument("--production", action="store_true", help="write only what the project needs to run")
    parser.add_argument("--labels", action="store_true", help="print the labels of an image of this lock")
    parser.add_argument("command", nargs="*", help="the tool's own check")
    for sentence in findings(parser.parse_args()):
        print(sentence, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
