"""How tests handle conda: a local channel and a stand-in for micromamba, and how a user edits the files by hand.

conda-forge cannot be reached from where these tests run, and no package registry has micromamba; what stands in for
both is made in build/channel, once, from tests/channel.
"""

import fcntl
import hashlib
import re
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import commands
import rendering

NAME = "conda"
LOCKED = "conda-lock.yml"
ENVIRONMENT: dict[str, str] = {}
PYTHON = "3.13"  # of the wheels in tests/channel/packages.txt
PLATFORM = "linux-64"
SOURCE = rendering.ROOT / "tests" / "channel"
BUILD = rendering.ROOT / "build" / "channel"
STUBS = ("linux-aarch64", "osx-arm64")


def prepare(root: Path, index: str) -> dict[str, str]:  # noqa: ARG001 - each tool is prepared alike; this one has no index
    """Make the stand-ins where they are missing; return the variables by which their names lead to them."""
    made = _made()
    return {
        "PATH": f"{made / 'bin'}:{commands.environment()['PATH']}",
        # https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/settings.html#channel-alias-set-a-channel-alias
        "CONDA_CHANNEL_ALIAS": (made / "channels").as_uri(),
        "CONDA_PKGS_DIRS": str(made / "cache"),
    }


@cache
def _made() -> Path:
    """Return the folder of the stand-ins; its name is a digest of what they are made from."""
    sources = b"\0".join(path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.is_file())
    folder = BUILD / hashlib.sha256(sources).hexdigest()[:12]
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "busy").open("w") as busy:  # several processes of the tests start at once
        fcntl.flock(busy, fcntl.LOCK_EX)
        if not (folder / "bin" / "micromamba").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _make(folder)
    return folder


def _make(folder: Path) -> None:
    find = ("sh", rendering.ROOT / "template" / ".tools" / "bootstrap.sh", "find", PYTHON)
    interpreter = commands.succeed(folder, *find).strip()
    commands.succeed(folder, interpreter, "-m", "venv", "venv")
    python = folder / "venv" / "bin" / "python"
    hashed = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:")
    commands.succeed(folder, python, "-m", "pip", "install", *hashed, "--requirement", SOURCE / "requirements.txt")
    for name in ("packages.txt", "older.txt", "frameworks.txt"):
        commands.succeed(
            folder, python, "-m", "pip", "download", *hashed, "--dest", "wheels", "--requirement", SOURCE / name
        )
    prefix = commands.succeed(folder, interpreter, "-c", "import sys; print(sys.base_prefix)").strip()
    stubs = [word for platform in STUBS for word in ("--stub", platform)]
    made: tuple[str | Path, ...] = (
        folder / "channels" / "conda-forge",
        "--wheels",
        folder / "wheels",
        "--python",
        prefix,
        *stubs,
    )
    commands.succeed(folder, python, SOURCE / "build.py", *made)
    program = folder / "bin" / "micromamba"  # last: with it the folder is whole
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{python}" "{SOURCE / "solver.py"}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)


def _manifest(root: Path, *, dev: bool = False) -> Path:
    return root / ("environment-dev.yml" if dev else "environment.yml")


def _conda(line: str) -> str:
    """Return a PEP 508 requirement as conda spells it."""
    requirement = Requirement(line)
    return f"{canonicalize_name(requirement.name)} {requirement.specifier}".strip()


def demand(root: Path, line: str, *, dev: bool = False) -> None:
    """Write one more requirement into the manifest by hand."""
    path = _manifest(root, dev=dev)
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text.rstrip()}\n  - {_conda(line)}\n", encoding="utf-8")


def withdraw(root: Path, name: str) -> None:
    """Remove a direct requirement by hand."""
    before = [_manifest(root, dev=dev).read_text(encoding="utf-8") for dev in (False, True)]
    after = [re.sub(rf"^ *- {re.escape(name)}(?![\w.-]).*\n", "", text, flags=re.MULTILINE) for text in before]
    assert before != after
    for dev, text in zip((False, True), after, strict=True):
        _manifest(root, dev=dev).write_text(text, encoding="utf-8")


def _rewrite(root: Path, name: str, pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> None:
    """Replace in each entry of a package, of which there is one for each platform."""
    text = (root / LOCKED).read_text(encoding="utf-8")
    entry = re.compile(rf"^- name: {re.escape(name)}\n(?:  .*\n)+", re.MULTILINE)
    assert entry.search(text), f"{name} is not in {LOCKED}"
    text = entry.sub(lambda found: re.sub(pattern, replacement, found[0], flags=re.MULTILINE), text)
    assert text != (root / LOCKED).read_text(encoding="utf-8"), f"{name} has no {pattern}"
    (root / LOCKED).write_text(text, encoding="utf-8")


def flip_hash(root: Path, name: str) -> None:
    """Change one digit of every hash of a locked package."""
    # 0 becomes f and all others 0: the length is that of a hash.
    _rewrite(root, name, r"(?<=    sha256: )[0-9a-f]", lambda digit: "1" if digit[0] == "0" else "0")


def drop_hashes(root: Path, name: str) -> None:
    """Leave the entry, without its sha256; md5, which proves nothing, stays."""
    _rewrite(root, name, r"^    sha256: .*\n", "")


def edit_version(root: Path, name: str, version: str) -> None:
    """Change the locked version only."""
    _rewrite(root, name, r"^  version: .*$", f"  version: {version}")


def drop_entry(root: Path, name: str) -> None:
    """Remove the locked package."""
    _rewrite(root, name, r"(?s).+", "")


def foreign(root: Path, name: str) -> str | None:
    """Let the package come from elsewhere; return from where."""
    _rewrite(root, name, r"^  url: [a-z]+://[^/\n]*", "  url: https://evil.example")
    return "https://evil.example"


def versions(root: Path) -> dict[str, str]:
    """Return name -> version of the runtime part for the platform that serves, as a YAML library reads it."""
    document = yaml.load((root / LOCKED).read_text(encoding="utf-8"), yaml.CSafeLoader)
    entries = [e for e in document["package"] if e["platform"] == PLATFORM and e["category"] == "main"]
    return {canonicalize_name(entry["name"]): entry["version"] for entry in entries}


if __name__ == "__main__":  # what a shell needs to try it by hand: eval "$(python tests/by_hand/conda.py)"
    sys.stdout.writelines(f"export {name}='{value}'\n" for name, value in prepare(Path(), "").items())
