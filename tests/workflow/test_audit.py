"""Level workflow: the job `audit` of the rendered upkeep.yml, for locks that tools made, beside a database of ours."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.utils import canonicalize_name

import commands
import rendering
import repositories
from advisories import Advisories, Advisory
from index import Index
from repositories import Origin, variables
from services import free_port

pytestmark = pytest.mark.workflow
DEFAULT_ONLY = pytest.mark.parametrize("tool", [repositories.DEFAULT], indirect=True)
# The level kit has the readers of all locks; here they are locks that the tools themselves wrote.
EACH = pytest.mark.parametrize(
    "tool",
    [pytest.param(n, marks=[] if n == repositories.DEFAULT else pytest.mark.thorough) for n in repositories.NAMES],
    indirect=True,
)


@pytest.fixture(scope="module")
def origin(
    template: Path, tmp_path_factory: pytest.TempPathFactory, patch: str, tool: ModuleType, index: Index
) -> Origin:
    """A repository as a user pushes it: rendered, locked, committed."""
    made = Origin(tmp_path_factory.mktemp("audit") / "demo", tool, index.url)
    rendering.render(template, made.folder, package_manager=tool.NAME, python_patch=patch)
    made.prepare()
    with variables(made.variables):
        commands.succeed(made.folder, "make", "lock")
    rendering.commit(made.folder, "Start")
    return made


@pytest.fixture
def repository(origin: Origin) -> Iterator[Path]:
    with variables(origin.variables):
        yield origin.folder
        rendering.git(origin.folder, "clean", "--quiet", "--force")


def upkeep(repository: Path) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load((repository / ".github/workflows/upkeep.yml").read_text(encoding="utf-8"))
    return content


def run_job(repository: Path, service: str) -> commands.Outcome:
    """Run the job's one line as the runner's shell does."""
    (line,) = (step["run"] for step in upkeep(repository)["jobs"]["audit"]["steps"] if "run" in step)
    assert line == "make audit", "docs/how-to/audit.md says so"
    return commands.run(repository, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line, OSV_URL=service)


@EACH
def test_the_job_asks_for_all_that_is_locked_and_is_red_for_what_is_known(repository: Path, origin: Origin) -> None:
    versions = origin.tool.versions(repository)
    planted = Advisory("PYSEC-2026-1", "numpy", (versions["numpy"],), fixed="999")
    with Advisories(planted) as service:
        outcome = run_job(repository, service.url)
    assert outcome.status != 0
    mended = f"numpy {versions['numpy']} (production): PYSEC-2026-1; fixed in 999: make upgrade PKG=numpy\n"
    assert mended in outcome.output
    assert "Traceback" not in outcome.output
    asked = {query["package"]["name"]: query["version"] for query in service.asked}
    left_out = re.findall(r"^Not asked for, \d+ that are no Python.*", outcome.output, re.MULTILINE)
    assert left_out or {canonicalize_name(name) for name in versions} <= asked.keys()
    assert {"fastapi", "numpy", "pytest"} <= asked.keys()
    assert rendering.git(repository, "status", "--porcelain") == ""


@DEFAULT_ONLY
def test_the_job_is_green_where_nothing_is_known(repository: Path) -> None:
    with Advisories() as service:
        outcome = run_job(repository, service.url)
    assert outcome.status == 0, outcome.output


@DEFAULT_ONLY
def test_the_job_is_green_where_all_that_is_known_is_ignored(repository: Path, origin: Origin) -> None:
    planted = Advisory("PYSEC-2026-1", "numpy", (origin.tool.versions(repository)["numpy"],), fixed="999")
    entry = '[[ignore]]\nid = "PYSEC-2026-1"\nreason = "no"\nuntil = 9999-12-31\n'
    (repository / "audit.toml").write_text(entry, encoding="utf-8")
    with Advisories(planted) as service:
        outcome = run_job(repository, service.url)
    assert outcome.status == 0, outcome.output


@DEFAULT_ONLY
def test_the_job_is_red_where_the_service_is_out_of_reach(repository: Path) -> None:
    outcome = run_job(repository, f"http://127.0.0.1:{free_port()}")
    assert outcome.status != 0
    assert "could not be asked for every package (" in outcome.output
    assert "Traceback" not in outcome.output


@DEFAULT_ONLY
def test_each_job_runs_at_a_time_that_the_file_has_and_the_audit_weekly(repository: Path) -> None:
    workflow = upkeep(repository)
    times = {one["cron"] for one in workflow[True]["schedule"]}  # YAML 1.1 reads `on` as true
    named = {job: re.findall(r"schedule == '([^']*)'", one.get("if", "")) for job, one in workflow["jobs"].items()}
    assert {time for found in named.values() for time in found} <= times
    (weekly,) = named["audit"]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", weekly)
