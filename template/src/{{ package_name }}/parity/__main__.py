"""`python -m <package>.parity COMMAND`: for people a table, for machines JSON (docs/reference/verify.md)."""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from . import environment
from . import lock as locks
from .environment import Report
from .table import show, summarize

PACKAGE = str(__package__).partition(".")[0]
SCHEMA = 1
HERE = "here"
BLAS = ("openblas", "mkl", "blis", "accelerate", "gomp", "libomp")


def document(report: Report) -> dict[str, Any]:
    """Return the report as plain values."""
    signed = {**told(report.packages), "signature": report.signature or None}
    # Which version of the template these rules are: `copier update` brings the next.
    head = {"schema": SCHEMA, "template": locks.pins()["template"], "ok": report.ok, "repair": report.repair or None}
    return {**head, **signed, "links": [asdict(link) for link in report.links]}


def told(versions: Mapping[str, str]) -> dict[str, Any]:
    """Return the signature of these packages, what it is made of, and the machine beside it."""
    python = environment.python_minor()
    return {
        "schema": SCHEMA,
        "signature": locks.signature(versions, python),
        "python": python,
        "packages": dict(sorted(versions.items())),
        "platform": facts(),
    }


def facts() -> dict[str, Any]:
    """Return what moves the last bits of a result: told and not signed, so that one lock has one signature."""
    machine = import_module(".statement", __package__).machine()
    # No library is loaded here that could be asked for its `pools`; the files that wheels bring name their version.
    folders = (Path(folder) for folder in sys.path if Path(folder).is_dir())
    files = {file.name for folder in folders for file in folder.glob("*.*libs/*")}  # numpy.libs, sklearn/.dylibs
    libraries = sorted(name for name in files if any(word in name for word in BLAS))
    kept = {name: machine[name] for name in ("system", "cpus", "variables")}
    return {"python": platform.python_version(), **kept, "libraries": libraries}


def _parser(command: str, about: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"python -m {__package__} {command}", description=about)


def run_verify(arguments: Sequence[str]) -> int:
    """Check the chain; 1 where a link is broken."""
    parser = _parser("verify", "Check manifest, lock, environment, image and model, each against the one before.")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for machines; the fields are documented")
    form.add_argument("--markdown", action="store_true", help="for the summary of a CI run")
    parser.add_argument("--deep", action="store_true", help="compare every installed file with its recorded hash")
    parser.add_argument("--strict", action="store_true", help="warnings are errors: another patch version, pip")
    options = parser.parse_args(arguments)
    report = environment.check(deep=options.deep, strict=options.strict)
    if options.json:
        print(json.dumps(document(report), indent=1))
    else:
        (summarize if options.markdown else show)(report, sys.stdout)
    return 0 if report.ok else 1


def run_signature(arguments: Sequence[str]) -> int:
    """Print the signature of this environment; 1 where no lock says what belongs to it."""
    parser = _parser("signature", "Print sha256 of Python X.Y and the runtime's names and versions.")
    parser.add_argument("--json", action="store_true", help="also the packages, and the machine beside them")
    options = parser.parse_args(arguments)
    try:
        signed = told(environment.runtime_versions()) if options.json else environment.generate_env_signature()
    except locks.LockError as error:
        print(error, file=sys.stderr)
        return 1
    print(signed if isinstance(signed, str) else json.dumps(signed, indent=1))
    return 0


def saved(place: str) -> dict[str, Any]:
    """Return what `verify --json` or `signature --json` wrote to a file or to stdin (-), or what is here.

    Raises LockError with one sentence where it is something else.
    """
    if place == HERE:
        return told(environment.runtime_versions())
    try:
        found = json.loads(sys.stdin.read() if place == "-" else Path(place).read_text(encoding="utf-8"))
        kept = {"python": str(found["python"]), "packages": {**found["packages"]}, "platform": {**found["platform"]}}
    except (OSError, ValueError, KeyError, TypeError):
        kept, found = {}, {}
    if found.get("schema") != SCHEMA:
        raise locks.LockError(f"{place} is not what `signature --json` prints: save it anew, or say `{HERE}`.")
    return kept


def run_diff(arguments: Sequence[str]) -> int:
    """Print what differs between two signatures; 1 where something does, 2 where one cannot be read."""
    parser = _parser("diff", "Compare two outputs of `signature --json` or `verify --json`.")
    for name in ("before", "after"):
        parser.add_argument(name, help=f"a file, - for stdin, or the word {HERE}")
    options = parser.parse_args(arguments)
    try:
        before, after = saved(options.before), saved(options.after)
    except locks.LockError as error:
        print(error, file=sys.stderr)
        return 2
    pairs = [{"python": one["python"], **one["packages"]} for one in (before, after)]
    lines = [*_differences(*pairs)]
    print("\n".join(lines) or f"equal: {len(after['packages'])} packages, Python {after['python']}")
    for line in _differences(before["platform"], after["platform"]):
        print(f"  beside it: {line}")
    return 1 if lines else 0


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        then, now = before.get(name, "absent"), after.get(name, "absent")
        if then != now:
            yield f"{name}: {then} -> {now}"


def elsewhere(module: str, function: str) -> Callable[[Sequence[str]], int]:
    """Return a command of another module, which is imported only when it is asked for."""
    return lambda arguments: int(getattr(import_module(f".{module}", __package__), function)(arguments))


def program(name: str, command: str) -> Callable[[Sequence[str]], int]:
    """Return a command that only developers have: a program of .tools/, which is in no image."""

    def run_program(arguments: Sequence[str]) -> int:
        import subprocess  # noqa: PLC0415

        file = (locks.find_root() or Path()) / locks.TOOLS / name
        if not file.is_file():
            print(f"{command} is for developers: run it in the repository, there is no {file} here.", file=sys.stderr)
            return 2
        started = [sys.executable, str(file), "--package", PACKAGE, command, *arguments]
        return subprocess.run(started, check=False).returncode  # noqa: S603

    return run_program


# name -> function, what it does
COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "verify": (run_verify, "check manifest, lock, environment, image and model"),
    "signature": (run_signature, "print what this environment is, in one line"),
    "diff": (run_diff, "compare two saved signatures, or one with what is here"),
    "settings": (elsewhere("settings_commands", "run_settings"), "print the effective settings, secrets masked"),
    "env-example": (elsewhere("settings_commands", "run_env_example"), "write .env.example from the Settings class"),
    "seeds": (elsewhere("seeding", "run_seeds"), "print what is seeded and what cannot be"),
    "rebuild": (program("reproduce.py", "rebuild"), "make the environment of an old model anew and serve it"),
}


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status: 0 holds, 1 does not, 2 was asked wrongly."""
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        lines = (f"  {name:12} {about}" for name, (_, about) in COMMANDS.items())
        print("\n".join([f"usage: python -m {__package__} COMMAND [--help]", "", *lines]))
        return 0 if arguments else 2
    if name not in COMMANDS:
        print(f"{name} is no command: choose from {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    return COMMANDS[name][0](rest)


def main() -> int:
    """Run the command of this process; what ends it is one sentence, not a traceback."""
    try:
        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", PACKAGE):
            raise
        print(f"{missing} is not installed here: run `make sync`, or rebuild the image.", file=sys.stderr)
    except BrokenPipeError:
        # Who read the output has seen enough (`| head`); what is still buffered has nowhere to go.
        sys.stderr.close()
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as shells have it
    return 1


if __name__ == "__main__":
    sys.exit(main())
