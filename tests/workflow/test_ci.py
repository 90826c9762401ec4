"""Level workflow: the `run:` lines of the rendered ci.yml, in order, in a fresh clone.

The image job's lines run in the level image, where there is an engine.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import commands
import rendering
import repositories
from index import Index
from repositories import Origin, variables

pytestmark = pytest.mark.workflow
# Red for what every tool's verbs refuse alike; that they do is proved by the level real, for each tool.
DEFAULT_ONLY = pytest.mark.parametrize("tool", [repositories.DEFAULT], indirect=True)

# `make check`, which the level real runs for each tool, has the same steps but for --strict.
GREEN = [
    pytest.param(name, marks=[] if name == repositories.DEFAULT else pytest.mark.thorough)
    for name in repositories.NAMES
]
JOB = "check"


def steps(repository: Path) -> list[str]:
    """Return the shell lines of the job, in order."""
    workflow = yaml.safe_load((repository / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    return [step["run"] for step in workflow["jobs"][JOB]["steps"] if "run" in step]


def run_job(repository: Path) -> tuple[str | None, str]:
    """Run the job's lines as the runner's shell does; return the first that failed, and what was printed."""
    printed = ""
    for line in steps(repository):
        outcome = commands.run(repository, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line, CI="true")
        printed += outcome.output
        if outcome.status:
            assert "Traceback" not in outcome.output, outcome.output
            return line, printed
    return None, printed


@pytest.fixture(scope="module")
def origin(
    template: Path, tmp_path_factory: pytest.TempPathFactory, patch: str, tool: ModuleType, index: Index
) -> Origin:
    """A repository as a user pushes it: rendered, locked, committed."""
    folder = tmp_path_factory.mktemp("workflow") / "origin"
    rendering.render(template, folder, package_manager=tool.NAME, python_patch=patch)
    made = Origin(folder, tool, index.url)
    made.prepare()
    with variables(made.variables):
        commands.succeed(folder, "make", "lock")
    rendering.commit(folder, "Start")
    return made


@pytest.fixture
def clone(origin: Origin, tmp_path: Path) -> Iterator[Path]:
    rendering.git(tmp_path, "clone", "--quiet", str(origin.folder), "clone")
    with variables(origin.variables):
        origin.tool.prepare(tmp_path / "clone", origin.index)
        yield tmp_path / "clone"


@pytest.mark.parametrize("tool", GREEN, indirect=True)
def test_the_job_is_green(clone: Path) -> None:
    failed, printed = run_job(clone)
    assert failed is None, printed


@DEFAULT_ONLY
def test_without_a_lock_the_first_step_is_red(clone: Path) -> None:
    (clone / "uv.lock").unlink()
    failed, printed = run_job(clone)
    assert failed == "make check-lock"
    assert "uv.lock is missing: run `make lock`, then commit it." in printed


@DEFAULT_ONLY
def test_a_stale_lock_is_red_before_anything_is_installed(clone: Path) -> None:
    manifest = clone / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace('"tqdm>=4.67,<5"', '"tqdm>=4.67,<5", "six"'), encoding="utf-8")
    failed, printed = run_job(clone)
    assert failed == "make check-lock"
    assert "six" in printed
    assert "`make lock`" in printed
    assert not (clone / ".venv").exists()


@DEFAULT_ONLY
def test_a_tampered_hash_is_red(clone: Path) -> None:
    lock = clone / "uv.lock"
    text = lock.read_text(encoding="utf-8")
    wheels = [
        wheel["hash"]
        for package in tomllib.loads(text)["package"]
        if package["name"] == "tqdm"
        for wheel in package["wheels"]
    ]
    for digest in wheels:
        flipped = digest[:-1] + ("0" if digest[-1] != "0" else "1")
        text = text.replace(digest, flipped)
    lock.write_text(text, encoding="utf-8")
    failed, printed = run_job(clone)
    assert failed == "make sync"
    assert "tqdm" in printed


@DEFAULT_ONLY
def test_a_failing_test_is_red(clone: Path) -> None:
    test = "from my_model import training\n\n\ndef test_ours() -> None:\n    assert training.GOLDEN_ROWS == 0\n"
    (clone / "tests" / "test_ours.py").write_text(test, encoding="utf-8")
    failed, printed = run_job(clone)
    assert failed == "make test", printed


@DEFAULT_ONLY
@pytest.mark.parametrize("left", ["Makefile", "Makefile.rej"])
def test_what_an_update_left_is_red_at_once(clone: Path, left: str) -> None:
    with (clone / left).open("a", encoding="utf-8") as file:
        file.write("<<<<<<< before updating\nours:\n=======\n>>>>>>> after updating\n")
    rendering.git(clone, "add", "--all")
    failed, printed = run_job(clone)
    assert failed == steps(clone)[0]
    assert left in printed
    assert "An update left conflicts: edit these lines" in printed
