"""Writes what pages list from what the template says: `make docs` keeps docs/reference/questions.md current."""

import tempfile
from pathlib import Path
from typing import Any

import jinja2

import interrogation
import rendering

QUESTIONS = rendering.ROOT / "docs" / "reference" / "questions.md"
HEAD = """\
# The questions

Copier asks these, in this order, and records the answers in `.copier-answers.yml`. `copier copy --defaults` asks
nothing, `--data name=answer` answers one beforehand. To change an answer later: `make switch TO=name=answer` for the
tool, Python or CI, and [`copier update`](../how-to/update.md#another-answer) for the others.

This page is written by `make docs` from `copier.yml`; a test compares the two.
"""


def questions(template: Path) -> str:
    """Return the page of the questions, as the copier.yml of a template has them."""
    with tempfile.TemporaryDirectory() as folder:
        answers = interrogation.Interrogation(template, Path(folder)).ask()
    asked = interrogation.questions(template).items()
    sections = ["\n".join(_question(name, said, answers)) for name, said in asked]
    return "\n".join([HEAD, *sections]).rstrip("\n") + "\n"


def _question(name: str, said: dict[str, Any], answers: dict[str, Any]) -> list[str]:
    """Return the section of one question, as it is asked where all others have their defaults."""
    asked = jinja2.Template(said["help"], trim_blocks=True, undefined=jinja2.StrictUndefined).render(answers)
    origin = ", made from the answers before it" if "{" in str(said["default"]) else ""
    default = f"Default: {_answer(answers[name])}{origin}"
    example = f"; for example `{said['placeholder']}`" if "placeholder" in said else ""
    lines = [f"## `{name}`", "", " ".join(asked.split()), "", default + example, ""]
    return lines + _choices(said["choices"]) if "choices" in said else lines


def _answer(answer: object) -> str:
    return f"`{answer}`" if answer != "" else "empty"


def _choices(choices: dict[str, object]) -> list[str]:
    """Return the table of a question's choices; the label has the answer's name before the dash."""
    rows = [f"| `{_value(value)}` | {label.partition(' - ')[2]} |" for label, value in choices.items()]
    return ["| answer | when |", "|---|---|", *rows, ""]


def _value(said: object) -> object:
    return said["value"] if isinstance(said, dict) else said  # with a validator of its own it is a table


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        template = rendering.checkout(Path(folder))
        QUESTIONS.write_text(questions(template), encoding="utf-8")


if __name__ == "__main__":
    main()
