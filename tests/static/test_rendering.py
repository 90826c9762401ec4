"""Level static: what is rendered parses, passes its linter and looks as if written by hand."""

import ast
import itertools
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import copier.errors
import pytest
import yaml
from pip._internal.models.index import PyPI
from pytest_copie.plugin import Copie

import commands
import links
import parsing
import rendering

pytestmark = pytest.mark.static

BIN = Path(sys.executable).parent

PYTHON_VERSIONS = ("3.12", "3.13", "3.14")
LICENSES = ("none", "MIT", "Apache-2.0", "BSD-3-Clause")
INDEXES = ("", "https://packages.example.com/simple/")
COOLDOWNS = (0, 7)

TOOLS = tuple(sorted(path.parent.name for path in (rendering.ROOT / "tools").glob("*/tool.yml")))

QUESTIONS = ("package_manager", "python_version", "license", "package_index", "cooldown_days")

# Every pair of answers appears in one of these rows; PARITY_ALL=1 takes all combinations.
PAIRS = (
    ("uv", "3.13", "none", "", 7),
    ("pip-tools", "3.13", "BSD-3-Clause", INDEXES[1], 0),
    ("pipenv", "3.14", "Apache-2.0", "", 0),
    ("pipenv", "3.12", "MIT", INDEXES[1], 7),
    ("conda", "3.12", "BSD-3-Clause", "", 7),
    ("poetry", "3.14", "none", INDEXES[1], 0),
    ("uv", "3.12", "Apache-2.0", INDEXES[1], 0),
    ("pip-tools", "3.14", "Apache-2.0", "", 7),
    ("conda", "3.14", "MIT", "", 0),
    ("poetry", "3.12", "MIT", "", 7),
    ("conda", "3.13", "Apache-2.0", INDEXES[1], 7),
    ("uv", "3.14", "BSD-3-Clause", "", 0),
    ("pip-tools", "3.12", "none", "", 0),
    ("pipenv", "3.13", "BSD-3-Clause", INDEXES[1], 7),
    ("poetry", "3.13", "Apache-2.0", "", 0),
    ("pip-tools", "3.13", "MIT", INDEXES[1], 0),
    ("poetry", "3.13", "BSD-3-Clause", "", 7),
    ("conda", "3.13", "none", "", 0),
    ("uv", "3.12", "MIT", "", 7),
    ("pipenv", "3.12", "none", "", 0),
)
EVERY = tuple(itertools.product(TOOLS, PYTHON_VERSIONS, LICENSES, INDEXES, COOLDOWNS))
ROWS = EVERY if os.environ.get("PARITY_ALL") else PAIRS


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a linter; show what it says where it fails."""
    result = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


@pytest.fixture(scope="module")
def repository(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rendering.render(template, tmp_path_factory.mktemp("default") / "demo")


@pytest.fixture(scope="module", params=TOOLS)
def each(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One repository after the other, each with another tool, and with what is not there by default."""
    folder = tmp_path_factory.mktemp(request.param) / "demo"
    return rendering.render(template, folder, package_manager=request.param, release=True)


def test_pairs_of_answers_are_all_there() -> None:
    def pairs(rows: tuple[tuple[object, ...], ...]) -> set[tuple[object, ...]]:
        return {
            (left, right, row[left], row[right]) for row in rows for left, right in itertools.combinations(range(5), 2)
        }

    assert pairs(PAIRS) == pairs(EVERY)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, row)))
def test_every_file_parses_and_looks_hand_written(template: Path, tmp_path: Path, row: tuple[object, ...]) -> None:
    answers = dict(zip(QUESTIONS, row, strict=True))
    folder = rendering.render(template, tmp_path / "demo", release=True, **answers)
    assert (folder / "LICENSE").exists() == (answers["license"] != "none")
    looks_hand_written(folder)


def looks_hand_written(folder: Path) -> None:
    """Fail where a file does not parse, or holds what only a template leaves."""
    for path in rendering.files(folder):
        text = (folder / path).read_text(encoding="utf-8")
        parsing.parse(path.name, text)
        scars = re.findall(r"[ \t]+\n|\n\n\n\n|\A\s|\n\n\Z|[^\n]\Z", text)
        allowed = path.name == "LICENSE"
        assert allowed or not scars, f"{path}: {scars}"
        assert not re.search(r"{%|%}|{#(?! )", text), f"{path}: Jinja is left"


def test_no_trust_is_needed(template: Path) -> None:
    settings = {
        key
        for document in yaml.compose_all((template / "copier.yml").read_text().replace("!include", "# include"))
        if isinstance(document, yaml.MappingNode)
        for key in (node[0].value for node in document.value)
    }
    assert not settings & {"_tasks", "_migrations", "_jinja_extensions"}


def test_renders_by_pytest_copie(template: Path, copie: Copie) -> None:
    """Whoever extends the template tests it with this plugin, which swallows what it raises."""
    result = copie.copy(template_dir=template, extra_answers={"project_name": "Fraud Model"})
    assert (result.exit_code, result.exception) == (0, None)
    assert result.project_dir is not None
    assert (result.project_dir / "src" / "fraud_model" / "api.py").exists()


def test_renders_what_is_not_committed_yet(template: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(template, tmp_path / "parity")
    rendering.commit(folder, "First")
    readme = folder / "template" / "README.md.jinja"
    readme.write_text(readme.read_text(encoding="utf-8") + "\nNot committed.\n", encoding="utf-8")
    with pytest.warns(copier.errors.DirtyLocalWarning):
        rendered = rendering.render(folder, tmp_path / "demo")
    assert (rendered / "README.md").read_text(encoding="utf-8").endswith("\nNot committed.\n")


@pytest.mark.parametrize(
    ("source", "warned"), [("plain", True), ("../relative", True), ("clone", False)], ids=["plain", "relative", "clone"]
)
def test_a_copy_that_cannot_be_updated_says_so(template: Path, tmp_path: Path, source: str, *, warned: bool) -> None:
    places = {"plain": template, "../relative": Path("../relative"), "clone": tmp_path / "relative"}
    shutil.copytree(template, tmp_path / "relative")
    rendering.commit(tmp_path / "relative", "First", tag="v1.0.0")
    (tmp_path / "here").mkdir()
    command = [str(BIN / "copier"), "copy", "--defaults", str(places[source]), "demo"]
    result = subprocess.run(command, cwd=tmp_path / "here", capture_output=True, text=True, check=True)
    assert ("This copy cannot be updated later" in result.stderr + result.stdout) == warned


def test_renders_from_a_tagged_clone_and_records_its_version(tagged: Path, tmp_path: Path) -> None:
    folder = rendering.render(tagged, tmp_path / "demo")
    answers = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    pins = tomllib.loads((folder / "src/my_model/parity/pins.toml").read_text())
    assert (answers["_commit"], pins["template"]) == ("v1.0.0", "v1.0.0")


def test_answers_hold_the_interface_and_nothing_computed(repository: Path) -> None:
    answers = yaml.safe_load((repository / ".copier-answers.yml").read_text())
    assert {name for name in answers if not name.startswith("_")} == {
        "project_name",
        "package_name",
        "description",
        "author",
        "package_manager",
        "python_version",
        "ml_framework",
        "accelerator",
        "ci_provider",
        "license",
        "package_index",
        "cooldown_days",
        "release",
        "workshop",
        "data_versioning",
    }


def test_the_repository_is_small(each: Path) -> None:
    chosen = tool_data(each)
    paths = rendering.files(each)
    root = {path.parts[0] for path in paths}
    assert len(root) <= 22, sorted(root)
    # 45, what issues asked for since (devcontainer, upkeep with two programs, libraries, audit, release, smoke, data
    # apart from the model and their digests, the table apart from the commands), and what other tools have more than
    # uv: a manifest of their own and programs that uv brings along.
    programs = {f".tools/{name}" for name in (*chosen["programs"], "install.py")}
    own = [
        path for path in map(str, paths) if path in {*chosen["files"], *programs} or Path(path).name in chosen["kit"]
    ]
    assert len(paths) - len(own) <= 55, "\n".join(map(str, paths))
    assert len(own) <= 6, own


def tool_data(folder: Path) -> dict[str, Any]:
    """Return what tool.yml says of a rendered repository's tool."""
    name = yaml.safe_load((folder / ".copier-answers.yml").read_text())["package_manager"]
    data: dict[str, Any] = yaml.safe_load((rendering.ROOT / "tools" / name / "tool.yml").read_text())
    return data


def test_included_modules_are_their_sources(each: Path) -> None:
    tool = yaml.safe_load((each / ".copier-answers.yml").read_text())["package_manager"]
    modules = {f"src/my_model/{name}": source for name, source in links.sources("scikit-learn", tool).items()}
    programs = {f".tools/{name}": source for name, source in links.programs(tool).items()}
    for name, source in (modules | programs).items():
        rendered = each / name
        assert rendered.read_bytes() == source.read_bytes(), name
        assert not re.search(r"{{|{%|{#", source.read_text(encoding="utf-8")), f"{source}: Jinja would read this"


def test_kit_and_reader_name_the_same_files(each: Path) -> None:
    pinned = tomllib.loads((each / "src/my_model/parity/pins.toml").read_text())["tool"]
    reader = runpy.run_path(str(each / ".tools/lock_reader.py"))
    assert (pinned["name"], pinned["manifests"], pinned["locks"]) == (
        reader["NAME"],
        list(reader["MANIFESTS"]),
        list(reader["LOCKS"]),
    )


def test_file_names_are_legal_on_windows(template: Path) -> None:
    names = [path for path in (template / "template").rglob("*") if re.search(r'[<>:"|?*\\]', path.name)]
    assert not names


def test_ruff_is_content(each: Path) -> None:
    run(BIN / "ruff", "format", "--check", ".", cwd=each)
    run(BIN / "ruff", "check", "--no-cache", ".", cwd=each)


def test_dockerfile_passes_hadolint(each: Path) -> None:
    run(BIN / "hadolint", each / "Dockerfile")


def test_workflows_pass_their_linters(each: Path) -> None:
    for path in (each / ".github" / "workflows").iterdir():
        run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)
    run(
        BIN / "check-jsonschema",
        "--builtin-schema",
        "vendor.dependabot",
        each / ".github" / "dependabot.yml",
    )
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", each / "compose.yaml")
    run(BIN / "zizmor", "--quiet", "--offline", "--persona", "auditor", each / ".github")


def test_one_python_everywhere(each: Path) -> None:
    """The interpreter stands in five files and is one."""
    pins = tomllib.loads((each / "src/my_model/parity/pins.toml").read_text())["python"]
    version, patch = pins["version"], pins["patch"]
    assert (each / ".python-version").read_text().strip() == version
    assert patch.startswith(f"{version}.")
    project = tomllib.loads((each / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f"=={version}.*"
    assert f"python:{patch}-slim-trixie@sha256:" in (each / "Dockerfile").read_text()
    assert f'python-version: "{patch}"' in (each / ".github/workflows/ci.yml").read_text()


def test_actions_are_pinned_by_commit(each: Path) -> None:
    for path in (each / ".github" / "workflows").iterdir():
        uses = re.findall(r"uses: (.*)", path.read_text())
        assert uses
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", line) for line in uses), uses


# https://docs.github.com/en/code-security/reference/supply-chain-security/dependency-graph-supported-package-ecosystems
READ_BY_GITHUB = {"Pipfile.lock", "poetry.lock", "requirements.txt"}


def test_a_pull_request_is_reviewed_where_github_reads_the_lock(each: Path) -> None:
    jobs = yaml.safe_load((each / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert ("review" in jobs) == bool(READ_BY_GITHUB & {*tool_data(each)["locks"]})


@pytest.mark.parametrize("where", ["template", "repository"])
def test_no_registry_host_is_named(where: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(where)
    hosts = (PyPI.netloc, PyPI.file_storage_domain)
    named = [
        path for path in rendering.files(folder) if any(host.encode() in (folder / path).read_bytes() for host in hosts)
    ]
    assert not named


@pytest.fixture(scope="module")
def help_of_default(repository: Path) -> str:
    return commands.succeed(repository, "make", "help-all")


def test_help_reads_the_same_for_every_tool(each: Path, help_of_default: str) -> None:
    assert commands.succeed(each, "make", "help-all") == help_of_default


def test_a_password_reaches_the_build_as_a_secret_and_only_where_one_is_named(repository: Path) -> None:
    def printed(*words: str) -> str:
        return commands.succeed(repository, "make", "--dry-run", "image", *words).splitlines()[-1]

    assert "secret" not in printed()
    assert "docker build --secret 'id=netrc,src=/home/me/.netrc' $labels" in printed("NETRC=/home/me/.netrc")


# Words by which a template would ask for one tool; a path into its folder is the one exception.
TOOL_NAMES = re.compile(rf"\b({'|'.join(map(re.escape, TOOLS))}|package_manager)\b")
INCLUDE = re.compile(r"include 'tools/' ~ package_manager ~ '/[\w.-]+'|'tools/' ~ package_manager ~ '/'|named\[1\]")


def statements(path: Path) -> list[str]:
    """Return what decides: Jinja's statements and expressions of a template, the code of a Python module."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [ast.unparse(node.test) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.If | ast.IfExp)]
    return re.findall(r"{%.*?%}|{{.*?}}", text, re.DOTALL) + re.findall(r"{%.*?%}", path.name)


def test_nothing_outside_a_tools_folder_asks_which_tool_it_is() -> None:
    listed = rendering.git(rendering.ROOT, "ls-files", "-z", "template", "frameworks", "copier.yml")
    files = [rendering.ROOT / name for name in listed.split("\0") if name]
    asked = {
        path.relative_to(rendering.ROOT).as_posix(): statement
        for path in files
        if path.is_file()
        for statement in statements(path)
        if TOOL_NAMES.search(INCLUDE.sub("", statement))
    }
    # The kit and `make switch` are told the name, and compare nothing with it.
    assert asked == {
        "template/src/{{ package_name }}/parity/pins.toml.jinja": "{{ package_manager }}",
        "template/.switch/tool.json.jinja": (
            "{{ dict(tool, name=package_manager, source=source or {}, of_framework=of_framework) | to_json }}"
        ),
    }


# The form that all have: a signature, a raise, the keys that check_lock reads.
FORM = re.compile(r"(from|import|def|class|return|raise|for|if|try|except|else|\"\"\"|@).*|\"(name|version)\".*")


def own_lines(tool: str) -> set[str]:
    """Return the lines of a tool's folder that say something, without its pins."""
    files = [path for path in (rendering.ROOT / "tools" / tool).iterdir() if path.name != "requirements.txt"]
    lines = {line.strip() for path in files if path.is_file() for line in path.read_text(encoding="utf-8").splitlines()}
    return {line for line in lines if len(line) > 30 and not FORM.fullmatch(line)}


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(TOOLS, 2)])
def test_two_tools_share_few_lines(one: str, other: str) -> None:
    shared = own_lines(one) & own_lines(other)
    assert len(shared) <= 16, "\n".join(sorted(shared))
