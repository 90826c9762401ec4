"""The commands that show the chain: for people as a table, for machines as JSON (docs/reference/verify.md)."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from . import environment
from . import lock as locks
from .drift import Finding
from .environment import Link, Report

SCHEMA = 1
HERE = "here"
SHOWN = 12  # findings of one link in the table; a person reads no more
# Marks of a link that holds, is broken, was not checked; the line between links; the mark of a finding.
MARKS = ({True: "✓", False: "✗", None: "·"}, "│", "•")
ASCII_MARKS = ({True: "+", False: "x", None: "-"}, "|", "*")
# https://en.wikipedia.org/wiki/ANSI_escape_code#Select_Graphic_Rendition_parameters
GREEN, RED, YELLOW, BOLD, DIM = "32", "31", "33", "1", "2"
COLOURS = {True: GREEN, False: RED, None: DIM}
# They move the last bits of a result and are told beside the signature: one lock, one signature everywhere.
VARIABLES = ("PYTHONHASHSEED", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LIBRARIES = ("openblas", "mkl", "blis", "accelerate", "gomp", "libomp")


def facts() -> dict[str, Any]:
    """Return what else distinguishes this machine, without importing a library to ask it."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "libc": _libc(),
        "cpus": os.cpu_count(),
        "libraries": sorted(_libraries()),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):  # Windows, macOS, musl
        return ""


def _libraries() -> Iterator[str]:
    """Yield the file names of BLAS and OpenMP that wheels bring along; they carry version and digest."""
    for folder in filter(os.path.isdir, sys.path):
        for place in Path(folder).glob("*.*libs/*"):  # numpy.libs, scipy.libs, sklearn/.dylibs
            if any(word in place.name for word in LIBRARIES):
                yield place.name


def document(report: Report) -> dict[str, Any]:
    """Return the report as plain values."""
    return {
        "schema": SCHEMA,
        "ok": report.ok,
        "repair": report.repair or None,
        "signature": report.signature or None,
        "python": environment.python_minor(),
        "packages": dict(sorted(report.packages.items())),
        "platform": facts(),
        "links": [asdict(link) for link in report.links],
    }


class _Page:
    """Writes for the stream that it is given: colour only on a terminal, ASCII where nothing else prints."""

    def __init__(self, stream: TextIO) -> None:
        # https://no-color.org: set and not empty
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self.colour = stream.isatty() and not plain
        self.marks, self.bar, self.sign = MARKS if _can_print(stream, str(MARKS)) else ASCII_MARKS
        self.stream = stream

    def painted(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def line(self, text: str = "") -> None:
        encoding = self.stream.encoding or "ascii"
        print(text.encode(encoding, "replace").decode(encoding), file=self.stream)

    def link(self, link: Link, *, last: bool) -> None:
        mark, name = self.painted(self.marks[link.ok], COLOURS[link.ok]), self.painted(f"{link.name:11}", BOLD)
        self.line(f"  {mark} {name}  {link.detail}".rstrip())
        bar = " " if last else self.painted(self.bar, DIM)
        for finding in link.findings[:SHOWN]:
            self.line(f"  {bar} {' ' * 13}{self.finding(finding)}")
        if len(link.findings) > SHOWN:
            self.line(f"  {bar} {' ' * 13}… and {len(link.findings) - SHOWN} more: --json holds all")

    def finding(self, finding: Finding) -> str:
        sign = self.painted(self.sign, COLOURS[False] if not finding.warning else YELLOW)
        role = self.painted(f" ({finding.role})", DIM) if finding.role not in ("", "extra") else ""
        return f"{sign} {finding.message.removesuffix('.')}{role}"


def _can_print(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def show(report: Report, stream: TextIO) -> None:
    """Write the chain as a table, and below it the one command that repairs it."""
    page = _Page(stream)
    for link in report.links:
        page.link(link, last=link is report.links[-1])
    page.line()
    if report.ok:
        page.line(f"  Every link that is here holds: {report.signature}")
    else:
        page.line(f"  Repair: {page.painted(report.repair, BOLD)}")


def _parser(command: str, about: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"python -m {__package__} {command}", description=about)


def run_verify(argv: Sequence[str]) -> int:
    """Check the chain; 1 where a link is broken."""
    parser = _parser("verify", "Check manifest, lock, environment, image and model, each against the one before.")
    parser.add_argument("--json", action="store_true", help="for machines; the fields are documented")
    parser.add_argument("--deep", action="store_true", help="compare every installed file with its recorded hash")
    parser.add_argument("--strict", action="store_true", help="warnings are errors: another patch version, pip")
    options = parser.parse_args(argv)
    report = environment.check(deep=options.deep, strict=options.strict)
    if options.json:
        print(json.dumps(document(report), indent=1))
    else:
        show(report, sys.stdout)
    return 0 if report.ok else 1


def run_signature(argv: Sequence[str]) -> int:
    """Print the signature of this environment; 1 where no lock says what belongs to it."""
    parser = _parser("signature", "Print sha256 of Python X.Y and the runtime's names and versions.")
    parser.add_argument("--json", action="store_true", help="also the packages, and the machine beside them")
    options = parser.parse_args(argv)
    try:
        versions = environment.runtime_versions()
    except locks.LockError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(_signed(versions), indent=1) if options.json else _signed(versions)["signature"])
    return 0


def _signed(versions: Mapping[str, str]) -> dict[str, Any]:
    python = environment.python_minor()
    return {
        "schema": SCHEMA,
        "signature": locks.signature(versions, python),
        "python": python,
        "packages": dict(sorted(versions.items())),
        "platform": facts(),
    }


def saved(place: str) -> dict[str, Any]:
    """Return what `verify --json` or `signature --json` wrote to a file or to stdin (-), or what is here.

    Raises LockError with one sentence where it is something else.
    """
    if place == HERE:
        return _signed(environment.runtime_versions())
    try:
        found = json.loads(sys.stdin.read() if place == "-" else Path(place).read_text(encoding="utf-8"))
        kept = {"python": str(found["python"]), "packages": {**found["packages"]}, "platform": {**found["platform"]}}
    except (OSError, ValueError, KeyError, TypeError):
        kept, found = {}, {}
    if found.get("schema") != SCHEMA:
        raise locks.LockError(f"{place} is not what `signature --json` prints: save it anew, or say `{HERE}`.")
    return kept


def run_diff(argv: Sequence[str]) -> int:
    """Print what differs between two signatures; 1 where something does, 2 where one cannot be read."""
    parser = _parser("diff", "Compare two outputs of `signature --json` or `verify --json`.")
    for name in ("before", "after"):
        parser.add_argument(name, help=f"a file, - for stdin, or the word {HERE}")
    options = parser.parse_args(argv)
    try:
        before, after = saved(options.before), saved(options.after)
    except locks.LockError as error:
        print(error, file=sys.stderr)
        return 2
    lines = [
        *_differences(
            {"python": before["python"], **before["packages"]}, {"python": after["python"], **after["packages"]}
        )
    ]
    print("\n".join(lines) or f"equal: {len(after['packages'])} packages, Python {after['python']}")
    for line in _differences(before["platform"], after["platform"]):
        print(f"  beside it: {line}")
    return 1 if lines else 0


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        then, now = before.get(name, "absent"), after.get(name, "absent")
        if then != now:
            yield f"{name}: {then} -> {now}"


def run_lock(argv: Sequence[str]) -> int:
    """Write the lock in the neutral form that an image is verified with; 1 where there is no lock."""
    parser = _parser("lock", "Write the lock in the neutral form.")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    parser.add_argument("--production", action="store_true", help="only what the project needs to run")
    parser.add_argument("--root", type=Path, help="the repository (default: the one that holds this package)")
    options = parser.parse_args(argv)
    try:
        lock = locks.load_native(options.root or locks.find_root() or Path(), locks.here_environment())
        locks.write_neutral(lock, options.output, ("main",) if options.production else None)
    except locks.LockError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"{options.output} cannot be written ({error.strerror}): name a file in a folder of yours.", file=sys.stderr
        )
        return 1
    return 0
