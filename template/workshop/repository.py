"""The repository that the exercises are done in: what it says of itself, and what must be put back."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "workshop"
STATE = HERE / ".state"
BEFORE = STATE / "before"
ANSWER = HERE / "answer.txt"
PYTHON = Path(".venv", "bin", "python")
TOOLS = Path(".tools", "venv", "bin", "python")
# What `make sync` checked and installed, in one form for all tools.
INSTALLED = Path(".venv", "parity-lock.json")
# What git ignores and an exercise may change: kept when it is broken, put back when it is reset.
KEPT = (Path(".env"), Path(".env.prod"), Path("models"))
REBUILT = ROOT / ".rebuild"
# Left by the make that started this; the makes that this starts must not answer to it.
FOREIGN = ("MAKE", "MFLAGS")
# For the one commit that a reset makes, a stash: a laptop of the day may have no name for git yet.
NOBODY = ("-c", "user.name=workshop", "-c", "user.email=workshop@localhost")


class WorkshopError(RuntimeError):
    """It cannot be done; the message says why and what to do."""


def data(name: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a JSON file of this folder says."""
    return json.loads((HERE / name).read_text(encoding="utf-8"))


RENDERED: dict[str, Any] = data("rendered.json")
PACKAGE: str = RENDERED["package"]
SOURCE = ROOT / "src" / PACKAGE
PARITY = (PYTHON, "-m", f"{PACKAGE}.parity")
PINS: dict[str, Any] = tomllib.loads((SOURCE / "parity" / "pins.toml").read_text(encoding="utf-8"))
TOOL: dict[str, Any] = PINS["tool"]
MODEL = Path("models", PINS["model"]["file"])


def run(*command: str | Path, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository, with `variables` beside this shell's; its output is in `stdout`."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    try:
        return subprocess.run(
            [str(word) for word in command],
            cwd=ROOT,
            env={**outside, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        # As a shell would end: https://tldp.org/LDP/abs/html/exitcodes.html
        return subprocess.CompletedProcess(command, 127, f"{command[0]} is not there: run `make setup`.\n")


def must(*command: str | Path, variables: Mapping[str, str] | None = None) -> str:
    """Run a command that must succeed and return what it printed; WorkshopError with that where it fails."""
    done = run(*command, variables=variables)
    if done.returncode:
        raise WorkshopError(f"{done.stdout.strip()}\n`{' '.join(map(str, command))}` failed: see above.")
    return done.stdout


def make(*words: str) -> str:
    """Run verbs of the repository that must succeed; return what they printed."""
    return must("make", "--no-print-directory", *words)


def verified(*options: str) -> str:
    """Return "" where the chain holds and has a model, else what `verify` prints."""
    done = run(*PARITY, "verify", *options)
    return done.stdout if done.returncode or not (ROOT / MODEL).is_file() else ""


def changed() -> str:
    """Return what git says has changed; WorkshopError where there is nothing to compare with."""
    if run("git", "rev-parse", "--verify", "--quiet", "HEAD").returncode:
        raise WorkshopError("Nothing is committed yet: run `git add . && git commit`, then repeat.")
    return must("git", "status", "--porcelain")


def locked(file: Path) -> dict[str, str]:
    """Return name -> version of a lock in the neutral form; {} where it is missing."""
    if not file.is_file():
        return {}
    return {entry["name"]: entry["version"] for entry in json.loads(file.read_text(encoding="utf-8"))["packages"]}


def is_for(name: str, line: str) -> bool:
    """Tell whether a line of a manifest, of whatever form, is a requirement of that name."""
    return bool(re.match(rf"[^\w#]*{re.escape(name)}(?![\w.-])", line))


def copied(source: Path, target: Path) -> None:
    """Let `target` be what `source` is: a file, a folder, or nothing."""
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copy2(source, target)


def rebuilt() -> list[str]:
    """Return the names of the environments that `make rebuild` made."""
    return sorted(path.name for path in REBUILT.glob("*"))


def keep(number: int) -> None:
    """Note which exercise is broken, and keep what must be put back."""
    shutil.rmtree(STATE, ignore_errors=True)
    for path in (*KEPT, INSTALLED):
        copied(ROOT / path, BEFORE / path)
    note = {"number": number, "rebuilt": rebuilt()}
    (STATE / "exercise.json").write_text(json.dumps(note), encoding="utf-8")


def noted() -> dict[str, Any]:
    """Return what `keep` noted, {} where no exercise is broken."""
    note = STATE / "exercise.json"
    return dict(json.loads(note.read_text(encoding="utf-8"))) if note.is_file() else {}


def put_back() -> bool:
    """Make the repository what it was when the exercise was broken; tell whether git keeps what you changed."""
    note, stashed = noted(), bool(changed())
    if stashed:
        must("git", *NOBODY, "stash", "push", "--include-untracked", "--message", f"workshop exercise {note['number']}")
    for path in KEPT:
        copied(BEFORE / path, ROOT / path)
    for name in set(rebuilt()) - set(note["rebuilt"]):
        must("git", "worktree", "remove", "--force", REBUILT / name)
    ANSWER.unlink(missing_ok=True)
    # What is installed may be right, and the note of what was checked be of the lock that is gone.
    if stashed or verified():
        make("sync")
    # A file that is gone or another is no other version, and `make sync` leaves it so.
    if verified("--deep"):
        shutil.rmtree(ROOT / ".venv", ignore_errors=True)
        make("sync")
    shutil.rmtree(STATE)
    return stashed
