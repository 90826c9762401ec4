"""The model's contract: written when a model is published, checked before it is loaded.

Loading a pickle runs code and takes every version for right: the libraries warn at most, and predictions change in
silence. So all comparisons come before the first byte is unpickled, and then the model repeats its golden predictions.
https://scikit-learn.org/stable/model_persistence.html
"""

import math
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import environment, lock
from .sources import DataRecord, differ
from .statement import Contract, ContractError, compose, digest, names, plain, read

__all__ = ["Contract", "ContractError", "DataRecord", "ModelRefused", "check_contract", "load_model", "publish"]

Load = Callable[[Path], Any]
Predict = Callable[[Any, list[Any]], Sequence[float]]
ENV_FILES = {"test": ".env.test", "prod": ".env.prod"}
REPAIR = "rebuild its environment (`make rebuild MODEL=…`), or train again (`make train`)"
# Relative and absolute. Measured in double precision: training anew with other threads or another CPU's code moves
# predictions by 7.5e-12 at most: a hundred times that passes, a change that matters does not. In single precision
# it is 6e-5: who publishes such a model passes a tolerance of that size.
TOLERANCE = 1e-9
# The kinds of difference that refuse a model; the others are let pass, and told.
POLICIES = {
    "strict": {"bytes", "lock", "python", "framework", "environment"},
    "model": {"bytes", "framework"},
    "digest": {"bytes"},
}


class ModelRefused(RuntimeError):  # noqa: N818 - reads as what happened
    """The model must not be served; `reasons` has one sentence for each cause, with what to do."""

    def __init__(self, path: Path, reasons: Iterable[str]) -> None:
        """Compose the message from the reasons."""
        self.reasons = tuple(reasons)
        super().__init__("\n".join([f"{path} is refused:", *(f"  {reason}" for reason in self.reasons)]))


def publish(  # noqa: PLR0913 - each is a field of the contract
    model: object,
    path: Path,
    *,
    save: Callable[[Any, Path], None],
    load: Load,
    predict: Predict,
    data: DataRecord,
    seed: Mapping[str, Any],
    metrics: Mapping[str, float],
    parameters: Mapping[str, Any],
    golden_inputs: Sequence[Any],
    framework: Sequence[str] = (),
    tolerance: float = TOLERANCE,
) -> Contract:
    """Save a model, its lock copy and its contract at `path`, all or nothing; return the contract.

    `golden_inputs` are rows that are predicted now and wherever the model is loaded, always in one batch: the last
    bits of a prediction move with the rows beside it. `framework` names the distributions that the model needs, which
    policy `model` compares with all they require; without it, those its class comes from. Raises ModelRefused where
    `path` takes no file, ValueError where a prediction, input or metric is not finite, LockError without a lock.
    """
    with workshop(path) as folder:
        staged = Path(folder) / "ready" / path.name
        staged.parent.mkdir()
        save(model, staged)
        # The saved file predicts: a reloaded array can lie in memory otherwise, and sums then end in other bits.
        reloaded, inputs = load(staged), plain(golden_inputs)
        training = {
            "data": data.described(),
            "seed": seed,
            "parameters": parameters,
            "metrics": metrics,
            "golden": {"inputs": inputs, "outputs": answers(predict, reloaded, inputs), "tolerance": tolerance},
        }
        contract = compose(staged, reloaded, training, framework)
        # As readable as its contract: safetensors writes for its own user alone, and the image's is another.
        staged.chmod(names(staged)[2].stat().st_mode)
        settle(path)
        # The moment at which the new three hold: what ends the process before leaves the old three.
        staged.parent.rename(ready(path))
    settle(path)
    return contract


def workshop(path: Path) -> tempfile.TemporaryDirectory[str]:
    """Return a new folder beside `path` to save in; raises ModelRefused where no file can come to lie there."""
    try:
        for name in filter(Path.is_dir, names(path)):
            raise ModelRefused(path, [f"{name} is a folder, and a model is a file: name another path for it."])
        path.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ModelRefused(path, [f"{path} cannot be written ({error.strerror}): name another path."]) from None


def ready(path: Path) -> Path:
    """Return the folder that holds what is published and not yet in its place."""
    return path.with_name(f".{path.name}.ready")


def settle(path: Path) -> None:
    """Move what was published into its place, also for a publication that was interrupted."""
    for file in names(path):
        with suppress(FileNotFoundError):
            (ready(path) / file.name).replace(file)
    with suppress(FileNotFoundError):
        ready(path).rmdir()


def files(path: Path) -> tuple[Path, Path, Path]:
    """Return where model, lock copy and contract are to be read: an interrupted publication counts."""
    moved = {file: ready(path) / file.name for file in names(path) if not path.is_dir()}
    model, copy, contract = (new if (new := moved.get(file)) and new.exists() else file for file in names(path))
    return model, copy, contract


def read_contract(path: Path) -> Contract:
    """Return the contract of the model at `path`; raises ContractError where it is missing or damaged."""
    return read(files(path)[2])


def load_model(path: Path, *, load: Load, predict: Predict, policy: str = "strict") -> tuple[Any, Contract]:
    """Return the model at `path` and its contract.

    Raises ModelRefused with all reasons together before `load` is called, or where the loaded model does not answer as
    in training. What a policy laxer than `strict` lets pass stands in `overrides`: whoever serves it logs and shows it.
    """
    contract = check_contract(path, policy)
    try:
        model = load(files(path)[0])
        outputs = answers(predict, model, contract.at("golden.inputs"))
    except Exception as error:
        reason = f"{path.name} is as published, but this code cannot use it ({error!r}): {REPAIR}."
        raise ModelRefused(path, [reason]) from error
    if reason := golden_differs(contract, outputs):
        raise ModelRefused(path, [reason])
    return model, replace(contract, overrides=(*contract.overrides, *differ(contract)))


def check_contract(path: Path, policy: str = "strict") -> Contract:
    """Return the contract, with what the policy lets pass, before unpickling; raises ModelRefused with all reasons."""
    if policy not in POLICIES:
        raise ModelRefused(path, [f"MODEL_POLICY={policy} is no policy: choose one of {', '.join(POLICIES)}."])
    try:
        contract, found = compared(path)
    except (ContractError, lock.LockError) as error:
        raise ModelRefused(path, [str(error)]) from error
    except OSError as error:
        told = f"{error.filename or path} cannot be read ({error.strerror}): let this user read it."
        raise ModelRefused(path, [told]) from error
    if reasons := [reason for kind, reason in found if kind in POLICIES[policy]]:
        raise ModelRefused(path, reasons)
    return replace(contract, overrides=tuple(reason for _, reason in found))


def compared(path: Path) -> tuple[Contract, list[tuple[str, str]]]:
    """Return the contract, and kind and sentence of all that differs; raises ModelRefused, or why one is not read."""
    model, lock_copy, _ = files(path)
    if not model.is_file():
        told = "is a folder, not a model: move it away" if model.is_dir() else "is missing: train it (`make train`)"
        raise ModelRefused(path, [f"{path} {told}, or correct MODEL_PATH."])
    contract, packages = read_contract(path), environment.runtime_versions()
    return contract, [*files_differ(contract, model, lock_copy), *environment_differs(contract, packages)]


def files_differ(contract: Contract, model: Path, lock_copy: Path) -> Iterator[tuple[str, str]]:
    """Yield the kind and a sentence where model and lock copy are not the files of the contract."""
    size, wanted, found, told = model.stat().st_size, contract.at("model.bytes"), digest(model), ""
    if size < wanted:
        told = f"is truncated ({size} of {wanted} bytes): copy it again"
    elif found != contract.sha256:
        told = f"is another file than its contract's (sha256 {found[:12]}, not {contract.sha256[:12]}): restore it"
    if told:
        yield "bytes", f"{model.name} {told}, or train again (`make train`)."
    held = lock_copy.is_file()
    if not held or digest(lock_copy) != contract.at("lock.digest.sha256"):
        told = "was altered" if held else "is missing"
        yield "lock", f"{lock_copy.name} {told}, and the model's environment is rebuilt from it: restore it."


def environment_differs(contract: Contract, packages: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the kind and a sentence for interpreter and packages (name -> version here) that are others."""
    python, trained = contract.at("environment.python"), contract.at("environment.packages")
    if python.split(".")[:2] != environment.python_minor().split("."):
        yield "python", f"Python is {environment.python_minor()} here and was {python} in training: {REPAIR}."
    needed = set(contract.at("environment.modelPackages"))
    # First what the model itself needs: the rest often follows from it.
    for name in sorted(trained.keys() | packages.keys(), key=lambda name: (name not in needed, name)):
        then, now = trained.get(name, "absent"), packages.get(name, "absent")
        if then != now:
            kind = "framework" if name in needed else "environment"
            yield kind, f"{name} is {now} here and was {then} in training: {REPAIR}."


def answers(predict: Predict, model: object, inputs: list[Any]) -> list[float]:
    """Return the predictions of the golden inputs as plain numbers."""
    return [float(number) for number in predict(model, inputs)]


def golden_differs(contract: Contract, outputs: Sequence[float]) -> str:
    """Return a sentence where the model does not answer as it did in training, "" where it does."""
    wanted, tolerance = contract.at("golden.outputs"), contract.at("golden.tolerance")
    if len(outputs) != len(wanted):
        return f"{len(outputs)} golden predictions come back, {len(wanted)} were made in training: {REPAIR}."
    pairs = zip(outputs, wanted, strict=True)
    wrong = [pair for pair in pairs if not math.isclose(*pair, rel_tol=tolerance, abs_tol=tolerance)]
    if not wrong:
        return ""
    now, then = max(wrong, key=lambda pair: abs(pair[0] - pair[1]))
    told = f"as {now!r} here and {then!r} in training: {REPAIR}."
    return f"{len(wrong)} of {len(wanted)} golden predictions differ by more than {tolerance:g}, {told}"


def setting(name: str, default: str) -> str:
    """Return a setting as the settings have it, without importing them: that takes longer than all of `verify`."""
    if value := os.environ.get(name):
        return value
    file = (lock.find_root() or Path()) / ENV_FILES.get(os.environ.get("APP_ENV", ""), ".env")
    assignment = rf"(?im)^[ \t]*(?:export[ \t]+)?{name}[ \t]*=[ \t]*(.*?)(?:[ \t]+#.*)?$"
    with suppress(OSError, UnicodeDecodeError):
        values: list[str] = ["", *re.findall(assignment, file.read_text(encoding="utf-8"))]
        return values[-1].strip(" \t\r'\"") or default
    return default


def model_path() -> Path:
    """Return the model's path as the settings have it."""
    return (lock.find_root() or Path()) / setting("MODEL_PATH", str(lock.default_model()))


def verify_link() -> tuple[bool | None, str, list[str]]:
    """Return (holds, one line, reasons) for the last link; None: no model was trained yet, which breaks nothing."""
    path, policy = model_path(), setting("MODEL_POLICY", "strict")
    if not any(file.exists() for file in files(path)):
        return None, f"no model at {path.name} yet (make train)", []
    try:
        contract = check_contract(path, policy)
    except ModelRefused as refused:
        return False, path.name, list(refused.reasons)
    passed = f"; MODEL_POLICY={policy} lets {len(contract.overrides)} pass" if contract.overrides else ""
    return True, f"{path.name} {contract.sha256[:12]}, trained {contract.at('created')}{passed}", list(differ(contract))
