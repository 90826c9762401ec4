"""Level static: the answer `dvc` brings its files for every tool, and the answer `none` nothing of them."""

import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import parsing
import rendering
from repositories import NAMES

pytestmark = pytest.mark.static

BIN = Path(sys.executable).parent
ADDED = {
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvc/requirements.txt",
    ".dvcignore",
    "dvc.yaml",
    "src/my_model/stages.py",
}
# What says something else with DVC. No manifest: DVC is no dependency of the project.
CHANGED = {
    ".copier-answers.yml",
    ".github/dependabot.yml",
    ".gitignore",
    "Makefile",
    "README.md",
    "src/my_model/data.py",
    "src/my_model/parity/pins.toml",
}


@pytest.fixture(scope="module", params=NAMES)
def both(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One tool after the other: without DVC and with it."""
    folder = tmp_path_factory.mktemp(request.param)
    without = rendering.render(template, folder / "none", package_manager=request.param)
    return without, rendering.render(template, folder / "dvc", package_manager=request.param, data_versioning="dvc")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.as_posix(): (folder / path).read_bytes() for path in rendering.files(folder)}


def test_dvc_adds_its_files_and_changes_no_other_than_these(both: tuple[Path, Path]) -> None:
    without, with_dvc = map(contents, both)
    assert with_dvc.keys() - without.keys() == ADDED
    assert without.keys() <= with_dvc.keys()
    assert {name for name in without if without[name] != with_dvc[name]} == CHANGED


def test_without_it_nothing_speaks_of_dvc_but_the_kits_word_on_its_digests(both: tuple[Path, Path]) -> None:
    named = {name for name, content in contents(both[0]).items() if b"dvc" in content.lower()}
    assert named == {"src/my_model/parity/sources.py"}


def test_what_dvc_adds_and_changes_parses_and_passes_its_linter(both: tuple[Path, Path]) -> None:
    for name in ADDED | CHANGED:
        text = (both[1] / name).read_text(encoding="utf-8")
        parsing.parse(name, text)
        assert not re.findall(r"[ \t]+\n|\n\n\n\n|\A\s|\n\n\Z|[^\n]\Z", text), name
        assert not re.search(r"{%|%}|{#(?! )", text), f"{name}: Jinja is left"
        longest = max(map(len, text.splitlines()))
        assert longest <= 120 or name not in {*ADDED, "src/my_model/data.py"}, name
    for command in (("ruff", "format", "--check", "."), ("ruff", "check", "--no-cache", ".")):
        subprocess.run([BIN / command[0], *command[1:]], cwd=both[1], check=True)
    schema = ("--builtin-schema", "vendor.dependabot", both[1] / ".github" / "dependabot.yml")
    subprocess.run([BIN / "check-jsonschema", "--quiet", *schema], check=True)


def test_the_stages_depend_on_files_that_are_rendered_or_made(both: tuple[Path, Path]) -> None:
    stages: dict[str, Any] = yaml.safe_load((both[1] / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    tool = tomllib.loads((both[1] / "src/my_model/parity/pins.toml").read_text(encoding="utf-8"))["tool"]
    made = {*tool["locks"], *stages["data"]["outs"]}
    depended = {name for stage in stages.values() for name in stage["deps"]}
    assert {name for name in depended if not (both[1] / name).exists()} <= made
    assert {"src/my_model", *made} <= depended


def test_what_the_stages_write_stays_out_of_git_and_of_the_image(both: tuple[Path, Path]) -> None:
    rendering.git(both[1], "init", "--quiet")
    kept_out = ("data/biopsies.csv", "models/champion.joblib", ".dvc/cache/x", ".dvc/venv/x", ".dvc/config.local")
    assert rendering.git(both[1], "check-ignore", *kept_out).split() == [*kept_out]
    # What `dvc add` writes beside a file of one's own has to be committed: DVC refuses where git ignores it.
    tracked = ("data/own.csv.dvc", "dvc.lock", "metrics.json", *ADDED)
    found = subprocess.run(
        ["git", "-C", both[1], "check-ignore", *tracked], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (1, "")
    assert not re.search(r"dvc|data", (both[1] / ".dockerignore").read_text(encoding="utf-8").partition("*\n")[2])


def test_each_package_of_dvc_is_pinned_with_hashes() -> None:
    text = (rendering.ROOT / "template/.dvc/requirements.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    assert len(entries) > 90
    odd = [
        one
        for one in entries
        if not re.match(r"[\w.-]+==\S+( ; .*)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\\n)?)+$", one)
    ]
    assert not odd


def test_the_two_modules_of_the_data_have_the_same_columns() -> None:
    folder = rendering.ROOT / "template" / "versioning"
    one, other = (runpy.run_path(str(folder / name / "data.py")) for name in ("none", "dvc"))
    for name in ("FEATURES", "TARGET"):
        assert one[name] == other[name], name
    fields = [list(module["Dataset"].__dataclass_fields__) for module in (one, other)]
    assert fields[0] == fields[1]
    assert json.loads((rendering.ROOT / "template/tests/example.json").read_text())["rows"][0].keys() == {
        *one["FEATURES"]
    }
