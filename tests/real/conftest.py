"""A rendered repository that has been set up once, and copies of it that a test may break."""

import shutil
from pathlib import Path

import pytest

import commands
import rendering


@pytest.fixture(scope="session")
def origin(template: Path, tmp_path_factory: pytest.TempPathFactory, patch: str) -> Path:
    """A repository after `make setup` and `make train`, committed. Not to be changed."""
    folder = rendering.render(template, tmp_path_factory.mktemp("real") / "origin", python_patch=patch)
    commands.succeed(folder, "git", "init", "--quiet")
    commands.succeed(folder, "make", "setup")
    rendering.commit(folder, "Start")
    commands.succeed(folder, "make", "train")
    return folder


@pytest.fixture
def repository(origin: Path, tmp_path: Path) -> Path:
    """A copy of the set-up repository: files, environment, tool and model, ready to be broken."""
    folder = tmp_path / "demo"
    # An environment knows its own path (scripts, the editable install): made anew from the warm cache.
    shutil.copytree(origin, folder, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
    commands.succeed(folder, "make", "sync")
    return folder
