"""What breaks the repository, by what is true afterwards: the first word of each step in exercises.json."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from .dated import LIST
from .repository import (
    HERE,
    INSTALLED,
    MODEL,
    NOBODY,
    REBUILT,
    RENDERED,
    ROOT,
    SOURCE,
    TOOL,
    TOOLS,
    WorkshopError,
    is_for,
    make,
    must,
)


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that a file must hold; WorkshopError where it does not."""
    text = path.read_text(encoding="utf-8")
    if old not in text:
        where = path.relative_to(ROOT)
        raise WorkshopError(f"{where} is no longer as it was rendered: do this exercise in a fresh copy.")
    path.write_text(text.replace(old, new), encoding="utf-8")


def lose_environment() -> None:
    """Delete the environment, as whoever gets a new laptop."""
    shutil.rmtree(ROOT / ".venv", ignore_errors=True)


def install(requirement: str) -> None:
    """Install one package past the lock, with the pip that lies beside the tool."""
    must(TOOLS, "-m", "pip", "--python", ".venv", "--quiet", "install", "--no-deps", requirement)


def demand(requirement: str) -> None:
    """Write a requirement into the manifest by hand, and lock nothing."""
    hand, [(name, specifier)] = RENDERED["by_hand"], re.findall(r"([\w.-]+)(.*)", requirement)
    manifest = ROOT / hand["file"]
    lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    place = next((number for number, line in enumerate(lines, 1) if line.startswith(hand["below"])), None)
    if place is None:
        raise WorkshopError(f"{hand['file']} has no line {hand['below']!r}: do this exercise in a fresh copy.")
    lines.insert(place, hand["line"].format(name=name, specifier=specifier) + "\n")
    manifest.write_text("".join(lines), encoding="utf-8")


def flip(name: str) -> None:
    """Change the first digit of every hash of a locked package."""
    packages = json.loads((ROOT / INSTALLED).read_text(encoding="utf-8"))["packages"]
    hashes = next(package["hashes"] for package in packages if package["name"] == name)
    for lock in (ROOT / lock for lock in TOOL["locks"]):
        text = lock.read_text(encoding="utf-8")
        for digest in hashes:
            text = text.replace(digest, ("1" if digest[0] == "0" else "0") + digest[1:])
        lock.write_text(text, encoding="utf-8")


def unset(name: str) -> None:
    """Take a setting out of .env."""
    [line] = re.findall(rf"^{name}=.*\n?", (ROOT / ".env").read_text(encoding="utf-8"), re.MULTILINE) or [None]
    if line is None:
        raise WorkshopError(f".env has no line {name}: copy .env.example to .env, then repeat.")
    edit(ROOT / ".env", line, "")


def rewrite(old: str, new: str) -> None:
    """Replace a text of training.py."""
    edit(SOURCE / "training.py", old, new)


def add(requirement: str) -> None:
    """Put a requirement into manifest, lock and environment, as a colleague's commit would."""
    make("add", f"PKG={requirement}")


def replace_dockerfile(name: str) -> None:
    """Let a Dockerfile of this folder be the repository's."""
    shutil.copyfile(HERE / name, ROOT / "Dockerfile")


def rebase(tag: str) -> None:
    """Give the image another base, without a digest, as whoever shrinks an image in a hurry."""
    path = ROOT / "Dockerfile"
    base, text = r"^(ARG PYTHON_IMAGE=\S+?)-slim\S*$", path.read_text(encoding="utf-8")
    text, found = re.subn(base, rf"\1-{tag}", text, flags=re.MULTILINE)
    if not found:
        raise WorkshopError("Dockerfile has no line ARG PYTHON_IMAGE=…-slim…: do this exercise in a fresh copy.")
    path.write_text(text, encoding="utf-8")


def delete_library(name: str) -> None:
    """Delete a shared library from the environment, wherever a package has brought it."""
    files = [path for path in (ROOT / ".venv").rglob(f"{name}[-.]*so*") if not path.is_dir()]
    if not files:
        raise WorkshopError(f"No package here brings a {name}: do this exercise on Linux (WSL, the devcontainer).")
    for path in files:
        path.unlink()


def write_list(name: str) -> None:
    """Let a list of this folder be one of the repository's."""
    shutil.copyfile(HERE / name, LIST)


def promote(name: str, specifier: str) -> None:
    """Move a developers' requirement among those of production, lock and install, as a colleague's commit would."""
    for manifest in (ROOT / file for file in TOOL["manifests"]):
        lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
        manifest.write_text("".join(line for line in lines if not is_for(name, line)), encoding="utf-8")
    demand(f"{name}{specifier}")
    make("lock", "sync")


def copy_commit(name: str) -> None:
    """Check the commit out once more, beside the working tree."""
    must("git", "worktree", "add", "--quiet", "--detach", REBUILT / name)


def commit_demand(name: str, requirement: str) -> None:
    """Commit one more requirement in such a copy."""
    copy = REBUILT / name
    must("make", "--no-print-directory", "-C", copy, "add", f"PKG={requirement}")
    must("git", "-C", copy, *NOBODY, "commit", "--quiet", "--all", "--message", f"Ask for {requirement}")


def keep_model(path: str) -> None:
    """Keep the model with its lock and contract elsewhere; train it first where it was not from a commit."""
    contract = (ROOT / f"{MODEL}.contract.json").read_text(encoding="utf-8")
    code = json.loads(contract)["predicate"]["code"]
    if code["dirty"] or not code["commit"]:
        make("train")
    for file in (ROOT / MODEL.parent).glob(f"{MODEL.name}*"):
        shutil.copy2(file, ROOT / f"{path}{file.name.removeprefix(MODEL.name)}")


BREAKS: dict[str, Callable[..., None]] = {
    "the environment is gone": lose_environment,
    "{} is installed by hand": install,
    "the manifest asks for {}": demand,
    "a digit of {}'s hashes is another": flip,
    "{} is not in .env": unset,
    "training.py has {1} for {0}": rewrite,
    "{} is added and installed": add,
    "the Dockerfile is {}": replace_dockerfile,
    "the model is kept as {}": keep_model,
    "the list is {}": write_list,
    "the image's base is {}": rebase,
    "the environment has no {}": delete_library,
    "production demands {}": promote,
    "the commit is copied to {}": copy_commit,
    "in the copy {} a commit asks for {}": commit_demand,
}
