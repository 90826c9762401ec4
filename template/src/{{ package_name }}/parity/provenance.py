"""The model's contract: written when a model is published, checked before it is loaded.

Loading a pickle runs code and takes every version for right: the libraries warn at most, and the predictions
change in silence. So all comparisons come before the first byte is unpickled, and then the model repeats its
golden predictions. https://scikit-learn.org/stable/model_persistence.html
"""

import json
import math
import os
import platform
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import environment, lock, materials, reader
from .materials import CHECKS, POLICIES, REPAIR, Here
from .statement import (
    Contract,
    ContractError,
    DataRecord,
    compose,
    digest,
    files,
    names,
    plain,
    read,
    ready,
    settle,
    write,
)

__all__ = [
    "Contract",
    "DataRecord",
    "ModelRefused",
    "check_contract",
    "load_model",
    "publish",
    "read_contract",
    "write_contract",
]

Load = Callable[[Path], Any]
Predict = Callable[[Any, list[Any]], Sequence[float]]

DEFAULT_MODEL = "models/champion.joblib"
ENV_FILES = {"test": ".env.test", "prod": ".env.prod"}
# Relative and absolute. Measured in double precision: even training anew with other threads or another CPU's
# code moves predictions by 7.5e-12 at most: a hundred times that passes, a change that matters does not.
# In single precision it is 6e-5: who publishes such a model passes a tolerance of that size.
TOLERANCE = 1e-9


class ModelRefused(RuntimeError):  # noqa: N818 - reads as what happened
    """The model must not be served; `reasons` has one sentence for each cause, with what to do."""

    def __init__(self, path: Path, reasons: Iterable[str]) -> None:
        """Compose the message from the reasons."""
        self.reasons = tuple(reasons)
        super().__init__("\n".join([f"{path} is refused:", *(f"  {reason}" for reason in self.reasons)]))


def publish(
    model: object,
    path: Path,
    *,
    save: Callable[[Any, Path], None],
    **record: Any,  # noqa: ANN401 - the arguments of write_contract
) -> Contract:
    """Save a model with `save(model, path)`, its lock copy and its contract; return the contract.

    The files are made in a folder of their own, whose rename is the moment at which they hold: what ends the
    process before leaves the old three, what ends it after the new three. `record` goes to write_contract.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        staged = Path(folder) / "ready" / path.name
        staged.parent.mkdir()
        save(model, staged)
        contract = read(write_contract(staged, **record))
        settle(path)
        staged.parent.rename(ready(path))
    settle(path)
    return contract


def write_contract(  # noqa: PLR0913 - each is a field of the contract
    model_path: Path,
    *,
    data: DataRecord,
    seed: Mapping[str, Any],
    metrics: Mapping[str, float],
    parameters: Mapping[str, Any],
    golden_inputs: Sequence[Any],
    predict: Predict,
    load: Load,
    framework: Sequence[str] = (),
    tolerance: float = TOLERANCE,
) -> Path:
    """Write lock copy and contract beside a model that is saved; return the contract's path.

    `golden_inputs` are rows that are predicted now and wherever the model is loaded, always in one batch: a
    prediction's last bits move with the rows beside it. `framework` names the distributions that the model
    needs, which policy `model` compares with all they require; without it, those its class comes from.
    Raises ValueError where a golden prediction, an input or a metric is not finite, LockError without a lock.
    """
    _, lock_copy, target = names(model_path)
    packages = environment.runtime_versions()
    lock_name = materials.copy_lock(lock_copy)
    inputs = json.loads(json.dumps(golden_inputs, default=plain))
    # The saved file predicts: a reloaded array can lie in memory otherwise, and sums then end in other bits.
    model = load(model_path)
    needed = materials.closure(framework or materials.distributions_of(model)) & packages.keys()
    statement = compose(
        model_path,
        {
            "template": lock.pins()["template"],
            "code": materials.code(lock.find_root(), reader.MANIFESTS[0]),
            "model": {
                "bytes": model_path.stat().st_size,
                "class": f"{type(model).__module__}.{type(model).__qualname__}",
            },
            "data": {"name": data.name, "digest": {"sha256": data.sha256}},
            "lock": {"name": lock_name, "digest": {"sha256": digest(lock_copy)}},
            "environment": {
                "signature": lock.signature(packages, environment.python_minor()),
                "python": platform.python_version(),
                "packages": dict(sorted(packages.items())),
                "modelPackages": sorted(needed or packages),
            },
            "platform": materials.machine(),
            "seed": seed,
            "parameters": parameters,
            "metrics": metrics,
            "golden": {"inputs": inputs, "outputs": answers(predict, model, inputs), "tolerance": tolerance},
        },
    )
    write(statement, target)
    return target


def read_contract(path: Path) -> Contract:
    """Return the contract of the model at `path`; raises ContractError where it is missing or damaged."""
    return read(files(path)[2])


def load_model(path: Path, *, load: Load, predict: Predict, policy: str = "strict") -> tuple[Any, Contract]:
    """Return the model at `path` and its contract.

    Raises ModelRefused with all reasons together before `load` is called, or where the loaded model does not
    answer as it did in training. What a policy laxer than `strict` lets pass stands in the contract's
    `overrides`: whoever serves such a model logs and shows it.
    """
    contract, reasons, overrides = judge(path, policy)
    if contract is None or reasons:
        raise ModelRefused(path, reasons)
    try:
        model = load(files(path)[0])
        outputs = answers(predict, model, contract.at("golden.inputs"))
    except Exception as error:
        reason = f"{path.name} is as published, but this code cannot use it ({error!r}): {REPAIR}."
        raise ModelRefused(path, [reason]) from error
    if reasons := list(golden_differs(contract, outputs)):
        raise ModelRefused(path, reasons)
    return model, replace(contract, overrides=tuple(overrides))


def check_contract(path: Path, policy: str = "strict") -> list[str]:
    """Return why the model at `path` must not be loaded, one sentence each; nothing is unpickled."""
    return judge(path, policy)[1]


def judge(path: Path, policy: str) -> tuple[Contract | None, list[str], list[str]]:
    """Return the contract, the reasons against the model, and what only a stricter policy minds."""
    if policy not in POLICIES:
        raise ValueError(f"{policy!r} is no policy for models: choose one of {', '.join(POLICIES)}")
    model, lock_copy, _ = files(path)
    if not model.is_file():
        return None, [f"{path} is missing: train it (`make train`), or correct MODEL_PATH."], []
    try:
        contract = read_contract(path)
        here = Here(model, lock_copy, environment.runtime_versions())
    except (ContractError, lock.LockError) as error:
        return None, [str(error)], []
    found = {name: list(check(contract, here)) for name, check in CHECKS.items()}
    reasons = [text for name in found if name in POLICIES[policy] for text in found[name]]
    overrides = [text for name in found if name not in POLICIES[policy] for text in found[name]]
    return contract, reasons, overrides


def answers(predict: Predict, model: object, inputs: list[Any]) -> list[float]:
    """Return the predictions of the golden inputs as plain numbers."""
    return [float(number) for number in predict(model, inputs)]


def golden_differs(contract: Contract, outputs: Sequence[float]) -> Iterator[str]:
    """Yield a sentence where the model does not answer as it did in training."""
    wanted, tolerance = contract.at("golden.outputs"), contract.at("golden.tolerance")
    if len(outputs) != len(wanted):
        yield f"{len(outputs)} golden predictions come back, {len(wanted)} were made in training: {REPAIR}."
        return
    pairs = list(zip(outputs, wanted, strict=True))
    wrong = [pair for pair in pairs if not math.isclose(*pair, rel_tol=tolerance, abs_tol=tolerance)]
    if wrong:
        now, then = max(wrong, key=lambda pair: abs(pair[0] - pair[1]))
        yield (
            f"{len(wrong)} of {len(pairs)} golden predictions differ by more than {tolerance:g},"
            f" as {now!r} here and {then!r} in training: {REPAIR}."
        )


def setting(name: str) -> str:
    """Return a setting as the settings have it, "" where it is not set; without importing them, to be quick."""
    if value := os.environ.get(name):
        return value
    file = (lock.find_root() or Path()) / ENV_FILES.get(os.environ.get("APP_ENV", ""), ".env")
    assignment = rf"(?im)^[ \t]*(?:export[ \t]+)?{name}[ \t]*=[ \t]*(.*?)(?:[ \t]+#.*)?$"
    with suppress(OSError, UnicodeDecodeError):
        values: list[str] = ["", *re.findall(assignment, file.read_text(encoding="utf-8"))]
        return values[-1].strip(" \t\r'\"")
    return ""


def model_path() -> Path:
    """Return the model's path as the settings have it."""
    return (lock.find_root() or Path()) / (setting("MODEL_PATH") or DEFAULT_MODEL)


def verify_link() -> tuple[bool, str, list[str]]:
    """Return (holds, one line, reasons) for the last link; a model that is not trained yet breaks nothing."""
    path, policy = model_path(), setting("MODEL_POLICY") or "strict"
    if not any(file.exists() for file in files(path)):
        return True, f"no model at {path} yet", []
    try:
        contract, reasons, overrides = judge(path, policy)
    except ValueError as error:
        return False, f"MODEL_POLICY={policy}", [f"MODEL_POLICY is refused: {error}."]
    told = f" {contract.sha256[:12]}, trained {contract.at('created')}" if contract else ""
    passed = f"; MODEL_POLICY={policy} lets {len(overrides)} pass" if overrides else ""
    return not reasons, f"{path.name}{told}{passed}", reasons
