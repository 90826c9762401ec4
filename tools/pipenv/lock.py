"""Make Pipfile.lock by Pipenv, or leave it and Pipfile as they were. Owned by the template.

    lock.py [--add REQUIREMENT [--dev] | --upgrade PACKAGE]
    lock.py --verify
    lock.py --why PACKAGE

What is locked keeps its version unless it must move: `pipenv lock` would move everything, and `pipenv upgrade` can lose
packages that others still need (https://github.com/pypa/pipenv/issues/6573).
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from string import Template
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import lock_reader

ROOT = Path(__file__).absolute().parent.parent
MANIFEST, LOCK = lock_reader.MANIFESTS[0], lock_reader.LOCKS[0]
TABLES = {False: "packages", True: "dev-packages"}
# `pipenv lock`, with the one argument for pip that its command line does not pass on. In a process of its own: Pipenv
# ends the one that it fails in. A mirror is left out of what the lock says of its sources: it may hold a password.
RESOLVE = """
import os, sys
from pipenv.project import Project
from pipenv.routines.context import RoutineContext
from pipenv.routines.lock import do_lock
context = RoutineContext.from_cli(write=False, quiet=True, extra_pip_args=[f"--constraint={sys.argv[1]}"])
lock = do_lock(Project(), context)
os.environ.pop("PIPENV_PYPI_MIRROR", None)
project = Project()
project.lockfile.write(lock | {"_meta": project.lockfile.meta()})
"""
# What pip says of a conflict, one line for each side: who wants which package in which versions.
SIDE = re.compile(r"^ +(?:The user requested|(\S+) \S+ depends on) ([\w.-]+)(?:\[[^]]*\])?(.*)$", re.MULTILINE)
Pins = dict[str, str]  # canonical name -> "==version"


class LockingError(RuntimeError):
    """There is no new lock; the message says why and what to do."""


@contextlib.contextmanager
def copied() -> Iterator[Path]:
    """Give a folder like the repository, in which both files can be changed; what is good is put back at the end."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for path in ROOT.iterdir():
            # Folders of the repository may be requirements, and .venv is not Pipenv's to touch.
            if path.name in {MANIFEST, LOCK}:
                (folder / path.name).write_bytes(path.read_bytes())
            elif path.name not in {".venv", ".git"}:
                (folder / path.name).symlink_to(path)
        yield folder
        for name in (MANIFEST, LOCK):
            partial = ROOT / f"{name}.part"
            partial.write_bytes((folder / name).read_bytes())
            partial.replace(ROOT / name)


def variables() -> dict[str, str]:
    """Return the environment for Pipenv: without this machine's settings, which it would write into the lock."""
    theirs = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONSTRAINT", "PIP_REQUIREMENT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIPENV_", *theirs))}
    # Pipenv makes no environment where one is activated; it only asks this one for its Python.
    kept |= {"VIRTUAL_ENV": sys.prefix, "PIP_CONFIG_FILE": os.devnull}
    return kept | {
        "PIPENV_YES": "1",
        "PIPENV_NOSPIN": "1",
        "PIPENV_VERBOSITY": "-1",
        "NO_COLOR": "1",
        "COLUMNS": "9999",
    }


def source(folder: Path) -> dict[str, str]:
    """Return the variables that say where packages come from, and leave no password where Pipenv finds it."""
    address = urlsplit(os.environ.get("PIP_INDEX_URL", ""))
    found: dict[str, str] = {}
    if address.username is not None:
        theirs = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
        words = [re.sub(r'(["\\])', r"\\\1", unquote(word or "")) for word in (address.username, address.password)]
        own = folder / ".netrc.lock"
        if not own.exists():  # a process that was started before may be reading it
            own.touch(mode=0o600)
            before = theirs.read_text(encoding="utf-8") if theirs.is_file() else ""
            line = 'machine {} login "{}" password "{}"'.format(address.hostname, *words)
            own.write_text(f"{before}\n{line}\n", encoding="utf-8")
        found["NETRC"] = str(own)
    bare = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()
    if "source" in lock_reader.read(folder, MANIFEST):
        found["PIP_INDEX_URL"] = bare or import_module("pip._internal.models.index").PyPI.simple_url
    elif address.hostname:
        found["PIPENV_PYPI_MIRROR"] = bare
    return found


def start(folder: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """Start Python with arguments in a folder, and without this machine's settings."""
    return subprocess.Popen(
        (sys.executable, *arguments),
        cwd=folder,
        env=variables() | more,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, *arguments: str, **more: str) -> tuple[int, str]:
    """Run Python with arguments in a folder; return its status and what it said for people."""
    process = start(folder, *arguments, **more)
    # Before an error Pipenv tells its progress, and after it all of it again in a traceback.
    said = process.communicate()[0].partition("Traceback (most recent")[0]
    return process.returncode, said[max(said.find("ERROR:"), 0) :].strip()


@contextlib.contextmanager
def upload_times_required(folder: Path) -> Iterator[None]:
    """Raise LockingError where a cooldown is asked for and an index tells no upload times: Pipenv would not say so.

    Of an index that packages are tied to by name, as PyTorch's, it is only told. The indexes are asked while Pipenv
    resolves, which takes longer.
    """
    asking = [(tied, start(folder, *words, **more)) for tied, words, more in questions(folder)]
    try:
        yield
    finally:
        timeless = [tied for tied, process in asking if "upload-time" in process.communicate()[0]]
        for names in filter(None, timeless):
            print(f"No cooldown for {', '.join(names)}: that index does not say when a file was uploaded.")
        if [] in timeless:
            raise LockingError(
                "The index does not say when a file was uploaded, so no cooldown can be kept: repeat with NOW=1, or set"
                " cooldown_days to 0 (`copier update --data cooldown_days=0`). Nothing was changed."
            )


def questions(folder: Path) -> Iterator[tuple[list[str], tuple[str, ...], dict[str, str]]]:
    """Yield, for each index, what is tied to it, pip's command that fails without upload times, and its variables."""
    if "PIP_UPLOADED_PRIOR_TO" not in os.environ:
        return
    manifest = lock_reader.read(folder, MANIFEST)
    sources = manifest.get("source", [{"url": os.environ.get("PIP_INDEX_URL", "")}])
    packages = {name: item for table in TABLES.values() for name, item in manifest.get(table, {}).items()}
    for place, one in enumerate(sources):
        own = "" if place == 0 else one.get("name")
        names = [
            name for name, item in packages.items() if (item.get("index", "") if isinstance(item, dict) else "") == own
        ]
        more = source(folder)
        index = {"PIP_INDEX_URL": Template(one["url"]).safe_substitute(os.environ | more)} if one["url"] else {}
        for name in names[:1]:
            yield names if place else [], ("-m", "pip", "index", "versions", "--no-input", name), more | index


def resolved(folder: Path, pins: Pins) -> str:
    """Make the lock in a folder, with these versions where their packages are needed; return "" or what went wrong."""
    constraints = folder / ".constraints.txt"
    constraints.write_text("".join(f"{name}{version}\n" for name, version in pins.items()), encoding="utf-8")
    status, said = run(folder, "-c", RESOLVE, constraints.as_uri(), **source(folder))
    return (said or "Pipenv said nothing.") if status else ""


def settle(folder: Path, pins: Pins, firm: str = "") -> None:
    """Make the lock in a folder with as many of these versions as can be, `firm` among them; raises LockingError."""
    while said := resolved(folder, pins):
        if free := forced(said, pins, firm):
            pins = {name: version for name, version in pins.items() if name not in free}
        elif pins and not resolved(folder, {}):
            print("The locked versions cannot be kept, and Pipenv does not say which: all were chosen anew.")
            return
        else:
            raise refusal(said)


def forced(said: str, pins: Pins, firm: str) -> set[str]:
    """Return the pins that have to give way in a conflict; raises LockingError where one is in nobody's way."""
    sides = [
        (canonicalize_name(by or ""), canonicalize_name(name), SpecifierSet(allowed.replace(" and ", ",")))
        for by, name, allowed in SIDE.findall(said)
    ]
    against = [(by, name) for by, name, allowed in sides if not _fits(pins.get(name, ""), allowed)]
    if free := {by if name == firm else name for by, name in against} & pins.keys():
        return {*free}
    for name in sorted({name for _, name, _ in sides} & pins.keys() - {firm}):
        raise LockingError(
            f"{name} {pins[name][2:]} is locked, and the index has it no more, or not for as long as the cooldown asks:"
            f" repeat with NOW=1, or take another with `make upgrade PKG={name}`. Nothing was changed."
        )
    return {by for by, _, _ in sides if by in pins and by != firm}


def _fits(pin: str, allowed: SpecifierSet) -> bool:
    return not pin.startswith("==") or allowed.contains(pin.removeprefix("=="), prereleases=True)


def refusal(said: str, asked_for: str = "") -> LockingError:
    """Return the error for what pip said of a conflict."""
    young = " If only a newer release answers: repeat with NOW=1." if "PIP_UPLOADED_PRIOR_TO" in os.environ else ""
    named = f"PKG='{asked_for}' or loosen what is named above" if asked_for else "the one named above"
    return LockingError(
        f"{said}\nNo version of every package answers all requirements: correct {named}.{young} Nothing was changed."
    )


def pins_of(folder: Path) -> Pins:
    """Return the locked versions that the manifest still allows, {} where there is no lock; raises ValueError."""
    if not (folder / LOCK).exists():
        return {}
    document = lock_reader.read(folder, LOCK)
    found = {canonicalize_name(k): v for key in lock_reader.GROUPS for k, v in document[key].items() if "version" in v}
    pins: Pins = {name: entry["version"] for name, entry in found.items()}
    for wanted in wanted_in(folder):
        if not _fits(pins.get(canonicalize_name(wanted.name), ""), wanted.specifier):
            del pins[canonicalize_name(wanted.name)]
    return pins


def wanted_in(folder: Path) -> list[Requirement]:
    """Return all that the manifest of a folder asks for."""
    return [Requirement(line) for lines in lock_reader.wanted(folder).values() for line in lines]


def lockable(folder: Path) -> None:
    """Raise LockingError for what another platform needs in any but an exact version, which Pipenv locks wrongly.

    https://github.com/pypa/pipenv/issues/6231
    """
    for wanted in wanted_in(folder):
        elsewhere = wanted.marker and not wanted.marker.evaluate()
        if elsewhere and not re.fullmatch("==[^*,]+", str(wanted.specifier)):
            raise LockingError(
                f"{wanted.name} is not for this platform ({wanted.marker}), and of such a one Pipenv locks only an"
                f" exact version: give it one with == in {MANIFEST}, or leave it out. Nothing was changed."
            )


def requirement(line: str) -> Requirement:
    try:
        return Requirement(line)
    except InvalidRequirement:
        raise LockingError(
            f"{line!r} is no requirement: name a package, as in PKG=httpx or PKG='httpx>=0.28'."
        ) from None


def add(folder: Path, line: str, table: str) -> None:
    """Write a requirement into a table of the manifest, in the place of one of the same name; raises LockingError."""
    wanted = requirement(line)
    if wanted.url:
        raise LockingError(f"{line!r} names an address, which has no hash: take a release from an index.")
    entry: dict[str, str | list[str]] = {"version": str(wanted.specifier) or "*"}
    entry |= {"extras": sorted(wanted.extras)} if wanted.extras else {}
    entry |= {"markers": str(wanted.marker)} if wanted.marker else {}
    # It keeps comments and layout, and Pipenv edits Pipfile with it; slow to import, and only this asks for it.
    tomlkit = import_module("pipenv.vendor.tomlkit")
    inline = tomlkit.inline_table()
    inline.update(entry)
    value = inline if len(entry) > 1 else entry["version"]
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    manifest = tomlkit.parse(text)
    same = [name for name in manifest.get(table, ()) if canonicalize_name(name) == canonicalize_name(wanted.name)]
    if same:
        manifest[table][same[0]] = value
        text = tomlkit.dumps(manifest)
    else:
        text = below(text, f"[{table}]", tomlkit.dumps({wanted.name: value}))
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def below(text: str, header: str, line: str) -> str:
    """Return the text with one more line in a table: above the comments that belong to the next one."""
    lines = text.splitlines(keepends=True)
    if header not in (one.strip() for one in lines):
        return f"{text}\n{header}\n{line}"
    last = start = next(number for number, one in enumerate(lines) if one.strip() == header)
    for number, one in enumerate(lines[start + 1 :], start + 1):
        if one.startswith("["):
            break
        last = last if one.strip()[:1] in {"", "#"} else number
    return "".join([*lines[: last + 1], line, *lines[last + 1 :]])


def upgrade(folder: Path, line: str) -> None:
    """Make the lock with the newest version of one package that the manifest allows, and with what that forces."""
    wanted = requirement(line)
    name, pins, before = canonicalize_name(wanted.name), pins_of(folder), (folder / LOCK).read_bytes()
    pins.pop(name, None)
    # The newest one, whatever is locked beside it: the others would hold it back.
    if said := resolved(folder, {name: str(wanted.specifier)} if wanted.specifier else {}):
        raise refusal(said, line)
    newest = pins_of(folder).get(name)
    (folder / LOCK).write_bytes(before)
    settle(folder, pins | ({name: newest} if newest else {}), name)


def make(options: argparse.Namespace) -> None:
    """Change the manifest where that was asked for, and make the lock; raises LockingError or ValueError."""
    print(f"Resolving {MANIFEST} into {LOCK}", flush=True)
    lock_reader.read(ROOT, MANIFEST)
    with copied() as folder, upload_times_required(folder):
        before = pins_of(folder)
        if options.add:
            add(folder, options.add, TABLES[options.dev])
        lockable(folder)
        if options.upgrade:
            upgrade(folder, options.upgrade)
        else:
            settle(folder, pins_of(folder))
        changes = [*told(before, pins_of(folder))]
        print("\n".join(changes if before else [f"{len(changes)} packages are locked."]))


def told(before: Pins, after: Pins) -> Iterator[str]:
    """Yield what a new lock changed, one line for each package."""
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"  {name} {before.get(name, '')[2:] or '-'} -> {after.get(name, '')[2:] or '-'}"


def verify() -> None:
    """Let Pipenv compare manifest and lock, without this machine's settings; raises LockingError."""
    status, said = run(ROOT, "-m", "pipenv", "verify")
    if status:
        raise LockingError(said)


def explain(name: str) -> None:
    """Print who wants an installed package, as `pipenv graph --reverse` does of all; raises LockingError."""
    python = ROOT / ".venv" / "bin" / "python"
    if not python.exists():
        raise LockingError("Pipenv knows who needs whom from what is installed, and nothing is: run `make sync`.")
    status, said = run(
        ROOT, "-W", "ignore", "-m", "pipenv.vendor.pipdeptree", "--python", str(python), "--reverse", "--packages", name
    )
    if status:
        raise LockingError(f"{said}\n{name} is not installed: run `make sync`.")
    print(said)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked for and return 0; what is refused is told on stderr and returns 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", metavar="REQUIREMENT", help="first write this into the manifest")
    parser.add_argument("--dev", action="store_true", help="for developers only")
    parser.add_argument("--upgrade", metavar="PACKAGE", help="move this one, and what it forces")
    parser.add_argument("--verify", action="store_true", help="only ask Pipenv whether the lock answers the manifest")
    parser.add_argument("--why", metavar="PACKAGE", help="only say who wants this one, and who wants those")
    options = parser.parse_args(arguments)
    try:
        if options.verify:
            verify()
        elif options.why:
            explain(requirement(options.why).name)
        else:
            make(options)
    except (LockingError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
