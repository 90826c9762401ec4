"""What would a fresh resolution change in the lock? Nothing is changed here. Owned by the template.

    outdated.py [--json | --markdown] [--into FOLDER]

`make lock` runs in a folder like the repository, but without the lock: nothing there holds a version, and the cooldown
counts as always. What differs between tools is in that verb and in lock_reader.py.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name

import check_lock
import lock_reader

ROOT = check_lock.ROOT
TOOLS, VENV = Path(".tools"), Path(".tools", "venv")
MADE = (*lock_reader.LOCKS, check_lock.ORIGINS.as_posix())
NOTHING = "A fresh resolution would change nothing."
# What make tells the make that it calls: this one is no part of that run.
MAKES = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}


class NotResolvedError(RuntimeError):
    """There is nothing to compare with; the message says why and what to do."""


class Change(NamedTuple):
    """A package with another version; None where it is new, or would be gone."""

    package: str
    before: str | None
    after: str | None
    direct: bool  # the manifest asks for it


def imitate(folder: Path) -> None:
    """Make an empty folder like the repository, without the lock: what locking writes is a copy, all else a link."""
    apart = {TOOLS.name, ".git", ".venv", *lock_reader.MANIFESTS, *lock_reader.LOCKS}
    for path in ROOT.iterdir():
        if path.name not in apart:
            (folder / path.name).symlink_to(path)
    for name in lock_reader.MANIFESTS:
        shutil.copy2(ROOT / name, folder)
    shutil.copytree(ROOT / TOOLS, folder / TOOLS, ignore=shutil.ignore_patterns(VENV.name, "__pycache__"))
    (folder / VENV).symlink_to(ROOT / VENV)


def resolve(folder: Path) -> None:
    """Lock in a folder like the repository; raises NotResolvedError with what was said there."""
    variables = {name: value for name, value in os.environ.items() if name not in MAKES}
    done = subprocess.run(
        ("make", "--no-print-directory", "lock"),
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        said = [line for line in done.stdout.strip().splitlines() if not line.startswith("make")]
        raise NotResolvedError(
            "\n".join([*said, "Nothing was resolved, for the reason above, or changed: repeat when that is mended."])
        )


def versions(root: Path) -> dict[str, str]:
    """Return the locked versions by package, on whatever platform; raises ValueError, one sentence."""
    found: dict[str, set[str]] = {}
    try:
        for entry in lock_reader.entries(root):
            found.setdefault(canonicalize_name(entry["name"]), set()).add(entry["version"])
    except check_lock.MALFORMED as error:
        raise ValueError(check_lock.malformed(error)) from None
    return {name: ", ".join(sorted(several)) for name, several in found.items()}


def changes(before: Path, after: Path) -> Iterator[Change]:
    """Yield what has another version in one lock than in the other, by name; raises ValueError, one sentence."""
    then, now = versions(before), versions(after)
    direct = {entry["name"] for root in (before, after) for entry in check_lock.locked(root) if entry["direct"]}
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            yield Change(name, then.get(name), now.get(name), name in direct)


def as_json(found: Sequence[Change]) -> str:
    """Return the changes for machines."""
    keys = ("package", "from", "to", "direct")
    return json.dumps([dict(zip(keys, change, strict=True)) for change in found], indent=2)


def as_text(found: Sequence[Change]) -> str:
    """Return the changes for a terminal."""
    width = max((len(change.package) for change in found), default=0)
    lines = [f"  {name:{width}} {before or '-'} -> {after or '-'}{DIRECT[to]}" for name, before, after, to in found]
    return "\n".join([*lines, "`make upgrade PKG=name` takes one of these."]) if found else NOTHING


def as_markdown(found: Sequence[Change]) -> str:
    """Return the changes as a table for a page."""
    lines = [f"| {name} | {before or '-'} | {after or '-'} |{DIRECT[to]} |" for name, before, after, to in found]
    head = ["| package | locked | fresh | |", "|---|---|---|---|"]
    return "\n".join([*head, *lines] if found else [NOTHING])


DIRECT = {True: " direct", False: " transitive"}
FORMS = {"text": as_text, "json": as_json, "markdown": as_markdown}


def compare(into: Path | None) -> list[Change]:
    """Return what a fresh resolution would change, and keep its lock; raises NotResolvedError or ValueError."""
    for reason in check_lock.missing(ROOT):
        raise NotResolvedError(reason.sentence)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        imitate(folder)
        resolve(folder)
        found = [*changes(ROOT, folder)]
        for name in MADE if into and found else ():
            place = Path(into or "", name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, place)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell what would change and return 0; what kept it from being known is told on stderr and returns 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="for machines")
    form.add_argument("--markdown", dest="form", action="store_const", const="markdown", help="as a table for a page")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="keep the fresh lock there, where it differs")
    parser.set_defaults(form="text")
    options = parser.parse_args(arguments)
    print("Resolving anew, in a copy: this can take a minute.", file=sys.stderr, flush=True)
    try:
        print(FORMS[options.form](compare(options.into)))
    except (NotResolvedError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: nothing was changed.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
