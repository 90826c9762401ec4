"""Writes the pages that only list what the template says: `make docs` keeps them current."""

import re
import tempfile
from pathlib import Path
from typing import Any

import jinja2

import interrogation
import rendering

FOLDER = rendering.ROOT / "docs" / "reference"
VERBS = """\
# The verbs

What `make` does in a repository. `make help` lists those of every day, `make help-all` all. A verb of your own goes
into `Makefile.local` ([how](../how-to/update.md#what-is-changed-and-what-never-is)).

This page is written by `make docs` from the rendered Makefile and README; a test compares the two.

| verb | what it does | every day |
|---|---|---|
"""
BEHIND = """
## The command behind it

What differs between the tools; the README of a repository has its own tool's. The programs are those of `.tools/venv`,
in the version that the repository pins; micromamba is that of `PATH`.

| verb | tool | command |
|---|---|---|
"""
HEAD = """\
# The questions

Copier asks these, in this order, and records the answers in `.copier-answers.yml`. `copier copy --defaults` asks
nothing, `--data name=answer` answers one beforehand. To change an answer later: `make switch TO=name=answer`
([how](../how-to/switch.md)), for all but `package_name`, which files of yours import.

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


def verbs(template: Path) -> str:
    """Return the page of the verbs, as a repository's Makefile lists them and each tool's README tells them."""
    with tempfile.TemporaryDirectory() as folder:
        makefile = (rendering.render(template, Path(folder) / "it") / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z-]+):.*## (- )?(.*)$", makefile, re.MULTILINE)
    rows = [f"| `make {verb}` | {what} | {'' if rare else 'yes'} |\n" for verb, rare, what in found]
    return VERBS + "".join(rows) + BEHIND + "".join(_behind(template))


def _behind(template: Path) -> list[str]:
    """Return a row for each verb that is another command with each tool, and each of these."""
    pattern = re.compile(r"^\| `(make [a-z]+)[^|]*\|[^|]*\| (.*) \|$", re.MULTILINE)
    tools = {path.parent.name: path.read_text(encoding="utf-8") for path in sorted(template.glob("tools/*/verbs.md"))}
    told = {tool: dict(pattern.findall(text)) for tool, text in tools.items()}
    names = next(iter(told.values()))
    return [f"| `{name}` | {tool} | {of[name]} |\n" for name in names for tool, of in told.items()]


PAGES = {"questions.md": questions, "verbs.md": verbs}


def main() -> None:
    """Write each page."""
    with tempfile.TemporaryDirectory() as folder:
        template = rendering.checkout(Path(folder))
        for name, page in PAGES.items():
            (FOLDER / name).write_text(page(template), encoding="utf-8")


if __name__ == "__main__":
    main()
