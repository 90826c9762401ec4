"""Level update: docs/adopt.md, followed block by block in a small repository of each kind.

A block ```sh is run. A block that names a file is written into it, as the page says: a line in the place of the one
that has its name. `make setup format check` is run for uv alone: for each tool it is what the level real does.
"""

import os
import re
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import commands
import rendering
import repositories
from index import Index
from repositories import variables

pytestmark = pytest.mark.update

PAGE = (rendering.ROOT / "docs" / "adopt.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<where>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"\[.*\]|[\w-]+:|[\w-]+ = \[")  # a table, a key of YAML above its list, a list of TOML
NAME = re.compile(r"[\s\"-]*([\w.-]*)")
PACKAGE = "fraud_model"
FIRST = {"before", "new"}  # before step 2, as the page says
PROVES = "make setup format check\n"

COMMON = {
    "README.md": "# Fraud Model\n",
    ".gitignore": "*.log\n__pycache__/\n",
    "Makefile": "hello: ## Say so\n\t@echo hello\n",
    f"src/{PACKAGE}/__init__.py": '"""Tells a fraudulent payment from an honest one."""\n',
    f"src/{PACKAGE}/score.py": textwrap.dedent('''\
        """How suspicious a payment is."""

        import numpy as np


        def score(amount: float) -> float:
            """Return 0 for an honest payment, and up to 1."""
            return float(np.tanh(amount / 1000))
        '''),
    "tests/test_score.py": textwrap.dedent(f"""\
        from {PACKAGE}.score import score


        def test_nothing_is_honest() -> None:
            assert score(0) == 0
        """),
}
PROJECT = textwrap.dedent("""\
    [build-system]
    requires = ["hatchling"]
    build-backend = "hatchling.build"

    [project]
    name = "fraud-model"
    version = "1.4.0"
    requires-python = ">=3.11"
    # what it computes with
    dependencies = [
        "click>=8.1",
        "numpy>=2.0",
        "scikit-learn>=1.9",
    ]

    [dependency-groups]
    dev = [
        "pytest",
    ]
    """)
REQUIREMENTS = "click>=8.1\nnumpy>=2.0\nscikit-learn>=1.9\n"
PIPFILE = textwrap.dedent("""\
    [packages]
    click = ">=8.1"
    numpy = ">=2.0"
    scikit-learn = "*"

    [dev-packages]
    pytest = "*"

    [requires]
    python_version = "3.11"
    """)
CONDA = textwrap.dedent("""\
    name: fraud
    channels:
      - conda-forge
    dependencies:
      - python=3.13
      - click=8
      - numpy>=2.0
      - scikit-learn
    """)
SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\n\n[project]\nname = "fraud-model"\nversion = "1.4.0"\n'


@dataclass(frozen=True)
class Kind:
    """A repository before Parity: what it has, and which section of the page is its own."""

    tool: str
    files: dict[str, str]
    sections: tuple[str, ...]

    @property
    def blocks(self) -> list[re.Match[str]]:
        """Return the blocks that this repository follows, in the order of their steps."""
        found = [block for block in BLOCK.finditer(PAGE) if section(block.start()) in {"", *self.sections}]
        return sorted(found, key=lambda block: block["where"] not in FIRST)  # stable: the page's order otherwise


def section(position: int) -> str:
    """Return the kind that a place on the page is about, "" where it is about all."""
    heading = re.findall(r"^##+ .*", PAGE[:position], re.MULTILINE)[-1]
    return heading.removeprefix("### ") if heading.startswith("### ") else ""


def text_of(where: str) -> str:
    """Return the one block with this name."""
    (block,) = [block["text"] for block in BLOCK.finditer(PAGE) if block["where"] == where]
    return block


KINDS = {
    "requirements.txt": Kind(
        "pip-tools",
        {"requirements.txt": REQUIREMENTS, "pyproject.toml": SETUPTOOLS},
        ("requirements.txt",),
    ),
    "Pipfile": Kind("pipenv", {"Pipfile": PIPFILE}, ("Pipfile",)),
    "Poetry-1": Kind("poetry", {"pyproject.toml": text_of("old")}, ("Poetry 1", "Poetry")),
    "Poetry-2": Kind("poetry", {"pyproject.toml": PROJECT}, ("Poetry",)),
    "uv": Kind("uv", {"pyproject.toml": PROJECT}, ("uv",)),
    "environment.yml": Kind("conda", {"environment.yml": CONDA}, ("environment.yml",)),
}


def write_by_hand(path: Path, block: str) -> None:
    """Write the lines of a block into a file: in the place of the line of that name, or below its table."""
    text = path.read_text(encoding="utf-8")
    here = ""
    for line in block.splitlines():
        if TABLE.fullmatch(line):
            assert f"{line}\n" in text or not line.endswith("= ["), f"{path.name} has no {line}"
            here, text = line, text if f"{line}\n" in text else f"{text.rstrip()}\n\n{line}\n"
        elif line and line != "]":
            text = with_line(text, here, line)
    path.write_text(text, encoding="utf-8")


def with_line(text: str, table: str, line: str) -> str:
    """Return the text with one line more in a table ("": in the file), or with the one of its name replaced."""
    start = text.index(f"{table}\n") + len(table) + 1 if table else 0
    ends = [found.start() for found in re.finditer(rf"^(?:{TABLE.pattern}|\])$", text[start:], re.MULTILINE)]
    end = start + ends[0] if ends and table else len(text)
    lines = text[start:end].splitlines()
    same = [number for number, other in enumerate(lines) if name(other) == name(line)]
    for number in same[:1]:
        lines[number] = line
    if not same:
        lines.insert(max((number for number, other in enumerate(lines, 1) if other), default=0), line)
    return text[:start] + "".join(f"{one}\n" for one in lines) + text[end:]


def name(line: str) -> str:
    """Return what a line is about: a package, a key, or all of a pattern of .gitignore."""
    found = NAME.match(line)
    return found[1].lower() if found and found[1] and not line.startswith((".", "*")) else line


@pytest.fixture(scope="module")
def parity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's working tree as a tagged repository."""
    folder = rendering.checkout(tmp_path_factory.mktemp("adopt") / "parity")
    rendering.commit(folder, "First", tag="v1.0.0")
    return folder


@pytest.fixture
def repository(tmp_path: Path, kind: Kind) -> Path:
    """A small repository that has never heard of Parity."""
    for path, text in {**COMMON, **kind.files}.items():
        (tmp_path / "repository" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "repository" / path).write_text(text, encoding="utf-8")
    rendering.commit(tmp_path / "repository", "Ours")
    return tmp_path / "repository"


@pytest.fixture
def shell(tmp_path: Path, kind: Kind, parity: Path) -> Iterator[None]:
    """What the page takes for granted: Copier on PATH, a name for git, and the three variables."""
    programs = tmp_path / "bin"
    programs.mkdir()
    copier = shutil.which("copier", path=str(rendering.ROOT / "build" / "venv" / "bin"))
    assert copier
    (programs / "copier").symlink_to(copier)
    git = {f"GIT_{who}_{what}": "test@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    told = {"PARITY": str(parity), "PACKAGE": PACKAGE, "TOOL": kind.tool}
    with variables({**git, **told, "PATH": f"{programs}:{os.environ['PATH']}"}):
        yield


def contents(folder: Path) -> dict[str, bytes]:
    """Return what stands in each file that git knows or would add."""
    listed = rendering.git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return {path: (folder / path).read_bytes() for path in filter(None, listed) if (folder / path).is_file()}


# The one whose lines must be rewritten; `make test-all` takes every kind.
SAMPLED = {"Poetry-1"}
SAMPLE = [
    pytest.param(kind, id=name, marks=[] if name in SAMPLED else pytest.mark.thorough) for name, kind in KINDS.items()
]


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize("kind", SAMPLE)
def test_the_page_brings_parity_in_and_changes_only_what_it_names(repository: Path, kind: Kind, index: Index) -> None:
    tool, before, prepared = repositories.module(kind.tool), contents(repository), {}
    typed = "".join(block["text"] for block in kind.blocks if block["language"] == "sh")
    renamed = dict(re.findall(r"^git mv (\S+) (\S+)$", typed, re.MULTILINE))
    mine = {renamed.get(path, path) for path in before}
    for block in kind.blocks:
        text, where = block["text"], block["where"]
        if block["language"] == "sh" and (text != PROVES or kind.tool == "uv"):
            if text.startswith("make lock"):
                prepared = made_ready(tool, repository, index)
            with variables(prepared):
                commands.succeed(repository, "sh", "-euc", text)
        elif where == "new":
            (repository / "pyproject.toml").write_text(text, encoding="utf-8")
        elif where in mine:  # otherwise Copier has just written it, complete
            write_by_hand(repository / where, text)

    after = contents(repository)
    named = {block["where"] for block in kind.blocks}
    for path, content in before.items():
        now = renamed.get(path, path)
        assert after[now] == content or now in named, path
    assert commands.succeed(repository, "make", "hello").endswith("hello\n")
    assert tool.versions(repository).keys() >= {"click", "numpy", "scikit-learn", "fastapi"}


def made_ready(tool: ModuleType, repository: Path, index: Index) -> dict[str, str]:
    """Give the tool what this machine lacks; return the variables for its commands."""
    with variables(tool.ENVIRONMENT):
        return {**tool.ENVIRONMENT, **tool.prepare(repository, index.url)}


# What is the project's own, so that a block cannot say it.
OWN = re.compile(r"(name|version|description|readme|authors|license|classifiers)=.*|\]|")


def spelt(text: str) -> set[str]:
    """Return the lines without comments and spaces; a requirement has one spelling, whatever the manifest's."""
    lines = [re.sub(r"#.*", "", line) for line in text.splitlines()]
    return {re.sub(r'[ "]', "", line) for line in lines}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_page_shows_the_lines_that_a_fresh_repository_has(template: Path, tmp_path: Path, kind: Kind) -> None:
    fresh = rendering.render(template, tmp_path / "demo", package_manager=kind.tool)
    for where in {block["where"] for block in kind.blocks} - {None, "before", "old", "new"}:
        shown = spelt("".join(block["text"] for block in kind.blocks if block["where"] == where))
        rendered = spelt((fresh / where).read_text(encoding="utf-8"))
        assert shown <= rendered
        assert {line for line in rendered - shown if not OWN.fullmatch(line)} == set()
