"""Loads the programs of another tool than the one that the conftest has put on the import path."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

import links


def load(name: str, path: Path) -> ModuleType:
    """Return the module of a file, under a name that need not be the file's."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def of(tool: str, *more: str) -> Iterator[dict[str, ModuleType]]:
    """Give lock_reader, check_lock and `more` of a tool's programs by name, each importing the others."""
    files, names = links.programs(tool), ("lock_reader", "check_lock", *more)
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.delitem(sys.modules, name, raising=False)
        try:
            yield {name: load(name, files[f"{name}.py"]) for name in names}
        finally:  # and then those of the conftest come back
            for name in names:
                sys.modules.pop(name, None)
