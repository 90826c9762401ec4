"""Level workflow: the shell lines of the rendered CI, in order, in a fresh clone, as the runner of each platform does.

That both platforms have the same lines is proved without running them (tests/static/test_providers.py). The image
job's lines run in the level image, where there is an engine.
"""

import hashlib
import itertools
import re
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

import commands
import links
import providers
import rendering
import repositories
from index import Index
from providers import CHAIN, PROVIDERS, Ran
from repositories import Origin, variables

pytestmark = pytest.mark.workflow
DEFAULT = ("github", repositories.DEFAULT)
# Red for what every tool's verbs refuse alike; that they do is proved by the level real, for each tool.
DEFAULT_ONLY = pytest.mark.parametrize("tool", [repositories.DEFAULT], indirect=True)

# `make check`, which the level real runs for each tool, has the same steps but for --strict.
GREEN = [
    pytest.param(provider, tool, marks=[] if (provider, tool) == DEFAULT else pytest.mark.thorough)
    for provider, tool in itertools.product(PROVIDERS, repositories.NAMES)
]
# What is cheap is red on both platforms in every run; for what takes an installation one is enough.
BOTH = pytest.mark.parametrize("provider", PROVIDERS)
ONE_IS_ENOUGH = pytest.mark.parametrize(
    "provider", [pytest.param(name, marks=[] if name == DEFAULT[0] else pytest.mark.thorough) for name in PROVIDERS]
)


@pytest.fixture(scope="module")
def origins(
    template: Path, tmp_path_factory: pytest.TempPathFactory, patch: str, tool: ModuleType, index: Index
) -> dict[str, Origin]:
    """A repository as a user pushes it, on either platform: rendered, locked, committed."""
    folder = tmp_path_factory.mktemp("workflow")
    made = {name: Origin(folder / name, tool, index.url) for name in PROVIDERS}
    for name, origin in made.items():
        rendering.render(template, origin.folder, package_manager=tool.NAME, python_patch=patch, ci_provider=name)
    first, *others = made.values()
    first.prepare()
    with variables(first.variables):
        commands.succeed(first.folder, "make", "lock")
    for other in others:
        other.variables = first.variables
        for file in (*links.data(tool.NAME)["locks"], ".tools/origins.txt"):
            shutil.copy2(first.folder / file, other.folder / file)
    for origin in made.values():
        rendering.commit(origin.folder, "Start")
    return made


@pytest.fixture
def clone(origins: dict[str, Origin], provider: str, tmp_path: Path) -> Iterator[Path]:
    origin = origins[provider]
    rendering.git(tmp_path, "clone", "--quiet", str(origin.folder), "clone")
    with variables({**origin.variables, "CI": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}):
        origin.tool.prepare(tmp_path / "clone", origin.index)
        yield tmp_path / "clone"


def run_job(clone: Path, provider: str, without: Sequence[str] = (), **after: str) -> Ran:
    """Run the job's lines, but for those of some verbs; `after` is a line of our own behind that of a verb."""
    lines = []
    for line in PROVIDERS[provider].jobs(clone)[CHAIN]:
        lines += [line, *filter(None, [after.get(verb(line))])] if verb(line) not in without else []
    ran = PROVIDERS[provider].run(clone, lines, {})
    assert "Traceback" not in ran.printed, ran.printed
    return ran


def verb(line: str) -> str:
    """Return what follows `make` at the start of a line."""
    return line.partition("make ")[2].split()[0] if line.startswith("make ") else ""


def summary(clone: Path) -> str:
    """Return what the page of the run shows on GitHub."""
    return (clone.parent / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("provider", "tool"), GREEN, indirect=["tool"])
def test_the_job_is_green(clone: Path, provider: str) -> None:
    failed, printed = run_job(clone, provider)
    assert failed is None, printed
    table = printed if provider == "gitlab" else summary(clone)
    assert [name for name in ("manifest", "lock", "environment", "image", "model") if name not in table] == []
    assert "Every link that is here holds: " in table


@DEFAULT_ONLY
@BOTH
def test_without_a_lock_the_first_step_is_red(clone: Path, provider: str) -> None:
    (clone / "uv.lock").unlink()
    failed, printed = run_job(clone, provider)
    assert failed == "make check-lock"
    assert "uv.lock is missing: run `make lock`, then commit it." in printed


@DEFAULT_ONLY
@BOTH
def test_a_stale_lock_is_red_before_anything_is_installed(clone: Path, provider: str) -> None:
    manifest = clone / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace('"tqdm>=4.67,<5"', '"tqdm>=4.67,<5", "six"'), encoding="utf-8")
    failed, printed = run_job(clone, provider)
    assert failed == "make check-lock"
    assert "six" in printed
    assert "`make lock`" in printed
    assert not (clone / ".venv").exists()


@DEFAULT_ONLY
@pytest.mark.parametrize("provider", ["github"])
def test_the_page_of_a_red_run_says_why(clone: Path, provider: str) -> None:
    (clone / "uv.lock").unlink()
    run_job(clone, provider)
    assert "uv.lock is missing: run `make lock`, then commit it." in summary(clone)


@DEFAULT_ONLY
@ONE_IS_ENOUGH
def test_a_tampered_hash_is_red(clone: Path, provider: str, tool: ModuleType) -> None:
    tool.flip_hash(clone, "tqdm")
    failed, printed = run_job(clone, provider)
    assert failed == "make sync"
    assert "tqdm" in printed


@DEFAULT_ONLY
@ONE_IS_ENOUGH
def test_a_package_that_changes_after_the_installation_is_red(clone: Path, provider: str) -> None:
    edit = "echo '# ours' >>\"$(.venv/bin/python -c 'import tqdm; print(tqdm.__file__)')\""
    failed, printed = run_job(clone, provider, sync=edit)
    assert failed == 'make verify ARGS="--deep --strict"'
    assert re.search(r"tqdm/__init__\.py of tqdm \S+ is changed", printed)
    if provider == "github":
        assert "| ✗ | environment | 1 difference<br>• tqdm/__init__.py of tqdm" in summary(clone)
        assert "Repair: `make clean sync`" in summary(clone)


@DEFAULT_ONLY
@pytest.mark.parametrize("provider", ["github"])
def test_a_test_that_changes_the_environment_is_red_at_the_end(clone: Path, provider: str) -> None:
    edit = "echo '# ours' >>\"$(.venv/bin/python -c 'import tqdm; print(tqdm.__file__)')\""
    failed, printed = run_job(clone, provider, without=("verify", "lint", "test", "reproduce"), sync=edit)
    assert failed is not None, printed
    assert "GITHUB_STEP_SUMMARY" in failed, printed


@DEFAULT_ONLY
@ONE_IS_ENOUGH
def test_a_failing_test_is_red(clone: Path, provider: str) -> None:
    test = "from my_model import training\n\n\ndef test_ours() -> None:\n    assert training.GOLDEN_ROWS == 0\n"
    (clone / "tests" / "test_ours.py").write_text(test, encoding="utf-8")
    failed, printed = run_job(clone, provider)
    assert failed == "make test", printed


@DEFAULT_ONLY
@BOTH
@pytest.mark.parametrize("left", ["Makefile", "Makefile.rej"])
def test_what_an_update_left_is_red_at_once(clone: Path, provider: str, left: str) -> None:
    with (clone / left).open("a", encoding="utf-8") as file:
        file.write("<<<<<<< before updating\nours:\n=======\n>>>>>>> after updating\n")
    rendering.git(clone, "add", "--all")
    failed, printed = run_job(clone, provider)
    assert failed == PROVIDERS[provider].jobs(clone)[CHAIN][0]
    assert left in printed
    assert "An update left conflicts: edit these lines" in printed


@DEFAULT_ONLY
@BOTH
def test_a_repository_that_git_refuses_is_red_at_once(clone: Path, provider: str) -> None:
    rendering.git(clone, "config", "core.repositoryFormatVersion", "99")
    failed, printed = run_job(clone, provider)
    assert failed == PROVIDERS[provider].jobs(clone)[CHAIN][0], printed


@pytest.fixture
def bare(template: Path, tmp_path: Path) -> tuple[list[str], Path]:
    """What GitLab runs before each job of conda's, led from conda-forge to an archive of ours."""
    folder = rendering.render(template, tmp_path / "demo", package_manager="conda", ci_provider="gitlab")
    lines: list[str] = providers.load(folder / providers.GITLAB)["default"]["before_script"]
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho of the test\n", encoding="utf-8")
    program.chmod(0o755)
    archive = tmp_path / "archive.tar.bz2"
    with tarfile.open(archive, "w:bz2") as file:
        file.add(program, "bin/micromamba")
    (tmp_path / "bin").mkdir()
    places = {"/tmp": str(tmp_path), "/usr/local/bin": str(tmp_path / "bin")}  # noqa: S108 - of the container
    moved = [line for line in lines if not line.startswith("apt-get")]
    for old, new in places.items():
        moved = [line.replace(old, new) for line in moved]
    moved = [re.sub(r"https://conda\.anaconda\.org/\S+", archive.as_uri(), line) for line in moved]
    return moved, archive


def test_gitlabs_micromamba_is_installed_where_its_hash_is_right(bare: tuple[list[str], Path], tmp_path: Path) -> None:
    lines, archive = bare
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    right = [re.sub(r"[0-9a-f]{64}", digest, line) for line in lines]
    assert right != lines
    failed, printed = providers.run_on_gitlab(tmp_path, right, {})
    assert failed is None, printed
    assert commands.succeed(tmp_path, tmp_path / "bin" / "micromamba") == "of the test\n"


def test_gitlabs_micromamba_with_another_hash_is_red(bare: tuple[list[str], Path], tmp_path: Path) -> None:
    failed, printed = providers.run_on_gitlab(tmp_path, bare[0], {})
    assert "sha256sum" in (failed or ""), printed
    assert not (tmp_path / "bin" / "micromamba").exists()
