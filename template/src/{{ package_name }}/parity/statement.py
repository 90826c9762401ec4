"""The contract as a document: what is written about a model and its training, and how it is read back.

It is an in-toto Statement, the form that signing tools take as it is: sign the file, and it also holds against
somebody who means harm. https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
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
    "golden.tolerance": (float,),
    "checksum": (str,),
}

# They change results or their last bits, and no package list shows them. Told, never compared: two machines
# with one lock are one environment.
VARIABLES = ("PYTHONHASHSEED", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG")
# What a git hook or a rebase leaves in the environment would point git at another repository.
GIT_ENVIRONMENT = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}


class ContractError(RuntimeError):
    """The file is no contract; the message is one sentence, with the repair."""


@dataclass(frozen=True, slots=True)
class DataRecord:
    """What a model learned from: a name or description for people, and the sha256 of the data, in hex."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A statement that was read; `overrides` are the differences that a laxer policy than `strict` let pass."""

    statement: Mapping[str, Any]
    overrides: tuple[str, ...] = ()

    def at(self, field: str) -> Any:  # noqa: ANN401 - a leaf of a JSON document
        """Return the value of a field of the predicate: `at("environment.packages")`."""
        return find(self.statement["predicate"], field)

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
    """Return the sha256 of a statement without its own checksum: it finds an edit by hand, not an attacker."""
    predicate = {key: value for key, value in statement["predicate"].items() if key != "checksum"}
    text = json.dumps({**statement, "predicate": predicate}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def compose(model: Path, predicate: Mapping[str, object]) -> dict[str, Any]:
    """Return the statement about the file `model`; raises ValueError where a number is not finite."""
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": model.name, "digest": {"sha256": digest(model)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"created": created(), **predicate, "platform": machine()},
    }
    statement = json.loads(json.dumps(statement, default=plain, allow_nan=False))
    statement["predicate"]["checksum"] = checksum(statement)
    return statement


def read(path: Path) -> Contract:
    """Return the contract in a file; raises ContractError where it is missing, damaged or edited."""
    again = "restore it with its model, or train again (`make train`)"
    try:
        statement = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ContractError(f"{path} is missing, so nobody knows what the model was trained in: {again}.") from None
    except (OSError, ValueError) as error:
        raise ContractError(f"{path} is not readable JSON ({error}): {again}.") from None
    kinds = tuple(statement.get(key) for key in ("_type", "predicateType")) if isinstance(statement, dict) else ()
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
        told = " and ".join(repr(kind) for kind in kinds) or "no statement"
        raise ContractError(f"{path} is no contract that this code knows ({told}): update the template, or train again.")
    if wrong := malformed(statement):
        raise ContractError(f"{path} has been edited or damaged ({', '.join(wrong)} missing or of another type): {again}.")
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
    """Return the time in UTC; SOURCE_DATE_EPOCH fixes it. https://reproducible-builds.org/docs/source-date-epoch/"""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    time = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def code(root: Path | None, manifest: str) -> dict[str, str | bool | None]:
    """Return the commit of the repository at `root` and whether tracked files differ from it; None: unknown.

    Untracked files do not make it dirty: data, notes and a lock not yet committed lie about in every folder.
    """
    # A manifest that git does not track: the folder lies in somebody else's repository, whose commit says nothing.
    if root is None or git(root, "ls-files", "--error-unmatch", manifest) is None:
        return {"commit": None, "dirty": None}
    commit = git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    changes = git(root, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if commit is None or changes is None else bool(changes)}


def git(root: Path, *arguments: str) -> str | None:
    """Return what git prints; None where it is missing or fails."""
    environment = {key: value for key, value in os.environ.items() if key not in GIT_ENVIRONMENT}
    try:
        result = subprocess.run(  # noqa: S603 - constant arguments
            ["git", "-C", str(root), *arguments],  # noqa: S607 - found on PATH, as the user's own git is
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
    except OSError:
        return None
    return None if result.returncode else result.stdout.strip()


def machine() -> dict[str, Any]:
    """Return what the results' last bits can depend on beside the packages: told, never compared."""
    # Asked only where the framework has loaded it: it lists libraries that are in memory already.
    pools = sys.modules.get("threadpoolctl")
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "implementation": platform.python_implementation(),
        "cpus": os.cpu_count(),
        "variables": {name: os.environ.get(name) for name in VARIABLES},
        "pools": [
            {key: pool.get(key) for key in ("internal_api", "version", "architecture", "num_threads")}
            for pool in (pools.threadpool_info() if pools else ())
        ],
    }
