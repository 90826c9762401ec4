"""Starts the service of a rendered repository and asks it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import commands
import services

ask = services.ask

PYTHON = ".venv/bin/python"
COMMAND = (PYTHON, "-m", "my_model.api")  # what `make serve` runs
KEY = "changethis"  # what .env.example has for development


def example(repository: Path) -> dict[str, list[dict[str, float]]]:
    """Return the request that the repository has as an example."""
    content: dict[str, list[dict[str, float]]] = json.loads((repository / "tests/example.json").read_text())
    return content


@contextmanager
def served(folder: Path, *command: str) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """Serve by a command (none: that of `make serve`); give port and process, and end it by SIGTERM."""
    port = services.free_port()
    process = subprocess.Popen(
        command or COMMAND,
        cwd=folder,
        env=commands.environment(SERVER__PORT=str(port)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a group of its own: make, where it starts the service
    )
    try:
        services.wait_until_ready(port, lambda: process.poll() is None)
        yield port, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        sys.stdout.write(process.communicate(timeout=30)[0])  # shown where the test fails


def contract(repository: Path, model: str = "champion.joblib") -> dict[str, Any]:
    """Return the contract of the trained model; the name of its file follows the framework."""
    document: dict[str, Any] = json.loads((repository / "models" / f"{model}.contract.json").read_text())
    return document
