"""Level update: what a release may do to repositories that were rendered before it."""

import json
import re
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from packaging.version import Version

import interrogation
import rendering
from update import snapshot

pytestmark = pytest.mark.update

VERSIONS = sorted((folder.name for folder in snapshot.VERSIONS.iterdir()), key=Version)
PATHS = [pytest.param(version, file.stem, id=f"{version}-{file.stem}")
         for version in VERSIONS for file in sorted((snapshot.VERSIONS / version / "paths").iterdir())]  # fmt: skip
CHANGELOG = rendering.ROOT / "docs" / "changelog.md"
HEADING = re.compile(r"^## \[([^\]]+)\].*\n", re.MULTILINE)  # https://keepachangelog.com/en/1.1.0/


def sections(text: str) -> dict[str, str]:
    """Return version (or Unreleased) -> section of a changelog, newest first."""
    first, *parts = HEADING.split(text)
    assert first.startswith("# "), "a changelog starts with its title"
    return dict(zip(parts[::2], parts[1::2], strict=True))


def noted(text: str, version: str) -> str:
    """Return what all sections after a version say under Changed and Removed; all of them before its own exists."""
    newer = [section for name, section in sections(text).items() if is_after(name, version)]
    return "".join(re.findall(r"^### (?:Changed|Removed)\n(.*?)(?=^#|\Z)", "\n".join(newer), re.MULTILINE | re.DOTALL))


def is_after(name: str, version: str) -> bool:
    """Tell whether a section is about what came after a version."""
    return name == "Unreleased" or Version(name) > Version(version)


def unnoted(old: list[str], new: list[str], notes: str) -> list[str]:
    """Return the paths that are gone without a note; a note names them as a user sees them, with <package>."""
    gone = [name.replace(f"src/{snapshot.PACKAGE}/", "src/<package>/") for name in old if name not in set(new)]
    return [name for name in gone if f"`{name}`" not in notes]


@pytest.fixture(scope="module")
def changelog() -> str:
    """The template's changelog."""
    return CHANGELOG.read_text(encoding="utf-8")


@pytest.mark.parametrize(("version", "tool"), PATHS)
def test_a_file_that_a_release_takes_away_is_in_the_changelog(
    template: Path, tmp_path: Path, changelog: str, version: str, tool: str
) -> None:
    old = (snapshot.VERSIONS / version / "paths" / f"{tool}.txt").read_text(encoding="utf-8").splitlines()
    missing = unnoted(old, snapshot.rendered(template, tool, tmp_path / "demo"), noted(changelog, version))
    assert not missing, f"gone since {version}: say in docs/changelog.md, Changed or Removed, what a user must do"


def test_a_note_counts_where_a_user_of_that_version_reads_it() -> None:
    newest = "## [Unreleased]\n\n### Added\n\n- `b`\n\n### Removed\n\n- `a`: type x.\n"
    text = f"# Changelog\n\n{newest}\n## [0.2.0]\n\n### Changed\n\n- `c` is `d`\n"
    old = ["a", "b", "c", "src/my_model/e.py"]
    assert unnoted(old, [], noted(text, "v0.1.0")) == ["b", "src/<package>/e.py"]
    assert unnoted(old, ["b"], noted(text, "v0.2.0")) == ["c", "src/<package>/e.py"]


def test_the_changelog_has_every_version_newest_first(changelog: str) -> None:
    unreleased, *released = sections(changelog)
    assert unreleased == "Unreleased"
    assert released == sorted(released, key=Version, reverse=True)
    # Every version that has a fixture, but for the one that is about to be tagged.
    assert {version.removeprefix("v") for version in VERSIONS[:-1]} <= {*released}


def asked() -> dict[str, dict[str, Any]]:
    """Return the questions that are recorded."""
    return interrogation.questions(rendering.ROOT)


def another(question: dict[str, Any]) -> object:
    """Return a default that a question could have tomorrow; where there is one choice only, today's."""
    today = question["default"]
    if "choices" in question:
        values = [*question["choices"].values()]
        return values[(values.index(today) + 1) % len(values)]
    if isinstance(today, bool):
        return not today
    return today + 7 if isinstance(today, int) else question["placeholder"]


def changed_defaults() -> dict[str, object]:
    """Return a new default for every question that can have one."""
    return {name: another(question) for name, question in asked().items() if another(question) != question["default"]}


def change_defaults(template: Path) -> None:
    """Write the new defaults into copier.yml."""
    path = template / "copier.yml"
    text = path.read_text(encoding="utf-8")
    for name, value in changed_defaults().items():
        question = rf"(?m)^({name}:\n(?:(?:  .*)?\n)*?  default:).*\n(?:    .*\n)*"
        (found,) = re.finditer(question, text)
        text = f"{text[: found.start()]}{found[1]} {json.dumps(value)}\n{text[found.end() :]}"
    path.write_text(text, encoding="utf-8")


def recorded(folder: Path) -> dict[str, Any]:
    """Return what the answers file holds, without the version that wrote it."""
    answers: dict[str, Any] = yaml.safe_load((folder / ".copier-answers.yml").read_text(encoding="utf-8"))
    return {name: value for name, value in answers.items() if name != "_commit"}


def test_a_changed_default_changes_nothing_in_an_older_repository(tmp_path: Path) -> None:
    template = rendering.checkout(tmp_path / "parity")
    rendering.commit(template, "First", tag="v1.0.0")
    repository = rendering.render(template, tmp_path / "demo")
    rendering.commit(repository, "Start")
    before = {path: (repository / path).read_bytes() for path in rendering.files(repository)}
    answers = recorded(repository)
    assert answers.keys() >= asked().keys(), "a question that is not recorded gets the new default"

    change_defaults(template)
    rendering.commit(template, "Second", tag="v2.0.0")
    # A release is refused on the other platform.
    kept = {"ci_provider": "github"}
    fresh = recorded(rendering.render(template, tmp_path / "fresh", **kept))
    assert {name: fresh[name] for name in changed_defaults()} == changed_defaults() | kept

    copier.run_update(repository, defaults=True, overwrite=True, quiet=True, unsafe=False)
    assert recorded(repository) == answers
    versioned = {Path(".copier-answers.yml"), Path("src/my_model/parity/pins.toml")}
    after = {path: (repository / path).read_bytes() for path in rendering.files(repository)}
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == versioned
