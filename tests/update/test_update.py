"""Level update: an old version and a user's work, then `copier update`."""

from pathlib import Path
from types import ModuleType

import copier
import pytest

import commands
import links
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
    ".pre-commit-config.yaml": "# ours\n",
}
ADDED = {"Makefile.local": "hello: ## Ours\n\t@echo hello\n", ".github/workflows/ours.yml": "name: Ours\n"}
# One of each owner: neither comes back.
DELETED = ("src/my_model/records.py", "compose.yaml")
# The user's line in a file of the template's, far from where version 2 writes.
DOCKERFILE = ("WORKDIR /app\n", "WORKDIR /app\nLABEL team=ours\n")
NEW_QUESTION = """
team:
  type: str
  help: Which team is called at night?
  default: nobody
"""


def release(template: Path) -> None:
    """Change the template as a next version would; tag v2.0.0.

    The kit's interface, a question, lines of files of both owners; a file added, one removed, one renamed.
    """
    package = template / "template" / "src" / "{{ package_name }}"
    for path in (
        package / "parity" / "seeding.py",
        package / "settings.py",
        template / "template" / "Makefile.jinja",
        template / "template" / "Dockerfile.jinja",
        template / "template" / ".gitignore.jinja",
        *(template / "tools").glob("*/commands.mk"),
    ):
        path.write_text(path.read_text(encoding="utf-8") + "\n# Version 2\n", encoding="utf-8")
    (package / "parity" / "added.py").write_text('"""New in version 2."""\n', encoding="utf-8")
    (package / "parity" / "settings_commands.py").unlink()
    (template / "template" / ".tools" / "reproduce.py").rename(template / "template" / ".tools" / "again.py")
    for name in ("signature", "read_neutral"):
        for path in (package / "parity").glob("*.py"):
            path.write_text(path.read_text(encoding="utf-8").replace(name, f"{name}_of"), encoding="utf-8")
    questions = template / "copier.yml"
    questions.write_text(questions.read_text(encoding="utf-8") + NEW_QUESTION, encoding="utf-8")
    rendering.commit(template, "Second", tag="v2.0.0")


def work(folder: Path, tool: ModuleType) -> None:
    """Do a user's work in a rendered repository: edit, add, delete, ask for a package, and commit."""
    for name, text in EDITS.items():
        path = folder / name
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    for name, text in ADDED.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in DELETED:
        (folder / name).unlink()
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text(encoding="utf-8").replace(*DOCKERFILE), encoding="utf-8")
    tool.demand(folder, "six>=1.16")
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


def contents(folder: Path) -> dict[str, bytes]:
    return {path.as_posix(): (folder / path).read_bytes() for path in rendering.files(folder)}


def assert_updated(before: dict[str, bytes], after: dict[str, bytes], fresh: dict[str, bytes], owned: set[str]) -> None:
    """Compare a repository before and after an update with a fresh render of version 2."""
    merged = {"Dockerfile", ".copier-answers.yml"}
    for name in owned:
        assert after.get(name) == before.get(name), name
    for name in fresh.keys() - owned - merged - {*DELETED}:
        assert after.get(name) == fresh[name], name
    assert not {*DELETED} & after.keys()
    assert after.keys() - fresh.keys() - owned == set(), "left from version 1"
    assert after["Dockerfile"] == fresh["Dockerfile"].replace(DOCKERFILE[0].encode(), DOCKERFILE[1].encode())
    assert b"_commit: v2.0.0\n" in after[".copier-answers.yml"]


def owned_by_project(folder: Path, tool: ModuleType) -> set[str]:
    return {*EDITS, *ADDED, ".env", "pyproject.toml", *links.data(tool.NAME)["manifests"]} & contents(folder).keys()


def test_project_owned_files_are_untouched_and_the_rest_is_a_fresh_render(
    versions: Path, repository: Path, tmp_path: Path, tool: ModuleType
) -> None:
    work(repository, tool)
    before = contents(repository)
    release(versions)
    update(repository)
    fresh = rendering.render(versions, tmp_path / "fresh", package_manager=tool.NAME)
    owned = owned_by_project(repository, tool)
    assert len(owned) > 10
    assert_updated(before, contents(repository), contents(fresh), owned)
    assert "UU " not in rendering.git(repository, "status", "--porcelain", "--untracked-files=all")
    assert b"team: nobody" in contents(repository)[".copier-answers.yml"]


@DEFAULT_ONLY
def test_in_a_folder_of_a_larger_repository_with_other_work_in_it(
    versions: Path, tmp_path: Path, tool: ModuleType
) -> None:
    folder = rendering.render(versions, tmp_path / "mono" / "services" / "model")
    rendering.commit(tmp_path / "mono", "Start")
    work(folder, tool)
    rendering.commit(tmp_path / "mono", "Our work")
    (tmp_path / "mono" / "services" / "other.txt").write_text("not committed\n", encoding="utf-8")
    before = contents(folder)
    release(versions)
    update(folder)
    fresh = rendering.render(versions, tmp_path / "fresh")
    assert_updated(before, contents(folder), contents(fresh), owned_by_project(folder, tool))
    assert (tmp_path / "mono" / "services" / "other.txt").read_text(encoding="utf-8") == "not committed\n"


@DEFAULT_ONLY
def test_a_checkout_with_the_line_ends_of_windows_has_no_conflict(
    versions: Path, repository: Path, tmp_path: Path, tool: ModuleType
) -> None:
    work(repository, tool)
    for path in rendering.files(repository):
        text = (repository / path).read_bytes().replace(b"\r\n", b"\n")
        (repository / path).write_bytes(text.replace(b"\n", b"\r\n"))
    rendering.commit(repository, "Saved on Windows")
    before = contents(repository)
    release(versions)
    update(repository)
    fresh = rendering.render(versions, tmp_path / "fresh")
    owned = owned_by_project(repository, tool)
    after = contents(repository)
    assert {name: after[name] for name in owned} == {name: before[name] for name in owned}
    for name in contents(fresh).keys() - owned - {*DELETED, "Dockerfile", ".copier-answers.yml"}:
        assert after[name].replace(b"\r\n", b"\n") == contents(fresh)[name], name
    assert commands.run(repository, "git", "diff", "--check").output.count("conflict marker") == 0


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
        work(repository, tool)
        commands.succeed(repository, "make", "lock")
        assert "six" in tool.versions(repository)
        rendering.commit(repository, "Lock")
        lock = (repository / tool.LOCKED).read_bytes()
        release(versions)
        update(repository)
        assert (repository / tool.LOCKED).read_bytes() == lock
        commands.succeed(repository, "make", "check-lock")
