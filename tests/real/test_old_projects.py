"""Level real: today's kit in a repository whose own files are those of an older version, as after `copier update`."""

from pathlib import Path

import pytest

import commands
import repositories
from update import snapshot

pytestmark = pytest.mark.real

PARITY = (".venv/bin/python", "-m", "my_model.parity")


@pytest.mark.parametrize("tool", [repositories.DEFAULT], indirect=True)
@pytest.mark.parametrize("version", sorted(folder.name for folder in snapshot.VERSIONS.iterdir()))
def test_the_kit_runs_with_the_files_of_an_older_version(repository: Path, version: str) -> None:
    snapshot.restore(snapshot.VERSIONS / version, repository)
    commands.succeed(repository, "make", "lock", "sync", "train")
    commands.succeed(repository, "make", "test", "verify")
    commands.succeed(repository, *PARITY, "env-example", "--check", ".env.example")
