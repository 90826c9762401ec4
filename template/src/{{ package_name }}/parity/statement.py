"""The contract as a document: what is written about a model and its training, and how it is read back.

It is an in-toto Statement, the form that signing tools take: signed, it also holds against somebody who means
harm. https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import methodcaller
from pathlib import Path
from types import NoneType
from typing import Any

from . import environment, lock, needs

# A name, not an address: `.example` belongs to nobody, for good. https://www.rfc-editor.org/rfc/rfc2606
TYPES = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://parity.example/model-contract/v1"}
# What must stand in the predicate, and as what. More may stand there: a later version adds fields.
FIELDS: dict[tuple[type, ...], str] = {
    (str,): "created template model.class data.name data.digest.sha256 lock.name lock.digest.sha256"
    " environment.signature environment.python checksum",
    (dict,): "environment.packages platform seed parameters metrics",
    (list,): "environment.modelPackages golden.inputs golden.outputs",
    (int,): "model.bytes",
    (int, float): "golden.tolerance",
    (str, NoneType): "code.commit",
    (bool, NoneType): "code.dirty",
}
# They change results or their last bits, and no package list shows them.
VARIABLES = ["PYTHONHASHSEED", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG"]
POOL = ("internal_api", "version", "architecture", "num_threads")  # of a BLAS or OpenMP library
# What a git hook leaves in the environment would point git at another repository.
GIT_ENVIRONMENT = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
AGAIN = "restore it with its model, or train again (`make train`)"


class ContractError(RuntimeError):
    """The file is no contract; the message is one sentence, with the repair."""


@dataclass(frozen=True, slots=True)
class Contract:
    """A statement that was read; `overrides` are the differences that a laxer policy let pass."""

    statement: Mapping[str, Any]
    overrides: tuple[str, ...] = ()

    def at(self, field: str) -> Any:  # noqa: ANN401 - a leaf of a JSON document
        """Return the value of a field of the predicate: `at("environment.packages")`."""
        return find(self.statement, f"predicate.{field}")

    @property
    def metrics(self) -> dict[str, float]:
        """Return the metrics of the training, by name."""
        return dict(self.at("metrics"))

    @property
    def sha256(self) -> str:
        """Return the digest of the model's bytes, in hex: the model's name in every record."""
        return str(find(self.statement, "subject.0.digest.sha256"))


def find(document: Any, field: str) -> Any:  # noqa: ANN401 - a leaf of a JSON document
    """Return what stands at a dotted path; raises LookupError, TypeError or ValueError where nothing does."""
    for key in field.split("."):
        document = document[int(key) if isinstance(document, list) else key]
    return document


def names(path: Path) -> tuple[Path, Path, Path]:
    """Return the paths of model, lock copy and contract, for the model's path."""
    return path, path.with_name(f"{path.name}.lock"), path.with_name(f"{path.name}.contract.json")


def digest(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compose(file: Path, model: object, training: Mapping[str, Any], framework: Iterable[str] = ()) -> Contract:
    """Write lock copy and contract beside the saved model `file` and return the contract.

    `training` holds the fields that only the training knows: data, seed, parameters, metrics, golden.
    Raises ValueError for numbers that JSON cannot hold, LockError without a lock.
    """
    kind, (_, lock_copy, target) = type(model), names(file)
    predicate: dict[str, Any] = {
        "created": created(),
        "template": lock.pins()["template"],
        "code": code(lock.find_root()),
        "model": {"bytes": file.stat().st_size, "class": f"{kind.__module__}.{kind.__qualname__}"},
        "lock": {"name": copy_lock(lock_copy), "digest": {"sha256": digest(lock_copy)}},
        "environment": packages(framework or needs.distributions_of(kind)),
        "platform": machine(),
        **training,
    }
    subject = [{"name": file.name, "digest": {"sha256": digest(file)}}]
    document = plain({**TYPES, "subject": subject, "predicate": predicate})
    document["predicate"]["checksum"] = checksum(document)
    target.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return read(target)


def read(path: Path) -> Contract:
    """Return the contract in a file; raises ContractError where it is missing, damaged or edited."""
    try:
        statement = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ContractError(f"{path} is missing, so nobody knows what the model was trained in: {AGAIN}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ContractError(f"{path} is not readable JSON ({error}): {AGAIN}.") from None
    if not isinstance(statement, dict) or not statement.items() >= TYPES.items():
        raise ContractError(
            f"{path} is no contract that this code knows: update the template, or train again (`make train`)."
        )
    if wrong := malformed(statement):
        told = ", ".join(wrong)
        raise ContractError(f"{path} has been edited or damaged ({told} missing or of another type): {AGAIN}.")
    if statement["predicate"]["checksum"] != checksum(statement):
        raise ContractError(f"{path} has been edited: its checksum no longer fits; {AGAIN}.")
    return Contract(statement)


def malformed(statement: Mapping[str, Any]) -> list[str]:
    """Return the fields that are missing or of another type."""

    def holds(field: str, types: tuple[type, ...]) -> bool:
        with suppress(LookupError, TypeError, ValueError):
            return isinstance(find(statement, field), types)
        return False

    every: list[tuple[str, tuple[type, ...]]] = [("subject.0.digest.sha256", (str,))]
    every += [(f"predicate.{name}", types) for types, fields in FIELDS.items() for name in fields.split()]
    return [field.removeprefix("predicate.") for field, types in every if not holds(field, types)]


def checksum(statement: Mapping[str, Any]) -> str:
    """Return the sha256 of a statement without its checksum: it finds an edit by hand, not an attacker."""
    predicate = {key: value for key, value in statement["predicate"].items() if key != "checksum"}
    text = json.dumps({**statement, "predicate": predicate}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: object) -> Any:  # noqa: ANN401 - a JSON document
    """Return a value as it comes back from JSON, NumPy's numbers and arrays as plain ones; raises ValueError."""
    try:
        return json.loads(json.dumps(value, default=methodcaller("tolist"), allow_nan=False))
    except (ValueError, AttributeError) as error:
        told = "a contract holds text, finite numbers, lists and dicts only: look for nan in metrics and predictions"
        raise ValueError(told) from error


def created() -> str:
    """Return the time in UTC; SOURCE_DATE_EPOCH fixes it. https://reproducible-builds.org/docs/source-date-epoch/."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or datetime.now(UTC).timestamp())
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def copy_lock(path: Path) -> str:
    """Copy the lock to `path` and return its name; several files are joined as their digest has them."""
    root = lock.find_root()
    sources = [root / name for name in lock.pins()["tool"]["locks"]] if root else [lock.neutral_path()]
    path.write_bytes(b"\0".join(source.read_bytes() for source in sources))
    return ", ".join(source.name for source in sources)


def packages(roots: Iterable[str]) -> dict[str, Any]:
    """Return the runtime's packages, and as `modelPackages` those that `roots` require (all, where none does)."""
    versions = environment.runtime_versions()
    return {
        "signature": lock.signature(versions, environment.python_minor()),
        "python": platform.python_version(),
        "packages": dict(sorted(versions.items())),
        "modelPackages": sorted(needs.packages(roots) & versions.keys() or versions),
    }


def code(root: Path | None) -> dict[str, str | bool | None]:
    """Return the commit that `root` is at, and whether tracked files differ from it; None: unknown.

    Untracked files do not make it dirty: data, notes and a lock not yet committed lie about in every folder. Nor
    does what versions the data and is written on the way to a training: the contract names the data by itself.
    """
    # Not tracked: the folder lies in somebody else's repository, whose commit says nothing about it.
    if root is None or git(root, "ls-files", "--error-unmatch", lock.pins()["tool"]["manifests"][0]) is None:
        return {"commit": None, "dirty": None}
    commit = git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    written = lock.pins().get("data", {}).get("written", ())
    others = (":(top)", *(f":(exclude){name}" for name in written)) if written else ()
    changes = git(root, "status", "--porcelain", "--untracked-files=no", "--", *others)
    return {"commit": commit, "dirty": None if commit is None or changes is None else bool(changes)}


def git(root: Path, *arguments: str) -> str | None:
    """Return what git prints; None where it is missing or fails."""
    variables = {name: value for name, value in os.environ.items() if name not in GIT_ENVIRONMENT}
    command = ["git", "-C", str(root), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


def machine() -> dict[str, Any]:
    """Return what the results' last bits can depend on beside the packages: told, never compared."""
    # Asked only where the framework has loaded it: it lists libraries that are in memory already.
    pools = sys.modules.get("threadpoolctl")
    return {
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "variables": {name: os.environ.get(name) for name in VARIABLES},
        "pools": [{key: pool.get(key) for key in POOL} for pool in (pools.threadpool_info() if pools else ())],
    }
