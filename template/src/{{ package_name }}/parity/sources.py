"""The files that a model learned from: the contract names them by digest, and they are compared where they lie.

The digests are those that DVC writes into dvc.lock, so that a contract leads to the version of the data. They find a
change and no attacker, as md5 does; the sha256 of all that was learned from stands beside them.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import lock
from .statement import Contract


@dataclass(frozen=True, slots=True)
class DataRecord:
    """What a model learned from: a name for people, the sha256 of the data in hex, and the `digests` of its files."""

    name: str
    sha256: str
    files: Mapping[str, str] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """Return it as the contract has it, with each file as an in-toto resource."""
        # https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
        files = [{"name": name, "digest": {"md5": value}} for name, value in self.files.items()]
        return {"name": self.name, "digest": {"sha256": self.sha256}} | ({"files": files} if files else {})


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """Return the md5 of each file or folder, by its name from the repository's root; OSError where one is missing."""
    root = lock.find_root() or Path()
    return {path.as_posix(): md5(root / path) for path in paths}


def md5(path: Path) -> str:
    """Return the md5 of a file's bytes, or of the list of all files in a folder with `.dir` behind it, as DVC has it.

    https://dvc.org/doc/user-guide/project-structure/internal-files#directories
    """
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    listed = [{"md5": md5(files[name]), "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def differ(contract: Contract) -> Iterator[str]:
    """Yield a sentence for each file that lies in the repository and is not what the model learned from."""
    root = lock.find_root()
    for file in contract.at("data").get("files", ()) if root else ():
        name, then = file["name"], file["digest"]["md5"]
        if (root / name).exists() and md5(root / name) != then:
            yield (
                f"{name} is not what the model learned from (its md5 was {then}): train again (`make train`), or"
                " restore the data of then."
            )
