"""What CI does in a rendered repository, on either platform: the shell lines of each job, run as its runner does."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

import commands

CHAIN, IMAGE = "The chain holds", "The image is the lock"  # the jobs, as people see them
GITHUB, GITLAB = ".github/workflows/ci.yml", ".gitlab-ci.yml"
MARK = "::line "


class Ran(NamedTuple):
    """How a job ended: the line that failed, None where none did, and what was printed."""

    failed: str | None
    printed: str


@dataclass(frozen=True)
class Provider:
    """A platform: what it reads of a repository, and how it runs a job's lines."""

    jobs: Callable[[Path], dict[str, list[str]]]
    run: Callable[[Path, Sequence[str], Mapping[str, str]], Ran]


def github_jobs(repository: Path) -> dict[str, list[str]]:
    """Return the shell lines of the jobs, in order."""
    jobs: dict[str, Any] = load(repository / GITHUB)["jobs"]
    return {job["name"]: [step["run"] for step in job["steps"] if "run" in step] for job in jobs.values()}


def gitlab_jobs(repository: Path) -> dict[str, list[str]]:
    """Return the shell lines of the jobs, in order, without before_script."""
    return {name: job["script"] for name, job in load(repository / GITLAB).items() if "script" in job}


def load(path: Path) -> Any:  # noqa: ANN401 - anything that YAML can say
    """Return what a YAML file says."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def run_on_github(repository: Path, lines: Sequence[str], more: Mapping[str, str]) -> Ran:
    """Run each line in a shell of its own; after one that failed none, but for those that are run `if: !cancelled()`.

    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#defaultsrunshell
    """
    printed, failed = "", None
    for line in lines:
        if failed and "GITHUB_STEP_SUMMARY" not in line:
            continue
        outcome = commands.run(repository, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line, **more)
        printed += outcome.output
        failed = failed or (line if outcome.status else None)
    return Ran(failed, printed)


def run_on_gitlab(repository: Path, lines: Sequence[str], more: Mapping[str, str]) -> Ran:
    """Run all lines in one shell, up to the first that fails."""
    outcome = commands.run(repository, "bash", "--noprofile", "--norc", "-c", gitlab_script(lines), **more)
    marks = [line for line in outcome.output.splitlines() if line.startswith(MARK)]
    return Ran(lines[int(marks[-1].removeprefix(MARK))] if outcome.status else None, outcome.output)


def gitlab_script(lines: Sequence[str]) -> str:
    """Return the script that the runner makes of a job's lines, with the number of each before what it says.

    https://gitlab.com/gitlab-org/gitlab-runner/-/blob/main/shells/bash.go
    """
    told = [f"echo {shlex.quote(f'{MARK}{number}')}\n{line}" for number, line in enumerate(lines)]
    return "\n".join(["set -eo pipefail", *told])


PROVIDERS = {"github": Provider(github_jobs, run_on_github), "gitlab": Provider(gitlab_jobs, run_on_gitlab)}
