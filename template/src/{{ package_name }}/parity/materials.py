"""What goes into a model, collected where it is trained and compared where it is served.

Lock, interpreter and packages are compared. Machine, threads and their libraries are only told: they move the
last bits of a result, and one lock is one environment on every machine.
"""

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import lock, reader
from .environment import python_minor
from .statement import Contract, digest

# They change results or their last bits, and no package list shows them.
VARIABLES = (
    "PYTHONHASHSEED",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG",
)
POOL = ("internal_api", "version", "architecture", "num_threads")
# What a git hook leaves in the environment would point git at another repository.
GIT_ENVIRONMENT = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
REPAIR = "serve the model from its own environment (`parity rebuild`), or train again (`make train`)"


@dataclass(frozen=True, slots=True)
class Here:
    """What a contract is compared with: the files, and the runtime's packages with their versions here."""

    model: Path
    lock_copy: Path
    packages: Mapping[str, str]


def bytes_differ(contract: Contract, here: Here) -> Iterator[str]:
    """Yield a sentence where the model's file is not the one of the contract."""
    name, size, wanted = here.model.name, here.model.stat().st_size, contract.at("model.bytes")
    if size < wanted:
        yield f"{name} is truncated ({size} of {wanted} bytes): copy it again, or train again (`make train`)."
    elif (found := digest(here.model)) != contract.sha256:
        yield (
            f"{name} is another file than its contract's (sha256 {found[:12]}, not {contract.sha256[:12]}):"
            " put the files back that were published together, or train again (`make train`)."
        )


def lock_differs(contract: Contract, here: Here) -> Iterator[str]:
    """Yield a sentence where the lock copy, from which the environment is made again, is not the one."""
    copy = here.lock_copy
    if not copy.is_file():
        yield f"{copy.name} is missing, and the model's environment is rebuilt from it: restore it."
    elif digest(copy) != contract.at("lock.digest.sha256"):
        yield f"{copy.name} was altered, and the model's environment is rebuilt from it: restore it."


def python_differs(contract: Contract, _here: Here) -> Iterator[str]:
    """Yield a sentence where the interpreter's minor version is another."""
    trained = contract.at("environment.python")
    if trained.split(".")[:2] != python_minor().split("."):
        yield f"Python is {python_minor()} here and was {trained} in training: {REPAIR}."


def framework_differs(contract: Contract, here: Here) -> Iterator[str]:
    """Yield a sentence for each package that the model itself needs and that is another here."""
    yield from packages_differ(contract, here, set(contract.at("environment.modelPackages")))


def environment_differs(contract: Contract, here: Here) -> Iterator[str]:
    """Yield a sentence for each other package of the runtime that is another here."""
    names = contract.at("environment.packages").keys() | here.packages.keys()
    yield from packages_differ(contract, here, names - set(contract.at("environment.modelPackages")))


def packages_differ(contract: Contract, here: Here, names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each of these packages whose version here is not that of the training."""
    trained = contract.at("environment.packages")
    for name in sorted(names):
        then, now = trained.get(name, "absent"), here.packages.get(name, "absent")
        if then != now:
            yield f"{name} is {now} here and was {then} in training: {REPAIR}."


CHECKS: dict[str, Callable[[Contract, Here], Iterator[str]]] = {
    "bytes": bytes_differ,
    "lock": lock_differs,
    "python": python_differs,
    "framework": framework_differs,
    "environment": environment_differs,
}
# The checks that refuse a model; what the others find is let pass, and told.
POLICIES = {
    "strict": frozenset(CHECKS),
    "model": frozenset({"bytes", "framework"}),
    "digest": frozenset({"bytes"}),
}


def copy_lock(path: Path) -> str:
    """Copy the lock to `path` and return its name; several files are joined as their digest has them."""
    root = lock.find_root()
    sources = [root / name for name in reader.LOCKS] if root else [lock.neutral_path()]
    path.write_bytes(b"\0".join(source.read_bytes() for source in sources))
    return ", ".join(source.name for source in sources)


def distributions_of(model: object) -> set[str]:
    """Return the distributions that a model's class and its bases come from, this project left out."""
    own = __name__.partition(".")[0]
    modules = {base.__module__.partition(".")[0] for base in type(model).__mro__} - {own}
    known = importlib.metadata.packages_distributions()
    return {name for module in modules for name in known.get(module, ())}


def closure(roots: Iterable[str]) -> set[str]:
    """Return the canonical names of installed distributions and of all that they require here."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - only training asks

    present = {lock.canonical(found.name): found for found in importlib.metadata.distributions() if found.name}
    seen: set[str] = set()
    todo = list(roots)
    while todo:
        name = lock.canonical(todo.pop())
        if name in present and name not in seen:
            seen.add(name)
            needed = [Requirement(text) for text in present[name].requires or ()]
            todo += [each.name for each in needed if not each.marker or each.marker.evaluate({"extra": ""})]
    return seen


def code(root: Path | None, manifest: str) -> dict[str, str | bool | None]:
    """Return the commit that `root` is at, and whether tracked files differ from it; None: unknown.

    Untracked files do not make it dirty: data, notes and a lock not yet committed lie about in every folder.
    """
    # Not tracked: the folder lies in somebody else's repository, whose commit says nothing about it.
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
