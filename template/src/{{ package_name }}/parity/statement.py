"""The contract as a document: what is written about a model and its training, and how it is read back.

It is an in-toto Statement, the form that signing tools take: signed, it also holds against somebody who means
harm. https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import Any

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
# A name, not an address: `.example` belongs to nobody, for good. https://www.rfc-editor.org/rfc/rfc2606
PREDICATE_TYPE = "https://parity.example/model-contract/v1"

# What must stand in the predicate, and as what. More may stand there: a later version adds fields.
FIELDS: dict[str, tuple[type, ...]] = {
    "created": (str,),
    "template": (str,),
    "code.commit": (str, NoneType),
    "code.dirty": (bool, NoneType),
    "model.bytes": (int,),
    "model.class": (str,),
    "data.name": (str,),
    "data.digest.sha256": (str,),
    "lock.name": (str,),
    "lock.digest.sha256": (str,),
    "environment.signature": (str,),
    "environment.python": (str,),
    "environment.packages": (dict,),
    "environment.modelPackages": (list,),
    "platform": (dict,),
    "seed": (dict,),
    "parameters": (dict,),
    "metrics": (dict,),
    "golden.inputs": (list,),
    "golden.outputs": (list,),
    "golden.tolerance": (float, int),
    "checksum": (str,),
}


class ContractError(RuntimeError):
    """The file is no contract; the message is one sentence, with the repair."""


@dataclass(frozen=True, slots=True)
class DataRecord:
    """What a model learned from: a name or description for people, and the sha256 of the data, in hex."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A statement that was read; `overrides` are the differences that a laxer policy let pass."""

    statement: Mapping[str, Any]
    overrides: tuple[str, ...] = ()

    def at(self, field: str) -> Any:  # noqa: ANN401 - a leaf of a JSON document
        """Return the value of a field of the predicate: `at("environment.packages")`."""
        return find(self.statement["predicate"], field)

    @property
    def metrics(self) -> dict[str, float]:
        """Return the metrics of the training, by name."""
        return dict(self.at("metrics"))

    @property
    def sha256(self) -> str:
        """Return the digest of the model's bytes, in hex: the model's name in every record."""
        return str(self.statement["subject"][0]["digest"]["sha256"])


def find(document: Any, field: str) -> Any:  # noqa: ANN401 - a leaf of a JSON document
    """Return what stands at a dotted path; raises KeyError where nothing does."""
    for key in field.split("."):
        if not isinstance(document, Mapping):
            raise KeyError(field)
        document = document[key]
    return document


def digest(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def names(path: Path) -> tuple[Path, Path, Path]:
    """Return the paths of model, lock copy and contract, for the model's path."""
    return path, path.with_name(f"{path.name}.lock"), path.with_name(f"{path.name}.contract.json")


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
    model, copy, contract = (moved if (moved := ready(path) / file.name).exists() else file for file in names(path))
    return model, copy, contract


def plain(value: object) -> object:
    """Return what JSON can hold for a NumPy number or array, a path, or a dataclass."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return value.as_posix()
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a contract cannot hold {value!r}: hand over numbers, text, lists and dicts")


def checksum(statement: Mapping[str, Any]) -> str:
    """Return the sha256 of a statement without its checksum: it finds an edit by hand, not an attacker."""
    predicate = {key: value for key, value in statement["predicate"].items() if key != "checksum"}
    text = json.dumps({**statement, "predicate": predicate}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def compose(model: Path, predicate: Mapping[str, object]) -> dict[str, Any]:
    """Return the statement about the file `model`; raises ValueError for what JSON cannot hold."""
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": model.name, "digest": {"sha256": digest(model)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"created": created(), **predicate},
    }
    try:
        document: dict[str, Any] = json.loads(json.dumps(statement, default=plain, allow_nan=False))
    except ValueError as error:
        raise ValueError(
            "a contract holds finite numbers only: look for nan in metrics, golden inputs and predictions"
        ) from error
    document["predicate"]["checksum"] = checksum(document)
    return document


def write(statement: Mapping[str, Any], path: Path) -> None:
    """Write a statement for people and machines, complete or not at all."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(json.dumps(statement, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def read(path: Path) -> Contract:
    """Return the contract in a file; raises ContractError where it is missing, damaged or edited."""
    again = "restore it with its model, or train again (`make train`)"
    try:
        statement = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ContractError(f"{path} is missing, so nobody knows what the model was trained in: {again}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ContractError(f"{path} is not readable JSON ({error}): {again}.") from None
    kinds = tuple(statement.get(key) for key in ("_type", "predicateType")) if isinstance(statement, dict) else ()
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
        told = " and ".join(repr(kind) for kind in kinds) or "no statement"
        raise ContractError(
            f"{path} is no contract that this code knows ({told}): update the template, or train again."
        )
    if wrong := malformed(statement):
        raise ContractError(
            f"{path} has been edited or damaged ({', '.join(wrong)} missing or of another type): {again}."
        )
    if statement["predicate"]["checksum"] != checksum(statement):
        raise ContractError(f"{path} has been edited: its checksum no longer fits; {again}.")
    return Contract(statement)


def malformed(statement: Mapping[str, Any]) -> list[str]:
    """Return the fields that are missing or of another type."""

    def holds(document: object, field: str, types: tuple[type, ...]) -> bool:
        try:
            return isinstance(find(document, field), types)
        except KeyError:
            return False

    subject = statement.get("subject")
    first = subject[0] if isinstance(subject, list) and subject else None
    wrong = [] if holds(first, "digest.sha256", (str,)) else ["subject"]
    return wrong + [name for name, types in FIELDS.items() if not holds(statement.get("predicate"), name, types)]


def created() -> str:
    """Return the time in UTC; SOURCE_DATE_EPOCH fixes it.

    https://reproducible-builds.org/docs/source-date-epoch/
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    time = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
