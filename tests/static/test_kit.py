"""Level static: the kit stays small, and imports only what every older version's manifest already holds.

An update replaces the kit and never the manifest: an import of something new would break every repository that was
rendered before.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import links

pytestmark = pytest.mark.static

KIT = links.PACKAGE / "parity"
MODULES = sorted(KIT.glob("*.py"))
LONGEST = 250

# Frozen: adding a name here needs a major version and a word in the changelog on what to add to the manifest.
IMPORTED = {"fastapi", "numpy", "packaging", "pydantic", "pydantic_settings", "uvicorn"}


def imports(module: Path) -> Iterator[str]:
    """Yield the top-level name of everything absolute that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_is_short(module: Path) -> None:
    lines = len(module.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{module.name} has {lines} lines"


def test_the_kit_imports_what_it_always_did() -> None:
    foreign = {name for module in MODULES for name in imports(module)} - sys.stdlib_module_names
    assert foreign == IMPORTED


def test_what_the_kit_imports_stands_in_the_manifest() -> None:
    common = yaml.safe_load((links.ROOT / "frameworks" / "common.yml").read_text(encoding="utf-8"))
    runtime = {canonicalize_name(Requirement(line).name) for line in common["runtime"]}
    assert {canonicalize_name(name) for name in IMPORTED} <= runtime
