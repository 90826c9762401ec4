"""Level real: what serves, refuses and records is the same for each tool, so one of them is asked."""

import json
from pathlib import Path

import pytest

import commands
import repositories
from real import serving
from real.careless import install

pytestmark = [pytest.mark.real, pytest.mark.parametrize("tool", [repositories.DEFAULT], indirect=True)]


def refused(folder: Path, **more: str) -> commands.Outcome:
    """Return how the start of the service ends, which must be in words."""
    outcome = commands.run(folder, *serving.COMMAND, **more)
    assert "Traceback" not in outcome.output, outcome.output
    return outcome


def test_setup_keeps_env_and_lock(repository: Path) -> None:
    lock = (repository / "uv.lock").read_bytes()
    (repository / ".env").write_text("API_KEY=mine\nDATABASE_URL=sqlite:///mine.db\n", encoding="utf-8")
    commands.succeed(repository, "make", "setup")
    assert (repository / ".env").read_text(encoding="utf-8").startswith("API_KEY=mine\n")
    assert (repository / "uv.lock").read_bytes() == lock


def test_without_the_interpreter_three_ways_are_named(repository: Path) -> None:
    (repository / ".python-version").write_text("3.99\n", encoding="utf-8")
    printed = commands.refuse(repository, "sh", ".tools/bootstrap.sh")
    assert all(way in printed for way in ("pyenv install 3.99", "uv python install 3.99", "python3.99-venv"))
    assert len(printed.strip().splitlines()) == 1


def test_a_prediction_is_authorized_and_its_rows_are_checked(repository: Path) -> None:
    example = serving.example(repository)
    with serving.served(repository) as (port, _):
        assert serving.ask(port, "POST", "/predict", example).status == 401
        assert serving.ask(port, "POST", "/predict", example, key="wrong").status == 401
        row = dict(example["rows"][0]) | {"mean_radius": "wide"}
        wrong = serving.ask(port, "POST", "/predict", {"rows": [row]}, key=serving.KEY)
    assert wrong.status == 422
    assert "mean_radius" in json.dumps(wrong.body)


def test_a_missing_variable_stops_the_start_with_all_names(repository: Path) -> None:
    (repository / ".env").write_text("", encoding="utf-8")
    outcome = refused(repository)
    assert outcome.status == 78
    assert "API_KEY" in outcome.output
    assert "DATABASE_URL" in outcome.output


def test_a_truncated_model_is_refused_before_it_is_loaded(repository: Path) -> None:
    model = repository / "models/champion.joblib"
    model.write_bytes(model.read_bytes()[:-100])
    outcome = refused(repository)
    assert outcome.status != 0
    assert "truncated" in outcome.output
    assert "truncated" in commands.refuse(repository, "make", "verify")
    commands.succeed(repository, "make", "train", "verify")


def test_a_model_is_refused_in_a_drifted_environment(repository: Path) -> None:
    install(repository, "threadpoolctl==3.5.0")
    outcome = refused(repository)
    assert outcome.status != 0
    assert "threadpoolctl is 3.5.0 here" in outcome.output


def test_nothing_is_trained_in_a_drifted_environment(repository: Path) -> None:
    before = (repository / "models/champion.joblib.contract.json").read_bytes()
    install(repository, "idna==3.6")
    printed = commands.refuse(repository, "make", "train")
    assert "Environment drift detected! idna 3.6 is installed and" in printed
    assert (repository / "models/champion.joblib.contract.json").read_bytes() == before


def test_one_changed_byte_is_seen_deep_and_mended(repository: Path) -> None:
    changed = next((repository / ".venv").rglob("site-packages/joblib/memory.py"))
    content = bytearray(changed.read_bytes())
    content[100] ^= 1
    with changed.open("r+b") as file:  # in place, as an editor or a failing disk does it
        file.write(content)
    commands.succeed(repository, "make", "verify")
    printed = commands.refuse(repository, "make", "verify", "ARGS=--deep")
    assert "joblib/memory.py" in printed
    assert "make clean sync" in printed
    commands.succeed(repository, "make", "clean", "sync")
    commands.succeed(repository, "make", "verify", "ARGS=--deep")
