"""Level real: a model is served again, years later, from the environment it was trained in."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import commands
import rendering
import repositories
from real import serving

pytestmark = [pytest.mark.real, pytest.mark.parametrize("tool", [repositories.DEFAULT], indirect=True)]

MODEL = "models/champion.joblib"
SERVE_OLD = (".tools/reproduce.py", "--package", "my_model", "rebuild", "--serve", MODEL)


def predictions(repository: Path, *arguments: str) -> list[float]:
    """Serve by a command and return what it answers to the example."""
    with serving.served(repository, serving.PYTHON, *arguments) as (port, _):
        answer = serving.ask(port, "POST", "/predict", serving.example(repository), key=serving.KEY)
    assert answer.status == 200, answer
    numbers: list[float] = answer.body["predictions"]
    return numbers


def recorded(repository: Path) -> list[tuple[Any, ...]]:
    """Return model, environment and prediction of each decision in the repository's own database."""
    with closing(sqlite3.connect(repository / "predictions.db")) as database:
        return database.execute("SELECT model, environment, prediction FROM predictions ORDER BY at").fetchall()


def test_an_old_model_answers_again_in_its_own_environment(repository: Path) -> None:
    """Train, move on to another threadpoolctl, see the model refused, rebuild what it was trained in, and serve it."""
    commands.succeed(repository, "make", "train")
    document = json.loads((repository / f"{MODEL}.contract.json").read_text(encoding="utf-8"))
    contract = document["predicate"]
    before = predictions(repository, "-m", "my_model.api")
    uv = repository / ".tools/venv/bin/uv"
    commands.succeed(repository, uv, "lock", "--quiet", "--upgrade-package", "threadpoolctl==3.5.0")
    commands.succeed(repository, "make", "sync")
    rendering.commit(repository, "Another threadpoolctl")

    assert "threadpoolctl is 3.5.0 here" in commands.refuse(repository, "make", "verify")
    printed = commands.succeed(repository, "make", "rebuild", f"MODEL={MODEL}")
    assert f"Model        repeats its {len(contract['golden']['outputs'])} golden predictions\n" in printed
    assert rendering.git(repository, "status", "--porcelain") == ""

    # The old environment is really another one than today's.
    (worktree,) = (repository / ".rebuild").iterdir()
    version = "from importlib.metadata import version; print(version('threadpoolctl'))"
    old, new = (commands.succeed(folder, serving.PYTHON, "-c", version).strip() for folder in (worktree, repository))
    assert (old, new) == (contract["environment"]["packages"]["threadpoolctl"], "3.5.0")
    assert old != new

    # It answers as it did, and its decisions outlive the worktree.
    assert predictions(repository, *SERVE_OLD) == before
    commands.succeed(repository, "git", "worktree", "remove", "--force", worktree)
    made_by = (document["subject"][0]["digest"]["sha256"], contract["environment"]["signature"])
    assert recorded(repository) == [(*made_by, number) for number in before * 2]


def test_a_training_into_a_folder_is_refused_in_one_line(repository: Path) -> None:
    before = sorted((repository / "models").iterdir())
    outcome = commands.run(repository, serving.PYTHON, "-m", "my_model.training", "--output", "models", "--quiet")
    assert outcome.status == 1
    assert outcome.output.splitlines()[-1].startswith("CRITICAL models is a folder, and a model is a file: ")
    assert "Traceback" not in outcome.output
    assert sorted((repository / "models").iterdir()) == before
    assert not (repository / ".models.ready").exists()
