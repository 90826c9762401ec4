"""Level static: any answer renders files that parse and show it unchanged, or is refused with a sentence."""

import keyword
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
import yaml
from hypothesis import strategies as st

import commands
import interrogation
import parsing
import rendering

pytestmark = pytest.mark.static

BIN = Path(sys.executable).parent
ANGLES = str.maketrans("", "", "<>")
LIMITS = {"project_name": 80, "description": 2000, "author": 200}

# What breaks one format or the other; each is also the whole answer of one render.
FRAGMENTS = (
    '"',
    "'",
    '"""',
    "'''",
    "\\",
    "\\n",
    "{{ 7*7 }}",
    "{% raw %}",
    "{% endraw %}",
    "{#",
    "{{ _copier_conf.dst_path }}",
    "${HOME}",
    "$(id)",
    "`id`",
    "%",
    "%(x)s",
    "#",
    " #",
    ": ",
    "- ",
    "---",
    "&a",
    "*a",
    "!!python/object",
    "null",
    "yes",
    "1e3",
    "]",
    "]]>",
    "<script>",
    "Ada <a@b.c>",
    ",",
    " ",
    "\u00a0",
    "\u200f",
    "\u200b",
    "é",
    "e\u0301",
    "🦊",
    "👩\u200d💻",
    "שלום",
    "مرحبا",
    "数据",
)
REFUSED = (
    "\n",
    "\r",
    "\t",
    "\0",
    "\x1b",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2067",
    "\ud800",
    "\udfff",
    "\ufeff",
    "\uffff",
)

ANYTHING = st.characters()
# Finding a failure is enough: shrinking and explaining it take minutes here.
SETTINGS = hypothesis.settings(
    deadline=None, database=None, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate]
)
PIECES = st.lists(st.sampled_from(FRAGMENTS) | st.text(ANYTHING, max_size=3), max_size=6)
TEXT = PIECES.map("".join)


def acceptable(text: str, limit: int) -> bool:
    """Say what `unprintable` in copier.yml says, in the words of Unicode's own tables."""
    return (
        0 < len(text) <= limit
        and bool(text.strip())
        and not any(
            unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
            or unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
            or character in "\ufeff\ufffe\uffff"
            for character in text
        )
    )


@pytest.fixture(scope="module")
def questionnaire(template: Path, tmp_path_factory: pytest.TempPathFactory) -> interrogation.Interrogation:
    return interrogation.Interrogation(template, tmp_path_factory.mktemp("asked") / "demo")


@pytest.fixture(scope="module")
def reserved(questionnaire: interrogation.Interrogation) -> frozenset[str]:
    return frozenset(" ".join(questionnaire.ask()["reserved"].values()).split())


def shown(files: dict[str, str], answers: dict[str, Any]) -> None:
    """Parse every file, and find each answer unchanged in the files that show it."""
    parsed: dict[str, Any] = {name: parsing.parse(name, text) for name, text in files.items()}
    recorded = parsed[".copier-answers.yml"]
    assert {name: recorded[name] for name in (*LIMITS, "package_name", "package_index")} == {
        name: answers[name] for name in (*LIMITS, "package_name", "package_index")
    }
    project = parsed["pyproject.toml"]["project"]
    assert project["description"] == answers["description"]
    assert project["authors"] == [{"name": answers["author"]}]
    assert project["name"] == parsed["compose.yaml"]["services"]["api"]["image"] == answers["distribution_name"]
    heading, _, description = files["README.md"].split("\n")[:3]
    assert (heading, description) == (f"# {answers['project_name']}", answers["description"])
    index = parsed["uv.toml"].get("index", [{"url": ""}])
    assert index[0]["url"] == answers["package_index"]
    if answers["license"] in {"MIT", "BSD-3-Clause"}:
        assert f"Copyright (c) {answers['author']}\n" in files["LICENSE"]


@hypothesis.settings(SETTINGS, max_examples=40)
@hypothesis.example({"project_name": " 🦊 ", "description": " ".join(FRAGMENTS), "author": '"""\\"""'}, "MIT")
@hypothesis.example({"project_name": '"🦊\\', "description": "x" * 2000, "author": "x" * 200}, "BSD-3-Clause")
@hypothesis.given(
    texts=st.fixed_dictionaries(dict.fromkeys(LIMITS, TEXT)),
    licence=st.sampled_from(["none", "MIT", "Apache-2.0", "BSD-3-Clause"]),
)
def test_any_text_is_shown_unchanged_or_refused(
    questionnaire: interrogation.Interrogation, texts: dict[str, str], licence: str
) -> None:
    texts = {**texts, "author": texts["author"].translate(ANGLES)}
    good = {name: text for name, text in texts.items() if acceptable(text, LIMITS[name])}
    for name, text in texts.items() - good.items():
        with pytest.raises(ValueError, match=rf"'{name}': Use one line of 1 to {LIMITS[name]} characters, [^.]*\.\Z"):
            questionnaire.ask(**{name: text})
    answers = questionnaire.ask(**good, license=licence)
    assert {name: answers[name] for name in good} == good
    shown(questionnaire.files(**good, license=licence), answers)


@pytest.mark.parametrize("author", ["Ada <ada@example.com>", "Ada, Grace & co. <team@example.com>"])
def test_an_author_may_have_an_address(questionnaire: interrogation.Interrogation, author: str) -> None:
    shown(questionnaire.files(author=author), questionnaire.ask(author=author))


@pytest.mark.parametrize("author", ["<script>", "Ada <>", "<ada@example.com>", "Ada <a@b> and <c@d>", "a > b", "<3"])
def test_angle_brackets_elsewhere_are_refused(questionnaire: interrogation.Interrogation, author: str) -> None:
    """Poetry installs no project whose author it cannot take apart."""
    with pytest.raises(ValueError, match=r"'author': Use < and > only around an address"):
        questionnaire.ask(author=author)


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("character", REFUSED, ids=ascii)
def test_a_character_that_no_file_can_hold_is_refused(
    questionnaire: interrogation.Interrogation, name: str, character: str
) -> None:
    for text in (f"a{character}", f"{character}a"):
        assert not acceptable(text, LIMITS[name])
        with pytest.raises(ValueError, match=rf"'{name}': Use one line of 1 to {LIMITS[name]} characters"):
            questionnaire.ask(**{name: text})


@hypothesis.settings(SETTINGS, max_examples=150)
@hypothesis.given(name=st.from_regex(r"[a-z0-9_]{0,9}\Z") | st.text(ANYTHING, max_size=60))
def test_any_package_name_can_be_imported_or_is_refused(
    questionnaire: interrogation.Interrogation, reserved: frozenset[str], name: str
) -> None:
    good = (
        3 <= len(name) <= 50
        and name.isascii()
        and name.isidentifier()
        and name == name.lower().strip("_")
        and "__" not in name
        and not keyword.iskeyword(name)
        and name not in reserved
        and not name.startswith("test_")
    )
    if good:
        assert questionnaire.ask(package_name=name)["package_name"] == name
    else:
        with pytest.raises(ValueError, match=r"'package_name': Use [^\n]*\.\Z"):
            questionnaire.ask(package_name=name)


@hypothesis.settings(SETTINGS, max_examples=50)
@hypothesis.given(text=TEXT | st.text(st.characters(categories=["L", "N", "Zs", "M"]), max_size=80))
def test_a_derived_package_name_is_always_good(questionnaire: interrogation.Interrogation, text: str) -> None:
    """Copier validates a default too, and stops at one that its own template made."""
    if acceptable(text, LIMITS["project_name"]):
        assert questionnaire.ask(project_name=text)["package_name"].isidentifier()


@pytest.mark.parametrize(
    ("project", "package"),
    [
        ("Fraud Model 2.0", "fraud_model_2_0"),
        ("Ünïcode Prøject", "unicode_project"),
        ("İstanbul æther e\u0301te\u0301", "istanbul_aether_ete"),
        ("123", "model_123"),
        ("数据", "model"),
        ("class", "model_class"),
        ("Test Records", "model_test_records"),
        ("CON", "model_con"),
        ("scikit-learn", "model_scikit_learn"),
        ("x" * 80, "x" * 44),
        ("{{ 7*7 }}", "model_7_7"),
    ],
)
def test_the_derived_package_name(questionnaire: interrogation.Interrogation, project: str, package: str) -> None:
    assert questionnaire.ask(project_name=project)["package_name"] == package


@pytest.mark.parametrize(
    "name", ["test", "json", "sklearn", "class", "con", "src", "tests", "parity", "models", "null", "test_api"]
)
def test_a_taken_package_name_is_refused_with_another(questionnaire: interrogation.Interrogation, name: str) -> None:
    with pytest.raises(ValueError, match=f"Use another name, such as my_{name}: this one is taken"):
        questionnaire.ask(package_name=name)
    assert questionnaire.ask(package_name=f"my_{name}")["package_name"] == f"my_{name}"


@pytest.mark.parametrize(
    "name", ["CON", "Test", "a b", "a-b", "ab", "_abc", "abc_", "a__b", "abc\n", "\uff41bc", "1abc"]
)
def test_a_package_name_of_another_form_is_refused(questionnaire: interrogation.Interrogation, name: str) -> None:
    with pytest.raises(ValueError, match=r"Use 3 to 50 of a-z, 0-9 and single _"):
        questionnaire.ask(package_name=name)


@pytest.mark.parametrize(
    "address",
    [
        "https://packages.example.com/simple/",
        "http://localhost:3141/root/dev/+simple/",
        "https://10.0.0.7:8443",
        "https://gitlab.example.com/api/v4/projects/12/packages/pypi/simple",
    ],
)
def test_an_index_of_a_company_is_taken(questionnaire: interrogation.Interrogation, address: str) -> None:
    shown(questionnaire.files(package_index=address), questionnaire.ask(package_index=address))


@hypothesis.settings(SETTINGS, max_examples=80)
@hypothesis.given(
    address=st.lists(
        st.sampled_from(["https://", "http://", "host.example", "user:secret@", ":8080", "/simple/", "?a=b", "..", "@"])
        | st.sampled_from(FRAGMENTS + REFUSED),
        min_size=1,
        max_size=5,
    ).map("".join)
)
def test_any_index_is_an_address_without_secrets_or_refused(
    questionnaire: interrogation.Interrogation, address: str
) -> None:
    try:
        files = questionnaire.files(package_index=address)
    except ValueError as error:
        sentence = r"'package_index': Use https://host/path [^\n]*: credentials come from the environment\.\Z"
        assert re.search(sentence, str(error)), error  # noqa: PT017 - both outcomes are right
        return
    parts = urlsplit(address)
    assert parts.scheme in {"http", "https"}
    assert parts.hostname
    assert not set("@?#\"'\\ $`{}<>%\n") & set(address)
    assert parts.port is None or parts.port >= 0
    shown(files, questionnaire.ask(package_index=address))


@pytest.mark.parametrize("days", [0, 7, 365, "30"])
def test_a_cooldown_is_a_number_in_every_file(questionnaire: interrogation.Interrogation, days: object) -> None:
    files = questionnaire.files(cooldown_days=days)
    updates = yaml.safe_load(files[".github/dependabot.yml"])["updates"]
    assert {update["cooldown"]["default-days"] for update in updates} == {max(1, int(str(days)))}
    assert f'exclude-newer = "{days} days"' in files["uv.toml"]


@pytest.mark.parametrize("days", [-1, 366, "-7", 10**12])
def test_a_cooldown_out_of_range_is_refused(questionnaire: interrogation.Interrogation, days: object) -> None:
    with pytest.raises(ValueError, match=r"'cooldown_days': Use 0 to 365 days, as a whole number\.\Z"):
        questionnaire.ask(cooldown_days=days)


@pytest.mark.parametrize("days", ["soon", "7 days", "1e3", "7.5", '"', "{{ 7 }}", None])
def test_a_cooldown_that_is_no_number_is_refused(questionnaire: interrogation.Interrogation, days: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        questionnaire.ask(cooldown_days=days)


# Every fragment, a few to a render, and long ones: what the properties above try file by file, whole.
WHOLE = (
    *(" ".join(FRAGMENTS[start : start + 4]) for start in range(0, len(FRAGMENTS), 4)),
    "x" * 80,
    "long: " + '"\\' * 37,
    "🦊" * 80,
    'ends in a quote"',
)
# What other answers bring.
UNASKED = {".gitlab-ci.yml", "renovate.json", "dvc.yaml", "src/demo_pkg/stages.py"}


@pytest.mark.parametrize("text", WHOLE)
def test_a_whole_render_of_a_hostile_text(
    template: Path, tmp_path: Path, questionnaire: interrogation.Interrogation, text: str
) -> None:
    long = (text * 2000)[:2000] if len(text) == LIMITS["project_name"] else text
    given = {
        "project_name": text,
        "author": text.translate(ANGLES),
        "description": long,
        "license": "MIT",
        "package_name": "demo_pkg",
        "release": True,
    }
    folder = rendering.render(template, tmp_path / "demo", **given)
    files = {path.as_posix(): (folder / path).read_text(encoding="utf-8") for path in rendering.files(folder)}
    shown(files, questionnaire.ask(**given))
    apart = questionnaire.files(**given)
    assert apart.keys() - files.keys() == UNASKED
    assert {name: files[name] for name in apart.keys() - UNASKED} == {
        name: text for name, text in apart.items() if name not in UNASKED
    }, "file by file and whole differ"


def test_the_programs_that_read_them_take_hostile_files(template: Path, tmp_path: Path) -> None:
    text = 'l\u2019été """ \\ {{ 7*7 }} $(id) %s # שלום 🦊 '
    folder = rendering.render(template, tmp_path / "demo", project_name=text, description=text, author=text)
    package = folder / "src" / rendering.files(folder / "src")[0].parts[0]
    assert "make setup" in commands.succeed(folder, "make", "help")
    commands.succeed(folder, "make", "--dry-run", "help")
    commands.succeed(folder, BIN / "hadolint", "Dockerfile")
    commands.succeed(
        folder,
        BIN / "ruff",
        "check",
        "--no-cache",
        "--isolated",
        "--select=D2,D3,D4,E,PLE,RUF",
        package / "__init__.py",
    )
    commands.succeed(folder, BIN / "uv", "build", "--offline", "--quiet", "--wheel")


def test_a_refused_answer_is_a_sentence_on_the_command_line_and_nothing_is_written(
    template: Path, tmp_path: Path
) -> None:
    command = (
        BIN / "copier",
        "copy",
        "--quiet",
        "--defaults",
        "--data",
        "package_name=class",
        template,
        "demo",
    )
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith(
        "Use another name, such as my_class: this one is taken by Python, a dependency or the system."
    )
    assert not (tmp_path / "demo").exists()
