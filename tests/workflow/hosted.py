"""The shell lines of a rendered workflow, run as GitHub's runner runs them."""

from pathlib import Path
from typing import Any

import yaml

import commands

SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")


def jobs(workflow: Path) -> dict[str, Any]:
    """Return the jobs of a workflow."""
    found: dict[str, Any] = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return found


def lines(workflow: Path, job: str) -> list[str]:
    """Return the shell lines of a job, in order."""
    return [step["run"] for step in jobs(workflow)[job]["steps"] if "run" in step]


def run(folder: Path, line: str) -> str:
    """Run a step that must succeed; return what it says."""
    return commands.succeed(folder, *SHELL, line)
