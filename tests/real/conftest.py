"""Each tool's repository, made once; a test that has broken it finds it whole again."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import rendering
from index import Index
from repositories import Origin, variables


@pytest.fixture(scope="session")
def made(
    tool: ModuleType, template: Path, tmp_path_factory: pytest.TempPathFactory, patch: str, index: Index
) -> Origin:
    """The tool's repository, made once."""
    folder = tmp_path_factory.mktemp("real") / "demo"
    rendering.render(template, folder, package_manager=tool.NAME, python_patch=patch)
    origin = Origin(folder, tool, index.url)
    origin.make()
    return origin


@pytest.fixture
def repository(made: Origin) -> Iterator[Path]:
    """The set-up repository: files, environment, tool and model, ready to be broken."""
    made.restore()
    with variables(made.variables):
        yield made.folder
