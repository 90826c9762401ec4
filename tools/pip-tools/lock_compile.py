"""pip-compile, with three things that it has no option for. Owned by the template; lock.py runs it.

The hash of a file is the one that its index tells: where an index has no JSON API, pip-compile would download all
wheels of a version to compute it, for every platform (PyTorch's: 4 GB). And the cooldown leaves out what the manifest
pins to a local version, such as 2.15.0+cpu: no package index takes one, and a page of files does not say when one was
uploaded. And 2.15.0+cpu in the old lock is no 2.15.0: pip-compile would keep its hashes.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

import lock_reader

ROOT = Path(__file__).absolute().parent.parent
# Neither has types.
FINDER: Any = import_module("pip._internal.index.package_finder").PackageFinder
INDEX: Any = import_module("piptools.repositories.pypi").PyPIRepository
EVALUATOR, FILE_HASH = FINDER.make_link_evaluator, INDEX._get_file_hash  # noqa: SLF001 - there is no other way
OLD_LOCK: Any = import_module("piptools.repositories.local")
ANSWERS = OLD_LOCK.ireq_satisfied_by_existing_pin
AGELESS = lock_reader.local(ROOT)


def evaluator(finder: Any, name: str) -> Any:  # noqa: ANN401 - pip's own
    """Return what judges the files of a package, without the cooldown for one at a local version."""
    made = EVALUATOR(finder, name)
    if canonicalize_name(name) in AGELESS:
        made._uploaded_prior_to = None  # noqa: SLF001 - there is no other way
    return made


def file_hash(index: Any, link: Any) -> str:  # noqa: ANN401 - pip's own
    """Return the hash of a file, as its address tells it, computed where it does not."""
    return f"sha256:{link.hash}" if link.hash_name == "sha256" else str(FILE_HASH(index, link))


def answers(wanted: Any, pin: Any) -> bool:  # noqa: ANN401 - pip's own
    """Tell whether a pin of the old lock is what is wanted; where that is one version, to the letter."""
    exact = {one.operator for one in wanted.specifier} == {"=="}
    return bool(ANSWERS(wanted, pin)) and (not exact or str(wanted.specifier) == str(pin.specifier))


if __name__ == "__main__":
    FINDER.make_link_evaluator, INDEX._get_file_hash = evaluator, file_hash  # noqa: SLF001 - there is no other way
    OLD_LOCK.ireq_satisfied_by_existing_pin = answers
    sys.exit(import_module("piptools.scripts.compile").cli(prog_name="pip-compile"))
