"""Does the training give the same model again, and does an old model still answer? Owned by the template.

    reproduce.py --package NAME twice
    reproduce.py --package NAME rebuild CONTRACT|MODEL [--serve] [--allow-dirty]

`twice` trains in two fresh processes and compares. `rebuild` checks the commit that trained a model out into
.rebuild/, puts the lock there that was copied beside the model, and lets the tool which that commit pins install
it. Then the old code repeats the golden predictions.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from operator import getitem
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHON = Path(".venv", "bin", "python")
CONTRACT = ".contract.json"
# What two trainings must agree on, as the contract has it, in the order in which a training makes it. The model's bytes
# stand between the first two and the last two.
GIVEN = {"data": "data", "parameters": "parameters"}
MADE = {"predictions": "golden.outputs", "metrics": "metrics"}
# What belongs to the environment that starts this, and would lead the old one astray.
FOREIGN = (
    "GIT_DIR",
    "GIT_INDEX",
    "GIT_WORK",
    "MAKE",
    "MFLAGS",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_PYTHON",
    "VIRTUAL_ENV",
)
# The lock of an image: it says what is installed and not how, so no tool installs from it.
NEUTRAL = "parity-lock.json"
# Runs in the old environment: checks the contract there, loads the model and repeats its golden predictions.
REPEAT = """
import importlib, pathlib, sys
package, path = sys.argv[1:]
provenance = importlib.import_module(f"{package}.parity.provenance")
model = importlib.import_module(f"{package}.model")
try:
    provenance.load_model(pathlib.Path(path), load=model.load, predict=model.predict)
except provenance.ModelRefused as refused:
    sys.exit(str(refused))
"""


class ReproductionError(RuntimeError):
    """It cannot be done or does not agree; the message says why and what to do."""


def outside() -> dict[str, str]:
    """Return the environment variables without those that belong to the environment of today."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def run(what: str, command: Sequence[str | Path], folder: Path, variables: dict[str, str]) -> str:
    """Return what a command prints; raises ReproductionError with it where the command fails."""
    try:
        result = subprocess.run(
            command,
            cwd=folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise ReproductionError(f"{command[0]} is not there, and {what} needs it: install it, then repeat.") from None
    if result.returncode:
        raise ReproductionError(f"{result.stdout.strip()}\n{what.capitalize()} failed in {folder}: see above.")
    return result.stdout.strip()


def git(what: str, *arguments: str | Path) -> str:
    """Return what git prints in this repository; raises ReproductionError."""
    return run(what, ["git", *arguments], ROOT, outside())


# twice


@dataclass(frozen=True)
class Training:
    """What a training published: the model's bytes, and what its contract says."""

    model: bytes
    contract: dict[str, Any]

    def at(self, field: str) -> Any:  # noqa: ANN401 - a leaf of a JSON document
        """Return the value of a field of the predicate: `at("golden.outputs")`."""
        return reduce(getitem, field.split("."), self.contract["predicate"])


def twice(options: argparse.Namespace) -> None:
    """Train twice and compare data, parameters, weights, predictions and metrics bit for bit."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        first, second = train(options.package, Path(one)), train(options.package, Path(two))
    weights = weights_differ(first.model, second.model)
    given, made = (list(compared(first, second, fields)) for fields in (GIVEN, MADE))
    if given or made:
        told = "\n".join(f"  {line}" for line in [*given, *weights, *made])
        raise ReproductionError(
            f"Two trainings differ, first in what stands first:\n{told}\n"
            "Look for a generator that rng() did not make, or a thread count that is not fixed."
        )
    predictions = len(first.at("golden.outputs"))
    print(f"Reproduced: {predictions} predictions and all metrics of two fresh processes are equal, bit for bit.")
    if weights:
        print("The file's bytes differ though all predictions are equal: its format holds more than the model.")
    else:
        print("The model's file is the same too, byte for byte.")


def compared(first: Training, second: Training, fields: dict[str, str]) -> Iterator[str]:
    """Yield a line for each field that differs: its first difference, and how many more there are."""
    for name, field in fields.items():
        lines = list(differences(first.at(field), second.at(field), field))
        if lines:
            more = f", and {len(lines) - 1} more" if lines[1:] else ""
            yield f"{name:<12}{lines[0]}{more}"


def weights_differ(first: bytes, second: bytes) -> list[str]:
    """Return a line with the place at which two saved models begin to differ; none where they are equal."""
    if first == second:
        return []
    place = next((at for at, (left, right) in enumerate(zip(first, second, strict=False)) if left != right), len(first))
    return [f"{'weights':<12}the saved models, {len(first)} and {len(second)} bytes, from byte {place} on"]


def train(package: str, folder: Path) -> Training:
    """Train in a fresh process and return what it published."""
    model = folder / "model"
    command = [sys.executable, "-m", f"{package}.training", "--output", str(model), "--quiet"]
    run("the training", command, ROOT, {**os.environ, "PYTHONHASHSEED": "0"})
    contract = json.loads((folder / f"model{CONTRACT}").read_text(encoding="utf-8"))
    return Training(model.read_bytes(), contract)


def differences(first: Any, second: Any, where: str) -> Iterator[str]:  # noqa: ANN401
    """Yield a line for each leaf in which two JSON documents differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted(first.keys() | second.keys()):
            yield from differences(first.get(key), second.get(key), f"{where}.{key}")
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for number, (left, right) in enumerate(zip(first, second, strict=True)):
            yield from differences(left, right, f"{where}[{number}]")
    elif first != second:
        yield f"{where}: {first} in the first training, {second} in the second"


# rebuild


def rebuild(options: argparse.Namespace) -> None:
    """Make the environment that trained a model anew, let the model predict there, and serve it with --serve."""
    kit = import_module(f"{options.package}.parity.provenance")
    model = options.model.absolute()
    model = model.with_name(model.name.removesuffix(CONTRACT))
    contract = kit.read_contract(model)
    if reasons := list(refusals(kit, contract, model, allow_dirty=options.allow_dirty)):
        raise ReproductionError("\n".join(reasons))
    commit, lock, golden = (contract.at(field) for field in ("code.commit", "lock.name", "golden.outputs"))
    # Named by the contract: the same bytes may come from two commits.
    worktree = ROOT / ".rebuild" / contract.at("checksum")[:12]
    folder = check_out(commit, worktree)
    dirty = ", without the changes that were not committed" if contract.at("code.dirty") else ""
    print(f"Code         commit {commit[:12]}{dirty}, in {folder}", flush=True)
    put_lock(folder, lock, kit.files(model)[1])
    run("installing its lock (`make sync`)", ["make", "sync"], folder, outside())
    print(f"Environment  Python {contract.at('environment.python')}, {lock} as it was in training", flush=True)
    run("loading the model", [folder / PYTHON, "-c", REPEAT, options.package, model], folder, outside())
    print(f"Model        repeats its {len(golden)} golden predictions", flush=True)
    if options.serve:
        serve(kit, folder, model)
    else:
        print(f"Serve it with --serve (SERVE=1); remove it with `git worktree remove --force {worktree}`.")


def refusals(kit: Any, contract: Any, model: Path, *, allow_dirty: bool) -> Iterator[str]:  # noqa: ANN401
    """Yield a sentence for each reason not to begin."""
    file, lock_copy, _ = kit.files(model)
    if file.is_file():
        yield from (sentence for _, sentence in kit.files_differ(contract, file, lock_copy))
    else:
        yield f"{model} is missing: restore it, its contract alone cannot answer."
    if contract.at("lock.name") == NEUTRAL:
        yield "The model was trained in an image, which holds no lock to install from: answer with that image."
    commit = contract.at("code.commit")
    if commit is None:
        yield "The contract names no commit: commit the project, then train again (`make train`)."
    elif not known(commit):
        yield f"Commit {commit[:12]} is not in this repository: fetch it (`git fetch --all`), then repeat."
    if contract.at("code.dirty") and not allow_dirty:
        yield "The model was trained with changes that no commit holds: go on without them by ARGS=--allow-dirty."


def known(commit: str) -> bool:
    """Tell whether a commit is in this repository."""
    try:
        git("looking for the commit", "rev-list", "--max-count=1", commit, "--")
    except ReproductionError:
        return False
    return True


def check_out(commit: str, worktree: Path) -> Path:
    """Return the project's folder in a worktree of that commit, made where it is not there yet."""
    if not worktree.exists():
        git("checking the commit out", "worktree", "add", "--detach", "--force", worktree, commit)
    # Empty, but where the project is a folder of a larger repository.
    return worktree / git("looking for the repository", "rev-parse", "--show-prefix")


def put_lock(folder: Path, names: str, lock_copy: Path) -> None:
    """Write the lock of the training; the copy holds the files of a lock joined by a zero byte."""
    for name, content in zip(names.split(", "), lock_copy.read_bytes().split(b"\0"), strict=True):
        (folder / name).write_bytes(content)


def serve(kit: Any, folder: Path, model: Path) -> None:  # noqa: ANN401
    """Serve the model with the old code and this machine's settings, in place of this process."""
    run("making this machine's settings", ["make", ".env"], ROOT, outside())
    if not (folder / ".env").exists():
        shutil.copyfile(ROOT / ".env", folder / ".env")
    variables = {**outside(), "MODEL_PATH": str(model)}
    if url := kit.setting("DATABASE_URL", ""):
        variables["DATABASE_URL"] = anchored(url)
    os.chdir(folder)
    os.execvpe("make", ["make", "serve"], variables)  # noqa: S606 - nothing to quote


def anchored(url: str) -> str:
    """Return a database's URL with SQLite's relative path made absolute: the worktree is removed, its rows are not."""
    # Three slashes and a relative path. https://docs.sqlalchemy.org/en/20/core/engines.html#sqlite
    return re.sub(r"^(sqlite(?:\+\w+)?:///(?:file:)?+)(?![/:])(?=.)", lambda found: f"{found[1]}{ROOT}/", url)


COMMANDS = {"twice": twice, "rebuild": rebuild}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what refuses or differs is told on stderr and returns 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("twice", help=twice.__doc__)
    old = commands.add_parser("rebuild", help=rebuild.__doc__)
    old.add_argument("model", type=Path, help="the model, or the contract beside it")
    old.add_argument("--serve", action="store_true", help="then serve the old model with the old code")
    old.add_argument("--allow-dirty", action="store_true", help="take the commit of a model trained from changes")
    options = parser.parse_args(arguments)
    try:
        COMMANDS[options.command](options)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
