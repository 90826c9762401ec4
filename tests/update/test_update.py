"""Level update: an old version and a user's work, then `copier update`."""

from pathlib import Path
from types import ModuleType

import copier
import pytest
import yaml

import commands
import rendering
import repositories
from index import Index
from repositories import variables

pytestmark = pytest.mark.update
DEFAULT_ONLY = pytest.mark.parametrize("tool", [repositories.DEFAULT], indirect=True)

# What a user does between two versions, file by file.
EDITS = {
    "README.md": "\nOurs.\n",
    "src/my_model/settings.py": "\nOURS = 1\n",
    "src/my_model/training.py": "\nOURS = 2\n",
    "src/my_model/api.py": "\nOURS = 3\n",
    "tests/test_api.py": "\n# ours\n",
    ".gitignore": "\n/scratch/\n",
    ".env.test": "\n# ours\n",
}
ADDED = {"Makefile.local": "hello: ## Ours\n\t@echo hello\n", ".github/workflows/ours.yml": "name: Ours\n"}
DELETED = "src/my_model/records.py"


def release(template: Path) -> None:
    """Change the template as a next version would: kit, Makefile, a project-owned file, a new file; tag v2.0.0."""
    package = template / "template" / "src" / "{{ package_name }}"
    for path in (
        package / "parity" / "seeding.py",
        package / "parity" / "lock.py",
        template / "template" / "Makefile.jinja",
        template / "template" / "Dockerfile.jinja",
        template / "template" / ".gitignore",
    ):
        path.write_text(path.read_text(encoding="utf-8") + "\n# Version 2\n", encoding="utf-8")
    (package / "parity" / "added.py").write_text('"""New in version 2."""\n', encoding="utf-8")
    rendering.commit(template, "Second", tag="v2.0.0")


def work(folder: Path) -> None:
    """Do a user's work in a rendered repository: edit, add, delete, and commit."""
    for name, text in EDITS.items():
        path = folder / name
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    for name, text in ADDED.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / DELETED).unlink()
    (folder / ".env").write_text("API_KEY=secret\n", encoding="utf-8")
    rendering.commit(folder, "Our work")


def update(folder: Path) -> None:
    """Update `folder` to the newest tag, without trust."""
    copier.run_update(folder, defaults=True, overwrite=True, quiet=True, unsafe=False)


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """A repository of the template of its own, with one tag: v1.0.0."""
    folder = rendering.checkout(tmp_path / "parity")
    rendering.commit(folder, "First", tag="v1.0.0")
    return folder


@pytest.fixture
def repository(versions: Path, tmp_path: Path, tool: ModuleType) -> Path:
    """A repository rendered from v1.0.0, committed."""
    folder = rendering.render(versions, tmp_path / "demo", package_manager=tool.NAME)
    rendering.commit(folder, "Start")
    return folder


def test_project_owned_files_are_untouched_and_the_rest_is_a_fresh_render(
    versions: Path, repository: Path, tmp_path: Path, tool: ModuleType
) -> None:
    work(repository)
    before = {path: (repository / path).read_bytes() for path in rendering.files(repository)}
    release(versions)
    update(repository)
    fresh = rendering.render(versions, tmp_path / "fresh", package_manager=tool.NAME)

    assert rendering.git(repository, "status", "--porcelain", "--untracked-files=all").count("UU ") == 0
    owned = set(EDITS) | set(ADDED) | {".env"}
    after = {path: (repository / path).read_bytes() for path in rendering.files(repository)}
    for path in map(Path, owned):
        assert after[path] == before[path], path
    assert Path(DELETED) not in after
    assert Path("src/my_model/parity/added.py") in after
    for path in set(rendering.files(fresh)) - {Path(DELETED)}:
        if path.as_posix() not in owned and path != Path(".copier-answers.yml"):
            assert after[path] == (fresh / path).read_bytes(), path
    assert yaml.safe_load((repository / ".copier-answers.yml").read_text())["_commit"] == "v2.0.0"


@DEFAULT_ONLY
def test_an_update_across_no_change_changes_nothing(versions: Path, repository: Path) -> None:
    rendering.commit(versions, "Nothing", tag="v1.0.1")
    update(repository)
    changed = set(rendering.git(repository, "status", "--porcelain").split()) - {"M"}
    assert changed == {".copier-answers.yml", "src/my_model/parity/pins.toml"}


@DEFAULT_ONLY
def test_an_edit_to_a_template_owned_file_is_merged_or_shown(versions: Path, repository: Path) -> None:
    makefile = repository / "Makefile"
    makefile.write_text("# ours, at the top\n" + makefile.read_text(encoding="utf-8"), encoding="utf-8")
    kit = repository / "src/my_model/parity/seeding.py"
    kit.write_text(kit.read_text(encoding="utf-8") + "\n# ours, where version 2 writes\n", encoding="utf-8")
    rendering.commit(repository, "Edits that the documentation advises against")
    release(versions)
    update(repository)
    assert makefile.read_text(encoding="utf-8").startswith("# ours, at the top\n")
    assert makefile.read_text(encoding="utf-8").endswith("# Version 2\n")
    assert "<<<<<<<" in kit.read_text(encoding="utf-8")
    assert commands.run(repository, "git", "diff", "--check").status != 0


def test_the_lock_is_still_valid(versions: Path, repository: Path, tool: ModuleType, index: Index) -> None:
    with variables({**tool.ENVIRONMENT, **tool.prepare(repository, index.url)}):
        commands.succeed(repository, "make", "lock")
        rendering.commit(repository, "Lock")
        lock = (repository / tool.LOCKED).read_bytes()
        release(versions)
        update(repository)
        assert (repository / tool.LOCKED).read_bytes() == lock
        commands.succeed(repository, "make", "check-lock")
