"""Lock, add, upgrade, explain, sync: conda-lock and micromamba behind the verbs of make. Owned by the template.

    lock.py [--add PKG [--dev] | --upgrade PKG | --why PKG | --sync PACKAGE]

conda-lock solves everything anew each time. Here micromamba is told to keep what is locked (its setting
`pinned_packages`), and lets go of as little as it must. It all happens in a copy: where it fails, the manifest and the
lock stay as they were. Runs with the Python of .tools/venv.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import check_lock
import lock_reader

ROOT = Path(__file__).absolute().parent.parent
LOCK, FILES = lock_reader.LOCKS[0], (*lock_reader.MANIFESTS, lock_reader.VIRTUAL)
MANIFEST_OPTIONS = [word for name in lock_reader.MANIFESTS for word in ("--file", name)]
MICROMAMBA = "2.9.0"  # what the image and CI take
PAGE = "https://mamba.readthedocs.io/en/latest/installation/micromamba-installation.html"
ITEM = re.compile(r"(?P<margin> *- +)(?P<quote>['\"]?)(?P<spec>[^'\"#]*?)(?P=quote)(?P<note>\s*(#.*)?)")
Entries = dict[str, dict[str, Any]]


class LockError(RuntimeError):
    """It cannot be done; the message says why and what to do."""


def micromamba() -> str:
    """Return the path of micromamba; raises LockError where it is not on PATH."""
    if found := shutil.which("micromamba"):
        return found
    raise LockError(
        f"micromamba is not on PATH, and no package index has it: install {MICROMAMBA} or newer as {PAGE}"
        " says, then repeat the command."
    )


def packages(root: Path, platform: str) -> Entries:
    """Return the locked packages of a platform by name, none where there is no lock that can be read."""
    try:
        every = lock_reader.read(root, LOCK)["package"]
        return {entry["name"]: entry for entry in every if entry["platform"] == platform}
    except (ValueError, LookupError, TypeError):  # `make lock` is the repair for a lock that makes no sense
        return {}


def needing(entries: Entries, name: str) -> set[str]:
    """Return the packages that need this one themselves."""
    return {other for other, entry in entries.items() if name in entry["dependencies"]}


def reached(entries: Entries, names: set[str], edges: Callable[[str], set[str]]) -> set[str]:
    """Return these packages and all that the edges lead to."""
    found, todo = set(names), [*names]
    while todo:
        one = todo.pop()
        new = (edges(one) if one in entries else set()) - found
        found |= new
        todo += new
    return found


def unanswered(root: Path, platform: str, entries: Entries) -> set[str]:
    """Return the locked packages of which the manifest asks for another version now."""
    # conda's own code, which conda-lock carries; slow to import, and only this asks for it.
    version_spec = import_module("conda_lock._vendor.conda.models.version").VersionSpec
    wanted = {spec["name"]: spec["version"] or "*" for spec in lock_reader.specs(root, platform)}
    return {name for name in {*wanted} & {*entries} if not version_spec(wanted[name]).match(entries[name]["version"])}


def pin(entry: dict[str, Any]) -> str:
    """Return exactly this package as a spec; its build stands last in the name of its file."""
    build = re.sub(r"\.(conda|tar\.bz2)$", "", unquote(entry["url"])).rpartition("-")[2]
    return f"{entry['name']} {entry['version']} {build}"


def keeping(root: Path, platform: str, entries: Entries, moving: str) -> Iterator[list[str]]:
    """Yield what to keep, less each time: all but what must move, all that has nothing to do with it, nothing."""
    if entries:
        must = unanswered(root, platform, entries) | ({moving} if moving else set())
        below = reached(entries, must, lambda one: {*entries[one]["dependencies"]})
        for free in (must, below | reached(entries, must, lambda one: needing(entries, one))):
            yield [pin(entry) for name, entry in entries.items() if name not in free]
    yield []


def solve(root: Path, platforms: list[str], pins: list[str]) -> None:
    """Let conda-lock write the lock of these platforms beside those of the others; raises LockError."""
    command = [str(Path(sys.executable).with_name("conda-lock")), "lock", "--conda", micromamba()]
    command += [word for platform in platforms for word in ("--platform", platform)]
    print("conda-lock lock for", *platforms, flush=True)
    with tempfile.TemporaryDirectory() as empty:
        # Of a package in its cache micromamba prints no more than the name, and conda-lock looks for the rest where
        # micromamba 2.6 and newer no longer keep it: https://github.com/conda/conda-lock/issues/906
        more = {"MAMBA_PINNED_PACKAGES": ", ".join(map(json.dumps, pins)), "MAMBA_ROOT_PREFIX": empty}
        done = subprocess.run(
            [*command, *MANIFEST_OPTIONS, "--lockfile", LOCK],
            cwd=root,
            env=os.environ | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        said = re.search(r"^Could not lock the environment.*?(?=^    Command:)", done.stderr, re.MULTILINE | re.DOTALL)
        why = said[0].strip() if said else (done.stderr.strip().splitlines() or ["conda-lock failed."])[-1]
        raise LockError(f"{why}\nNothing was changed: correct what the manifest asks for, then repeat the command.")


def newest(root: Path, platform: str, name: str) -> str:
    """Return, as a pin, the newest version of a package that the manifest allows where all others may move."""
    with tempfile.TemporaryDirectory() as folder:
        for file in FILES:
            shutil.copy2(root / file, folder)
        solve(Path(folder), [platform], [])
        return pin(packages(Path(folder), platform)[name])


def lock(root: Path, moving: str, *, upgrade: str = "") -> None:
    """Make the lock of each platform in `root`, a copy, whose old lock says what to keep; raises LockError.

    `moving` is a package that need not be kept, `upgrade` the version that it must have, "*" for the newest.
    """
    before = {platform: packages(root, platform) for platform in lock_reader.platforms(root)}
    (root / LOCK).unlink(missing_ok=True)
    if not any(before.values()):
        solve(root, [*before], [])
        return
    for platform, entries in before.items():
        top = []
        if upgrade and moving in entries:
            top = [newest(root, platform, moving) if upgrade == "*" else f"{moving} {upgrade}"]
        for kept in keeping(root, platform, entries, moving):
            try:
                solve(root, [platform], [*kept, *top])
                break
            except LockError:
                if not kept:
                    raise


def add(path: Path, text: str) -> str:
    """Write a spec into a manifest, in the place of the package's own line where it has one; return the name."""
    spec = lock_reader.parsed(text, path.name)
    written = re.sub(r"^([\w.-]+) *(?=[<>!~=])", r"\1 ", text.strip())
    lines = path.read_text(encoding="utf-8").splitlines()
    if "dependencies:" not in lines:
        raise LockError(f"{path.name} has no list `dependencies:`: write one, then repeat the command.")
    last, margin = lines.index("dependencies:"), "  - "
    for at in range(last + 1, len(lines)):
        if item := ITEM.fullmatch(lines[at]):
            last, margin = at, item["margin"]
            if lock_reader.parsed(item["spec"], path.name)["name"] == spec["name"]:
                lines[at] = f"{margin}{written}{item['note']}"
                break
        elif not re.match(r"\s|#|$", lines[at]):  # the next key
            lines.insert(last + 1, margin + written)
            break
    else:
        lines.insert(last + 1, margin + written)
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return str(spec["name"])


def relock(options: argparse.Namespace) -> None:
    """Make the lock, with one more spec or with one package moved, in a copy; then put it in the place of the old."""
    for name in FILES:
        lock_reader.read(ROOT, name)
    if not (options.add or options.upgrade) and not [*check_lock.reasons(ROOT, ROOT / LOCK, noting=True)]:
        print(f"{LOCK} answers {' and '.join(lock_reader.MANIFESTS)}: nothing to solve.")
        return
    micromamba()
    changed = lock_reader.MANIFESTS[options.dev]
    with tempfile.TemporaryDirectory(dir=ROOT / ".tools") as folder:
        copy = Path(folder)
        for name in (*FILES, *([LOCK] if (ROOT / LOCK).exists() else [])):
            shutil.copy2(ROOT / name, copy)
        if options.upgrade:
            spec = lock_reader.parsed(options.upgrade, "PKG")
            lock(copy, held(copy, spec["name"]), upgrade=spec["version"] or "*")
        else:
            lock(copy, add(copy / changed, options.add) if options.add else "")
        for name in (changed, LOCK) if options.add else (LOCK,):
            (copy / name).replace(ROOT / name)


def held(root: Path, wanted: str) -> str:
    """Return a locked package's name as conda spells it."""
    entries = packages(root, lock_reader.platforms(root)[0])
    return next((name for name in entries if lock_reader.canonical(name) == lock_reader.canonical(wanted)), wanted)


def why(wanted: str) -> None:
    """Print who needs a package, up to what the manifest asks for."""
    platform = lock_reader.platforms(ROOT)[0]
    entries, direct = packages(ROOT, platform), {spec["name"] for spec in lock_reader.specs(ROOT, platform)}
    todo, seen = [(held(ROOT, wanted), 0)], set[str]()
    while todo:
        name, depth = todo.pop()
        note = " (the manifest asks for it)" if name in direct else ""
        print(f"{'    ' * depth}{name} {entries[name]['version']}{note}{' (see above)' if name in seen else ''}")
        todo += [(one, depth + 1) for one in sorted(needing(entries, name), reverse=True) if name not in seen]
        seen.add(name)


def as_locked(package: str) -> bool:
    """Tell whether .venv is the lock to the last file, as `verify` sees it; `package` holds the kit."""
    command = (ROOT / ".venv" / "bin" / "python", "-m", f"{package}.parity", "verify", "--deep", "--strict", "--json")
    try:
        told = subprocess.run(command, cwd=ROOT, capture_output=True, check=False).stdout
        return any(link["name"] == "environment" and link["ok"] for link in json.loads(told)["links"])
    except (OSError, ValueError, LookupError, TypeError):  # there is no environment, or no project in it
        return False


def sync(package: str) -> None:
    """Make .venv from the lock, where it is not: into one that is there micromamba installs without removing.

    Raises LockError.
    """
    if as_locked(package):
        print(f".venv is what {LOCK} says: nothing to install.", flush=True)
        return
    command = [micromamba(), "create", "--yes", "--quiet", "--always-copy", "--prefix", ".venv", "--file", LOCK]
    here, before = ROOT / ".venv", ROOT / ".tools" / "venv" / "before"
    shutil.rmtree(before, ignore_errors=True)
    if here.exists():
        here.rename(before)
    if subprocess.run([*command, "--category", "main", "--category", "dev"], cwd=ROOT, check=False).returncode:
        shutil.rmtree(here, ignore_errors=True)
        if before.exists():
            before.rename(here)
        raise LockError("micromamba did not install the lock, see above; .venv is what it was.")
    shutil.rmtree(before, ignore_errors=True)


def main() -> int:
    """Do what was asked for and return 0; what is refused is told on stderr and returns 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_mutually_exclusive_group()
    for verb in ("--add", "--upgrade", "--why"):
        verbs.add_argument(verb, metavar="PKG", default="")
    verbs.add_argument("--sync", metavar="PACKAGE", help="make .venv what the lock says; the project's own package")
    parser.add_argument("--dev", action="store_true", help="add it for developers only")
    options = parser.parse_args()
    try:
        if options.sync:
            sync(options.sync)
        elif options.why:
            why(options.why)
        else:
            relock(options)
    except (LockError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
