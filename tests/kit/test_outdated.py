"""What outdated.py tells of a fresh resolution, and that it changes nothing; none is made here."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import check_lock
import outdated
import pytest

from kit import uv_project
from kit.uv_project import LINUX, edit, entry

pytestmark = pytest.mark.static

# In the place of resolving, which the level workflow does with each tool.
MAKEFILE = "lock:\n\t@echo resolved; cp fresh.lock uv.lock; echo https://new.example >>.tools/origins.txt\n"
CHANGED = [
    {"package": "beta", "from": "2.1", "to": "2.2", "direct": True},
    {"package": "brand-new", "from": None, "to": "1.0", "direct": False},
    {"package": "colour", "from": "0.4", "to": None, "direct": False},
    {"package": "quick-lib", "from": "0.2", "to": "0.3", "direct": False},
    {"package": "torch", "from": "2.0, 2.0+cpu", "to": "2.0, 2.1+cpu", "direct": True},
]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a lock, and with what `make lock` would make of it now."""
    folder = uv_project.write(tmp_path / "demo")
    (folder / ".tools" / "venv").mkdir()
    (folder / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    (folder / "fresh.lock").write_text(uv_project.lock_text(), encoding="utf-8")
    monkeypatch.setattr(outdated, "ROOT", folder)
    monkeypatch.setattr(check_lock, "default_environment", lambda: LINUX)
    return folder


@pytest.fixture
def moved(root: Path) -> Path:
    """The same; a fresh resolution moves some, brings one and drops one."""
    lock = root / "fresh.lock"
    edit(lock, '{ name = "colour", marker', '{ name = "brand-new", marker')
    edit(lock, entry("colour", "0.4"), entry("brand-new", "1.0"))
    for name, version, to in (("beta", "2.1", "2.2"), ("quick-lib", "0.2", "0.3"), ("torch", "2.0+cpu", "2.1+cpu")):
        edit(lock, f'name = "{name}"\nversion = "{version}"', f'name = "{name}"\nversion = "{to}"')
    edit(lock, 'version = "2.0+cpu", source', 'version = "2.1+cpu", source')
    return root


def state(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_moves_comes_and_goes_is_told_and_nothing_is_changed(
    moved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(moved)
    assert outdated.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == CHANGED
    assert state(moved) == before


def test_a_terminal_and_a_page_are_told_the_same(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del moved
    assert outdated.main([]) == 0
    text = capsys.readouterr().out.splitlines()
    assert text[0] == "  beta      2.1 -> 2.2 direct"
    assert text[1] == "  brand-new - -> 1.0 transitive"
    assert text[-1] == "`make upgrade PKG=name` takes one of these."
    assert outdated.main(["--markdown"]) == 0
    page = capsys.readouterr().out.splitlines()
    assert page[:3] == ["| package | locked | fresh | |", "|---|---|---|---|", "| beta | 2.1 | 2.2 | direct |"]
    assert page[4] == "| colour | 0.4 | - | transitive |"
    assert len(page) == len(text) + 1 == len(CHANGED) + 2


def test_no_change_is_no_failure_and_no_file(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outdated.main(["--into", str(root / "fresh")]) == 0
    assert outdated.main(["--markdown"]) == 0
    assert capsys.readouterr().out == "A fresh resolution would change nothing.\n" * 2
    assert outdated.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert not (root / "fresh").exists()


def test_the_fresh_lock_and_its_origins_are_kept_where_that_is_asked_for(moved: Path, tmp_path: Path) -> None:
    before, kept = state(moved), tmp_path / "kept"
    assert outdated.main(["--into", str(kept)]) == 0
    assert {*state(kept)} == {"uv.lock", ".tools/origins.txt"}
    assert (kept / "uv.lock").read_bytes() == before["fresh.lock"]
    assert b"https://new.example" in (kept / ".tools/origins.txt").read_bytes()
    assert state(moved) == before


def test_where_nothing_can_be_resolved_a_sentence_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "Makefile").write_text("lock:\n\t@echo half >uv.lock; echo No index answers.; exit 3\n", encoding="utf-8")
    before = state(root)
    assert outdated.main(["--json"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[1:] == [
        "No index answers.",
        "Nothing was resolved, for the reason above, or changed: repeat when that is mended.",
    ]
    assert state(root) == before


def test_without_a_lock_there_is_nothing_to_compare(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "uv.lock").unlink()
    assert outdated.main([]) == 1
    assert capsys.readouterr().err.endswith("uv.lock is missing: run `make lock`, then commit it.\n")


def test_a_lock_that_makes_no_sense_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(root / "uv.lock", 'name = "beta"\nversion', "versions")
    assert outdated.main([]) == 1
    assert "uv.lock is not as uv writes it" in capsys.readouterr().err


def test_a_make_around_it_does_not_reach_the_one_inside(
    moved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "n")  # make --dry-run
    (moved / "Makefile").write_text(f"{MAKEFILE}\techo $(MAKELEVEL) | grep 0\n", encoding="utf-8")
    monkeypatch.setenv("MAKELEVEL", "1")
    assert outdated.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == CHANGED


def test_what_locking_writes_reaches_the_copy_only(root: Path, tmp_path: Path) -> None:
    for name in (".git", ".venv", "src", ".tools/__pycache__"):
        (root / name).mkdir()
    folder = tmp_path / "copy"
    folder.mkdir()
    outdated.imitate(folder)
    assert not [name for name in (".git", ".venv", "uv.lock", ".tools/__pycache__") if (folder / name).exists()]
    assert (folder / "src").is_symlink()
    assert (folder / ".tools" / "venv").is_symlink()
    before = state(root)
    for name in ("pyproject.toml", ".tools/origins.txt", ".tools/new"):
        (folder / name).write_text("written", encoding="utf-8")
    assert state(root) == before


INTERRUPTED = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
sys.path[:0] = {path!r}
import outdated
outdated.ROOT = pathlib.Path({root!r})
sys.exit(outdated.main([]))
"""


def test_an_interrupt_leaves_all_as_it_was_and_nothing_behind(root: Path, tmp_path: Path) -> None:
    begun, scratch = tmp_path / "begun", tmp_path / "scratch"
    scratch.mkdir()
    (root / "Makefile").write_text(f"lock:\n\t@echo half >uv.lock; touch '{begun}'; sleep 60\n", encoding="utf-8")
    before = state(root)
    program = INTERRUPTED.format(path=[str(Path(outdated.__file__).parent)], root=str(root))
    process = subprocess.Popen(
        (sys.executable, "-c", program),
        env=os.environ | {"TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not begun.exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert told.splitlines()[1:] == ["Interrupted: nothing was changed."]
    assert state(root) == before
    assert [*scratch.iterdir()] == []
