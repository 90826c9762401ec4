"""Does the lock answer the manifest, with a hash and a known origin for everything? Owned by the template.

Runs before anything is installed, so it needs only .tools/venv and the kit's own reader of this tool's lock.

    check_lock.py --package NAME [--note-origins] -- COMMAND…     COMMAND is the tool's own check
"""

import argparse
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ORIGINS = ROOT / ".tools" / "origins.txt"
ORIGINS_HEADER = (
    "# Where the lock's packages come from, as `make lock` found it: a new line wants a second look.\n"
)
INSTALLED = ROOT / ".venv" / "parity-lock.json"


def noted_origins() -> frozenset[str] | None:
    """Return the origins (scheme://host) that `make lock` noted, None where it noted none yet."""
    if not ORIGINS.exists():
        return None
    lines = ORIGINS.read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def note_origins(origins: frozenset[str]) -> None:
    """Write the origins of a lock that the tool has just made, and say which are new."""
    known = noted_origins()
    for origin in sorted(origins - known) if known is not None else ():
        print(f"New origin in the lock: {origin}. Make sure that it is one of yours.")
    text = ORIGINS_HEADER + "".join(f"{origin}\n" for origin in sorted(origins))
    partial = ORIGINS.with_suffix(".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(ORIGINS)


def missing(reader: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield a sentence for each file of the lock that is not there."""
    for name in (*reader.MANIFESTS, *reader.LOCKS):
        if not (ROOT / name).exists():
            repair = "`make lock`, then commit it" if name in reader.LOCKS else f"`git checkout -- {name}`"
            yield f"{name} is missing: run {repair}."


def refused_by_tool(command: list[str], reader: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield a sentence where the tool's own check fails, with what it said."""
    result = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        lines = [f"    {line}" for line in result.stdout.strip().splitlines()]
        yield "\n".join(
            [
                f"{' and '.join(reader.LOCKS)} no longer answers the manifest: run `make lock`. The tool says:",
                *lines,
            ]
        )


def altered(kit: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield a sentence for each package that was installed with hashes which the lock no longer has.

    A tool looks at hashes while it downloads: what is installed already would let an edited lock pass.
    """
    if not INSTALLED.exists():
        return
    before = {(package.name, package.version): package for package in kit.read_neutral(INSTALLED).packages}
    for package in kit.load().packages:
        known = before.get((package.name, package.version))
        if known and not known.hashes <= package.hashes:
            yield (
                f"{package.name} {package.version} was installed with hashes that the lock no longer has: it was edited"
                f" by hand; restore it with `git checkout -- {' '.join(kit.reader.LOCKS)}`."
            )


def findings(package: str, command: list[str], *, note: bool) -> Iterator[str]:
    """Yield one sentence for each reason not to install from this lock, cheapest check first."""
    reader = importlib.import_module(f"{package}.parity.reader")
    kit = importlib.import_module(f"{package}.parity.lock")
    yield from missing(reader)
    yield from reader.stale(ROOT)
    yield from refused_by_tool(command, reader)
    yield from reader.faults(ROOT, None if note else noted_origins())
    if note:
        note_origins(reader.origins(ROOT))
    yield from altered(kit)


def main() -> int:
    """Print the first reason against the lock and return 1; return 0 where there is none."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--package", required=True)
    parser.add_argument("--note-origins", action="store_true")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    for sentence in findings(options.package, options.command, note=options.note_origins):
        print(sentence, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
