"""Level workshop: what the verbs refuse, what a reset keeps, and the room without network."""

import shutil
from pathlib import Path

import pytest

import commands
import rendering
import repositories
from repositories import Origin
from workshop import pages

pytestmark = pytest.mark.workshop


def test_the_list_shows_what_is_broken_and_one_exercise_is_broken_at_a_time(repository: Path) -> None:
    assert "<- broken now" not in commands.succeed(repository, "make", "workshop")
    assert "Exercise 9 is not broken yet: `make break-9`" in commands.refuse(repository, "make", "check-9")
    commands.succeed(repository, "make", "break-9")
    assert "Five faults in a Dockerfile (20 minutes)   <- broken now" in commands.succeed(
        repository, "make", "workshop"
    )
    assert "Exercise 9 is still broken: `make reset-9`" in commands.refuse(repository, "make", "break-4")
    assert "It is exercise 9 that is broken" in commands.refuse(repository, "make", "check-4")
    commands.succeed(repository, "make", "reset-9")
    assert "There is no exercise 99" in commands.refuse(repository, "make", "break-99")


def test_an_exercise_begins_only_where_a_reset_can_put_all_back(repository: Path, tmp_path: Path) -> None:
    (repository / "notes.txt").write_text("mine\n", encoding="utf-8")
    assert "?? notes.txt\nNot committed" in commands.refuse(repository, "make", "break-4")
    (repository / "notes.txt").unlink()
    (repository / "models").rename(tmp_path / "models")
    assert "Start from a green chain with a model" in commands.refuse(repository, "make", "break-4")
    (tmp_path / "models").rename(repository / "models")
    assert not (repository / "workshop/.state").exists()


def test_a_reset_loses_nothing_that_was_written(repository: Path) -> None:
    commands.succeed(repository, "make", "break-5")
    (repository / "notes.txt").write_text("mine\n", encoding="utf-8")
    assert "is in `git stash list`" in commands.succeed(repository, "make", "reset-5")
    assert not (repository / "notes.txt").exists()
    rendering.git(repository, "stash", "pop")
    assert (repository / "notes.txt").read_text(encoding="utf-8") == "mine\n"
    (repository / "notes.txt").unlink()
    assert (repository / ".env").read_bytes() == (repository / ".env.example").read_bytes()


def test_a_list_is_resolved_where_there_is_one_and_on_a_day(repository: Path) -> None:
    assert "'' is no day: write it as in make resolve DATE=" in commands.refuse(repository, "make", "resolve")
    assert "'March' is no day" in commands.refuse(repository, "make", "resolve", "DATE=March")
    printed = commands.refuse(repository, "make", "resolve", "DATE=2026-03-01")
    assert "There is no fragile.txt: `make break-13` writes it." in printed


def test_what_cannot_be_broken_is_put_back_and_said(repository: Path) -> None:
    training = repository / "src/my_model/training.py"
    text = training.read_text(encoding="utf-8")
    training.write_text(text.replace('rng("split")', 'rng("rows")'), encoding="utf-8")
    rendering.commit(repository, "Mine")
    assert "training.py is no longer as it was rendered" in commands.refuse(repository, "make", "break-6")
    assert not (repository / "workshop/.state").exists()
    rendering.git(repository, "reset", "--quiet", "--hard", "start")


# A command in a network of its own: none, not even that of this machine.
NOWHERE = ("unshare", "--map-root-user", "--net")


def numbers(*needs: list[str]) -> str:
    """Return the exercises that need this, as ONLY takes them."""
    return " ".join(str(number) for number, one in enumerate(pages.EXERCISES, 1) if one["needs"] in needs)


@pytest.fixture
def nowhere(tmp_path: Path) -> None:
    """Skip where this machine cannot take the network away."""
    if commands.run(tmp_path, *NOWHERE, "true").status:
        pytest.skip("this machine makes no network namespace: unshare --map-root-user --net")


def rehearsed(made: Origin, place: Path, only: str) -> None:
    """Let a clone fill workshop/offline, and another one do the same with it in a network of its own: none."""
    here, there = place / "the office", place / "the room, 100% offline"
    for folder in (here, there):
        rendering.git(place, "clone", "--quiet", str(made.folder), folder.name)
    commands.succeed(here, "make", "setup", "train")
    commands.succeed(here, "make", "offline", f"ONLY={only}")
    assert rendering.git(here, "status", "--porcelain") == ""
    shutil.move(here / "workshop/offline", there / "workshop/offline")
    shutil.rmtree(here)
    empty = {"XDG_CACHE_HOME": str(place / "cache")}
    commands.succeed(there, *NOWHERE, "make", "setup", "train", **empty)
    printed = commands.succeed(there, *NOWHERE, "make", "rehearse", f"ONLY={only}", **empty)
    assert printed.count("Solved.") == len(only.split())
    # Without the folder the same is refused, so it was the folder that answered.
    shutil.rmtree(there / "workshop/offline")
    commands.refuse(there, *NOWHERE, "make", "rehearse", f"ONLY={only}", **empty)


@pytest.mark.usefixtures("nowhere")
def test_what_needs_no_index_is_done_without_network(repository: Path) -> None:
    only = numbers([])
    printed = commands.succeed(repository, *NOWHERE, "make", "rehearse", f"ONLY={only}")
    assert printed.count("Solved.") == len(only.split()) > 0
    assert "Nothing is broken: " in commands.refuse(repository, *NOWHERE, "make", "break-2")


@pytest.mark.parametrize(
    "only",
    ["2 3", pytest.param(numbers(["index"], ["index", "Linux"]), marks=pytest.mark.thorough)],
    ids=["some", "all that the folder serves"],
)
@pytest.mark.usefixtures("nowhere")
def test_a_room_without_network_works_from_the_folder(
    made: Origin, repository: Path, tmp_path: Path, only: str
) -> None:
    if made.tool.NAME == repositories.DEFAULT:
        rehearsed(made, tmp_path, only)
    else:
        assert "This tool cannot lock without an index" in commands.refuse(repository, "make", "offline")
