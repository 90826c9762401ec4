"""Renders the template as it stands in the working tree."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import copier

ROOT = Path(__file__).resolve().parent.parent

SETTINGS = (
    "user.name=Test",
    "user.email=test@example.com",
    "init.defaultBranch=main",
    "commit.gpgSign=false",
)


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder`, whatever this machine's settings are; return what it prints."""
    options = [word for setting in SETTINGS for word in ("-c", setting)]
    command = ["git", "-C", str(folder), *options, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit(folder: Path, message: str, *, tag: str | None = None) -> None:
    """Commit everything in `folder`, making it a repository first where it is none."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    if tag:
        git(folder, "tag", tag)


def checkout(folder: Path) -> Path:
    """Copy the template's working tree, without what git ignores and without .git, into `folder`."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return folder


def render(template: Path, folder: Path, **answers: Any) -> Path:  # noqa: ANN401
    """Render into `folder`, with the default for every question without an answer here, and without trust."""
    copier.run_copy(str(template), folder, data=answers, defaults=True, quiet=True, unsafe=False)
    return folder


def files(folder: Path) -> list[Path]:
    """Return the files of a rendered repository, relative to it."""
    return sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    )
