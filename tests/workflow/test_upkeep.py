"""Level workflow: the shell lines of the rendered upkeep.yml, with a stand-in for GitHub's program `gh`."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import commands
import rendering
from repositories import variables

pytestmark = pytest.mark.workflow

KIT = "src/my_model/parity/seeding.py"
BRANCH = "template/v2.0.0"
GH = """\
#!/bin/sh
# A stand-in for gh: it writes down what it is asked for, and lists what it opened.
case "$1 $2" in
    "pr list") grep --only-matching "pr create --title Template .*" "$GH_LOG" || true ;;
    "pr create") { test -z "$GH_FAILS" || exit 1; echo "$@"; cat "$RUNNER_TEMP/text"; } >>"$GH_LOG" ;;
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
    rendering.git(tmp_path, "init", "--bare", "--quiet", "origin.git")
    rendering.git(repository, "remote", "add", "origin", str(tmp_path / "origin.git"))
    rendering.git(repository, "push", "--quiet", "origin", "main")
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(GH, encoding="utf-8")
    gh.chmod(0o755)
    (tmp_path / "gh.log").touch()
    # What the first step makes, which has a test of its own.
    copier = tmp_path / "runner" / "copier" / "bin" / "copier"
    copier.parent.mkdir(parents=True)
    copier.symlink_to(Path(sys.executable).with_name("copier"))
    with variables({
        "RUNNER_TEMP": str(tmp_path / "runner"),
        "GH_LOG": str(tmp_path / "gh.log"),
        "GH_TOKEN": "of-the-test",
        "GH_FAILS": "",
        "PATH": f"{gh.parent}:{os.environ['PATH']}",
    }):  # fmt: skip
        yield Place(template, repository, tmp_path)


def steps(repository: Path) -> tuple[str, str, str]:
    """Return the shell lines of the job's steps: install, update, propose."""
    workflow = yaml.safe_load((repository / ".github/workflows/upkeep.yml").read_text(encoding="utf-8"))
    install, update, propose = (one["run"] for one in workflow["jobs"]["template"]["steps"] if "run" in one)
    return install, update, propose


def run(repository: Path, line: str) -> str:
    """Run a step as the runner's shell does; return what it says."""
    return commands.succeed(repository, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line)


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
