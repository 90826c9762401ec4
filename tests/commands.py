"""Runs what a user types in a rendered repository, in an environment without this machine's own settings."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

# What `make test` itself, a virtual environment or a test runner leaves in the environment, and what would
# answer a setting of the rendered repository.
LEFT_OUT = (
    *("MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTEST", "PYTHONPATH", "UV_PYTHON", "API_KEY", "DATABASE_URL", "APP_ENV"),
    # ... and packages that only this machine has
    *("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"),
)


@dataclass(frozen=True)
class Outcome:
    """What a command printed, both streams in their order, and how it ended."""

    status: int
    output: str


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment as a user's shell would have it, and `more`."""
    return {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)} | more


def run(folder: Path, *command: str | Path, **more: str) -> Outcome:
    """Run a command in `folder` with the environment variables `more`; never fails by itself."""
    result = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(result.returncode, result.stdout)


def succeed(folder: Path, *command: str | Path, **more: str) -> str:
    """Run a command that must succeed; return what it printed."""
    outcome = run(folder, *command, **more)
    assert outcome.status == 0, outcome.output
    return outcome.output


def refuse(folder: Path, *command: str | Path, **more: str) -> str:
    """Run a command that must fail in words, without a traceback; return what it printed."""
    outcome = run(folder, *command, **more)
    assert outcome.status != 0, outcome.output
    assert "Traceback" not in outcome.output, outcome.output
    return outcome.output
