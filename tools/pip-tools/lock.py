"""Make requirements.txt and requirements-dev.txt by pip-compile, both or neither. Owned by the template.

    lock.py [--add REQUIREMENT [--dev]] [--upgrade PACKAGE]
    lock.py --why PACKAGE

What is locked keeps its version unless it must move. https://pip-tools.readthedocs.io/en/stable/cli/pip-compile/
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import lock_reader

ROOT = Path(__file__).absolute().parent.parent
COMPILE = (
    *(sys.executable, str(Path(__file__).with_name("lock_compile.py")), "--quiet", "--generate-hashes"),
    # pip and setuptools are packages like others, and a constraint may have no extras.
    *("--allow-unsafe", "--strip-extras"),
    # The addresses of this machine's settings are not everybody's.
    *("--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"),
)
# pip says this of an index that does not tell when a file was uploaded.
NO_TIMES = "upload-time"


class LockingError(RuntimeError):
    """There is no new lock; the message says why and what to do."""


@contextmanager
def kept(*names: str) -> Iterator[None]:
    """Put these files back as they were, where what is done meanwhile fails or is interrupted."""
    before = {name: (ROOT / name).read_bytes() for name in names if (ROOT / name).exists()}
    try:
        yield
    except BaseException:
        for name in names:
            (ROOT / name).unlink(missing_ok=True)
            if name in before:
                (ROOT / name).write_bytes(before[name])
        raise


def compiled(manifest: str, lock: str, *options: str) -> None:
    """Make one lock; raises LockingError with what pip-compile said."""
    print(f"Resolving {manifest} into {lock}", flush=True)
    # Wheels that only this machine has would be locked with hashes that nobody else can fetch.
    variables = {**os.environ, "PIP_FIND_LINKS": ""}
    command = [*COMPILE, *options, "--output-file", lock, manifest]
    result = subprocess.run(
        command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise LockingError(f"{in_words(result.stdout)}\n{repair(result.stdout)} Nothing was changed.")
    note(manifest, lock)


def in_words(said: str) -> str:
    """Return what pip said for people; pip-compile shows a traceback with it, whose last line is a reason too."""
    told = [line.strip() for line in said.splitlines() if line.strip().startswith("ERROR: ")]
    # Versions that are for another Python are no reason: every long history has some.
    reasons = [line for line in told if not line.startswith("ERROR: Ignored")]
    return "\n".join(reasons or said.strip().splitlines()[-1:])


def repair(said: str) -> str:
    if NO_TIMES in said:
        return (
            "The index does not say when a file was uploaded, so no cooldown can be kept: repeat with NOW=1, or set"
            " cooldown_days to 0 (`copier update --data cooldown_days=0`)."
        )
    return "No version of every package answers all requirements: correct the one named above."


def note(manifest: str, lock: str) -> None:
    """Write into a new lock which requirements it was made for, below pip-compile's own header."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    line = lock_reader.MADE_FOR.format(name=manifest, digest=lock_reader.digest(ROOT, manifest))
    header = re.match(r"(?:#.*\n)*", text)
    end = header.end() if header else 0
    partial = ROOT / f"{lock}.part"
    partial.write_text(text[:end] + line + text[end:], encoding="utf-8")
    partial.replace(ROOT / lock)


def add(line: str, manifest: str) -> None:
    """Write a requirement into a manifest, in the place of one of the same name; raises LockingError."""
    try:
        name = canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        raise LockingError(
            f"{line!r} is no requirement: name a package, as in PKG=httpx or PKG='httpx>=0.28'."
        ) from None
    text = (ROOT / manifest).read_text(encoding="utf-8")
    kept_lines = [one for one in text.splitlines() if named(one) != name]
    (ROOT / manifest).write_text("\n".join([*kept_lines, line]) + "\n", encoding="utf-8")


def named(line: str) -> str:
    """Return the canonical name of the package that a manifest's line asks for, "" for any other line."""
    try:
        return canonicalize_name(Requirement(line.partition(" #")[0].strip()).name)
    except InvalidRequirement:
        return ""


def explain(name: str, told: Mapping[str, tuple[str, list[str]]], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield who wants a package, and who wants those, each further in than the one it wants."""
    version, wanted_by = told.get(name, ("", []))
    yield f"{'    ' * len(above)}{name} {version}".rstrip()
    for other in dict.fromkeys(wanted_by):
        if other not in above:
            yield from explain(other.removeprefix("-r "), told, (*above, name))


def make(options: argparse.Namespace) -> None:
    """Change the manifest where that was asked for, and make both locks anew; raises LockingError."""
    with kept(*lock_reader.MANIFESTS, *lock_reader.LOCKS):
        if options.add:
            add(options.add, lock_reader.MANIFESTS[1 if options.dev else 0])
        if options.upgrade:
            upgrade(options.upgrade)
        else:
            compile_all()


def compile_all(*upgraded: str) -> None:
    """Make both locks; the developers' one is constrained by the other, so it comes second."""
    options = [word for line in upgraded for word in ("--upgrade-package", line)]
    for manifest, lock in zip(lock_reader.MANIFESTS, lock_reader.LOCKS, strict=True):
        compiled(manifest, lock, *options)


def upgrade(line: str) -> None:
    """Move a package to its newest release and what that forces; where that cannot be, as far as the others let it.

    With a bare name pip-compile takes the newest release that fits all other pins, so a version is named to it.
    """
    newest = "" if Requirement(line).specifier else newest_release(line)
    if newest:
        with suppress(LockingError), kept(*lock_reader.LOCKS):
            compile_all(f"{line}=={newest}")
            return
    compile_all(line)


def newest_release(name: str) -> str:
    """Return the newest version that the manifests, this Python and the cooldown allow, "" where none is told."""
    command = [sys.executable, "-m", "pip", "index", "versions", "--json", name]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    try:
        versions: list[str] = json.loads(told)["versions"]
    except (ValueError, LookupError):
        return ""
    allowed = SpecifierSet(",".join(lock_reader.specifiers(ROOT, canonicalize_name(name))))
    return max(allowed.filter(versions), key=Version, default="")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the lock and return 0; what is refused is told on stderr and returns 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", metavar="REQUIREMENT", help="first write this into the manifest")
    parser.add_argument("--dev", action="store_true", help="into the developers' manifest")
    parser.add_argument("--upgrade", metavar="PACKAGE", help="move this one, and what it forces")
    parser.add_argument("--why", metavar="PACKAGE", help="only say who wants this one, and who wants those")
    options = parser.parse_args(arguments)
    try:
        if options.why:
            print("\n".join(explain(canonicalize_name(options.why), lock_reader.wanted_by(ROOT))))
        else:
            make(options)
    except (LockingError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
