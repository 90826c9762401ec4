"""For each tool a repository with the workshop, set up and trained once: its exercises leave it clean."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import rendering
import repositories
from index import Index
from repositories import Origin, variables
from workshop import pages

# In `make test` the default tool; the others do the same exercises, for minutes.
TOOLS = [
    name if name == repositories.DEFAULT else pytest.param(name, marks=pytest.mark.thorough)
    for name in repositories.NAMES
]


@pytest.fixture(scope="session", params=TOOLS)
def made(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory, patch: str, index: Index
) -> Origin:
    """The tool's repository, set up and trained as the workshop's README says."""
    folder = tmp_path_factory.mktemp("workshop") / "demo"
    rendering.render(template, folder, package_manager=request.param, python_patch=patch, workshop=True)
    origin = Origin(folder, repositories.module(request.param), index.url)
    with pytest.MonkeyPatch.context() as shell:
        # As in a learner's shell: compiled once, and not at each of a hundred starts.
        shell.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
            shell.setenv(name, "test@example.com")
        origin.prepare()
        readme = (folder / "workshop/README.md").read_text(encoding="utf-8")
        _, setting_up = pages.blocks(pages.parts(readme)["Before you start"])
        with variables(origin.variables):
            setting_up.type(folder)
    rendering.git(folder, "tag", "start")
    return origin


@pytest.fixture
def repository(made: Origin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The repository as a learner has it before an exercise, and the variables that its tool needs here."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    with variables(made.variables):
        yield made.folder
        if (note := made.folder / "workshop/.state/exercise.json").exists():  # a test has failed half way
            number = note.read_text(encoding="utf-8").split(",")[0].split()[-1]
            os.system(f"make -C '{made.folder}' --silent reset-{number}")  # noqa: S605 - a path of pytest's own
