"""How tests handle Pipenv: its manifest, its lock, and what a careless user does."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import commands

NAME = "pipenv"
MANIFEST, LOCKED = "Pipfile", "Pipfile.lock"
ENVIRONMENT: dict[str, str] = {"PIP_CONFIG_FILE": os.devnull}
SECTIONS = ("default", "develop")  # what is in both is the same in both


def prepare(root: Path, index: str) -> dict[str, str]:
    """Return the variable that pip takes its index from: it keeps no cooldown on one that tells no upload times."""
    del root
    return {"PIP_INDEX_URL": index}


def demand(root: Path, line: str, *, dev: bool = False) -> None:
    """Write one more requirement into the manifest by hand."""
    wanted, table = Requirement(line), "dev-packages" if dev else "packages"
    entry = {"version": str(wanted.specifier) or "*", "extras": sorted(wanted.extras)}
    entry |= {"markers": str(wanted.marker)} if wanted.marker else {}
    told = ", ".join(f"{key} = {json.dumps(value)}" for key, value in entry.items())
    _edit(root, rf"^\[{table}\]\n", f"[{table}]\n{wanted.name} = {{{told}}}\n")


def withdraw(root: Path, name: str) -> None:
    """Remove a direct requirement by hand."""
    _edit(root, rf"^{re.escape(name)} = .*\n", "")


def _edit(root: Path, pattern: str, replacement: str) -> None:
    text = (root / MANIFEST).read_text(encoding="utf-8")
    after, count = re.subn(pattern, lambda _: replacement, text, flags=re.MULTILINE)
    assert count == 1, f"{text} has {count} of {pattern}"
    (root / MANIFEST).write_text(after, encoding="utf-8")


def edit_entry(root: Path, name: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change a locked package in every section that has it."""
    document = json.loads((root / LOCKED).read_bytes())
    found = [document[section][name] for section in SECTIONS if name in document[section]]
    assert found, f"{LOCKED} has no {name}"
    for entry in found:
        edit(entry)
    _write(root, document)


def _write(root: Path, document: dict[str, Any]) -> None:
    (root / LOCKED).write_text(f"{json.dumps(document, indent=4, sort_keys=True)}\n", encoding="utf-8")


def flip_hash(root: Path, name: str) -> None:
    """Change one digit of every hash of a locked package."""

    def flip(entry: dict[str, Any]) -> None:
        entry["hashes"] = [re.sub(r":(.)", lambda digit: f":{int(digit[1], 16) ^ 1:x}", one) for one in entry["hashes"]]

    edit_entry(root, name, flip)


def drop_hashes(root: Path, name: str) -> None:
    """Remove the hashes of a locked package."""
    edit_entry(root, name, lambda entry: entry.pop("hashes"))


def edit_version(root: Path, name: str, version: str) -> None:
    """Write another version of a locked package, and nothing else."""
    edit_entry(root, name, lambda entry: entry.update(version=f"=={version}"))


def drop_entry(root: Path, name: str) -> None:
    """Remove a locked package."""
    document = json.loads((root / LOCKED).read_bytes())
    assert [document[section].pop(name) for section in SECTIONS if name in document[section]]
    _write(root, document)


def foreign(root: Path, name: str) -> str | None:
    """Let a locked package be the file of another host; return that origin."""
    edit_entry(root, name, lambda entry: entry.update(file=f"https://foreign.example/{name}.whl"))
    return "https://foreign.example"


def versions(root: Path) -> dict[str, str]:
    """Return name -> version of what the project needs to run, in Pipenv's own words."""
    printed = commands.succeed(
        root, root / ".tools/venv/bin/pipenv", "requirements", VIRTUAL_ENV=str(root / ".tools" / "venv")
    )
    pins = [Requirement(line) for line in printed.splitlines() if re.match("[A-Za-z0-9]", line) and "==" in line]
    here = {"python_version": "3.13", "python_full_version": "3.13.0"}  # the repository's, not that of the tests
    applying = [pin for pin in pins if not pin.marker or pin.marker.evaluate(here)]
    return {pin.name: str(pin.specifier).removeprefix("==") for pin in applying}
