"""Where a reader starts: one repository for each tool, made once, and the shell that the pages take for granted."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import rendering
import repositories
from index import Index
from repositories import Origin

# A person would write the message into an editor.
EDITOR = "sed -i 1iMessage"
GIT = {f"GIT_{who}_{what}": "test@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

Place = tuple[Path, dict[str, str]]  # a folder, and the variables of the reader's shell
Start = Callable[[str], Place]


@pytest.fixture(scope="session")
def parity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with a version v1.0.0; v1.1.0 comes once a repository was rendered from it."""
    folder = rendering.checkout(tmp_path_factory.mktemp("parity") / "parity")
    rendering.commit(folder, "First", tag="v1.0.0")
    return folder


@pytest.fixture(scope="session")
def shell(parity: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a reader's shell: Copier on PATH, a name for git, the template's address, an editor."""
    programs = tmp_path_factory.mktemp("bin")
    (programs / "copier").symlink_to(Path(sys.executable).with_name("copier"))
    kept = {"JUPYTER_DATA_DIR": str(programs / "jupyter")}  # else a page would leave a kernel in this machine's home
    path = f"{programs}:{os.environ['PATH']}"
    return {**GIT, **kept, "GIT_EDITOR": EDITOR, "GIT_PAGER": "cat", "PARITY": str(parity), "PATH": path}


@pytest.fixture(scope="session")
def origin(parity: Path, tmp_path_factory: pytest.TempPathFactory, patch: str, index: Index) -> Callable[[str], Origin]:
    """For each tool its repository, set up, trained and committed, one version behind the template."""
    made: dict[str, Origin] = {}

    def make(tool: str) -> Origin:
        if tool not in made:
            folder = tmp_path_factory.mktemp("docs") / "my-model"
            rendering.git(parity, "checkout", "--quiet", "v1.0.0")
            if made:  # Copier takes the newest tag, and each tool's repository is to be one version behind
                rendering.git(parity, "tag", "--delete", "v1.1.0")
            rendering.render(parity, folder, package_manager=tool, python_patch=patch)
            made[tool] = Origin(folder, repositories.module(tool), index.url)
            made[tool].make()
            release(parity)
        made[tool].restore()
        return made[tool]

    return make


def release(template: Path) -> None:
    """Give the template a next version, with one line more in a file of its own."""
    rendering.git(template, "checkout", "--quiet", "-B", "main", "v1.0.0")
    path = template / "template" / "Makefile.jinja"
    path.write_text(path.read_text(encoding="utf-8") + "# Version 1.1\n", encoding="utf-8")
    rendering.commit(template, "Next")
    rendering.git(template, "tag", "--force", "v1.1.0")


@pytest.fixture
def start(shell: dict[str, str], origin: Callable[[str], Origin], tmp_path: Path) -> dict[str, Start]:
    """By name, what brings a reader with a tool to where a page starts."""

    def trained(tool: str) -> Place:
        made = origin(tool)
        path = os.pathsep.join(filter(None, [shell["PATH"], made.variables.get("PATH")]))  # conda brings its own
        return made.folder, {**shell, **made.variables, "PATH": path}

    def uncommitted(tool: str) -> Place:
        folder, variables = trained(tool)
        rendering.git(folder, "update-ref", "-d", "HEAD")
        return folder, variables

    def empty(_: str) -> Place:
        return tmp_path, shell

    def template(_: str) -> Place:
        folder = rendering.checkout(tmp_path / "parity")
        rendering.commit(folder, "First")
        return folder, shell

    return {function.__name__: function for function in (trained, uncommitted, empty, template)}
