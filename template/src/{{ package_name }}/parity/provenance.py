"""The model's contract: written when it is published, checked before it is loaded.

    champion.joblib  champion.joblib.lock  champion.joblib.contract.json      published together or not at all

Loading a pickle runs code and takes any version for right: scikit-learn warns, MLflow warns, and predictions
change in silence. So everything is compared before the first byte is unpickled, and afterwards the model repeats
its golden predictions. https://scikit-learn.org/stable/model_persistence.html
"""

import argparse
import importlib.metadata
import json
import logging
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import lock
from .statement import Contract, ContractError, DataRecord, code, compose, digest, plain, read

__all__ = ["Contract", "DataRecord", "ModelRefused", "check_contract", "load_model", "publish", "write_contract"]

DEFAULT_MODEL = "models/champion.joblib"
# Relative and absolute. The same file on another CPU or thread count answers with up to 1e-11 of difference in
# double precision (1e-4 in single: a framework of such numbers passes its own); 1e-9 lets that noise pass, and no
# change of a model that anybody would notice.
TOLERANCE = 1e-9

logger = logging.getLogger(__name__)


class ModelRefused(RuntimeError):  # noqa: N818 - reads as what happened, in a log
    """The model must not be served; `reasons` has one sentence for each cause, with the repair."""

    def __init__(self, path: Path, reasons: Iterable[str]) -> None:
        """Keep the reasons and compose the message from them."""
        self.reasons = tuple(reasons)
        super().__init__("\n".join([f"{path} is refused:", *(f"  {reason}" for reason in self.reasons)]))


def publish(model: object, path: Path, *, save: Callable[[Any, Path], None], **record: Any) -> Contract:  # noqa: ANN401 - those of write_contract
    """Save the model with `save(model, path)` and its contract; return that. `record`: see write_contract.

    The three files are made in a folder of their own, and the rename of that folder is the one moment at which the
    new model holds: whatever ends the process before leaves the old files, whatever ends it after leaves the new.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        staged = Path(folder) / "publication" / path.name
        staged.parent.mkdir()
        save(model, staged)
        contract = read(write_contract(staged, **record))
        settle(path)
        staged.parent.rename(ready(path))
    settle(path)
    return contract


def names(path: Path) -> tuple[Path, Path, Path]:
    """Return the paths of model, lock copy and contract, for the model's path."""
    return path, path.with_name(f"{path.name}.lock"), path.with_name(f"{path.name}.contract.json")


def ready(path: Path) -> Path:
    """Return the folder that holds what is published and not yet in its place."""
    return path.with_name(f".{path.name}.ready")


def settle(path: Path) -> None:
    """Move what was published into its place; a publication that was interrupted is finished so, by whoever comes."""
    for file in names(path):
        with suppress(FileNotFoundError):
            os.replace(ready(path) / file.name, file)
    with suppress(FileNotFoundError):
        ready(path).rmdir()


def files(path: Path) -> tuple[Path, Path, Path]:
    """Return where model, lock copy and contract are to be read: an interrupted publication counts."""
    model, copy, contract = (
        moved if (moved := ready(path) / file.name).exists() else file for file in names(path)
    )
    return model, copy, contract


def write_contract(  # noqa: PLR0913 - each is a field of the contract
    model_path: Path,
    *,
    data: DataRecord,
    seed: Mapping[str, Any],
    metrics: Mapping[str, float],
    parameters: Mapping[str, Any],
    golden_inputs: Sequence[Any],
    predict: Callable[[Any, list[Any]], Sequence[float]],
    load: Callable[[Path], Any],
    framework: Sequence[str] = (),
    tolerance: float = TOLERANCE,
) -> Path:
    """Write contract and lock copy beside a saved model; return the contract's path.

    `golden_inputs` are the rows that are predicted here and wherever the model is loaded: always the same rows in
    one batch, because a row alone and a row in a batch differ in the last bits. `framework` names the distributions
    that the model needs (its closure is what policy `model` compares); without it, those of the model's class.
    Raises ValueError where a golden prediction or an input is not a finite number.
    """
    _, copy, target = names(model_path)
    shutil.copyfile(lock_file(), copy)
    inputs = json.loads(json.dumps(golden_inputs, default=plain, allow_nan=False))
    # Of the file as it will be read: arrays come back with another memory layout, and answer in other last bits.
    model = load(model_path)
    outputs = [float(number) for number in predict(model, inputs)]
    packages = runtime_packages()
    needed = closure(framework or distributions_of(model)) & packages.keys()
    statement = compose(
        model_path,
        {
            "template": lock.pins()["template"],
            "code": code(lock.find_root(), lock.reader.MANIFESTS[0]),
            "model": {"bytes": model_path.stat().st_size, "class": f"{type(model).__module__}.{type(model).__qualname__}"},
            "data": {"name": data.name, "digest": {"sha256": data.sha256}},
            "lock": {"name": lock_file().name, "digest": {"sha256": digest(copy)}},
            "environment": {
                "signature": lock.signature(packages, python_minor()),
                "python": ".".join(map(str, sys.version_info[:3])),
                "packages": packages,
                "modelPackages": sorted(needed or packages),
            },
            "seed": seed,
            "parameters": parameters,
            "metrics": metrics,
            "golden": {"inputs": inputs, "outputs": outputs, "tolerance": tolerance},
        },
    )
    partial = target.with_name(f".{target.name}.part")
    partial.write_text(json.dumps(statement, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, target)
    return target


def load_model(
    path: Path,
    *,
    load: Callable[[Path], Any],
    predict: Callable[[Any, list[Any]], Sequence[float]],
    policy: str = "strict",
) -> tuple[Any, Contract]:
    """Return the model at `path` and its contract, after every check; see POLICIES for `policy`.

    Raises ModelRefused with all reasons at once; `load` has then not been called, or the model's golden predictions
    are not what they were. What a laxer policy let pass is logged and stands in the contract's `overrides`.
    """
    contract, reasons, overrides = judge(path, policy)
    if contract is None or reasons:
        raise ModelRefused(path, reasons)
    for override in overrides:
        logger.warning("Policy %s accepts what strict refuses: %s", policy, override)
    try:
        model = load(files(path)[0])
        outputs = [float(number) for number in predict(model, contract.at("golden.inputs"))]
    except Exception as error:
        reason = f"{path.name} is the file that was published, but this code cannot use it ({error!r}): {REPAIR}."
        raise ModelRefused(path, [reason]) from error
    if reasons := list(golden_differs(contract, outputs)):
        raise ModelRefused(path, reasons)
    return model, replace(contract, overrides=tuple(overrides))


def check_contract(path: Path, policy: str = "strict") -> list[str]:
    """Return why the model at `path` must not be loaded, one sentence each; nothing is unpickled."""
    return judge(path, policy)[1]


def judge(path: Path, policy: str) -> tuple[Contract | None, list[str], list[str]]:
    """Return the contract, the reasons against the model, and what only a stricter policy would refuse."""
    if policy not in POLICIES:
        raise ValueError(f"unknown policy {policy!r}: choose one of {', '.join(POLICIES)}")
    model, copy, file = files(path)
    missing = [] if model.is_file() else [f"{path} is missing: train it (`make train`), or correct MODEL_PATH."]
    try:
        contract = read(file)
    except ContractError as error:
        return None, [*missing, str(error)], []
    found = {name: list(check(contract, model, copy)) for name, check in CHECKS.items()}
    reasons = [text for name, texts in found.items() if name in POLICIES[policy] for text in texts]
    overrides = [text for name, texts in found.items() if name not in POLICIES[policy] for text in texts]
    return contract, missing + reasons, overrides


def bytes_differ(contract: Contract, model: Path, _copy: Path) -> Iterator[str]:
    """Yield a sentence where the model's file is not the one of the contract."""
    if not model.is_file():
        return
    size, wanted = model.stat().st_size, contract.at("model.bytes")
    if size < wanted:
        yield f"{model.name} is truncated ({size} of {wanted} bytes): copy it again, or train again (`make train`)."
    elif (found := digest(model)) != contract.sha256:
        yield (
            f"{model.name} is another model than its contract's (sha256 {found[:12]}, not {contract.sha256[:12]}):"
            " put the files back that were published together, or train again (`make train`)."
        )


def lock_differs(contract: Contract, _model: Path, copy: Path) -> Iterator[str]:
    """Yield a sentence where the lock copy, from which the environment can be made again, is not the one."""
    if not copy.is_file() or digest(copy) != contract.at("lock.digest.sha256"):
        state = "has been altered" if copy.is_file() else "is missing"
        yield f"{copy.name} {state}, and it is what rebuilds the model's environment: restore it with its model."


def python_differs(contract: Contract, _model: Path, _copy: Path) -> Iterator[str]:
    """Yield a sentence where the interpreter's minor version is another."""
    trained = contract.at("environment.python")
    if trained.split(".")[:2] != python_minor().split("."):
        yield f"Python {python_minor()} runs here and {trained} trained the model: {REPAIR}."


def framework_differs(contract: Contract, _model: Path, _copy: Path) -> Iterator[str]:
    """Yield a sentence for each package that the model itself needs and that is another here."""
    yield from packages_differ(contract, set(contract.at("environment.modelPackages")))


def environment_differs(contract: Contract, _model: Path, _copy: Path) -> Iterator[str]:
    """Yield a sentence for each other package of the runtime that is another here."""
    others = contract.at("environment.packages").keys() | runtime_packages().keys()
    yield from packages_differ(contract, others - set(contract.at("environment.modelPackages")))


def packages_differ(contract: Contract, names_: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each of these packages whose version here is not that of the training."""
    trained, here = contract.at("environment.packages"), runtime_packages()
    for name in sorted(names_):
        if trained.get(name) != here.get(name):
            yield f"{name} is {here.get(name, 'absent')} here and was {trained.get(name, 'absent')} in training: {REPAIR}."


def golden_differs(contract: Contract, outputs: Sequence[float]) -> Iterator[str]:
    """Yield a sentence where the model does not answer as it did when it was published."""
    wanted, tolerance = contract.at("golden.outputs"), contract.at("golden.tolerance")
    if len(outputs) != len(wanted):
        yield f"The model gives {len(outputs)} golden predictions and gave {len(wanted)} in training: {REPAIR}."
        return
    pairs = list(zip(outputs, wanted, strict=True))
    wrong = [row for row, (a, b) in enumerate(pairs) if not math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)]
    if wrong:
        row = max(wrong, key=lambda number: abs(pairs[number][0] - pairs[number][1]))
        yield (
            f"{len(wrong)} of {len(wanted)} golden predictions differ, most of all row {row}: {pairs[row][0]!r} here and"
            f" {pairs[row][1]!r} in training (tolerance {tolerance:g}): {REPAIR}."
        )


REPAIR = "serve it from its own environment (`parity rebuild`), or train again (`make train`)"
CHECKS: dict[str, Callable[[Contract, Path, Path], Iterator[str]]] = {
    "bytes": bytes_differ,
    "lock": lock_differs,
    "python": python_differs,
    "framework": framework_differs,
    "environment": environment_differs,
}
# What each policy refuses for; the rest it tolerates and tells.
POLICIES = {"strict": frozenset(CHECKS), "model": frozenset({"bytes", "framework"}), "digest": frozenset({"bytes"})}


def python_minor() -> str:
    """Return X.Y of this interpreter."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def runtime_packages() -> dict[str, str]:
    """Return the runtime closure: canonical name to the version installed here, else (another platform's) locked."""
    found = {}
    for name, package in lock.load().runtime.items():
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = package.version
    return found


def lock_file() -> Path:
    """Return the native lock, or in an image the neutral one that was made from it."""
    root = lock.find_root()
    return root / lock.reader.LOCKS[0] if root else Path(sys.prefix) / "parity-lock.json"


def distributions_of(model: object) -> set[str]:
    """Return the distributions that a model's class and its bases come from, this project left out."""
    own = __name__.partition(".")[0]
    modules = {base.__module__.partition(".")[0] for base in type(model).__mro__} - {own}
    known = importlib.metadata.packages_distributions()
    return {name for module in modules for name in known.get(module, ())}


def closure(roots: Iterable[str]) -> set[str]:
    """Return the canonical names of installed distributions and all that they require here."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    seen: set[str] = set()
    todo = [canonicalize_name(name) for name in roots]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        with suppress(importlib.metadata.PackageNotFoundError):
            requirements = map(Requirement, importlib.metadata.requires(name) or ())
            seen.add(name)
            todo += [
                canonicalize_name(needed.name)
                for needed in requirements
                if needed.marker is None or needed.marker.evaluate({"extra": ""})
            ]
    return seen


def model_path() -> Path:
    """Return the model's path as the settings would, without importing them: `verify` asks in every shell."""
    root = lock.find_root() or Path()
    env_file = root / {"test": ".env.test", "prod": ".env.prod"}.get(os.environ.get("APP_ENV", ""), ".env")
    with suppress(OSError, UnicodeDecodeError):
        lines = re.findall(r"(?im)^\s*(?:export\s+)?MODEL_PATH\s*=[ \t]*(.*?)(?:\s+#.*)?$", env_file.read_text("utf-8"))
        return root / (os.environ.get("MODEL_PATH") or (lines or [""])[-1].strip("'\"") or DEFAULT_MODEL)
    return root / (os.environ.get("MODEL_PATH") or DEFAULT_MODEL)


def verify_link() -> tuple[bool, str, list[str]]:
    """Return (holds, one line, reasons) for the last link of the chain; a model that is not there yet is no fault."""
    path = model_path()
    if not any(file.exists() for file in files(path)):
        return True, f"no model yet ({path})", []
    contract, reasons, _ = judge(path, "strict")
    told = f"{path.name} {contract.sha256[:12]}, trained {contract.at('created')}" if contract else str(path)
    return not reasons, told, reasons


def run_contract(argv: Sequence[str]) -> int:
    """Print a model's contract for people, checked with --check; return 1 where it does not hold."""
    parser = argparse.ArgumentParser(prog="parity contract", description=run_contract.__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=model_path(), help="the model's file")
    parser.add_argument("--check", action="store_true", help="compare with this environment; nothing is unpickled")
    parser.add_argument("--policy", choices=POLICIES, default="strict")
    options = parser.parse_args(argv)
    try:
        contract = read(files(options.model)[2])
    except ContractError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(contract.statement["predicate"], indent=2))
    reasons = check_contract(options.model, options.policy) if options.check else []
    for reason in reasons:
        print(reason, file=sys.stderr)
    return 1 if reasons else 0
