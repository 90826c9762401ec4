"""Level real: five tools, one index, one day: the same versions, so a model may move from one tool to another."""

import shutil
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import commands
import rendering
from index import Index
from real import serving
from repositories import NAMES, module, variables

pytestmark = pytest.mark.real

# conda's channel is a stand-in, made of wheels that the test chose (tests/channel): its versions prove nothing.
COMPARED = tuple(name for name in NAMES if name != "conda")
# (tool, package) -> why this tool may choose another version than uv. None needs to on Linux, from one index.
EXCUSED: dict[tuple[str, str], str] = {}


@pytest.fixture(scope="module")
def repositories(template: Path, tmp_path_factory: pytest.TempPathFactory, patch: str, index: Index) -> dict[str, Path]:
    """A locked repository of each tool, all from one index that no tool puts a cooldown on."""
    found = {}
    for name in COMPARED:
        folder = tmp_path_factory.mktemp(name) / "demo"
        rendering.render(
            template, folder, package_manager=name, python_patch=patch, package_index=index.url, cooldown_days=0
        )
        with environment(name):
            commands.succeed(folder, "make", "lock")
        rendering.commit(folder, "Lock")
        found[name] = folder
    return found


def environment(name: str) -> AbstractContextManager[None]:
    """Set what commands of this tool need in a test."""
    return variables(module(name).ENVIRONMENT)


def versions(name: str, folder: Path) -> dict[str, str]:
    found: dict[str, str] = module(name).versions(folder)
    return found


def test_the_runtime_packages_are_the_same(repositories: dict[str, Path]) -> None:
    locked = {name: versions(name, folder) for name, folder in repositories.items()}
    assert len(locked["uv"]) > 20
    differences = {
        (name, package)
        for name, packages in locked.items()
        for package in packages.keys() | locked["uv"].keys()
        if packages.get(package) != locked["uv"].get(package)
    }
    assert differences == EXCUSED.keys(), locked


def test_a_model_moves_where_the_closures_agree_and_is_refused_by_name_where_not(
    repositories: dict[str, Path],
) -> None:
    trained, served = repositories["uv"], repositories["pip-tools"]
    with environment("uv"):
        commands.succeed(trained, "make", "sync", "train")
    with environment("pip-tools"):
        commands.succeed(served, "make", "sync", ".env")
        shutil.copytree(trained / "models", served / "models", dirs_exist_ok=True)
        commands.succeed(served, "make", "verify")
        with serving.served(served) as (port, _):
            answer = serving.ask(port, "POST", "/predict", serving.example(served), key=serving.KEY)
        assert answer.status == 200, answer

        commands.succeed(served, "make", "upgrade", "PKG=threadpoolctl==3.5.0")
        printed = commands.refuse(served, *serving.COMMAND)
    assert "threadpoolctl is 3.5.0 here" in printed


@pytest.mark.thorough
def test_a_model_is_refused_where_conda_brings_more_than_the_wheels_did(
    repositories: dict[str, Path], template: Path, tmp_path: Path, patch: str, index: Index
) -> None:
    """Conda's closure holds the interpreter and its libraries, which no lock of the others names."""
    trained, tool = repositories["uv"], module("conda")
    with environment("uv"):
        commands.succeed(trained, "make", "sync", "train")
    folder = rendering.render(template, tmp_path / "demo", package_manager="conda", python_patch=patch)
    rendering.commit(folder, "Start")
    with variables({**tool.ENVIRONMENT, **tool.prepare(folder, index.url)}):
        commands.succeed(folder, "make", "lock", "sync", ".env")
        shutil.copytree(trained / "models", folder / "models", dirs_exist_ok=True)
        printed = commands.refuse(folder, *serving.COMMAND)
    assert "python is 3.13" in printed
