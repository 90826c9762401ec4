"""Level update: `make switch` from each tool to each other, on a manifest with every kind of thing that one can hold.

What the packages are does not matter, so few and small ones are asked for: of those that conda's stand-in has. By
default each tool is once the old one and once the new one; PARITY_ALL=1 takes all twenty directions.
"""

import itertools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import commands
import rendering
from by_hand import conda, poetry
from index import Index
from repositories import NAMES, NO_FRAMEWORK, module, variables

pytestmark = [pytest.mark.update, pytest.mark.xdist_group("switch")]

RING = ("uv", "poetry", "pip-tools", "pipenv", "conda")
DIRECTIONS = (
    [*itertools.permutations(NAMES, 2)]
    if os.environ.get("PARITY_ALL")
    else [*zip(RING, RING[1:] + RING[:1], strict=True)]
)
PYPROJECT, SOURCES, CONSTRAINTS = {"uv", "poetry"}, {"uv", "poetry"}, {"uv", "pip-tools"}
# Old releases, which stay: newer ones are to be had for each tool.
PINS = {"six": "1.16.0", "tqdm": "4.67.1"}
ABOVE, BESIDE, APART = "asked for by the auditors", "Python 2, still", "belongs to nothing"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A package that is only in a bare repository of git, as a requirement."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "work").mkdir()
    (folder / "work" / "tiny_of_tests.py").write_text('"""Tiny."""\n\n__version__ = "1.0"\n', encoding="utf-8")
    (folder / "work" / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["flit_core>=3.12,<4"]\nbuild-backend = "flit_core.buildapi"\n\n'
        '[project]\nname = "tiny-of-tests"\nversion = "1.0"\ndescription = "Tiny"\n',
        encoding="utf-8",
    )
    rendering.commit(folder / "work", "First")
    rendering.git(folder, "clone", "--quiet", "--bare", "work", "tiny.git")
    commit = rendering.git(folder / "work", "rev-parse", "HEAD").strip()
    return f"tiny-of-tests @ git+{(folder / 'tiny.git').as_uri()}@{commit}"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, index: Index) -> Iterator[None]:
    """The variables of a user's shell for every tool, since a switch takes two, and Copier on PATH."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "copier").symlink_to(Path(sys.executable).with_name("copier"))
    more = conda.prepare(Path(), index.url)
    with variables({
        **more,
        "PATH": f"{folder}:{more['PATH']}",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index.url,
        "UV_DEFAULT_INDEX": index.url,
        "POETRY_PYPI_MIRROR_URL": index.url,
    }):  # fmt: skip
        yield


def run(folder: Path, *command: str) -> commands.Outcome:
    """Run a command as a user; Poetry finds its plugin for this machine's index in any environment."""
    return commands.run(folder, *command, PYTHONPATH=str(poetry.PLUGINS))


def succeed(folder: Path, *command: str) -> str:
    outcome = run(folder, *command)
    assert outcome.status == 0, outcome.output
    return outcome.output


def switch(folder: Path, *words: str) -> str:
    """Switch as `make switch` does, up to the lock: without the framework there is no model to check."""
    return succeed(folder, "make", "--no-print-directory", "switch", "ARGS=--lock-only", f"TO={' '.join(words)}")


def rendered(template: Path, folder: Path, tool: str) -> Path:
    """Return a repository whose lock holds old releases."""
    needs = {"runtime": [f"{name}=={version}" for name, version in PINS.items()], "dev": ["iniconfig>=2"]}
    rendering.render(template, folder, package_manager=tool, common=needs, framework=NO_FRAMEWORK)
    if tool == "poetry":
        poetry.prepare(folder, "")
    succeed(folder, "make", "lock")
    return folder


def edit(folder: Path, name: str, *pairs: tuple[str, str]) -> None:
    """Replace text in a file, which must hold it once."""
    text = (folder / name).read_text(encoding="utf-8")
    for old, new in pairs:
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    (folder / name).write_text(text, encoding="utf-8")


def by_user(folder: Path, tool: str, tiny: str) -> None:
    """Write every kind that the tool has into its manifest, by hand; all of it is within what is locked."""
    if tool in PYPROJECT:
        edit(
            folder,
            "pyproject.toml",
            ('    "six==1.16.0",\n', f'    "six>=1.16 ; sys_platform == \'linux\'",  # {BESIDE}\n    "{tiny}",\n'),
            ('    "tqdm==4.67.1",\n', f'    # {ABOVE}\n    "tqdm[slack]>=4.66,<5",\n'),
            ('version = "0.1.0"\n', 'version = "0.1.0"  # ours\n'),
        )
    if tool == "uv":
        with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(
                '\n[tool.uv]\nconstraint-dependencies = ["idna<4"]\nenvironments = ["sys_platform == \'linux\'"]\n'
            )
    if tool == "pip-tools":
        edit(
            folder,
            "requirements.in",
            ("six==1.16.0\n", f"six>=1.16 ; sys_platform == 'linux'  # {BESIDE}\n{tiny}\n"),
            ("tqdm==4.67.1\n", f"# {ABOVE}\ntqdm[slack]>=4.66,<5\n-c limits.txt\n\n# {APART}\n"),
        )
        (folder / "limits.txt").write_text("idna<4  # not yet\n", encoding="utf-8")
    if tool == "pipenv":
        marked = '{version = ">=1.16", markers = "sys_platform == \'linux\'"}'
        edit(
            folder,
            "Pipfile",
            ('six = "==1.16.0"\n', f"six = {marked}  # {BESIDE}\n"),
            ('tqdm = "==4.67.1"\n', f'# {ABOVE}\ntqdm = {{version = ">=4.66,<5", extras = ["slack"]}}\n'),
            ("[requires]\n", f'[scripts]\nhello = "echo hello"  # {APART}\n\n[requires]\n'),
        )
    if tool == "conda":
        edit(
            folder,
            "environment.yml",
            ("  - six ==1.16.0\n", f"  - six >=1.16  # {BESIDE}\n"),
            ("  - tqdm ==4.67.1\n", f"  # {ABOVE}\n  - tqdm >=4.66,<5\n\n# {APART}\n"),
        )


def manifest(folder: Path, tool: str) -> str:
    """Return the text of the tool's manifest."""
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in MANIFESTS[tool])


MANIFESTS = {
    "uv": ("pyproject.toml",),
    "poetry": ("pyproject.toml",),
    "pip-tools": ("requirements.in", "requirements-dev.in"),
    "pipenv": ("Pipfile",),
    "conda": ("environment.yml", "environment-dev.yml"),
}
# How a tool's manifest says six, tqdm and iniconfig, as patterns; conda has neither markers nor extras.
MARKER, EXTRA = r" ; sys_platform == 'linux'", r"\[slack\]"
SAID = {
    "uv": (rf'"six>=1.16{MARKER}",', rf'"tqdm{EXTRA}>=4.66,<5",', r'"iniconfig>=2"'),
    "pip-tools": (rf"six>=1.16{MARKER}", rf"tqdm{EXTRA}>=4.66,<5", r"^iniconfig>=2$"),
    "pipenv": (
        r'six = {version = ">=1.16", markers = "sys_platform == \'linux\'"}',
        r'tqdm = {version = ">=4.66,<5", extras = \["slack"\]}',
        r'\[dev-packages\]\niniconfig = ">=2"',
    ),
    "conda": ("- six >=1.16", "- tqdm >=4.66,<5", "- iniconfig >=2"),
}
SAID["poetry"] = SAID["uv"]
FROM_CONDA = {
    **{tool: tuple(one.replace(MARKER, "").replace(EXTRA, "") for one in SAID[tool]) for tool in ("uv", "pip-tools")},
    "pipenv": ('six = ">=1.16"', 'tqdm = ">=4.66,<5"', SAID["pipenv"][2]),
}
FROM_CONDA["poetry"] = FROM_CONDA["uv"]


@pytest.mark.parametrize("direction", DIRECTIONS, ids=" to ".join)
@pytest.mark.usefixtures("shell")
def test_the_work_is_kept(tagged: Path, tmp_path: Path, tiny: str, direction: tuple[str, str]) -> None:
    old, new = direction
    folder = rendered(tagged, tmp_path / "demo", old)
    by_user(folder, old, tiny)
    succeed(folder, "make", "lock")
    assert PINS.items() <= module(old).versions(folder).items()
    rendering.commit(folder, "Start")
    before = (folder / "pyproject.toml").read_text(encoding="utf-8")
    printed = switch(folder, new)

    # The requirements, each with its marker, its extra and its comment.
    text = manifest(folder, new)
    six, tqdm, dev = (FROM_CONDA if old == "conda" else SAID)[new]
    assert re.search(rf"{six}  # {BESIDE}$", text, re.MULTILINE), text
    kept_as_written = {old, new} <= PYPROJECT
    assert re.search(rf"# {ABOVE}\n +{tqdm}$" if kept_as_written else rf"{tqdm}  # {ABOVE}$", text, re.MULTILINE), text
    assert re.search(dev, text, re.MULTILINE), text

    # The versions.
    assert PINS.items() <= module(new).versions(folder).items(), printed
    rendering.commit(folder, "Switched")
    commands.succeed(folder, "make", "check-lock")

    # The old files, and nothing of them beside.
    for name in {*MANIFESTS[old], module(old).LOCKED}:
        aside = folder / "switched" / old / name.replace("pyproject.toml", "pyproject.toml.before")
        assert aside.read_text(encoding="utf-8") == rendering.git(folder, "show", f"HEAD~1:{name}")
        assert (folder / name).exists() == (name in {"pyproject.toml", *MANIFESTS[new]})

    # Nothing is dropped without a word.
    told = printed.partition("Not carried")[2]
    if old in SOURCES | {"pip-tools"}:
        assert ("tiny-of-tests" in told) == (new not in SOURCES), printed
        assert (tiny in text) == (new in SOURCES)
    if old in CONSTRAINTS:
        assert ("idna<4" in told) == (new not in CONSTRAINTS), printed
    if {old, new} == CONSTRAINTS:
        limits = folder / (".tools/constraints.txt" if new == "pip-tools" else "pyproject.toml")
        assert "idna<4" in limits.read_text(encoding="utf-8")
    if new == "conda" and old != "conda":
        assert re.search(r"six.*without its marker", told), printed
        assert re.search(r"tqdm.*without its extra", told), printed
    if old in ("pip-tools", "pipenv", "conda"):
        assert APART in told, printed
    if old == "uv":
        assert "[tool.uv] environments" in told, printed

    # pyproject.toml is the user's: what both tools have alike is there byte for byte.
    after = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert after.partition("[tool.ruff]")[2].startswith(before.partition("[tool.ruff]")[2])
    assert (
        after.partition("[project]")[2].partition("classifiers")[0]
        == before.partition("[project]")[2].partition("classifiers")[0]
    )


@pytest.fixture(scope="module")
def small(tagged: Path, tmp_path_factory: pytest.TempPathFactory, shell: None) -> Path:
    """A repository of uv's, locked and committed."""
    del shell
    folder = rendered(tagged, tmp_path_factory.mktemp("small") / "demo", "uv")
    rendering.commit(folder, "Start")
    return folder


@pytest.fixture
def clean(small: Path) -> Iterator[Path]:
    """The same, and whatever is tried on it must leave it as it was."""
    yield small
    assert rendering.git(small, "status", "--porcelain") == ""


WRONG = {
    "uv": "package_manager is uv already: nothing was changed.",
    "conda-forge": "Invalid choice for 'package_manager': 'conda-forge' is not in",
    "project_name=Fraud Model": "Model is no answer: write NAME=VALUE",
    "python=3.12": "python cannot be switched: it is one of accelerator, author,",
    "package_name=other": "package_name cannot be switched",
    "python_version=3.1": "Invalid choice for 'python_version'",
    "cooldown_days=9999": "Use 0 to 365 days",
}


@pytest.mark.parametrize("word", WRONG)
def test_what_cannot_be_answered_changes_nothing(clean: Path, word: str) -> None:
    printed = commands.refuse(clean, "make", "--no-print-directory", "switch", f"TO={word}")
    assert WRONG[word] in printed
    assert len(printed.splitlines()) == 2  # and what make says of it


def test_without_an_answer_an_example_is_shown(clean: Path) -> None:
    assert "make switch TO=poetry" in commands.refuse(clean, "make", "switch")


def test_work_that_is_not_committed_stops_it(clean: Path) -> None:
    (clean / "ours.txt").touch()
    printed = commands.refuse(clean, "make", "switch", "TO=poetry")
    assert "There are changes that are not committed" in printed
    assert rendering.git(clean, "status", "--porcelain") == "?? ours.txt\n"
    (clean / "ours.txt").unlink()


def test_without_copier_it_says_where_to_get_it(clean: Path) -> None:
    folders = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if not Path(folder, "copier").exists())
    printed = commands.refuse(clean, "make", "switch", "TO=poetry", PATH=path)
    assert "pipx install copier" in printed


def test_without_micromamba_it_says_so_before_anything_changes(clean: Path) -> None:
    folders = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if not Path(folder, "micromamba").exists())
    printed = commands.refuse(clean, "make", "switch", "TO=conda", PATH=path)
    assert "micromamba, which is not on PATH" in printed


def test_a_file_of_ones_own_is_not_taken_for_the_new_tools(clean: Path) -> None:
    (clean / "Pipfile").write_text("ours\n", encoding="utf-8")
    rendering.commit(clean, "Ours")
    assert "Pipfile is here already" in commands.refuse(clean, "make", "switch", "TO=pipenv")
    rendering.git(clean, "reset", "--quiet", "--hard", "HEAD~1")


def test_a_stale_lock_stops_it(clean: Path) -> None:
    module("uv").demand(clean, "idna>=3")
    rendering.commit(clean, "Forgot to lock")
    assert "run `make lock`" in commands.refuse(clean, "make", "switch", "TO=poetry")
    rendering.git(clean, "reset", "--quiet", "--hard", "HEAD~1")


def test_a_conflict_says_how_to_go_back(clean: Path) -> None:
    edit(
        clean,
        "Dockerfile",
        ("COPY pyproject.toml uv.toml uv.loc[k] ./\n", "COPY pyproject.toml uv.toml uv.loc[k] ours ./\n"),
    )
    rendering.commit(clean, "Ours")
    printed = commands.refuse(clean, "make", "switch", "TO=poetry")
    assert "Dockerfile: lines of yours" in printed
    back = printed.partition("as it was: ")[2].partition(" && make setup")[0]
    succeed(clean, "sh", "-c", back)
    assert rendering.git(clean, "status", "--porcelain") == ""
    rendering.git(clean, "reset", "--quiet", "--hard", "HEAD~1")


def test_another_python_keeps_the_requirements(small: Path) -> None:
    edit(small, "pyproject.toml", ('"six==1.16.0",', '"six==1.16.0",  # ours'))
    rendering.commit(small, "Ours")
    switch(small, "python_version=3.12")
    text = (small / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = "==3.12.*"' in text
    assert '"six==1.16.0",  # ours' in text
    assert (small / ".python-version").read_text(encoding="utf-8") == "3.12\n"
    assert "Python 3.12, git" in (small / "README.md").read_text(encoding="utf-8")
    succeed(small, "make", "check-lock")
    rendering.git(small, "reset", "--quiet", "--hard", "HEAD~1")
    rendering.git(small, "clean", "--quiet", "-fd")


CI = {"github": ".github/workflows/ci.yml", "gitlab": ".gitlab-ci.yml"}
BACK_AND_FORTH = [("github", "gitlab"), ("gitlab", "github")]


def test_another_platform_for_ci_brings_its_files_and_keeps_yours(tagged: Path, tmp_path: Path, small: Path) -> None:
    own = small / ".github/workflows/ours.yml"
    own.write_text("on: push\njobs: {}\n", encoding="utf-8")
    lock = (small / "uv.lock").read_bytes()
    for old, new in BACK_AND_FORTH:
        with (small / CI[old]).open("a", encoding="utf-8") as file:
            file.write("# ours\n")
        rendering.commit(small, "Ours")
        fresh = rendering.render(tagged, tmp_path / new, ci_provider=new, framework=NO_FRAMEWORK)
        printed = switch(small, f"ci_provider={new}")
        assert "The files of before are in switched/uv" in printed
        assert (small / "switched/uv" / CI[old]).read_text(encoding="utf-8").endswith("# ours\n")
        assert not (small / CI[old]).exists()
        assert (small / CI[new]).read_bytes() == (fresh / CI[new]).read_bytes()
        assert (small / "renovate.json").exists() == (fresh / "renovate.json").exists() == (new == "gitlab")
        assert (small / ".github/dependabot.yml").exists() == (new == "github")
        readme = (small / "README.md").read_text(encoding="utf-8")
        assert readme == (fresh / "README.md").read_text(encoding="utf-8")
        assert (own.exists(), (small / "uv.lock").read_bytes()) == (True, lock)
        rendering.commit(small, "Switched")
    rendering.git(small, "reset", "--quiet", "--hard", "HEAD~4")
    rendering.git(small, "clean", "--quiet", "-fd")


def test_a_pipeline_of_ones_own_stops_the_switch_of_the_platform(clean: Path) -> None:
    (clean / ".gitlab-ci.yml").write_text("ours: {script: [true]}\n", encoding="utf-8")
    rendering.commit(clean, "Ours")
    printed = commands.refuse(clean, "make", "switch", "TO=ci_provider=gitlab")
    assert ".gitlab-ci.yml is here already" in printed
    rendering.git(clean, "reset", "--quiet", "--hard", "HEAD~1")


@pytest.mark.usefixtures("shell")
def test_the_whole_way_keeps_the_model(tagged: Path, tmp_path: Path) -> None:
    folder = rendering.render(tagged, tmp_path / "demo", package_manager="uv")
    rendering.git(folder, "init", "--quiet")
    commands.succeed(folder, "make", "setup")
    rendering.commit(folder, "Start")
    commands.succeed(folder, "make", "train")
    printed = commands.succeed(folder, "make", "switch", "TO=pip-tools")
    assert "No version moved." in printed
    assert "equal, bit for bit" in printed
    assert "trained" in commands.succeed(folder, "make", "verify")
