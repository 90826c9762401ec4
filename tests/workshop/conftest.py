"""For each tool a repository with the workshop, set up and trained once: its exercises leave it clean."""

import os
import re
import sys
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


@pytest.fixture(scope="session")
def with_this_python(tmp_path_factory: pytest.TempPathFactory, patch: str) -> Path:
    """The template as a tagged repository that pins this machine's Python: a switch renders from it once more."""
    folder = rendering.checkout(tmp_path_factory.mktemp("patched") / "parity")
    pins = folder / "pins.yml"
    text, found = re.subn(r"(?<=patch: )3\.13\..*", patch, pins.read_text(encoding="utf-8"))
    assert found == 1
    pins.write_text(text, encoding="utf-8")
    rendering.commit(folder, "First", tag="v1.0.0")
    return folder


@pytest.fixture(scope="session")
def copier_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH that has Copier and nothing else of what the tests are made with."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "copier").symlink_to(Path(sys.executable).with_name("copier"))
    return folder


@pytest.fixture(scope="session", params=TOOLS)
def made(
    request: pytest.FixtureRequest,
    with_this_python: Path,
    copier_alone: Path,
    tmp_path_factory: pytest.TempPathFactory,
    index: Index,
) -> Origin:
    """The tool's repository, set up and trained as the workshop's README says."""
    folder = tmp_path_factory.mktemp("workshop") / "demo"
    rendering.render(with_this_python, folder, package_manager=request.param, workshop=True)
    # To prepare it, a tool looks for git's own folder.
    rendering.git(folder, "init", "--quiet")
    origin = Origin(folder, repositories.module(request.param), index.url)
    # pip is asked by all of them, for a list on a day; Copier for another tool.
    origin.variables |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index.url,
        "PATH": f"{copier_alone}:{os.environ['PATH']}",
    }
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
