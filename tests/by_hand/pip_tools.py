"""How tests handle pip-tools: its manifests, its locks, and what a careless user does."""

import os
import re
from collections.abc import Callable
from pathlib import Path

NAME = "pip-tools"
LOCKED = "requirements.txt"
ENVIRONMENT: dict[str, str] = {"PIP_CONFIG_FILE": os.devnull}


def prepare(root: Path, index: str) -> dict[str, str]:
    """Return the variable that pip takes its index from: it keeps no cooldown on one that tells no upload times."""
    del root
    return {"PIP_INDEX_URL": index}


def demand(root: Path, line: str, *, dev: bool = False) -> None:
    """Write one more requirement into the manifest by hand."""
    with (root / ("requirements-dev.in" if dev else "requirements.in")).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def withdraw(root: Path, name: str) -> None:
    """Remove a direct requirement by hand."""
    _edit(root / "requirements.in", rf"^{re.escape(name)}\b.*\n", "")


def _edit(path: Path, pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> None:
    """Replace what matches, which the file must hold."""
    text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count, f"{path} has no {pattern}"
    path.write_text(text, encoding="utf-8")


def _entry(name: str) -> str:
    """Return the pattern of a package's lines: its pin, its hashes, and who wants it."""
    return rf"^{re.escape(name)}==.*\n(?:    .*\n)*"


def flip_hash(root: Path, name: str) -> None:
    """Change one digit of every hash of a locked package."""
    _edit(
        root / LOCKED,
        _entry(name),
        lambda entry: re.sub(
            "sha256:([0-9a-f])", lambda digit: "sha256:" + ("1" if digit[1] == "0" else "0"), entry[0]
        ),
    )


def drop_hashes(root: Path, name: str) -> None:
    """Remove the hashes of a locked package."""
    _edit(root / LOCKED, _entry(name), lambda entry: re.sub(r" \\\n    --hash=.*", "", entry[0]))


def edit_version(root: Path, name: str, version: str) -> None:
    """Write another version of a locked package, and nothing else."""
    _edit(root / LOCKED, rf"^{re.escape(name)}==\S+", f"{name}=={version}")


def drop_entry(root: Path, name: str) -> None:
    """Remove a locked package."""
    _edit(root / LOCKED, _entry(name), "")


def foreign(root: Path, name: str) -> str | None:
    """Let pip look elsewhere, too: the lines of single packages hold no address."""
    del name
    lock = root / LOCKED
    lock.write_text(f"--extra-index-url https://foreign.example/simple\n{lock.read_text()}", encoding="utf-8")
    return "https://foreign.example"


def versions(root: Path) -> dict[str, str]:
    """Return name -> version of what the project needs to run, read line by line."""
    pins = re.findall(r"^([\w.-]+)==(\S+)", (root / LOCKED).read_text(encoding="utf-8"), re.MULTILINE)
    return dict(pins)
