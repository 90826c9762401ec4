"""Level update: what `make switch` writes where the framework is asked for otherwise by the new tool.

PyTorch's wheels for the CPU have an index of their own, CUDA is an extra, another wheel or a build, and conda-forge is
weeks behind the package index. What is compared is the manifest that the program writes before anything is locked: the
locks are nearly empty, since the packages are gigabytes. tests/real/test_accelerators.py locks small ones.
"""

import json
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import commands
import links
import rendering

pytestmark = pytest.mark.update

# The locks of nothing, which each tool's reader takes for a lock.
METADATA = "metadata:\n  content_hash:\n    linux-64: none\n  platforms:\n  - linux-64\n"
EMPTY = {
    "conda": {"conda-lock.yml": f"version: 1\n{METADATA}package:\n"},
    "pip-tools": {"requirements.txt": "", "requirements-dev.txt": ""},
    "pipenv": {"Pipfile.lock": '{"_meta": {"pipfile-spec": 6}, "default": {}, "develop": {}}\n'},
    "poetry": {"poetry.lock": 'package = []\n\n[metadata]\nlock-version = "2.1"\ncontent-hash = ""\n'},
    "uv": {
        "uv.lock": 'version = 1\n\n[[package]]\nname = "my-model"\nversion = "0.1.0"\nsource = { editable = "." }\n',
    },
}
# Up to where nothing is changed yet: the new manifest, and what is told. conda's lock would name Python as one that is
# no Python package.
PLAN = """
import json, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], ".tools"]
import lock_reader
if hasattr(lock_reader, "only_here"):
    lock_reader.only_here = lambda _: {"python"}
import switch
from calls import render
answers, scratch = json.loads(sys.argv[2]), Path(sys.argv[1]).parent
none = {"common": {"runtime": [], "dev": []}, "required": switch.NOTHING}
stock, fresh = (render(scratch / name, **new, **none) for name, new in (("old", {}), ("new", answers)))
plan = switch.Switch(stock, fresh, answers)
print(json.dumps({"manifest": plan.manifest, "left": plan.carried.left}))
"""
# What one kind of tool asks for otherwise than another; all else is carried as any requirement.
DIFFERING = {"channel", "index", "linux"}
COMPUTES = [
    (name, one)
    for name in links.FRAMEWORKS
    for one, said in links.framework_data(name)["accelerators"].items()
    if DIFFERING & said.keys()
]
RING = ("uv", "poetry", "pip-tools", "pipenv", "conda")
# In `make test` one direction of these.
NOW = {
    ("jax", "cuda"): ("uv", "conda"),
    ("pytorch", "cpu"): ("conda", "pip-tools"),
    ("pytorch", "cuda"): ("poetry", "conda"),
    ("xgboost", "cuda"): ("conda", "uv"),
}


def planned(template: Path, folder: Path, answers: dict[str, str], new: dict[str, str]) -> tuple[Path, dict[str, Any]]:
    """Return a repository with these answers, and what a switch to the new ones would write and tell."""
    repository = rendering.render(template, folder / "demo", **answers)
    for name, text in EMPTY[answers["package_manager"]].items():
        (repository / name).write_text(text, encoding="utf-8")
    return repository, plan(repository, folder, new)


def plan(repository: Path, folder: Path, new: dict[str, str]) -> dict[str, Any]:
    """Return what a switch of a repository would write, as `make switch` finds it."""
    program = folder / "program"
    program.mkdir()
    shutil.copy(repository / ".copier-answers.yml", program)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    quietly = ("--overwrite", "--defaults", "--quiet", "--vcs-ref=:current:", "--data", "switching=true")
    commands.succeed(repository, "copier", "recopy", program, *quietly, PATH=path)
    printed = commands.succeed(repository, sys.executable, "-c", PLAN, program / ".switch", json.dumps(new), PATH=path)
    said: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return said


def meaning(name: str, text: str) -> object:
    """Return what a manifest says, without comments and without an order where it has none."""
    if name == "Pipfile":
        return tomllib.loads(text)
    if name == "pyproject.toml":
        said = tomllib.loads(text)
        said["project"]["dependencies"] = {*said["project"].get("dependencies", ())}
        return said
    return sorted(line for line in re.sub(r"(^| +)#.*", "", text, flags=re.MULTILINE).splitlines() if line)


def directions() -> list[Any]:
    """Return each of them from each tool to its neighbours in a ring, both ways, and what `make test` takes."""
    around = [*zip(RING, RING[1:] + RING[:1], strict=True)]
    pairs = [*around, *((new, old) for old, new in around)]
    return [
        pytest.param(chosen, pair, marks=[] if NOW.get(chosen) == pair else [pytest.mark.thorough])
        for chosen in COMPUTES
        for pair in dict.fromkeys([*pairs, NOW.get(chosen, pairs[0])])
    ]


@pytest.mark.parametrize(("chosen", "pair"), directions(), ids=" ".join)
def test_the_framework_is_asked_for_as_in_a_fresh_repository(
    tagged: Path, tmp_path: Path, chosen: tuple[str, str], pair: tuple[str, str]
) -> None:
    answers = dict(zip(("ml_framework", "accelerator"), chosen, strict=True))
    _, said = planned(tagged, tmp_path, {**answers, "package_manager": pair[0]}, {"package_manager": pair[1]})
    fresh = rendering.render(tagged, tmp_path / "fresh", **answers, package_manager=pair[1])
    assert said["left"] == []
    for name, text in said["manifest"].items():
        assert meaning(name, text) == meaning(name, (fresh / name).read_text(encoding="utf-8")), text


def test_tool_and_accelerator_are_switched_at_once(tagged: Path, tmp_path: Path) -> None:
    old = {"package_manager": "uv", "ml_framework": "jax", "accelerator": "cpu"}
    new = {"package_manager": "poetry", "accelerator": "cuda"}
    _, said = planned(tagged, tmp_path, old, new)
    fresh = rendering.render(tagged, tmp_path / "fresh", **{**old, **new})
    text = said["manifest"]["pyproject.toml"]
    assert "jax[cuda13]" in text
    assert meaning("pyproject.toml", text) == meaning("pyproject.toml", (fresh / "pyproject.toml").read_text())


def test_what_you_ask_of_the_framework_yourself_is_carried_and_what_the_template_asks_is_told(
    tagged: Path, tmp_path: Path
) -> None:
    old = {"package_manager": "uv", "ml_framework": "pytorch", "accelerator": "cuda"}
    repository = rendering.render(tagged, tmp_path / "demo", **old)
    manifest = repository / "pyproject.toml"
    text = manifest.read_text(encoding="utf-8")
    assert text.count('"torch>=2.15,<2.16"') == 1
    manifest.write_text(text.replace('"torch>=2.15,<2.16"', '"torch>=2.13,<2.14"'), encoding="utf-8")
    (repository / "uv.lock").write_text(EMPTY["uv"]["uv.lock"], encoding="utf-8")
    said = plan(repository, tmp_path, {"package_manager": "conda"})
    assert "  - pytorch >=2.13,<2.14\n" in said["manifest"]["environment.yml"]
    assert len(said["left"]) == 1
    assert re.match(r"torch>=\S+ cuda\*: what the template asks for now", said["left"][0])


def test_a_comment_of_yours_stays_beside_what_the_template_asks_for(tagged: Path, tmp_path: Path) -> None:
    old = {"package_manager": "uv", "ml_framework": "pytorch", "accelerator": "cuda"}
    repository = rendering.render(tagged, tmp_path / "demo", **old)
    manifest = repository / "pyproject.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace('"torch>=2.15,<2.16",', '"torch>=2.15,<2.16",  # the auditors ask'), "utf-8")
    (repository / "uv.lock").write_text(EMPTY["uv"]["uv.lock"], encoding="utf-8")
    said = plan(repository, tmp_path, {"package_manager": "conda"})
    assert re.search(r"- pytorch >=\S+ cuda\*  # the auditors ask$", said["manifest"]["environment.yml"], re.MULTILINE)
