"""What a careless user does to an environment: installs and removes by hand, past the lock."""

from pathlib import Path

import commands


def pip(root: Path, *arguments: str) -> None:
    """Run the pip that `python -m venv` left in .tools/venv on the environment."""
    commands.succeed(root, ".tools/venv/bin/python", "-m", "pip", "--python", ".venv", "--quiet", *arguments)


def install(root: Path, requirement: str) -> None:
    """Install one package, of another version or of none that is locked."""
    pip(root, "install", "--no-deps", requirement)


def remove(root: Path, name: str) -> None:
    """Remove one package."""
    pip(root, "uninstall", "--yes", name)
