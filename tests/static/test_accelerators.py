"""Level static: what a repository asks for on the CPU and on CUDA, of each framework and in each tool's words."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from _pytest.mark import ParameterSet
from packaging.requirements import Requirement

import rendering
from repositories import NAMES
from static.test_rendering import BIN, looks_hand_written, run

pytestmark = pytest.mark.static

FRAMEWORKS: dict[str, dict[str, Any]] = {
    path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted(rendering.ROOT.glob("frameworks/*/framework.yml"))
}
OFFERED = ("cpu", "cuda")
COMPUTES = [(name, one) for name, data in FRAMEWORKS.items() for one in data["accelerators"]]
REFUSED = [(name, one) for name, one in itertools.product(FRAMEWORKS, OFFERED) if (name, one) not in COMPUTES]
INDEXES = [
    (name, data["accelerators"]["cpu"]) for name, data in FRAMEWORKS.items() if "index" in data["accelerators"]["cpu"]
]
MANIFESTS = ("pyproject.toml", "requirements.in", "Pipfile", "environment.yml")


def manifest(folder: Path) -> str:
    """Return what a repository's manifests say, without comments."""
    texts = [(folder / name).read_text(encoding="utf-8") for name in MANIFESTS if (folder / name).exists()]
    return re.sub(r"(^| )#.*", "", "\n".join(texts), flags=re.MULTILINE)


def grid() -> Iterator[ParameterSet]:
    """Yield all of them with each tool; `make test` takes those with an index, and one tool of each other."""
    for place, (framework, accelerator) in enumerate(COMPUTES):
        for number, tool in enumerate(NAMES):
            now = framework in dict(INDEXES) or number == place % len(NAMES)
            yield pytest.param(tool, framework, accelerator, marks=[] if now else [pytest.mark.thorough])


@pytest.mark.parametrize(("tool", "framework", "accelerator"), [*grid()])
def test_every_choice_renders_and_looks_hand_written(
    template: Path, tmp_path: Path, tool: str, framework: str, accelerator: str
) -> None:
    chosen = {"package_manager": tool, "ml_framework": framework, "accelerator": accelerator}
    folder = rendering.render(template, tmp_path / "demo", **chosen)
    looks_hand_written(folder)
    text, own = manifest(folder), FRAMEWORKS[framework]["accelerators"][accelerator].get("index")
    # Only conda has builds in the place of an index of their own.
    assert ("download.pytorch.org" in text) == (own is not None and tool != "conda")
    compose = (folder / "compose.yaml").read_text(encoding="utf-8")
    assert ("capabilities: [gpu]" in compose) == (accelerator == "cuda")


def test_a_repository_for_a_gpu_passes_the_linters(template: Path, tmp_path: Path) -> None:
    folder = rendering.render(template, tmp_path / "demo", ml_framework="pytorch", accelerator="cuda")
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", folder / "compose.yaml")
    run(BIN / "hadolint", folder / "Dockerfile")
    assert "\nlibmpi.so.40\n" in (folder / ".tools" / "optional-libraries.txt").read_text(encoding="utf-8")


def test_a_bot_does_not_take_wheels_of_the_default_index_where_a_version_is_the_tie(
    template: Path, tmp_path: Path
) -> None:
    folder = rendering.render(template, tmp_path / "demo", ml_framework="pytorch", package_manager="pip-tools")
    config = folder / ".github" / "dependabot.yml"
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.dependabot", config)
    first = yaml.safe_load(config.read_text(encoding="utf-8"))["updates"][0]
    assert first["ignore"] == [{"dependency-name": "torch"}]


@pytest.mark.parametrize(("framework", "accelerator"), REFUSED, ids="-".join)
def test_what_a_framework_does_not_compute_on_is_refused_with_what_to_take(
    template: Path, tmp_path: Path, framework: str, accelerator: str
) -> None:
    with pytest.raises(ValueError, match=r"'accelerator': Take cpu: .+"):
        rendering.render(template, tmp_path / "demo", ml_framework=framework, accelerator=accelerator)
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_accelerator_is_computed_on_or_refused_with_a_reason(framework: str) -> None:
    data = FRAMEWORKS[framework]
    assert {*data["accelerators"]} | {*data["refuses"]} == {*OFFERED}
    assert not {*data["accelerators"]} & {*data["refuses"]}


@pytest.mark.parametrize(("framework", "chosen"), INDEXES, ids=lambda one: one if isinstance(one, str) else "")
def test_an_exact_version_is_within_the_range_and_only_its_own_index_can_have_it(
    framework: str, chosen: dict[str, Any]
) -> None:
    del framework
    index = chosen["index"]
    assert [*index["exactly"]] == [*index["ranges"]] == index["packages"]
    for name in index["packages"]:
        (exact,) = Requirement(index["exactly"][name]).specifier
        assert Requirement(index["ranges"][name]).specifier.contains(exact.version)
        # No package index takes a local version: https://packaging.python.org/en/latest/specifications/version-specifiers/
        assert "+" in exact.version
        assert index["ranges"][name] in chosen["runtime"]


# What would let an index beside the main one deliver a package of any name.
CONFUSED = re.compile(r"extra-index|unsafe-best-match|priority *= *.supplemental|explicit *= *false")


@pytest.mark.parametrize("tool", [name for name in NAMES if name != "conda"])
@pytest.mark.parametrize("index", ["", "https://packages.example.com/simple/"], ids=["default", "private"])
def test_no_tool_may_take_another_package_from_the_index_for_one(
    template: Path, tmp_path: Path, tool: str, index: str
) -> None:
    folder = rendering.render(
        template, tmp_path / "demo", package_manager=tool, ml_framework="pytorch", package_index=index
    )
    assert not CONFUSED.search(manifest(folder))
    text = manifest(folder)
    said = re.search(
        r"explicit = true|\"explicit\"|index = \"pytorch-cpu\"|--find-links \S+/torch/$", text, re.MULTILINE
    )
    assert said, text
