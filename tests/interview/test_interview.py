"""Level interview: the questions as a person sees them, answered with keys on a terminal of 80 columns."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml

import commands
import interrogation
import rendering

pytestmark = pytest.mark.interview

COPIER = Path(sys.executable).parent / "copier"
QUESTIONS = interrogation.questions(rendering.ROOT)
ASKED = [name for name in QUESTIONS if name != "accelerator"]

ENTER, DOWN, CLEAR, INTERRUPT = "\r", "\x1b[B", "\x15", "\x03"

# Colours, cursor movements and modes: everything on a terminal that is no text.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78])")
PREFIX = "Validation error for question '{}': "


class Interview:
    """A person at a terminal: reads until something shows, and types."""

    def __init__(self, template: Path, folder: Path, *options: str, columns: int = 80) -> None:
        self._child: pexpect.spawn[str] = pexpect.spawn(
            str(COPIER),
            ["copy", *options, str(template), str(folder)],
            dimensions=(40, columns),
            encoding="utf-8",
            env=commands.environment(TERM="xterm-256color", LANG="C.UTF-8", PROMPT_TOOLKIT_NO_CPR="1"),
            timeout=30,
        )
        self._screen = ""

    def see(self, text: str) -> None:
        """Wait until `text` shows; what showed before it is past. Where a line wraps does not matter."""
        wanted = re.sub(r"\s+", "", text)
        while wanted not in (seen := re.sub(r"\s+", "", self._screen)):
            try:
                self._screen = ESCAPES.sub("", self._screen + self._child.read_nonblocking(4096, 30))
            except (pexpect.TIMEOUT, pexpect.EOF):
                pytest.fail(f"{text!r} does not show, but:\n{self._screen[-2000:]}")
        rest = len(seen) - seen.index(wanted) - len(wanted)
        self._screen = seen[len(seen) - rest :]

    def type(self, *keys: str) -> None:
        """Press keys."""
        self._child.send("".join(keys))

    def question(self, name: str) -> None:
        """Wait for a question's help line."""
        self.see(QUESTIONS[name]["help"].split("{%")[0].strip())

    def answer(self, name: str, *keys: str) -> None:
        """Wait for a question, press keys and Enter."""
        self.question(name)
        self.type(*keys, ENTER)

    def end(self) -> int:
        """Read to the end; return the exit status."""
        self._child.expect(pexpect.EOF)
        self._screen += ESCAPES.sub("", self._child.before or "")
        self._child.close()
        return self._child.exitstatus if self._child.exitstatus is not None else 128

    def stop(self) -> None:
        """End Copier, whatever it waits for."""
        self._child.close(force=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "demo"


@pytest.fixture
def interview(template: Path, folder: Path) -> Iterator[Interview]:
    person = Interview(template, folder)
    yield person
    person.stop()


def recorded(folder: Path) -> dict[str, Any]:
    answers = yaml.safe_load((folder / ".copier-answers.yml").read_text(encoding="utf-8"))
    return {name: value for name, value in answers.items() if not name.startswith("_")}


def test_enter_takes_every_default_and_all_is_recorded(
    interview: Interview, folder: Path, template: Path, tmp_path: Path
) -> None:
    for name in ASKED:
        interview.question(name)
        for label in QUESTIONS[name].get("choices", ()):
            interview.see(label)
        interview.type(ENTER)
    interview.see("My Model is in")
    assert interview.end() == 0
    assert list(recorded(folder)) == sorted(QUESTIONS)
    assert recorded(folder) == recorded(rendering.render(template, tmp_path / "unasked"))
    assert recorded(folder)["accelerator"] == "cpu", "not asked, where the framework leaves no choice"


def test_answers_give_the_later_defaults_and_choices_are_made_with_arrows(interview: Interview, folder: Path) -> None:
    interview.answer("project_name", CLEAR, "Ünïcode 🦊 {{ 7*7 }}")
    interview.question("package_name")
    interview.see("unicode_7_7")
    interview.type(ENTER)
    interview.answer("description", CLEAR, 'Says "so" \\ # %s')
    interview.question("author")
    interview.see("Ünïcode 🦊 {{ 7*7 }} team")
    interview.type(ENTER)
    interview.answer("package_manager")
    interview.answer("python_version", DOWN)
    interview.answer("ml_framework")
    interview.answer("ci_provider")
    interview.answer("license", DOWN, DOWN)
    interview.answer("package_index", "https://packages.example.com/simple/")
    interview.question("cooldown_days")
    interview.see("Take 0 if your index does not say when a file was uploaded.")
    interview.type(CLEAR, "3", ENTER)
    for name in ("release", "workshop"):
        interview.question(name)
        interview.type("y")  # which is an answer without Enter
    interview.answer("data_versioning", DOWN)
    interview.see("make setup")
    assert interview.end() == 0
    answers = recorded(folder)
    assert answers == answers | {
        "project_name": "Ünïcode 🦊 {{ 7*7 }}",
        "package_name": "unicode_7_7",
        "description": 'Says "so" \\ # %s',
        "author": "Ünïcode 🦊 {{ 7*7 }} team",
        "python_version": "3.14",
        "license": "Apache-2.0",
        "package_index": "https://packages.example.com/simple/",
        "cooldown_days": 3,
        "release": True,
        "workshop": True,
        "data_versioning": "dvc",
    }
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("# Ünïcode 🦊 {{ 7*7 }}\n")


WRONG = {
    "project_name": "x" * 81,
    "package_name": "class",
    "description": " ",
    "author": "x" * 201,
    "package_index": "https://user:secret@example.com/",
    "cooldown_days": "366",
}
SENTENCES = {
    "project_name": "Use one line of 1 to 80 characters, none of them a control character.",
    "package_name": "Use another name, such as my_class: this one is taken by Python, a dependency or the system.",
    "description": "Use one line of 1 to 2000 characters, none of them a control character.",
    "author": "Use one line of 1 to 200 characters, none of them a control character.",
    "package_index": (
        "Use https://host/path of letters, digits and . _ ~ + - / only: credentials come from the environment."
    ),
    "cooldown_days": "Use 0 to 365 days, as a whole number.",
}


@pytest.mark.parametrize("columns", [80, 160])
def test_a_wrong_answer_is_told_what_is_allowed_and_can_be_mended(template: Path, folder: Path, columns: int) -> None:
    interview = Interview(template, folder, columns=columns)
    for name in ASKED:
        interview.question(name)
        if name in WRONG:
            interview.type(CLEAR, WRONG[name], ENTER)
            # The line under the question is one line: a narrow terminal shows its beginning.
            interview.see((PREFIX.format(name) + SENTENCES[name])[: columns - 1])
            interview.type(CLEAR, str(rendered(name)))
        interview.type(ENTER)
    interview.see("My Model is in")
    assert interview.end() == 0


def rendered(name: str) -> object:
    """Return a good answer to a question of text."""
    return {"project_name": "My Model", "package_index": ""}.get(name, QUESTIONS[name]["placeholder"])


def test_an_emptied_field_shows_an_example(interview: Interview) -> None:
    for name in ASKED:
        interview.question(name)
        if "placeholder" in QUESTIONS[name]:
            interview.type(CLEAR)
            interview.see(QUESTIONS[name]["placeholder"])
            interview.type(str(rendered(name)))
        interview.type(ENTER)
    assert interview.end() == 0


def test_leaving_writes_nothing(interview: Interview, folder: Path) -> None:
    interview.answer("project_name")
    interview.question("package_name")
    interview.type(INTERRUPT)
    interview.see("Execution stopped by user")
    assert interview.end() == 1
    assert not folder.exists()


def test_an_answer_given_beforehand_is_not_asked(template: Path, folder: Path) -> None:
    interview = Interview(template, folder, "--data", "project_name=Fraud Model", "--data", "license=MIT")
    for name in [name for name in ASKED if name not in {"project_name", "license"}]:
        interview.answer(name)
    interview.see("Fraud Model is in")
    assert interview.end() == 0
    assert recorded(folder)["package_name"] == "fraud_model"
    assert recorded(folder)["license"] == "MIT"


def test_without_a_terminal_it_says_what_to_do(template: Path, folder: Path) -> None:
    refusal = commands.refuse(folder.parent, COPIER, "copy", template, folder)
    assert "Use `--defaults` and/or `--data`" in refusal
    assert not folder.exists()
    assert os.listdir(folder.parent) == []  # noqa: PTH208 - nothing else is left either
