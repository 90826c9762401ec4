"""Level real: the whole way of a user, each command really run, with the package index."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import commands
import rendering
import services

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("uv")]

KEY = "changethis"  # what .env.example has for development


@contextmanager
def served(folder: Path, **more: str) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """Run `make serve`'s command; give its port and process, and end it by SIGTERM."""
    port = services.free_port()
    process = subprocess.Popen(
        [".venv/bin/python", "-m", "my_model.api"],
        cwd=folder,
        env=commands.environment(SERVER__PORT=str(port), **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        services.wait_until_ready(port, lambda: process.poll() is None)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        sys.stdout.write(process.communicate(timeout=30)[0])  # shown where the test fails


@pytest.fixture(scope="module")
def example(origin: Path) -> dict[str, list[dict[str, float]]]:
    content: dict[str, list[dict[str, float]]] = json.loads((origin / "tests/example.json").read_text())
    return content


def test_setup_from_a_fresh_clone_installs_the_committed_lock(origin: Path, tmp_path: Path) -> None:
    rendering.git(tmp_path, "clone", "--quiet", str(origin), "clone")
    clone = tmp_path / "clone"
    printed = commands.succeed(clone, "make", "setup")
    assert "which this repository pins, into .tools/venv" in printed
    assert (clone / ".env").read_bytes() == (clone / ".env.example").read_bytes()
    assert rendering.git(clone, "status", "--porcelain") == ""


def test_setup_keeps_env_and_lock(repository: Path) -> None:
    lock = (repository / "uv.lock").read_bytes()
    (repository / ".env").write_text("API_KEY=mine\nDATABASE_URL=sqlite:///mine.db\n", encoding="utf-8")
    commands.succeed(repository, "make", "setup")
    assert (repository / ".env").read_text(encoding="utf-8").startswith("API_KEY=mine\n")
    assert (repository / "uv.lock").read_bytes() == lock


def test_check_is_green(repository: Path) -> None:
    printed = commands.succeed(repository, "make", "check")
    assert "equal, bit for bit" in printed


def test_verify_is_green_deep_and_strict(repository: Path) -> None:
    commands.succeed(repository, "make", "verify", "ARGS=--deep --strict")
    report = json.loads(commands.succeed(repository, ".venv/bin/python", "-m", "my_model.parity", "verify", "--json"))
    assert report["ok"] is True


def test_another_uv_on_path_is_named_and_left_alone(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    other = tmp_path / "bin" / "uv"
    other.write_text("#!/bin/sh\necho 'uv 0.1.2 (a stand-in)'\n", encoding="utf-8")
    other.chmod(0o755)
    (repository / ".tools/venv/installed").unlink()
    printed = commands.succeed(repository, "make", "tools", PATH=f"{other.parent}:{os.environ['PATH']}")
    assert "PATH has uv 0.1.2, which is left alone" in printed


def test_without_the_interpreter_three_ways_are_named(repository: Path) -> None:
    (repository / ".python-version").write_text("3.99\n", encoding="utf-8")
    printed = commands.refuse(repository, "sh", ".tools/bootstrap.sh")
    assert all(way in printed for way in ("pyenv install 3.99", "uv python install 3.99", "python3.99-venv"))
    assert len(printed.strip().splitlines()) == 1


def test_a_prediction_is_served_and_recorded(repository: Path, example: dict[str, list[dict[str, float]]]) -> None:
    with served(repository) as (port, process):
        assert services.ask(port, "GET", "/healthz").status == 200
        answer = services.ask(port, "POST", "/predict", example, key=KEY)
        assert answer.status == 200
        assert answer.body["predictions"][0] > 0.9
        assert services.ask(port, "POST", "/predict", example).status == 401
        assert services.ask(port, "POST", "/predict", example, key="wrong").status == 401
        row = dict(example["rows"][0]) | {"mean_radius": "wide"}
        wrong = services.ask(port, "POST", "/predict", {"rows": [row]}, key=KEY)
        assert wrong.status == 422
        assert "mean_radius" in json.dumps(wrong.body)
        signature = services.ask(port, "GET", "/environment", key=KEY).body["signature"]
    assert process.returncode == 0
    assert signature == commands.succeed(repository, ".venv/bin/python", "-m", "my_model.parity", "signature").strip()
    with closing(sqlite3.connect(repository / "predictions.db")) as database:
        recorded = database.execute("SELECT model FROM predictions").fetchall()
    contract = json.loads((repository / "models/champion.joblib.contract.json").read_text(encoding="utf-8"))
    assert recorded == [(contract["subject"][0]["digest"]["sha256"],)]


def serve_refused(folder: Path, **more: str) -> commands.Outcome:
    outcome = commands.run(folder, ".venv/bin/python", "-m", "my_model.api", **more)
    assert "Traceback" not in outcome.output, outcome.output
    return outcome


def test_a_missing_variable_stops_the_start_with_all_names(repository: Path) -> None:
    (repository / ".env").write_text("", encoding="utf-8")
    outcome = serve_refused(repository)
    assert outcome.status == 78
    assert "API_KEY" in outcome.output
    assert "DATABASE_URL" in outcome.output


def test_a_truncated_model_is_refused_before_it_is_loaded(repository: Path) -> None:
    model = repository / "models/champion.joblib"
    model.write_bytes(model.read_bytes()[:-100])
    outcome = serve_refused(repository)
    assert outcome.status != 0
    assert "truncated" in outcome.output
    assert "truncated" in commands.refuse(repository, "make", "verify")
    commands.succeed(repository, "make", "train", "verify")


def test_a_downgraded_package_is_named_with_both_versions_and_mended(repository: Path) -> None:
    uv = repository / ".tools/venv/bin/uv"
    commands.succeed(repository, uv, "pip", "install", "--quiet", "--python", ".venv", "idna==3.6")
    printed = commands.refuse(repository, "make", "verify")
    locked = next(line for line in printed.splitlines() if "idna" in line)
    assert "3.6" in locked
    assert "make sync" in printed
    commands.succeed(repository, "make", "sync", "verify")


def test_a_model_is_refused_in_a_drifted_environment(repository: Path) -> None:
    uv = repository / ".tools/venv/bin/uv"
    commands.succeed(repository, uv, "pip", "install", "--quiet", "--python", ".venv", "threadpoolctl==3.5.0")
    outcome = serve_refused(repository)
    assert outcome.status != 0
    assert "threadpoolctl is 3.5.0 here" in outcome.output


def test_nothing_is_trained_in_a_drifted_environment(repository: Path) -> None:
    uv = repository / ".tools/venv/bin/uv"
    before = (repository / "models/champion.joblib.contract.json").read_bytes()
    commands.succeed(repository, uv, "pip", "install", "--quiet", "--python", ".venv", "idna==3.6")
    printed = commands.refuse(repository, "make", "train")
    assert "Environment drift detected! idna 3.6 is installed and" in printed
    assert (repository / "models/champion.joblib.contract.json").read_bytes() == before


def test_without_an_environment_each_verb_says_so(repository: Path) -> None:
    commands.succeed(repository, "make", "clean")
    for verb in ("verify", "lint", "test", "train", "reproduce", "serve"):
        assert "There is no environment yet: run 'make setup'." in commands.refuse(repository, "make", verb)


def test_an_extra_and_a_missing_package_are_named_and_mended(repository: Path) -> None:
    uv = repository / ".tools/venv/bin/uv"
    commands.succeed(repository, uv, "pip", "install", "--quiet", "--python", ".venv", "six")
    commands.succeed(repository, uv, "pip", "uninstall", "--quiet", "--python", ".venv", "tqdm")
    report = json.loads(commands.refuse(repository, ".venv/bin/python", "-m", "my_model.parity", "verify", "--json"))
    findings = {(finding["kind"], finding["name"]) for link in report["links"] for finding in link["findings"]}
    assert findings == {("extra", "six"), ("missing", "tqdm")}
    commands.succeed(repository, "make", "sync", "verify")


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


def flip_a_hash(lock: Path) -> None:
    """Change one digit of the hash of the only wheel of tqdm."""
    before, entry, after = lock.read_text(encoding="utf-8").partition('[[package]]\nname = "tqdm"\n')
    start = after.index("sha256:", after.index("wheels = [")) + len("sha256:")
    digit = "0" if after[start] != "0" else "1"
    lock.write_text(before + entry + after[:start] + digit + after[start + 1 :], encoding="utf-8")


@pytest.mark.parametrize("prepare", ["", "clean"], ids=["installed", "fresh"])
def test_one_flipped_digit_of_a_hash_is_refused(repository: Path, prepare: str) -> None:
    if prepare:
        commands.succeed(repository, "make", prepare)
    flip_a_hash(repository / "uv.lock")
    printed = commands.refuse(repository, "make", "sync")
    assert "tqdm" in printed
    assert "git checkout -- uv.lock" in printed
    commands.succeed(repository, "git", "checkout", "--", "uv.lock")
    commands.succeed(repository, "make", "sync", "verify")


def test_an_edited_manifest_stops_sync_before_anything_changes(repository: Path) -> None:
    manifest = repository / "pyproject.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace('"tqdm>=4.67,<5"', '"tqdm>=4.67,<5", "six>=1.16"'), encoding="utf-8")
    for verb in ("check-lock", "sync", "verify"):
        printed = commands.refuse(repository, "make", verb)
        assert "six" in printed
        assert "make lock" in printed
    # The model was trained without it, so it is trained again.
    commands.succeed(repository, "make", "lock", "sync", "train", "verify")
    assert "six" in commands.succeed(repository, ".venv/bin/python", "-c", "import six; print(six.__name__)")


def test_a_missing_lock_is_named(repository: Path) -> None:
    (repository / "uv.lock").unlink()
    assert "uv.lock is missing: run `make lock`" in commands.refuse(repository, "make", "sync")


def test_an_entry_without_a_hash_is_refused(repository: Path) -> None:
    lock = repository / "uv.lock"
    before, entry, after = lock.read_text(encoding="utf-8").partition('[[package]]\nname = "tqdm"\n')
    start = after.index(', hash = "sha256:', after.index("wheels = ["))
    stop = after.index('"', start + len(', hash = "')) + 1
    lock.write_text(before + entry + after[:start] + after[stop:], encoding="utf-8")
    assert "tqdm" in commands.refuse(repository, "make", "check-lock")


def test_a_foreign_address_is_refused(repository: Path) -> None:
    origins = (repository / ".tools/origins.txt").read_text(encoding="utf-8").split()
    files = next(origin for origin in origins if origin.startswith("https://files"))
    lock = repository / "uv.lock"
    before, entry, after = lock.read_text(encoding="utf-8").partition('[[package]]\nname = "tqdm"\n')
    lock.write_text(before + entry + after.replace(files, "https://files.example.com", 1), encoding="utf-8")
    assert "https://files.example.com" in commands.refuse(repository, "make", "check-lock")


def test_add_why_upgrade(repository: Path) -> None:
    before = (repository / "uv.lock").read_text(encoding="utf-8")
    commands.succeed(repository, "make", "add", "PKG=six>=1.16")
    added = (repository / "uv.lock").read_text(encoding="utf-8")
    assert before.count("[[package]]") + 1 == added.count("[[package]]")
    assert "fastapi" in commands.succeed(repository, "make", "why", "PKG=starlette")
    commands.succeed(repository, "make", "upgrade", "PKG=six")
    commands.succeed(repository, "make", "train", "verify")
    assert "Say which package" in commands.refuse(repository, "make", "upgrade")
    for verb in ("why", "upgrade"):
        assert "nonsuch is not in uv.lock" in commands.refuse(repository, "make", verb, "PKG=nonsuch")


def test_two_environments_of_one_lock_have_one_signature(repository: Path, origin: Path) -> None:
    def signature(folder: Path) -> str:
        return commands.succeed(folder, ".venv/bin/python", "-m", "my_model.parity", "signature")

    assert signature(repository) == signature(origin)
    uv = repository / ".tools/venv/bin/uv"
    commands.succeed(repository, uv, "pip", "install", "--quiet", "--python", ".venv", "threadpoolctl==3.5.0")
    assert signature(repository) != signature(origin)
    commands.succeed(repository, "make", "sync")
    assert signature(repository) == signature(origin)
