"""Level real, for each tool: the whole way of a user, and each break that we know, really done."""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType

import pytest

import commands
import links
import rendering
from real import serving
from real.careless import install, remove
from repositories import Origin

pytestmark = pytest.mark.real

PARITY = (".venv/bin/python", "-m", "my_model.parity")


def signature(folder: Path) -> str:
    return commands.succeed(folder, *PARITY, "signature").strip()


def restore_lock(repository: Path) -> None:
    commands.succeed(repository, "git", "checkout", "--", ".")


def test_setup_from_a_fresh_clone_installs_the_committed_lock(made: Origin, repository: Path, tmp_path: Path) -> None:
    rendering.git(tmp_path, "clone", "--quiet", str(repository), "clone")
    clone = tmp_path / "clone"
    assert "which this repository pins, into .tools/venv" in commands.succeed(clone, "make", "tools")
    made.tool.prepare(clone, made.index)
    commands.succeed(clone, "make", "setup")
    assert (clone / ".env").read_bytes() == (clone / ".env.example").read_bytes()
    assert rendering.git(clone, "status", "--porcelain") == ""
    # One lock, two fresh environments, one signature.
    assert signature(clone) == signature(repository)


def test_another_tool_on_path_is_named_and_left_alone(repository: Path, tmp_path: Path) -> None:
    head = (repository / ".tools/requirements.txt").read_text(encoding="utf-8").splitlines()[0]
    name = head.split()[-1]
    other = tmp_path / name
    other.write_text(f"#!/bin/sh\necho '{name} 0.1.2 (a stand-in)'\n", encoding="utf-8")
    other.chmod(0o755)
    (repository / ".tools/venv/installed").unlink()
    printed = commands.succeed(repository, "make", "tools", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert "0.1.2, which is left alone" in printed
    (repository / ".tools/venv/installed").unlink()  # the next test gets what this machine lacks again


def test_check_is_green_and_verify_deep_and_strict(repository: Path) -> None:
    assert "equal, bit for bit" in commands.succeed(repository, "make", "check")
    commands.succeed(repository, "make", "verify", "ARGS=--deep --strict")
    report = json.loads(commands.succeed(repository, *PARITY, "verify", "--json"))
    assert report["ok"] is True


def test_a_prediction_is_served_and_recorded(repository: Path) -> None:
    example = serving.example(repository)
    with serving.served(repository) as (port, process):
        assert serving.ask(port, "GET", "/healthz").status == 200
        answer = serving.ask(port, "POST", "/predict", example, key=serving.KEY)
        assert answer.status == 200, answer
        assert answer.body["predictions"][0] > 0.9
        environment = serving.ask(port, "GET", "/environment", key=serving.KEY).body["signature"]
    assert process.returncode == 0
    assert environment == signature(repository)
    with closing(sqlite3.connect(repository / "predictions.db")) as database:
        recorded = database.execute("SELECT model FROM predictions").fetchall()
    assert recorded == [(serving.contract(repository)["subject"][0]["digest"]["sha256"],)]


@contextmanager
def without_environment(repository: Path, elsewhere: Path) -> Iterator[None]:
    """Put the environment aside, and back."""
    (repository / ".venv").rename(elsewhere / "aside")
    try:
        yield
    finally:
        shutil.rmtree(repository / ".venv", ignore_errors=True)
        (elsewhere / "aside").rename(repository / ".venv")


def test_without_an_environment_each_verb_says_so(repository: Path, tmp_path: Path) -> None:
    with without_environment(repository, tmp_path):
        say_so(repository)


def say_so(repository: Path) -> None:
    for verb in ("verify", "lint", "test", "train", "reproduce", "serve"):
        assert "There is no environment yet: run 'make setup'." in commands.refuse(repository, "make", verb)


NOWHERE = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")


def test_check_lock_needs_neither_environment_nor_network(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with without_environment(repository, tmp_path):
        commands.succeed(repository, "make", "check-lock", **NOWHERE, UV_CACHE_DIR=str(tmp_path / "empty"))


def test_a_lock_for_one_platform_is_made_there_only(repository: Path, tool: ModuleType, tmp_path: Path) -> None:
    other = tmp_path / "uname"
    other.write_text("#!/bin/sh\necho Darwin\n", encoding="utf-8")
    other.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    before = (repository / tool.LOCKED).read_bytes()
    for words in (("lock",), ("add", "PKG=six"), ("upgrade", "PKG=tqdm")):
        if links.data(tool.NAME).get("single_platform"):
            printed = commands.refuse(repository, "make", *words, PATH=path)
            assert "locks for one platform, and the image needs Linux's: lock on Linux (WSL" in printed
        else:
            assert "uname" not in commands.succeed(repository, "make", "--dry-run", *words, PATH=path)
    assert (repository / tool.LOCKED).read_bytes() == before


def test_another_version_is_named_and_changes_the_signature_until_sync(repository: Path) -> None:
    before = signature(repository)
    install(repository, "threadpoolctl==3.5.0")
    printed = commands.refuse(repository, "make", "verify")
    assert any("threadpoolctl" in line and "3.5.0" in line for line in printed.splitlines()), printed
    assert signature(repository) != before
    commands.succeed(repository, "make", "sync", "verify")
    assert signature(repository) == before


def test_an_extra_and_a_missing_package_are_named_and_mended(repository: Path) -> None:
    install(repository, "six")
    remove(repository, "tqdm")
    report = json.loads(commands.refuse(repository, *PARITY, "verify", "--json"))
    findings = {(finding["kind"], finding["name"]) for link in report["links"] for finding in link["findings"]}
    assert findings == {("extra", "six"), ("missing", "tqdm")}
    commands.succeed(repository, "make", "sync", "verify")


@pytest.mark.parametrize("installed", [True, False], ids=["installed", "fresh"])
def test_one_flipped_digit_of_a_hash_is_refused(
    repository: Path, tool: ModuleType, tmp_path: Path, *, installed: bool
) -> None:
    tool.flip_hash(repository, "tqdm")
    with nullcontext() if installed else without_environment(repository, tmp_path):
        printed = commands.refuse(repository, "make", "sync")
    assert "tqdm" in printed
    assert "git checkout -- " in printed
    restore_lock(repository)
    commands.succeed(repository, "make", "sync", "verify")


def test_an_edited_manifest_stops_sync_before_anything_changes(repository: Path, tool: ModuleType) -> None:
    before = signature(repository)
    tool.demand(repository, "six>=1.16")
    for verb in ("check-lock", "sync", "verify"):
        printed = commands.refuse(repository, "make", verb)
        assert "six" in printed
        assert "make lock" in printed
    assert signature(repository) == before
    # The model was trained without it, so it is trained again.
    commands.succeed(repository, "make", "lock", "sync", "train", "verify")
    assert "six" in commands.succeed(repository, ".venv/bin/python", "-c", "import six; print(six.__name__)")
    tool.withdraw(repository, "six")
    assert "make lock" in commands.refuse(repository, "make", "check-lock")


def test_a_missing_lock_is_named_and_nothing_is_installed(repository: Path, tool: ModuleType, tmp_path: Path) -> None:
    (repository / tool.LOCKED).unlink()
    with without_environment(repository, tmp_path):
        assert f"{tool.LOCKED} is missing: run `make lock`" in commands.refuse(repository, "make", "sync")
        assert not (repository / ".venv").exists()


def test_an_entry_without_a_hash_is_refused(repository: Path, tool: ModuleType) -> None:
    tool.drop_hashes(repository, "tqdm")
    assert "tqdm" in commands.refuse(repository, "make", "check-lock")


def test_a_foreign_address_is_refused(repository: Path, tool: ModuleType) -> None:
    foreign = tool.foreign(repository, "tqdm")
    if foreign is None:  # this tool's lock holds no address at all
        assert "://" not in (repository / tool.LOCKED).read_text(encoding="utf-8")
    else:
        assert foreign in commands.refuse(repository, "make", "check-lock")


def test_a_version_edited_by_hand_is_refused(repository: Path, tool: ModuleType) -> None:
    tool.edit_version(repository, "tqdm", "4.67.1")
    assert "tqdm" in commands.refuse(repository, "make", "sync")
    restore_lock(repository)
    commands.succeed(repository, "make", "sync", "verify")


@pytest.mark.parametrize("name", ["tqdm", "threadpoolctl"], ids=["direct", "transitive"])
def test_an_entry_removed_by_hand_is_refused(repository: Path, tool: ModuleType, name: str) -> None:
    tool.drop_entry(repository, name)
    assert name in commands.refuse(repository, "make", "sync")
    restore_lock(repository)
    commands.succeed(repository, "make", "sync", "verify")


def test_add_why_upgrade(repository: Path, tool: ModuleType) -> None:
    before = tool.versions(repository)
    commands.succeed(repository, "make", "add", "PKG=six>=1.16")
    added = tool.versions(repository)
    assert {name: version for name, version in added.items() if name != "six"} == before
    assert "fastapi" in commands.succeed(repository, "make", "why", "PKG=starlette")
    commands.succeed(repository, "make", "upgrade", "PKG=six")
    commands.succeed(repository, "make", "train", "verify")
    assert "Say which package" in commands.refuse(repository, "make", "upgrade")
    for verb in ("why", "upgrade"):
        assert "nonsuch is not in " in commands.refuse(repository, "make", verb, "PKG=nonsuch")


def test_what_cannot_be_added_changes_nothing(repository: Path) -> None:
    commands.refuse(repository, "make", "add", "PKG=there-is-no-such-package-parity")
    assert rendering.git(repository, "status", "--porcelain") == ""
    commands.succeed(repository, "make", "check-lock")


def test_answers_of_another_tool_are_named(repository: Path, tool: ModuleType) -> None:
    answers = repository / ".copier-answers.yml"
    text = answers.read_text(encoding="utf-8")
    answers.write_text(text.replace(f"package_manager: {tool.NAME}\n", "package_manager: bower\n"), encoding="utf-8")
    printed = commands.refuse(repository, "make", "check")
    assert f".copier-answers.yml names bower, and the files here are {tool.NAME}'s" in printed
