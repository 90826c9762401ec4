"""What all levels share: the template's working tree as a plain folder and as a tagged clone."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import commands
import rendering
import repositories
import scheduling
from index import Index


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> scheduling.ByGroup:  # noqa: ANN401 - xdist's own
    """Let tests that share a repository run in one worker."""
    return scheduling.ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what `make test-all` alone runs out of any other run."""
    if os.environ.get("PARITY_ALL"):
        return
    left = [item for item in items if item.get_closest_marker("thorough")]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's working tree as a plain folder, without git."""
    return rendering.checkout(tmp_path_factory.mktemp("plain") / "parity")


@pytest.fixture(scope="session")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's working tree as a repository whose only tag is v1.0.0."""
    folder = rendering.checkout(tmp_path_factory.mktemp("tagged") / "parity")
    rendering.commit(folder, "First", tag="v1.0.0")
    return folder


@pytest.fixture(scope="session")
def patch() -> str:
    """The patch version of the Python 3.13 on this machine, which stands in for the image's in strict checks."""
    script = rendering.ROOT / "template" / ".tools" / "bootstrap.sh"
    python = commands.succeed(rendering.ROOT, "sh", script, "find", "3.13").strip()
    return commands.succeed(rendering.ROOT, python, "-c", "import platform; print(platform.python_version())").strip()


@pytest.fixture(scope="session", params=repositories.NAMES)
def tool(request: pytest.FixtureRequest) -> ModuleType:
    """One tool after the other: how its files are edited by hand."""
    return repositories.module(request.param)


@pytest.fixture(scope="session")
def index() -> Iterator[Index]:
    """The default index of this machine, with upload times."""
    with Index(upstream=True, cache=rendering.ROOT / "build" / "index") as server:
        yield server
