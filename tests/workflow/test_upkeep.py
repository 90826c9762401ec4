"""Level workflow: the shell lines of the rendered upkeep.yml, with a stand-in for GitHub's program `gh`."""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import commands
import rendering
from index import Index, Planted
from repositories import NAMES, NO_FRAMEWORK, module, variables
from workflow.hosted import jobs, lines, run

pytestmark = pytest.mark.workflow

WORKFLOW = ".github/workflows/upkeep.yml"
KIT = "src/my_model/parity/seeding.py"
BRANCH = "template/v2.0.0"
GH = """\
#!/bin/sh
# A stand-in for gh: it writes down what it is asked for, and lists what it opened for a branch.
case "$1 $2" in
    "pr list") grep --line-regexp --fixed-strings "head $6" "$GH_LOG" || true ;;
    "pr create")
        test -z "$GH_FAILS" || exit 1
        { echo "$@"; echo "head $(git branch --show-current)"; cat "$6"; } >>"$GH_LOG" ;;
esac
"""


@dataclass(frozen=True)
class Place:
    """A tagged template, a repository of its first version that was pushed, and where the runner works."""

    template: Path
    repository: Path
    root: Path

    @property
    def origin(self) -> Path:
        """The bare repository that is pushed to."""
        return self.root / "origin.git"

    @property
    def asked(self) -> str:
        """What gh was asked for."""
        return (self.root / "gh.log").read_text(encoding="utf-8")

    def branches(self) -> set[str]:
        """Return the branches that were pushed."""
        return {*rendering.git(self.origin, "branch", "--list", "--format=%(refname:short)").split()}

    def pushed(self, name: str) -> str:
        """Return a file of the pull request's branch."""
        return rendering.git(self.origin, "show", f"{BRANCH}:{name}")

    def release(self) -> None:
        """Tag a second version, with two changed files and a new one."""
        folder = self.template / "template"
        for path in (folder / "src" / "{{ package_name }}" / "parity" / "seeding.py", folder / "Makefile.jinja"):
            path.write_text(f"{path.read_text(encoding='utf-8')}\n# Version 2\n", encoding="utf-8")
        (folder / "new file.txt").write_text("theirs\n", encoding="utf-8")
        rendering.commit(self.template, "Second", tag="v2.0.0")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    template = rendering.checkout(tmp_path / "parity")
    rendering.commit(template, "First", tag="v1.0.0")
    repository = rendering.render(template, tmp_path / "demo")
    rendering.commit(repository, "Start")
    # What the first step makes, which has a test of its own.
    copier = tmp_path / "runner" / "copier" / "bin" / "copier"
    copier.parent.mkdir(parents=True)
    copier.symlink_to(Path(sys.executable).with_name("copier"))
    with hosted(repository, tmp_path):
        yield Place(template, repository, tmp_path)


@contextmanager
def hosted(repository: Path, root: Path) -> Iterator[None]:
    """Push a repository to a bare one, and give it a runner's variables and a stand-in for gh."""
    rendering.git(root, "init", "--bare", "--quiet", "origin.git")
    rendering.git(repository, "remote", "add", "origin", str(root / "origin.git"))
    rendering.git(repository, "push", "--quiet", "origin", "main")
    gh = root / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(GH, encoding="utf-8")
    gh.chmod(0o755)
    (root / "gh.log").touch()
    (root / "runner").mkdir(exist_ok=True)
    with variables({
        "RUNNER_TEMP": str(root / "runner"),
        "GITHUB_STEP_SUMMARY": str(root / "summary.md"),
        "GITHUB_OUTPUT": str(root / "outputs"),
        "GH_LOG": str(root / "gh.log"),
        "GH_TOKEN": "of-the-test",
        "GH_FAILS": "",
        "PATH": f"{gh.parent}:{os.environ['PATH']}",
    }):  # fmt: skip
        yield


def steps(repository: Path) -> tuple[str, str, str]:
    """Return the shell lines of the template's job: install, update, propose."""
    install, update, propose = lines(repository / WORKFLOW, "template")
    return install, update, propose


def upkeep(repository: Path, *, more: str = "") -> str:
    """Run the steps behind the first; `more` are options for `copier update`."""
    _, update, propose = steps(repository)
    return "".join(run(repository, line) for line in (update.replace(" --quiet\n", f" --quiet{more}\n", 1), propose))


def test_copier_is_installed_with_the_templates_hashes(place: Place) -> None:
    shutil.rmtree(place.root / "runner" / "copier")
    run(place.repository, steps(place.repository)[0])
    printed = commands.succeed(place.root, place.root / "runner" / "copier" / "bin" / "copier", "--version")
    pins = (rendering.ROOT / "requirements-render.txt").read_text(encoding="utf-8")
    assert f"copier=={printed.split()[-1]} " in pins


def test_nothing_new_opens_nothing(place: Place) -> None:
    assert "v1.0.0 is the newest version" in upkeep(place.repository)
    assert place.asked == ""
    assert place.branches() == {"main"}


def test_an_update_is_a_pull_request(place: Place) -> None:
    place.release()
    upkeep(place.repository)
    assert place.branches() == {"main", BRANCH}
    assert "pr create --title Template v2.0.0" in place.asked
    assert "- `" not in place.asked
    assert "# Version 2" in place.pushed(KIT)


def test_what_the_new_version_brings_does_not_run_beside_the_token(place: Place) -> None:
    script = place.template / "template" / ".tools" / "propose.sh"
    script.write_text('touch "$RUNNER_TEMP/unread"\n', encoding="utf-8")
    place.release()
    upkeep(place.repository)
    assert "unread" in place.pushed(".tools/propose.sh")
    assert not (place.root / "runner" / "unread").exists()


def test_without_a_token_a_warning_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_TOKEN", "")
    place.release()
    assert "::warning::Template v2.0.0 is out" in upkeep(place.repository)
    assert place.branches() == {"main"}


# How Copier shows a conflict: as it does by default, and where git can merge nothing.
@pytest.mark.parametrize("how", ["", " --conflict rej"], ids=["markers", "rej"])
def test_conflicts_are_named_and_never_committed(place: Place, how: str) -> None:
    kit = place.repository / KIT
    kit.write_text(f"{kit.read_text(encoding='utf-8')}\n# ours\n", encoding="utf-8")
    (place.repository / "new file.txt").write_text("ours\n", encoding="utf-8")
    rendering.commit(place.repository, "Ours")
    rendering.git(place.repository, "push", "--quiet", "origin", "main")
    place.release()
    upkeep(place.repository, more=how)
    assert f"- `{KIT}`" in place.asked
    assert "- `new file.txt`" in place.asked
    assert place.pushed(KIT).endswith("# ours\n")
    assert place.pushed("new file.txt") == "ours\n"
    assert "# Version 2" in place.pushed("Makefile")
    changed = rendering.git(place.origin, "diff", "main", BRANCH)
    assert not any(f"\n+{marker}" in changed for marker in ("<<<<<<<", "=======", ">>>>>>>"))
    assert ".rej" not in rendering.git(place.origin, "ls-tree", "-r", "--name-only", BRANCH)


def test_a_pull_request_that_is_there_is_left_to_whoever_works_on_it(place: Place) -> None:
    place.release()
    upkeep(place.repository)
    before, tip = place.asked, rendering.git(place.origin, "rev-parse", BRANCH)
    rendering.git(place.root, "clone", "--quiet", str(place.origin), "again")
    upkeep(place.root / "again")
    assert (place.asked, rendering.git(place.origin, "rev-parse", BRANCH)) == (before, tip)


def test_a_pull_request_that_failed_is_opened_by_the_next_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.release()
    rendering.git(place.root, "clone", "--quiet", str(place.origin), "again")
    monkeypatch.setenv("GH_FAILS", "1")
    with pytest.raises(AssertionError):
        upkeep(place.repository)
    monkeypatch.setenv("GH_FAILS", "")
    upkeep(place.root / "again")
    assert "pr create --title Template v2.0.0" in place.asked


def test_a_template_that_cannot_be_read_is_a_warning(place: Place) -> None:
    shutil.rmtree(place.root / "runner" / "copier")
    answers = place.repository / ".copier-answers.yml"
    text = answers.read_text(encoding="utf-8").replace(str(place.template), str(place.root / "nowhere"))
    answers.write_text(text, encoding="utf-8")
    install, update, propose = steps(place.repository)
    assert "::warning::The template at" in run(place.repository, install)
    assert run(place.repository, update) == run(place.repository, propose) == ""
    assert place.branches() == {"main"}


LONG_AGO = datetime.now(tz=UTC) - timedelta(days=90)
YESTERDAY = datetime.now(tz=UTC) - timedelta(days=1)
BEFORE = (
    Planted("demo-lib", "1.0", requires=("demo-dep>=1",), uploaded=LONG_AGO),
    Planted("demo-dep", "1.0", uploaded=LONG_AGO),
    Planted("demo-dev", "1.0", uploaded=LONG_AGO),
)
AFTER = (
    Planted("demo-lib", "1.1", requires=("demo-dep>=1",), uploaded=LONG_AGO),
    Planted("demo-lib", "1.2", requires=("demo-dep>=1",), uploaded=YESTERDAY),
    Planted("demo-dep", "1.5", uploaded=LONG_AGO),
)
TABLE = "| package | locked | fresh | |\n|---|---|---|---|\n"


class OfIndex:
    """What a tool locks from is an index, in which newer releases appear."""

    needs: Mapping[str, list[str]] = {"runtime": ["demo-lib>=1"], "dev": ["demo-dev>=1"]}
    newer = ("| demo-dep | 1.0 | 1.5 | transitive |\n", "| demo-lib | 1.0 | 1.1 | direct |\n")
    unplugged: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.index = Index(BEFORE, upstream=True, cache=rendering.ROOT / "build" / "index")
        self.answers = {"package_index": self.index.url}
        # pip and uv ask no second time, where nobody answers.
        self.variables = {"PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}

    def age(self, repository: Path) -> None:
        """Let the lock be an old one."""
        del repository
        self.index.plant(*AFTER)

    def unplug(self) -> None:
        """Let nobody answer."""
        self.index.__exit__()


class OfChannel:
    """What conda locks from is a channel on disk: the lock goes back to an older release of it."""

    needs: Mapping[str, list[str]] = {"runtime": ["tqdm>=4.67"], "dev": ["iniconfig>=2"]}
    newer = ("| tqdm | 4.67.1 | ",)
    unplugged: Mapping[str, str] = {"CONDA_CHANNEL_ALIAS": "file:///nowhere"}
    answers: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.variables = module("conda").prepare(Path(), "")

    def age(self, repository: Path) -> None:
        """Let the lock be an old one."""
        commands.succeed(repository, ".tools/venv/bin/python", ".tools/lock.py", "--upgrade", "tqdm==4.67.1")
        rendering.commit(repository, "Older")
        rendering.git(repository, "push", "--quiet", "origin", "main")

    def unplug(self) -> None:
        """The variables do."""


@dataclass(frozen=True)
class Locked:
    """A small repository with a lock that was pushed, and where its tool finds packages."""

    repository: Path
    root: Path
    source: OfIndex | OfChannel
    tool: ModuleType

    def outdated(self) -> tuple[str, str]:
        """Run the job that compares; return what it adds to the summary and to its outputs."""
        written = [self.root / "summary.md", self.root / "outputs"]
        for path in written:
            path.write_text("", encoding="utf-8")
        shutil.rmtree(self.root / "runner" / "fresh", ignore_errors=True)
        for line in lines(self.repository / WORKFLOW, "outdated"):
            run(self.repository, line)
        summary, outputs = (path.read_text(encoding="utf-8") for path in written)
        return summary, outputs

    def relock(self, name: str) -> Path:
        """Run the job that proposes the fresh lock, in a clone of its own; return that."""
        clone = self.root / name
        rendering.git(self.root, "clone", "--quiet", str(self.root / "origin.git"), name)
        for line in lines(clone / WORKFLOW, "relock"):
            run(clone, line)
        return clone

    def state(self) -> dict[str, str]:
        """Return a digest of each file, those of git too; the tool's own environment and caches left out."""
        files = (path for path in self.repository.rglob("*") if path.is_file())
        own = {path.relative_to(self.repository): path for path in files}
        aside = {"venv", "__pycache__"}
        return {str(name): digest(path) for name, path in own.items() if not aside & {*name.parts}}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(params=NAMES)
def locked(request: pytest.FixtureRequest, template: Path, tmp_path: Path, patch: str) -> Iterator[Locked]:
    name, repository = str(request.param), tmp_path / "demo"
    source = OfChannel() if name == "conda" else OfIndex()
    with source.index if isinstance(source, OfIndex) else nullcontext():
        rendering.render(
            template, repository, package_manager=name, python_patch=patch, common=source.needs, framework=NO_FRAMEWORK,
            **source.answers,
        )  # fmt: skip
        with variables(source.variables):
            commands.succeed(repository, "make", "lock")
            rendering.commit(repository, "Start")
            with hosted(repository, tmp_path):
                yield Locked(repository, tmp_path, source, module(name))


def test_what_is_newer_is_shown_and_proposed_and_nothing_is_changed(locked: Locked) -> None:
    """One repository goes the whole way, since locking one for each step would take minutes."""
    assert locked.outdated() == ("A fresh resolution would change nothing.\n", "")
    locked.source.age(locked.repository)
    before = locked.state()
    summary, outputs = locked.outdated()
    assert summary.startswith(TABLE + locked.source.newer[0])
    assert all(line in summary for line in locked.source.newer)
    assert summary.count("\n") == 2 + len(locked.source.newer)
    assert locked.state() == before

    if "relock" in jobs(locked.repository / WORKFLOW):
        assert outputs == "changed=true\n"
        proposed(locked)
    else:
        assert outputs == ""

    locked.source.unplug()
    refused = commands.refuse(locked.repository, "make", "outdated", **locked.source.unplugged)
    assert "Nothing was resolved, for the reason above, or changed" in refused
    assert locked.state() == before


def proposed(locked: Locked) -> None:
    """Assert that the fresh lock becomes a pull request, once, that holds nothing else and answers the manifest."""
    # Code of a package that runs while its lock is made could leave more than a lock.
    (locked.root / "runner" / "fresh" / "Makefile").write_text("all: ; echo evil\n", encoding="utf-8")
    clone = locked.relock("first")
    asked = (locked.root / "gh.log").read_text(encoding="utf-8")
    assert "pr create --title Lock " in asked
    assert all(line in asked for line in locked.source.newer)
    changed = {*rendering.git(clone, "diff", "--name-only", "main").split()}
    assert changed == {locked.tool.LOCKED}
    # The tool itself is not installed again for that.
    (clone / ".tools/venv").symlink_to(locked.repository / ".tools/venv")
    commands.succeed(clone, "make", "check-lock")
    assert locked.tool.versions(clone) != locked.tool.versions(locked.repository)

    locked.relock("second")
    assert (locked.root / "gh.log").read_text(encoding="utf-8") == asked


def test_either_dependabot_or_the_job_keeps_the_lock(locked_by: Path) -> None:
    updates = yaml.safe_load((locked_by / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    own = [one for one in updates if one["directory"] == "/" and one["package-ecosystem"] in {"pip", "uv", "conda"}]
    assert bool(own) != ("relock" in jobs(locked_by / WORKFLOW))


@pytest.fixture(params=NAMES)
def locked_by(request: pytest.FixtureRequest, template: Path, tmp_path: Path) -> Path:
    """A repository of each tool, as it is rendered."""
    return rendering.render(template, tmp_path / "demo", package_manager=request.param)
