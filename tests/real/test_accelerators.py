"""Level real: PyTorch's wheels for the CPU come from an index of their own, which delivers nothing else.

A stand-in for that index on loopback: pages without upload times and without JSON, as PyTorch's are, with torch and a
poisoned release of what torch needs. What is planted is small, and really locked, checked and installed.
"""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import commands
import rendering
from index import Bare, Index, Planted
from repositories import NAMES, Origin, variables

# conda's channels have builds of one package in the place of a second index.
TOOLS = [name for name in NAMES if name != "conda"]
pytestmark = [pytest.mark.real, pytest.mark.parametrize("tool", TOOLS, indirect=True)]

CUDA = ("demo-dep", "demo-cuda ; platform_system == 'Linux'")
# On the default index: torch for CUDA, newer than the one for the CPU, and what is not to come from anywhere else.
DEFAULT = (
    Planted("torch", "2.15.9", requires=CUDA),
    Planted("demo-cuda", "1.0"),
    Planted("demo-dep", "1.0"),
    Planted("demo-lib", "1.0"),
)
LINUX, MAC = "py3-none-manylinux_2_28_x86_64", "py3-none-macosx_14_0_arm64"
OWN = (
    Planted("torch", "2.15.0+cpu", requires=("demo-dep",), tag=LINUX),
    Planted("torch", "2.15.0", requires=("demo-dep",), tag=MAC),
    *(Planted(name, "99.0") for name in ("demo-dep", "demo-lib", "joblib")),
)
NEEDS = {"runtime": ["demo-lib>=1"], "dev": []}
LOCKED = {"demo-dep": "1.0", "demo-lib": "1.0", "torch": "2.15.0+cpu"}


@pytest.fixture
def default() -> Iterator[Index]:
    """The default index, which has the tools as well."""
    with Index(DEFAULT, upstream=True, cache=rendering.ROOT / "build" / "index") as server:
        yield server


@pytest.fixture
def own() -> Iterator[Index]:
    """The stand-in for PyTorch's index."""
    with Bare(OWN) as server:
        yield server


def pytorch(index: str) -> dict[str, Any]:
    """Return PyTorch's folder as data, with another address in the place of its index, and with torch alone."""
    text = (rendering.ROOT / "frameworks" / "pytorch" / "framework.yml").read_text(encoding="utf-8")
    framework: dict[str, Any] = yaml.safe_load(text)
    framework["accelerators"]["cpu"]["index"]["url"] = index.rstrip("/")
    return {**framework, "runtime": []}


@pytest.fixture
def repository(made: Origin, template: Path, tmp_path: Path, default: Index, own: Index) -> Iterator[Path]:
    """A repository that needs torch and a planted package, locked and committed, with the tool of another one."""
    made.restore()
    folder, tool = tmp_path / "demo", made.tool
    rendering.render(
        template, folder, package_manager=tool.NAME, ml_framework="pytorch",
        framework=pytorch(own.url), common=NEEDS,
    )  # fmt: skip
    (folder / ".tools" / "venv").symlink_to(made.folder / ".tools" / "venv")
    addresses = {"PIP_INDEX_URL": default.url, "UV_DEFAULT_INDEX": default.url}
    # Made-up packages are other ones in the next run, and Poetry's cache knows them by name and version.
    more = {**addresses, **tool.prepare(folder, default.url), "POETRY_CACHE_DIR": str(tmp_path / "cache")}
    with variables({**tool.ENVIRONMENT, **more}):
        commands.succeed(folder, "make", "lock")
        rendering.commit(folder, "Start")
        yield folder


def asked(index: Index) -> set[str]:
    """Return the packages that an index was asked for."""
    return {path.strip("/").partition("/")[2].strip("/") for path in index.requests if path.startswith("/simple/")}


def test_torch_comes_from_its_own_index_and_nothing_else_does(repository: Path, tool: ModuleType, own: Index) -> None:
    """One repository goes the whole way, since setting one up for each step would take minutes."""
    assert tool.versions(repository) == LOCKED
    assert asked(own) == {"torch"}, "a name that is asked for there can be taken from there"
    # No wheel was downloaded to lock it: PyTorch's are hundreds of megabytes for each platform.
    assert not [path for path in own.requests if path.endswith(".whl")]
    origins = (repository / ".tools" / "origins.txt").read_text(encoding="utf-8")
    assert f"{own.url.removesuffix('/simple/')} torch\n" in origins

    commands.succeed(repository, "make", "sync", "verify")
    for name, version in LOCKED.items():
        script = f"import importlib.metadata as m; print(m.version({name!r}))"
        assert commands.succeed(repository, ".venv/bin/python", "-c", script).strip() == version

    # Days later the default index has a newer one, for CUDA, and the other index too: neither moves on its own.
    commands.succeed(repository, "make", "lock")
    commands.succeed(repository, "make", "check-lock")
    assert tool.versions(repository) == LOCKED
    assert "torch" in commands.succeed(repository, "make", "why", "PKG=torch")
