"""Level static: the workshop comes only where it is asked for, its pages are whole, and its times add up."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import commands
import links
import parsing
import rendering
import repositories
from workshop import pages

pytestmark = pytest.mark.static

MODEL = re.compile(r"\bchampion\.[a-z]+")
BIN = Path(sys.executable).parent
README = (pages.SOURCE / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (.*?) \| \**(\d+)\** \| ?(.*?) ?\|$", re.MULTILINE)


@pytest.fixture(scope="module")
def with_workshop(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rendering.render(template, tmp_path_factory.mktemp("with") / "demo", workshop=True)


def cut(name: str) -> list[tuple[str, int, str]]:
    """Return the rows of a cut's table: what, minutes, needs."""
    table = re.search(rf"^{name}:\n\n(.*?)\n\n", README, re.DOTALL | re.MULTILINE)
    assert table, f"the README has no table of {name}"
    return [(what, int(minutes), needs) for what, minutes, needs in ROW.findall(table[1])]


# The beginning of the line above a cut's table, and which exercises stand in it.
CUTS = {
    "In 90 minutes": {"short"},
    "In half a day": {"short", "half"},
    "Afterwards, at home or in a second half": {"more"},
}


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_has_its_exercises_and_its_minutes_add_up(name: str) -> None:
    rows = cut(name)
    wanted = [
        (f"[{number}. {one['title']}]({one['page']})", one["minutes"], ", ".join(one["needs"]))
        for number, one in enumerate(pages.EXERCISES, 1)
        if one["cut"] in CUTS[name]
    ]
    assert [row for row in rows if row[0].startswith("[")] == wanted
    assert rows[-1][1] == sum(minutes for _, minutes, _ in rows[:-1])


def test_the_short_cut_takes_what_it_says_and_the_long_one_fits_half_a_day() -> None:
    assert cut("In 90 minutes")[-1][1] == 90
    assert 210 <= cut("In half a day")[-1][1] <= 240


def test_each_exercise_is_in_a_cut() -> None:
    assert {one["cut"] for one in pages.EXERCISES} == set().union(*CUTS.values())


# The same on its page, by what exercises.json says.
NEEDS = {
    (): "nothing",
    ("index",): "a package index, or the folder of `make offline`",
    ("index", "Linux"): "a package index, or the folder of `make offline`; Linux",
    ("index", "template"): "a package index; Copier, and the template at its address",
}


@pytest.mark.parametrize(
    ("number", "exercise"), [*enumerate(pages.EXERCISES, 1)], ids=[one["page"] for one in pages.EXERCISES]
)
def test_an_exercise_has_all_its_parts(number: int, exercise: dict[str, Any]) -> None:
    text = (pages.SOURCE / exercise["page"]).read_text(encoding="utf-8")
    needs = f"{exercise['minutes']} minutes. Needs: {NEEDS[tuple(exercise['needs'])]}. No Docker"
    assert text.startswith(f"# {number}. {exercise['title']}\n\n{needs}")
    parts = pages.parts(text)
    assert list(parts) == pages.PARTS
    assert all(
        re.sub(r"```.*?```", "", parts[part], flags=re.DOTALL).strip() for part in ("The story", "Why", "Fix it")
    )
    assert all(pages.blocks(parts[part]) for part in ("See it", "What does not help"))
    assert re.search(r"<details><summary>Solution</summary>\n\n```sh\n.*\n</details>", parts["Fix it"], re.DOTALL)
    verbs = {"Break it": "break", "Check it": "check", "Put it back": "reset"}
    for part, verb in verbs.items():
        assert [block.typed for block in pages.blocks(parts[part])] == [f"make {verb}-{number}\n"]


@pytest.mark.parametrize(
    ("page", "printed", "same"),
    [
        ("a …\n…\n", "a b\nc\nd\n", True),
        ("a …\n…\n", "a b\n", True),
        ("…\nd\n", "a\nb\nd\n", True),
        ("a\n", "a\nb\n", False),
        ("a …\n", "a b\nc\n", False),
        ("[1.2]\n", "[1x2]\n", False),
    ],
)
def test_what_is_printed_must_be_what_the_page_says(page: str, printed: str, *, same: bool) -> None:
    assert pages.matches(page, printed) == same


def test_the_instructor_has_a_note_for_each_exercise() -> None:
    notes = pages.parts((pages.SOURCE / "instructor.md").read_text(encoding="utf-8"))
    titles = [f"{number}. {one['title']}" for number, one in enumerate(pages.EXERCISES, 1)]
    assert [heading for heading in notes if heading[0].isdecimal()] == titles
    assert all(note.strip() for note in notes.values())


def test_every_page_is_rendered_as_it_is_read_on_the_site(with_workshop: Path) -> None:
    listed = yaml.safe_load((pages.SOURCE / "pages.yml").read_text(encoding="utf-8"))["pages"]
    assert sorted(listed) == sorted(path.name for path in pages.SOURCE.glob("*.md"))
    for name in listed:
        rendered = (with_workshop / "workshop" / name).read_text(encoding="utf-8")
        assert rendered == (pages.SOURCE / name).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("tool", repositories.NAMES)
def test_a_page_names_the_files_of_the_repository_that_it_is_in(template: Path, tmp_path: Path, tool: str) -> None:
    folder = rendering.render(
        template, tmp_path / "demo", package_manager=tool, package_name="fraud_model", workshop=True
    )
    text = (folder / "workshop/04-tampered.md").read_text(encoding="utf-8")
    locks = " ".join(links.data(tool)["locks"])
    assert f"git checkout -- {locks}\n" in text
    assert "src/fraud_model/training.py" in (folder / "workshop/06-seeds.md").read_text(encoding="utf-8")
    hand = links.data(tool)["by_hand"]
    assert re.search(f"^{re.escape(hand['below'])}", (folder / hand["file"]).read_text(), re.MULTILINE)


@pytest.mark.parametrize("framework", links.FRAMEWORKS)
def test_a_page_names_the_model_of_the_repository_that_it_is_in(template: Path, tmp_path: Path, framework: str) -> None:
    folder = rendering.render(template, tmp_path / "demo", ml_framework=framework, workshop=True)
    file = links.framework_data(framework)["model_file"]
    named = {page.name: set(MODEL.findall(page.read_text(encoding="utf-8"))) for page in folder.glob("workshop/*.md")}
    assert {name: files for name, files in named.items() if files - {file}} == {}
    assert named["08-other-environment.md"] == {file}


def test_the_instructor_says_of_each_exercise_which_practice_it_is() -> None:
    notes = pages.parts((pages.SOURCE / "instructor.md").read_text(encoding="utf-8"))
    rows = re.findall(r"^\| .*? \| ([^|;:]*)", notes["Where each practice is exercised"], re.MULTILINE)[2:]
    assert {int(number) for row in rows for number in re.findall(r"\d+", row)} == {*range(1, len(pages.EXERCISES) + 1)}


def test_without_the_question_nothing_of_the_workshop_is_there(template: Path, tmp_path: Path) -> None:
    folder = rendering.render(template, tmp_path / "demo")
    named = [path for path in rendering.files(folder) if "workshop" in str(path)]
    assert not named
    assert "workshop" not in (folder / "Makefile").read_text(encoding="utf-8")


def test_with_the_question_only_its_folder_and_one_line_of_the_makefile_are_more(
    template: Path, tmp_path: Path, with_workshop: Path
) -> None:
    without = rendering.render(template, tmp_path / "demo")
    more = set(rendering.files(with_workshop)) - set(rendering.files(without))
    assert {path.parts[0] for path in more} == {"workshop"}
    changed = [
        path.as_posix()
        for path in rendering.files(without)
        if (without / path).read_bytes() != (with_workshop / path).read_bytes()
    ]
    assert changed == [".copier-answers.yml", "Makefile"]
    lines = [set((folder / "Makefile").read_text().splitlines()) for folder in (without, with_workshop)]
    assert lines[1] - lines[0] == {"include workshop/Makefile"}


def test_the_image_never_sees_it(with_workshop: Path) -> None:
    lines = (with_workshop / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    assert not [line for line in lines if line.startswith("!") and "workshop" in line]


def test_every_file_parses_and_looks_hand_written(with_workshop: Path) -> None:
    for path in (with_workshop / "workshop").iterdir():
        text = path.read_text(encoding="utf-8")
        parsing.parse(path.name, text)
        assert not re.findall(r"[ \t]+\n|\n\n\n\n|\A\s|\n\n\Z|[^\n]\Z|.{121,}", text), path


def test_its_programs_pass_the_linters_of_the_repository(with_workshop: Path) -> None:
    commands.succeed(with_workshop, BIN / "ruff", "check", "--no-cache", "workshop")
    commands.succeed(with_workshop, BIN / "ruff", "format", "--check", "workshop")
    commands.succeed(with_workshop, BIN / "mypy", "--strict", "--cache-dir", "/dev/null", "--package", "workshop")


def test_a_package_of_its_name_is_refused(template: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'workshop': .*Call the package otherwise"):
        rendering.render(template, tmp_path / "demo", package_name="workshop", workshop=True)
    assert not (tmp_path / "demo").exists()
    assert (rendering.render(template, tmp_path / "demo", package_name="workshop") / "src/workshop").is_dir()
