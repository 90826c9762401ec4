"""Level real: a model is served again, years later, from the environment it was trained in."""

import json
from pathlib import Path

import pytest

import commands
import rendering

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("uv")]

MODEL = "models/champion.joblib"


def test_an_old_model_answers_again_in_its_own_environment(repository: Path) -> None:
    """Train, move on to another numpy, see the model refused, and rebuild what it was trained in."""
    commands.succeed(repository, "make", "train")
    contract = json.loads((repository / f"{MODEL}.contract.json").read_text(encoding="utf-8"))["predicate"]
    uv = repository / ".tools/venv/bin/uv"
    commands.succeed(repository, uv, "lock", "--quiet", "--upgrade-package", "threadpoolctl==3.5.0")
    commands.succeed(repository, "make", "sync")
    rendering.commit(repository, "Another threadpoolctl")

    assert "threadpoolctl is 3.5.0 here" in commands.refuse(repository, "make", "verify")
    printed = commands.succeed(repository, "make", "rebuild", f"MODEL={MODEL}")
    assert str(len(contract["golden"]["outputs"])) in printed
    assert rendering.git(repository, "status", "--porcelain") == ""

    # The old environment is really another one than today's.
    python = next((repository / ".rebuild").glob("*/.venv/bin/python"))
    version = "from importlib.metadata import version; print(version('threadpoolctl'))"
    old, new = (commands.succeed(repository, path, "-c", version).strip() for path in (python, ".venv/bin/python"))
    assert (old, new) == (contract["environment"]["packages"]["threadpoolctl"], "3.5.0")
    assert old != new
