"""Level real: a tool that the template has never heard of is a folder and a choice, and no more."""

import shutil
from pathlib import Path

import pytest

import commands
import rendering
from index import Index
from real.careless import install

pytestmark = pytest.mark.real

TOY = Path(__file__).resolve().parent.parent / "toy"
FIRST = "    uv - "


@pytest.fixture(scope="module")
def with_toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with a sixth folder in tools/ and a sixth line in copier.yml."""
    folder = rendering.checkout(tmp_path_factory.mktemp("sixth") / "parity")
    rendering.commit(folder, "As it is")
    shutil.copytree(TOY, folder / "tools" / "toy")
    questions = folder / "copier.yml"
    text = questions.read_text(encoding="utf-8")
    assert text.count(FIRST) == 1
    questions.write_text(text.replace(FIRST, f"    Toy - made up, for a test: toy\n{FIRST}"), encoding="utf-8")
    rendering.commit(folder, "A sixth tool")
    return folder


def test_nothing_else_of_the_template_is_changed(with_toy: Path) -> None:
    changed = rendering.git(with_toy, "diff", "--name-only", "HEAD~1").splitlines()
    assert {name for name in changed if not name.startswith("tools/toy/")} == {"copier.yml"}


def test_it_renders_locks_syncs_verifies_and_refuses(
    with_toy: Path, tmp_path: Path, patch: str, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    folder = rendering.render(with_toy, tmp_path / "demo", package_manager="toy", python_patch=patch)
    commands.succeed(folder, "git", "init", "--quiet")
    commands.succeed(folder, "make", "setup")
    rendering.commit(folder, "Start")
    printed = commands.succeed(folder, "make", "verify", "ARGS=--deep --strict")
    assert "chosen.csv answers it" in printed
    commands.succeed(folder, "make", "train", "verify")

    install(folder, "idna==3.6")
    assert "idna 3.6 is installed and" in commands.refuse(folder, "make", "verify")
    commands.succeed(folder, "make", "sync", "verify")
    with (folder / "needs.txt").open("a", encoding="utf-8") as file:
        file.write("six: >=1.16\n")
    refused = commands.refuse(folder, "make", "sync")
    assert "needs.txt, needs-dev.txt ask for six>=1.16 and chosen.csv does not know it: run `make lock`." in refused
    commands.succeed(folder, "git", "checkout", "--", ".")
    lock = folder / "chosen.csv"
    rows = [line for line in lock.read_text(encoding="utf-8").splitlines() if not line.startswith("idna,")]
    lock.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert "idna" in commands.refuse(folder, "make", "sync")
