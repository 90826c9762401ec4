"""Level workflow: the job `audit` of the rendered upkeep.yml, for a lock that uv made, beside a database of ours."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import commands
import rendering
import repositories
from advisories import Advisories, Advisory
from services import free_port

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def repository(template: Path, tmp_path_factory: pytest.TempPathFactory, patch: str) -> Path:
    """A repository as a user pushes it: rendered, locked, committed."""
    folder = tmp_path_factory.mktemp("audit") / "demo"
    rendering.render(template, folder, package_manager=repositories.DEFAULT, python_patch=patch)
    commands.succeed(folder, "make", "lock")
    rendering.commit(folder, "Start")
    return folder


def upkeep(repository: Path) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load((repository / ".github/workflows/upkeep.yml").read_text(encoding="utf-8"))
    return content


def run_job(repository: Path, service: str) -> commands.Outcome:
    """Run the job's one line as the runner's shell does."""
    (line,) = (step["run"] for step in upkeep(repository)["jobs"]["audit"]["steps"] if "run" in step)
    return commands.run(repository, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line, OSV_URL=service)


def locked(repository: Path) -> dict[str, str]:
    """Return name -> version of every entry of uv.lock that is a release."""
    entries = tomllib.loads((repository / "uv.lock").read_text(encoding="utf-8"))["package"]
    return {entry["name"]: entry["version"] for entry in entries if "registry" in entry["source"]}


def test_the_job_is_green_where_nothing_is_known_and_asks_for_all_that_is_locked(repository: Path) -> None:
    with Advisories() as service:
        outcome = run_job(repository, service.url)
    assert outcome.status == 0, outcome.output
    assert {query["package"]["name"] for query in service.asked} == locked(repository).keys()
    assert rendering.git(repository, "status", "--porcelain") == ""


def test_the_job_is_red_for_a_known_vulnerability_and_green_where_it_is_ignored(repository: Path) -> None:
    version = locked(repository)["numpy"]
    planted = Advisory("PYSEC-2026-1", "numpy", (version,), fixed="999")
    settings = repository / "audit.toml"
    with Advisories(planted) as service:
        outcome = run_job(repository, service.url)
        settings.write_text('[[ignore]]\nid = "PYSEC-2026-1"\nreason = "no"\nuntil = 9999-12-31\n', encoding="utf-8")
        ignored = run_job(repository, service.url)
    settings.unlink()
    assert outcome.status != 0
    mended = f"numpy {version} (production): PYSEC-2026-1; fixed in 999: make upgrade PKG=numpy\n"
    assert mended in outcome.output
    assert "Traceback" not in outcome.output
    assert ignored.status == 0, ignored.output


def test_the_job_is_red_where_the_service_is_out_of_reach(repository: Path) -> None:
    outcome = run_job(repository, f"http://127.0.0.1:{free_port()}")
    assert outcome.status != 0
    assert "could not be asked for every package (" in outcome.output
    assert "Traceback" not in outcome.output


def test_each_job_runs_at_a_time_that_the_file_has_and_the_audit_weekly(repository: Path) -> None:
    workflow = upkeep(repository)
    times = {one["cron"] for one in workflow[True]["schedule"]}  # YAML 1.1 reads `on` as true
    named = {job: re.findall(r"schedule == '([^']*)'", one.get("if", "")) for job, one in workflow["jobs"].items()}
    assert {time for found in named.values() for time in found} <= times
    (weekly,) = named["audit"]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", weekly)
