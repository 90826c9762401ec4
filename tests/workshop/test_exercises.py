"""Level workshop: each exercise, typed from its own page: broken, seen, mended wrongly, mended, put back."""

from pathlib import Path

import pytest

import commands
import rendering
from workshop import pages

pytestmark = pytest.mark.workshop

NUMBERS = range(1, len(pages.EXERCISES) + 1)


def sections(repository: Path, number: int) -> dict[str, list[pages.Block]]:
    """Return the command blocks of an exercise's page, by its headings, as this repository has it."""
    text = (repository / "workshop" / pages.EXERCISES[number - 1]["page"]).read_text(encoding="utf-8")
    return {heading: pages.blocks(part) for heading, part in pages.parts(text).items()}


def type_all(repository: Path, blocks: list[pages.Block]) -> None:
    for block in blocks:
        block.type(repository)


def assert_clean(repository: Path) -> None:
    assert rendering.git(repository, "status", "--porcelain") == ""
    commands.succeed(repository, "make", "verify", "ARGS=--deep")


@pytest.mark.parametrize("number", NUMBERS)
def test_the_checker_tells_broken_and_wrongly_mended_from_mended(repository: Path, number: int) -> None:
    page = sections(repository, number)
    type_all(repository, page["Break it"] + page["See it"])
    assert "Not yet: " in commands.refuse(repository, "make", f"check-{number}")
    type_all(repository, page["What does not help"])
    assert "Not yet: " in commands.refuse(repository, "make", f"check-{number}")
    type_all(repository, page["Put it back"])
    assert_clean(repository)
    type_all(repository, page["Break it"] + page["Fix it"] + page["Check it"] + page["Put it back"])
    assert_clean(repository)
