"""How tests handle uv: its manifest, its lock, and what a careless user does."""

import re
from collections.abc import Callable
from pathlib import Path

from packaging.requirements import Requirement

import commands

NAME = "uv"
LOCKED = "uv.lock"
ENVIRONMENT: dict[str, str] = {}
MANIFEST = "pyproject.toml"


def prepare(root: Path, index: str) -> dict[str, str]:
    """Return nothing: uv reads this machine's index as it is."""
    del root, index
    return {}


def demand(root: Path, line: str, *, dev: bool = False) -> None:
    """Write one more requirement into the manifest by hand."""
    head = "dev = [\n" if dev else "dependencies = [\n"
    text = (root / MANIFEST).read_text(encoding="utf-8")
    assert text.count(head) == 1, text
    (root / MANIFEST).write_text(text.replace(head, f'{head}    "{line}",\n'), encoding="utf-8")


def withdraw(root: Path, name: str) -> None:
    """Remove a direct requirement by hand."""
    text = (root / MANIFEST).read_text(encoding="utf-8")
    after, count = re.subn(rf'^    "{re.escape(name)}[^\w.-].*\n', "", text, flags=re.MULTILINE)
    assert count == 1, text
    (root / MANIFEST).write_text(after, encoding="utf-8")


def edit_entry(root: Path, name: str, pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> None:
    """Replace every match of a pattern in the entry of a locked package."""
    lock = root / LOCKED
    before, head, after = lock.read_text(encoding="utf-8").partition(f'[[package]]\nname = "{name}"\n')
    entry, following, rest = after.partition("\n[[package]]\n")
    edited, count = re.subn(pattern, replacement, entry)
    assert count, f"{name} is not as expected in {LOCKED}"
    lock.write_text(before + head + edited + following + rest, encoding="utf-8")


def flip_hash(root: Path, name: str) -> None:
    """Change one digit of every hash of a locked package."""
    edit_entry(root, name, r"sha256:([0-9a-f])", lambda found: "sha256:" + ("1" if found[1] == "0" else "0"))


def drop_hashes(root: Path, name: str) -> None:
    """Remove the hashes of a locked package."""
    edit_entry(root, name, r', hash = "sha256:[0-9a-f]{64}"', "")


def edit_version(root: Path, name: str, version: str) -> None:
    """Write another version of a locked package, and nothing else."""
    edit_entry(root, name, r'\Aversion = "[^"]*"', f'version = "{version}"')


def drop_entry(root: Path, name: str) -> None:
    """Remove a locked package."""
    lock = root / LOCKED
    before, head, after = lock.read_text(encoding="utf-8").partition(f'[[package]]\nname = "{name}"\n')
    assert head
    lock.write_text(before + "[[package]]\n" + after.partition("\n[[package]]\n")[2], encoding="utf-8")


def foreign(root: Path, name: str) -> str | None:
    """Let the files of a locked package come from elsewhere; return that origin."""
    edit_entry(root, name, r'url = "https?://[^/]+', 'url = "https://foreign.example')
    return "https://foreign.example"


def versions(root: Path) -> dict[str, str]:
    """Return name -> version of what the project needs to run, in uv's own words."""
    printed = commands.succeed(
        root, root / ".tools/venv/bin/uv", "export", "--locked", "--no-dev", "--no-emit-project", "--no-hashes",
        "--no-header", "--no-annotate", "--quiet", UV_PYTHON=str(root / ".tools/venv/bin/python"),
    )  # fmt: skip
    pins = [Requirement(line) for line in printed.splitlines()]
    here = {"python_version": "3.13", "python_full_version": "3.13.0"}  # the repository's, not that of the tests
    applying = [pin for pin in pins if not pin.marker or pin.marker.evaluate(here)]
    return {pin.name: str(pin.specifier).removeprefix("==") for pin in applying}
