"""Make the environment that trained a model anew, and let the model predict in it. Owned by the template.

    rebuild.py models/champion.joblib.contract.json [--serve] [--allow-dirty]

The commit that trained the model is checked out into .rebuild/, the lock that was copied beside the model is
put there, and the tool which that commit pins installs it. Then the old code repeats the golden predictions.
"""

import argparse
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = (Path(".venv/bin/python"), Path(".venv/Scripts/python.exe"))
CONTRACT = ".contract.json"
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


class RebuildError(RuntimeError):
    """The environment cannot be made again; the message is one sentence with what to do."""


def git(*arguments: str) -> str:
    """Return what git prints in this repository; raises RebuildError with what it says where it fails."""
    result = run(["git", *arguments], ROOT)
    if result.returncode:
        raise RebuildError(f"git {arguments[0]} failed: {result.stdout.strip()}")
    return result.stdout.strip()


def variables() -> dict[str, str]:
    """Return the environment variables without those of the environment that runs this."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def run(command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; what it prints is one text."""
    return subprocess.run(
        command,
        cwd=folder,
        env=variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def statements() -> Any:  # noqa: ANN401 - a module
    """Return the kit's module that reads contracts, whatever the package is called."""
    package = next(ROOT.glob("src/*/parity/statement.py")).parent.parent.name
    sys.path.insert(0, str(ROOT / "src"))
    return importlib.import_module(f"{package}.parity.statement")


def refusals(contract: Any, files: Sequence[Path], *, allow_dirty: bool) -> Iterator[str]:  # noqa: ANN401
    """Yield a sentence for each reason not to begin."""
    model, lock_copy, _ = files
    digest = statements().digest
    if not model.is_file() or digest(model) != contract.sha256:
        yield f"{model} is missing or not its contract's: restore the files that were published together."
    if not lock_copy.is_file() or digest(lock_copy) != contract.at("lock.digest.sha256"):
        yield f"{lock_copy} is missing or altered, and it says what to install: restore it with its model."
    commit = contract.at("code.commit")
    if commit is None:
        yield "The contract names no commit: commit the project, then train again (`make train`)."
    elif run(["git", "rev-list", "--max-count=1", commit, "--"], ROOT).returncode:
        yield f"Commit {commit[:12]} is not in this repository: fetch it (`git fetch --all`), then repeat."
    if contract.at("code.dirty") and not allow_dirty:
        yield "The model was trained with changes that no commit holds: --allow-dirty goes on without them."


def check_out(commit: str, name: str) -> Path:
    """Return the project's folder in a worktree of that commit, made where it is not there yet."""
    worktree = ROOT / ".rebuild" / name
    git("worktree", "prune")
    if not worktree.exists():
        git("worktree", "add", "--detach", "--force", str(worktree), commit)
    # Empty, but where the project is a folder of a larger repository.
    return worktree / git("rev-parse", "--show-prefix")


def put_lock(folder: Path, contract: Any, lock_copy: Path) -> None:  # noqa: ANN401
    """Write the lock of the training; the copy holds the files of a lock joined by a zero byte."""
    names = contract.at("lock.name").split(", ")
    for name, content in zip(names, lock_copy.read_bytes().split(b"\0"), strict=True):
        (folder / name).write_bytes(content)


def install(folder: Path) -> None:
    """Let the old commit's own verb install its lock."""
    if shutil.which("make") is None:
        raise RebuildError("make is not on PATH, and it installs the old environment: install it, then repeat.")
    result = run(["make", "sync"], folder)
    if result.returncode:
        raise RebuildError(f"`make sync` failed in {folder}; it says:\n{result.stdout.strip()}")


def in_old_kit(folder: Path, *arguments: str | Path) -> str:
    """Return what a command of the old kit prints in the old environment; raises RebuildError with it."""
    python = next((folder / name for name in PYTHONS if (folder / name).exists()), None)
    package = next((path.parent.name for path in folder.glob("src/*/parity")), None)
    if python is None or package is None:
        raise RebuildError(
            f"{folder} has no environment or no kit: run `git worktree remove --force` on it, then repeat."
        )
    result = run([python, "-m", f"{package}.parity", *arguments], folder)
    if result.returncode:
        raise RebuildError(
            f"`parity {arguments[0]}` fails in the rebuilt environment; it says:\n{result.stdout.strip()}"
        )
    return result.stdout.strip()


def serve(folder: Path, model: Path) -> int:
    """Serve the model with the old code and this machine's settings until it is stopped."""
    if (ROOT / ".env").is_file() and not (folder / ".env").exists():
        shutil.copyfile(ROOT / ".env", folder / ".env")
    environment = {**variables(), "MODEL_PATH": str(model)}
    return subprocess.run(["make", "serve"], cwd=folder, env=environment, check=False).returncode


def rebuild(model: Path, *, allow_dirty: bool) -> Path:
    """Make the model's environment again and let it repeat its predictions there; return its folder.

    Prints a line for each step; raises RebuildError, or what the kit raises for a file that is no contract.
    """
    statement = statements()
    files = statement.files(model)
    contract = statement.read(files[2])
    if reasons := list(refusals(contract, files, allow_dirty=allow_dirty)):
        raise RebuildError("\n".join(reasons))
    commit, wanted = contract.at("code.commit"), contract.at("environment.signature")
    folder = check_out(commit, contract.at("checksum")[:12])
    dirty = ", without the changes that were not committed" if contract.at("code.dirty") else ""
    print(f"Code         commit {commit[:12]}{dirty}, in {folder}")
    put_lock(folder, contract, files[1])
    print(f"Lock         {contract.at('lock.name')} as it was in training", flush=True)
    install(folder)
    if wanted not in (found := in_old_kit(folder, "signature")).split():
        raise RebuildError(
            f"The rebuilt environment is another one: {found}, not {wanted}; see `make verify` in {folder}."
        )
    print(f"Environment  {wanted}, as in training", flush=True)
    in_old_kit(folder, "contract", files[0], "--predict")
    print(f"Model        repeats its {len(contract.at('golden.outputs'))} golden predictions")
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    """Make the environment of an old model anew, and serve it there with --serve."""
    parser = argparse.ArgumentParser(prog="parity rebuild", description=main.__doc__)
    parser.add_argument("contract", type=Path, help="the model's contract, or the model beside it")
    parser.add_argument("--serve", action="store_true", help="then serve the old model with the old code")
    parser.add_argument("--allow-dirty", action="store_true", help="take the commit of a model trained from changes")
    options = parser.parse_args(argv)
    model = options.contract.absolute()
    model = model.with_name(model.name.removesuffix(CONTRACT))
    try:
        folder = rebuild(model, allow_dirty=options.allow_dirty)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    if options.serve:
        return serve(folder, model)
    print(f"Serve it with --serve; remove it with `git worktree remove --force {folder}`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
