"""Level static: each question helps whoever answers it, and no list in the template is written twice."""

import importlib.metadata
import json
import re
import shutil
from pathlib import Path
from typing import Any

import packaging.requirements
import packaging.utils
import pytest
import yaml

import commands
import interrogation
import rendering

pytestmark = pytest.mark.static

NAME = re.compile(r"(?=.{3,50}\Z)[a-z][a-z0-9]*(_[a-z0-9]+)*")

QUESTIONS = interrogation.questions(rendering.ROOT)
TEXTS = {name: details for name, details in QUESTIONS.items() if "choices" not in details and details["type"] != "bool"}
CHOICES = {name: details["choices"] for name, details in QUESTIONS.items() if "choices" in details}


def load(path: str) -> Any:  # noqa: ANN401
    """Return what a YAML file of the template says in its last document."""
    return list(yaml.safe_load_all((rendering.ROOT / path).read_text(encoding="utf-8")))[-1]


RESERVED: dict[str, str] = load("reserved.yml")["reserved"]["default"]
TAKEN = frozenset(" ".join(RESERVED.values()).split())


def folders(path: str) -> set[str]:
    return {path.parent.name for path in (rendering.ROOT / path).glob("*/*.yml") if path.stem in {"tool", "framework"}}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_has_a_help_line_and_a_default(name: str) -> None:
    lines = QUESTIONS[name]["help"].splitlines()
    assert re.match(r"[A-Z].*[?.]", lines[0])
    assert not [line for line in lines if len(line) > 76], "a terminal of 80 columns cuts this"
    assert "default" in QUESTIONS[name]


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_has_an_example_that_is_a_good_answer(template: Path, tmp_path: Path, name: str) -> None:
    example = TEXTS[name]["placeholder"]
    folder = rendering.render(template, tmp_path / "demo", **{name: example})
    assert str(load_answers(folder)[name]) == example


SPELT = {"github": "GitHub Actions", "gitlab": "GitLab CI", "dvc": "DVC"} | {
    path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8"))["label"]
    for path in (*rendering.ROOT.glob("tools/*/tool.yml"), *rendering.ROOT.glob("frameworks/*/framework.yml"))
}


@pytest.mark.parametrize(("name", "label"), [(name, label) for name, choices in CHOICES.items() for label in choices])
def test_a_choice_says_in_one_line_when_to_choose_it(name: str, label: str) -> None:
    value, line = label.split(" - ", 1)
    assert len(line) > 15
    assert len(label) < 77, f"{name}: a terminal of 80 columns cuts this"
    answer = CHOICES[name][label]
    assert value in {answer, SPELT.get(answer)}


def test_a_choice_is_a_folder_and_a_folder_is_a_choice() -> None:
    assert set(CHOICES["package_manager"].values()) == folders("tools")
    assert set(CHOICES["ml_framework"].values()) == folders("frameworks")
    versioning = {path.name for path in (rendering.ROOT / "template" / "versioning").iterdir()}
    assert set(CHOICES["data_versioning"].values()) == versioning
    licences = {path.stem for path in (rendering.ROOT / "template" / "licenses").glob("*.toml")}
    assert set(CHOICES["license"].values()) == licences
    assert set(CHOICES["python_version"].values()) == set(load("pins.yml")["pins"]["default"]["python"])


@pytest.mark.parametrize("framework", sorted(folders("frameworks")))
def test_a_framework_computes_on_what_is_offered(framework: str) -> None:
    accelerators = load(f"frameworks/{framework}/framework.yml")["accelerators"]
    assert accelerators
    assert set(accelerators) <= set(CHOICES["accelerator"].values())


def test_another_tool_is_a_folder_and_a_line(tmp_path: Path) -> None:
    template = rendering.checkout(tmp_path / "parity")
    shutil.copytree(template / "tools" / "uv", template / "tools" / "toy")
    questions = template / "copier.yml"
    line = next(label for label in CHOICES["package_manager"] if label.startswith("uv - "))
    text = questions.read_text(encoding="utf-8")
    assert text.count(f"    {line}: uv\n") == 1
    questions.write_text(text.replace(f"    {line}: uv\n", f"    {line}: uv\n    toy - in tests: toy\n"))
    folder = rendering.render(template, tmp_path / "demo", package_manager="toy")
    assert load_answers(folder)["package_manager"] == "toy"
    assert (folder / "uv.toml").exists()


def load_answers(folder: Path) -> dict[str, Any]:
    answers: dict[str, Any] = yaml.safe_load((folder / ".copier-answers.yml").read_text(encoding="utf-8"))
    return answers


WRONG: tuple[tuple[str, object, str], ...] = (
    ("project_name", " ", "Use one line of 1 to 80 characters"),
    ("project_name", "x" * 81, "Use one line of 1 to 80 characters"),
    ("package_name", "1st", "Use 3 to 50 of a-z, 0-9 and single _"),
    ("package_name", "json", "Use another name, such as my_json: this one is taken"),
    ("description", "two\nlines", "Use one line of 1 to 2000 characters"),
    ("description", "half a pair: \ud800", "Use one line of 1 to 2000 characters"),
    ("author", "", "Use one line of 1 to 200 characters"),
    ("package_index", "https://user:secret@example.com/simple", "credentials come from the environment"),
    ("cooldown_days", -1, "Use 0 to 365 days"),
    ("package_manager", "bower", "is not in"),
    ("python_version", "3.11", "is not in"),
)


def test_every_text_has_a_wrong_answer() -> None:
    assert set(TEXTS) <= {question for question, _, _ in WRONG}


@pytest.mark.parametrize(("question", "answer", "sentence"), WRONG)
def test_a_wrong_answer_is_refused_and_nothing_is_written(
    template: Path, tmp_path: Path, question: str, answer: object, sentence: str
) -> None:
    with pytest.raises(ValueError, match=f"'{question}': .*{sentence}"):
        rendering.render(template, tmp_path / "demo", **{question: answer})
    assert not (tmp_path / "demo").exists()


def test_reserved_names_are_sorted_and_could_be_answers() -> None:
    for group, names in RESERVED.items():
        assert names.split() == sorted(set(names.split())), group
        assert not [name for name in names.split() if not NAME.fullmatch(name)], group


@pytest.mark.parametrize("version", sorted(load("pins.yml")["pins"]["default"]["python"]))
def test_the_standard_library_and_the_keywords_are_reserved(version: str) -> None:
    script = rendering.ROOT / "template" / ".tools" / "bootstrap.sh"
    found = commands.run(rendering.ROOT, "sh", script, "find", version)
    if found.status != 0:
        pytest.skip(f"no Python {version} on this machine")
    program = "import json, keyword as k, sys; print(json.dumps([*sys.stdlib_module_names, *k.kwlist, *k.softkwlist]))"
    names = json.loads(commands.succeed(rendering.ROOT, found.output.strip(), "-c", program))
    assert {name for name in names if NAME.fullmatch(name)} <= TAKEN


def requirements() -> set[str]:
    """Return the canonical names of all that a rendered repository can require."""
    common = load("frameworks/common.yml")
    files = [common, *(load(f"frameworks/{name}/framework.yml") for name in folders("frameworks"))]
    files += [chosen for data in files for chosen in data.get("accelerators", {}).values()]
    lines = [line for data in files for group in ("runtime", "dev") for line in data.get(group, [])]
    return {packaging.utils.canonicalize_name(packaging.requirements.Requirement(line).name) for line in lines}


def closure(names: set[str]) -> set[str]:
    """Return `names` and what they need, as far as the template's own environment has it installed."""
    seen: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        seen.add(name)
        try:
            needs = map(packaging.requirements.Requirement, importlib.metadata.requires(name) or [])
        except importlib.metadata.PackageNotFoundError:
            continue
        applying = {need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})}
        waiting |= {packaging.utils.canonicalize_name(need) for need in applying} - seen
    return seen


def test_every_dependency_is_reserved_by_both_its_names() -> None:
    needed = closure(requirements())
    assert {"scikit-learn", "starlette"} <= needed, "the walk found nothing"
    imports = {
        package
        for package, distributions in importlib.metadata.packages_distributions().items()
        if needed & {packaging.utils.canonicalize_name(name) for name in distributions}
    }
    names = {name.replace("-", "_") for name in needed} | imports
    assert {name for name in names if NAME.fullmatch(name)} <= TAKEN


def test_what_the_repository_itself_uses_is_reserved(template: Path, tmp_path: Path) -> None:
    folder = rendering.render(template, tmp_path / "demo")
    ignored = re.findall(r"^/?([a-z]\w+)/$", (folder / ".gitignore").read_text(encoding="utf-8"), re.MULTILINE)
    modules = [path.stem for path in (folder / "tests").glob("*.py")]
    roots = [path.name for path in folder.iterdir() if path.is_dir()]
    used = {name for name in [*ignored, *modules, *roots] if NAME.fullmatch(name)}
    assert {name for name in used if not name.startswith("test_")} <= TAKEN
    words = [name for name in ("true", "false", "yes", "null", "none", "off") if name not in TAKEN]
    assert not words
