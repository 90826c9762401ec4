"""For each tool a repository that has been set up, and what its tool needs on this machine."""

import importlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import commands
import rendering

NAMES = sorted(path.parent.name for path in (rendering.ROOT / "tools").glob("*/tool.yml"))
DEFAULT = "uv"  # for what does not depend on the tool
# In the place of a framework.yml, where a repository is locked and not trained.
NO_FRAMEWORK: dict[str, Any] = {
    "label": "none",
    "runtime": [],
    "untyped": ["joblib"],
    "system": [],
    "model_file": "champion.none",
    "accelerators": {"cpu": {"runtime": []}},
}


def module(name: str) -> ModuleType:
    """Return what knows how a tool's files are edited by hand: tests/by_hand/<tool>.py."""
    return importlib.import_module(f"by_hand.{name.replace('-', '_')}")


@contextmanager
def variables(more: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the commands of a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in more.items():
            patch.setenv(name, value)
        yield


class Origin:
    """A repository after `make setup` and `make train`, committed, and what its tool needs on this machine."""

    def __init__(self, folder: Path, tool: ModuleType, index: str) -> None:
        self.folder, self.tool, self.index = folder, tool, index
        self.variables = dict(tool.ENVIRONMENT)

    def make(self) -> None:
        """Set it up: from a render to a trained model."""
        commands.succeed(self.folder, "git", "init", "--quiet")
        self.prepare()
        with variables(self.variables):
            commands.succeed(self.folder, "make", "setup")
            rendering.commit(self.folder, "Start", tag="start")
            commands.succeed(self.folder, "make", "train")

    def prepare(self) -> None:
        """Give the tool what this machine lacks."""
        with variables(self.variables):
            self.variables |= self.tool.prepare(self.folder, self.index)

    def restore(self) -> None:
        """Make it what it was, whatever a test has done."""
        commands.succeed(self.folder, "git", "reset", "--quiet", "--hard", "start")
        commands.succeed(self.folder, "git", "clean", "--quiet", "--force", "-d")
        for name in (".env", "predictions.db"):
            (self.folder / name).unlink(missing_ok=True)
        with variables(self.variables):
            if not (self.folder / ".tools/venv/installed").exists():
                commands.succeed(self.folder, "make", "tools")
                self.prepare()
            commands.succeed(self.folder, "make", ".env")
            if self.verified("--deep", "--json"):
                return
            shutil.rmtree(self.folder / ".venv", ignore_errors=True)
            commands.succeed(self.folder, "make", "sync", "train")

    def verified(self, *options: str) -> bool:
        """Tell whether `verify` is green."""
        python = self.folder / ".venv/bin/python"
        command = ("-m", "my_model.parity", "verify", *options)
        return python.exists() and commands.run(self.folder, python, *command).status == 0
