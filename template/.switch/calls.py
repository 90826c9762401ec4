"""What switch.py calls: git, Copier and make, each in words where it fails. Owned by the template."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from carry import ROOT, Repository
from check_lock import ANSWERS


class SwitchError(RuntimeError):
    """It is not switched; the message says why and what to do."""


# What a Makefile exports; `?=` leaves what a user has set.
EXPORT = re.compile(r"^export (?P<name>\w+) *(?P<how>[?:]?)= *(?P<value>.*)$", re.MULTILINE)


@cache
def environment() -> dict[str, str]:
    """Return the variables for what is called, without those of the old Makefile that called this."""
    makes = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    for found in EXPORT.finditer((ROOT / "Makefile").read_text(encoding="utf-8")):
        if found["how"] != "?" or os.environ.get(found["name"]) == found["value"]:
            makes.add(found["name"])
    return {name: value for name, value in os.environ.items() if name not in makes}


def told(*command: str | Path) -> bytes:
    """Run a command; return what it writes to stdout, and leave out what it warns of."""
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, check=False).stdout


def run(*command: str | Path, cwd: Path = ROOT) -> tuple[int, str]:
    """Run a command; return its status and what it said."""
    words = [str(word) for word in command]
    result = subprocess.run(
        words, cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return result.returncode, result.stdout


def git(*words: str) -> list[str]:
    """Return the lines that git prints; raises SwitchError."""
    status, said = run("git", *words)
    if status:
        raise SwitchError(f"git {words[0]} failed: {said.strip()}")
    return said.splitlines()


def copier(*words: str | Path, **data: Any) -> None:  # noqa: ANN401 - anything that YAML can say
    """Run Copier without a question; raises SwitchError with the reason in what it said."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "data.yml")
        file.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")  # JSON is YAML
        status, said = run("copier", *words, "--defaults", "--quiet", "--vcs-ref=:current:", "--data-file", file)
    if status:
        raise SwitchError(f"Copier says: {(said.strip().splitlines() or ['nothing'])[-1].removeprefix('ValueError: ')}")


def render(folder: Path, **data: Any) -> Repository:  # noqa: ANN401 - anything that YAML can say
    """Render the template, in the version that this repository has, with its answers and others, and for a switch."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy2(ROOT / ANSWERS, folder)
    copier("recopy", folder, "--overwrite", switching=True, **data)
    return Repository(folder)


def make(*verbs: str) -> bool:
    """Run make, and show what it said where it succeeds; return whether it does."""
    status, said = run("make", "--no-print-directory", *verbs)
    print("" if status else said, end="", flush=True)
    return not status


def must(*verbs: str) -> None:
    """Run make in the user's sight; raises SwitchError."""
    words = ["make", "--no-print-directory", *verbs]
    if subprocess.run(words, cwd=ROOT, env=environment(), check=False).returncode:
        raise SwitchError(f"`make {' '.join(verbs)}` failed, see above: correct that and repeat it.")
