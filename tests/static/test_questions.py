"""Level static: a wrong answer is refused in one sentence, a hostile one is shown unchanged."""

import tomllib
from pathlib import Path

import pytest

import rendering

pytestmark = pytest.mark.static


@pytest.mark.parametrize(
    ("question", "answer", "sentence"),
    [
        ("project_name", " ", "A project name is one line of 1 to 80 characters."),
        ("package_name", "1st", "A package name is 3 to 50 lower-case letters"),
        ("package_name", "a-b", "A package name is 3 to 50 lower-case letters"),
        ("description", "two\nlines", "A description is one line and not empty."),
        ("author", "", "An author is one line and not empty."),
        ("package_index", "https://user:secret@example.com/simple", "credentials come from the environment"),
        ("cooldown_days", -1, "A cooldown is 0 to 365 days."),
        ("package_manager", "bower", "Invalid choice"),
    ],
)
def test_a_wrong_answer_is_refused(
    template: Path, tmp_path: Path, question: str, answer: object, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        rendering.render(template, tmp_path / "demo", **{question: answer})
    assert not (tmp_path / "demo").exists()


def test_quotes_and_emoji_are_shown_unchanged(template: Path, tmp_path: Path) -> None:
    text = 'a "b" \\ {{ c }} # 🦊 %d'
    folder = rendering.render(template, tmp_path / "demo", description=text, author=text)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["description"], project["authors"]) == (text, [{"name": text}])
    assert text in (folder / "README.md").read_text(encoding="utf-8")
