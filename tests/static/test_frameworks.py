"""Level static: a framework is a folder, and nothing outside it asks which one was chosen."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import links
import rendering

pytestmark = pytest.mark.static

NAMES = links.FRAMEWORKS
# What may name a library, and why: none of them does something else for another framework.
EXCEPTIONS = {
    "copier.yml": "the question that offers the frameworks",
    "template/.tools/ruff.toml": "the seed calls that lint refuses, of any library",
    "template/versioning/dvc/stages.py": "the table to learn from, which one library carries",
    "template/versioning/none/data.py": "the same table",
    "template/src/{{ package_name }}/parity/generators.py": "how each library is seeded: a table by its name",
    "template/src/{{ package_name }}/parity/seeding.py": "what a seed leaves open: a table by the library's name",
    "template/workshop/fragile.txt": "a list that a course hands out, the same whatever was chosen",
    "tools/conda/lock_reader.py": "what advisories call a package of conda-forge's: a table by its name",
    "tools/conda/tool.yml": "what conda-forge calls a package: a table by its name",
    "reserved.yml": "names that a package may not have",
}
ASKED = re.compile(r"\bml_framework\b")
# The question itself and the two places that lead into the chosen folder.
ASKING = {
    "copier.yml": ["ml_framework:", "'frameworks/' ~ ml_framework ~ '/framework.yml'"],
    "template/src/{{ package_name }}/model.py.jinja": ["'frameworks/' ~ ml_framework ~ '/model.py'"],
}


def libraries() -> set[str]:
    """Return what the frameworks' folders are called, what they install, and under which names it is imported."""
    found = set(NAMES)
    for name in NAMES:
        data = links.framework_data(name)
        lists = [data["runtime"], *(chosen["runtime"] for chosen in data["accelerators"].values())]
        found |= {Requirement(line).name for lines in lists for line in lines} | set(data["untyped"])
    return found


def words(path: Path) -> Iterator[str]:
    """Yield what a file says to a program: code and strings of Python, anything else without its comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield re.sub(r"{#.*?#}|(^|\s)#[^\n]*", "", text, flags=re.DOTALL | re.MULTILINE)
        return
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body[0] = ast.Pass()
    yield ast.unparse(tree)


def outside() -> dict[str, str]:
    """Return what each file outside the frameworks' folders says that goes into a repository."""
    listed = rendering.git(links.ROOT, "ls-files", "-z", "template", "tools", "copier.yml", "reserved.yml", "pins.yml")
    paths = [links.ROOT / name for name in listed.split("\0") if name]
    return {path.relative_to(links.ROOT).as_posix(): "\n".join(words(path)) for path in paths if path.is_file()}


def test_nothing_outside_its_folder_names_a_framework_or_its_library() -> None:
    named = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, libraries()))})(?![\w-])", re.IGNORECASE)
    found = {name for name, text in outside().items() if named.search(text)}
    assert found == set(EXCEPTIONS)


def test_nothing_asks_which_framework_was_chosen_but_to_open_its_folder() -> None:
    asked = {name: text for name, text in outside().items() if ASKED.search(text)}
    for name, text in asked.items():
        for allowed in ASKING.get(name, []):
            assert text.count(allowed) == 1, f"{name}: {allowed}"
            text = text.replace(allowed, "")  # noqa: PLW2901 - what is left must not ask
        assert not ASKED.search(text), name
    assert asked.keys() == ASKING.keys()


def public(path: Path) -> set[str]:
    """Return the public names that a module makes at its top, without its imports."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    made = {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    assigned = [node.targets for node in body if isinstance(node, ast.Assign)]
    assigned += [[node.target] for node in body if isinstance(node, ast.AnnAssign)]
    made |= {target.id for targets in assigned for target in targets if isinstance(target, ast.Name)}
    return {name for name in made if not name.startswith("_")}


def asked_of(module: str) -> set[str]:
    """Return the names of `module` that the rest of a repository uses."""
    text = "\n".join(said for name, said in outside().items() if Path(name).suffix in {".py", ".jinja"})
    return set(re.findall(rf"(?<![\w.]){module}\.([A-Za-z_]+)", text))


@pytest.mark.parametrize("name", NAMES)
def test_each_model_has_the_names_that_training_service_and_tests_use(name: str) -> None:
    asked = asked_of("model") & {"PARAMETERS", "fit", "load", "predict", "save"}
    assert asked == {"PARAMETERS", "fit", "load", "predict", "save"}
    assert asked <= public(links.ROOT / "frameworks" / name / "model.py")


@pytest.mark.parametrize("name", NAMES)
def test_a_framework_is_two_files_and_its_model_is_short(name: str) -> None:
    folder = links.ROOT / "frameworks" / name
    assert {path.name for path in folder.iterdir() if path.is_file()} == {"framework.yml", "model.py"}
    assert len((folder / "model.py").read_text(encoding="utf-8").splitlines()) <= 150
    assert re.fullmatch(r"champion\.[a-z]+", links.framework_data(name)["model_file"])


LINUX = {"platform_system": "Linux", "sys_platform": "linux"}


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_for_linux_alone_is_asked_for_nothing_of_another_platform(name: str) -> None:
    """Pipenv locks such a requirement wrongly: https://github.com/pypa/pipenv/issues/6231."""
    for chosen in links.framework_data(name)["accelerators"].values():
        markers = [Requirement(line).marker for line in chosen.get("linux", chosen["runtime"])]
        assert all(marker.evaluate(LINUX) for marker in markers if marker)


@pytest.mark.parametrize("name", NAMES)
def test_the_rendered_repository_holds_the_model_as_it_stands_and_its_name(
    template: Path, tmp_path: Path, name: str
) -> None:
    folder = rendering.render(template, tmp_path / "demo", ml_framework=name)
    source = links.ROOT / "frameworks" / name / "model.py"
    assert (folder / "src/my_model/model.py").read_bytes() == source.read_bytes()
    model_file = links.framework_data(name)["model_file"]
    for place in (".env.example", "README.md", "src/my_model/parity/pins.toml"):
        assert model_file in (folder / place).read_text(encoding="utf-8"), place
    packages = folder / ".tools/system-packages.txt"
    wanted = links.framework_data(name)["system"]
    assert packages.exists() == bool(wanted)
    assert not wanted or packages.read_text(encoding="utf-8").splitlines()[-len(wanted) :] == wanted
