"""Level real: PyTorch's wheels for the CPU come from an index of their own, which delivers nothing else.

A stand-in for that index on loopback: pages without upload times and without JSON, as PyTorch's are, with torch and a
poisoned release of what torch needs. What is planted is small, and really locked, checked and installed.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import commands
import links
import rendering
from by_hand import poetry
from index import Bare, Index, Planted
from repositories import NAMES, Origin, variables

pytestmark = pytest.mark.real

# conda's channels have builds of one package in the place of a second index.
TOOLS = [name for name in NAMES if name != "conda"]

CUDA = ("demo-dep", "demo-cuda ; platform_system == 'Linux'")
# On the default index: torch for CUDA, and what is not to come from anywhere else.
DEFAULT = (
    Planted("torch", "2.15.0", requires=CUDA),
    Planted("demo-cuda", "1.0"),
    Planted("demo-dep", "1.0"),
    Planted("demo-lib", "1.0"),
)
LINUX, MAC = "py3-none-manylinux_2_28_x86_64", "py3-none-macosx_14_0_arm64"


def torch(version: str) -> tuple[Planted, Planted]:
    """Return a release as PyTorch's index for the CPU has it: a local version, but for macOS."""
    needs = ("demo-dep",)
    return Planted("torch", f"{version}+cpu", needs, tag=LINUX), Planted("torch", version, needs, tag=MAC)


OWN = (
    *torch("2.15.0"),
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


def locked(repository: Path) -> dict[str, str]:
    """Return what the lock has for this platform, as the repository's own reader says."""
    program = "import check_lock as c, json; print(json.dumps({p['name']: p['version'] for p in c.locked(c.ROOT)}))"
    python = repository / ".tools" / "venv" / "bin" / "python"
    found: dict[str, str] = json.loads(commands.succeed(repository / ".tools", python, "-c", program))
    return found


def asked(index: Index) -> set[str]:
    """Return the packages that an index was asked for."""
    return {path.strip("/").partition("/")[2].strip("/") for path in index.requests if path.startswith("/simple/")}


@pytest.mark.parametrize("tool", TOOLS, indirect=True)
def test_torch_comes_from_its_own_index_and_nothing_else_does(
    repository: Path, tool: ModuleType, own: Index, default: Index
) -> None:
    """One repository goes the whole way, since setting one up for each step would take minutes."""
    assert locked(repository) == LOCKED
    assert asked(own) == {"torch"}, "a name that is asked for there can be taken from there"
    if not links.data(tool.NAME).get("single_platform"):
        lock = (repository / tool.LOCKED).read_text(encoding="utf-8")
        assert 'name = "torch"\nversion = "2.15.0"\n' in lock, "no wheel for macOS"
        assert "demo-cuda" not in lock
    # No wheel was downloaded to lock it: PyTorch's are hundreds of megabytes for each platform.
    assert not [path for path in own.requests if path.endswith(".whl")]
    origins = (repository / ".tools" / "origins.txt").read_text(encoding="utf-8")
    assert f"{own.url.removesuffix('/simple/')} torch\n" in origins

    commands.succeed(repository, "make", "sync", "verify")
    for name, version in LOCKED.items():
        script = f"import importlib.metadata as m; print(m.version({name!r}))"
        assert commands.succeed(repository, ".venv/bin/python", "-c", script).strip() == version
    assert "torch" in commands.succeed(repository, "make", "why", "PKG=torch")

    # Days later both indexes have newer ones: it moves when that is asked for, and not to the one for CUDA.
    default.plant(Planted("torch", "2.15.9", requires=CUDA))
    own.plant(*torch("2.15.1"))
    commands.succeed(repository, "make", "lock")
    assert locked(repository) == LOCKED
    verb = ("add", "PKG=torch==2.15.1+cpu") if links.data(tool.NAME).get("exact") else ("upgrade", "PKG=torch")
    commands.succeed(repository, "make", *verb)
    assert locked(repository) == {**LOCKED, "torch": "2.15.1+cpu"}
    assert asked(own) == {"torch"}


def tampered(repository: Path, own: Index) -> commands.Outcome:
    """Write another package's file from torch's index into uv's lock, with its right hash; return what is said."""
    lock, (poisoned,) = repository / "uv.lock", [one for one in OWN if one.name == "demo-lib"]
    (file,) = poisoned.release(own.url.replace("/simple/", "/files/"))["urls"]
    entry = f'url = "{file["url"]}", hash = "sha256:{file["digests"]["sha256"]}", size = {file["size"]}'
    head, name, rest = lock.read_text(encoding="utf-8").partition('name = "demo-lib"\nversion = "1.0"')
    rest = re.sub(r'url = "[^"]*demo_lib[^"]*", hash = "[^"]*", size = \d+', entry, rest, count=1)
    lock.write_text(head + name.replace("1.0", "99.0") + rest, encoding="utf-8")
    return commands.run(repository, "make", "check-lock")


@pytest.mark.parametrize("tool", ["uv"], indirect=True)
def test_a_lock_that_takes_another_package_from_that_index_is_refused(repository: Path, own: Index) -> None:
    outcome = tampered(repository, own)
    assert outcome.status != 0
    origin = own.url.removesuffix("/simple/")
    assert f"demo-lib 99.0 comes from {origin}, which .tools/origins.txt does not hold for it" in outcome.output


@pytest.fixture
def copied(tmp_path: Path, own: Index) -> Path:
    """The template as a tagged clone in which torch's index is the stand-in, and PyTorch needs torch alone."""
    template = rendering.checkout(tmp_path / "parity")
    path = template / "frameworks" / "pytorch" / "framework.yml"
    path.write_text(yaml.safe_dump(pytorch(own.url)), encoding="utf-8")
    (template / "frameworks" / "common.yml").write_text(yaml.safe_dump(NEEDS), encoding="utf-8")
    rendering.commit(template, "First", tag="v1.0.0")
    return template


@pytest.mark.thorough
def test_a_switch_of_tools_keeps_torch_where_it_comes_from(
    copied: Path, tmp_path: Path, default: Index, own: Index
) -> None:
    """From the tool that has exact versions alone through those that have tables, and back."""
    folder = tmp_path / "demo"
    rendering.render(copied, folder, package_manager="pip-tools", ml_framework="pytorch")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "copier").symlink_to(Path(sys.executable).with_name("copier"))
    more = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "POETRY_PYPI_MIRROR_URL": default.url}
    addresses = {"PIP_INDEX_URL": default.url, "UV_DEFAULT_INDEX": default.url}
    with variables({**more, **addresses, "POETRY_CACHE_DIR": str(tmp_path / "cache")}):
        commands.succeed(folder, "make", "lock")
        poetry.prepare(folder, default.url)
        rendering.commit(folder, "Start")
        for name in ("uv", "pipenv", "poetry", "pip-tools"):
            words = ("--no-print-directory", "switch", "ARGS=--lock-only", f"TO={name}")
            printed = commands.succeed(folder, "make", *words, PYTHONPATH=str(poetry.PLUGINS))
            assert locked(folder) == LOCKED, printed
            assert "No version moved." in printed
            assert "torch" not in printed.partition("Not carried")[2], printed
            commands.succeed(folder, "make", "check-lock")
            rendering.commit(folder, f"{name} now")
    assert asked(own) == {"torch"}
    assert "\ntorch==2.15.0+cpu\n" in (folder / "requirements.in").read_text(encoding="utf-8")


@pytest.mark.thorough
@pytest.mark.parametrize("tool", ["pip-tools"], indirect=True)
def test_another_accelerator_takes_the_default_wheels_with_their_own_hashes(
    made: Origin, copied: Path, tmp_path: Path, default: Index
) -> None:
    folder = tmp_path / "demo"
    rendering.render(copied, folder, package_manager=made.tool.NAME, ml_framework="pytorch")
    (folder / ".tools" / "venv").symlink_to(made.folder / ".tools" / "venv")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with variables({"PATH": path, "PIP_INDEX_URL": default.url}):
        commands.succeed(folder, "make", "lock")
        rendering.commit(folder, "Start")
        commands.succeed(folder, "make", "--no-print-directory", "switch", "ARGS=--lock-only", "TO=accelerator=cuda")
        assert locked(folder) == {**LOCKED, "torch": "2.15.0", "demo-cuda": "1.0"}
        # pip-compile takes 2.15.0+cpu of the old lock for 2.15.0, with its hashes.
        commands.succeed(folder, "make", "sync")


# What the default index has today: of the wheels no more than what they say of themselves is read.
WANTED = {
    ("pytorch", "cuda"): {"torch", "triton", "nvidia-cudnn-cu13"},
    ("jax", "cuda"): {"jax", "jax-cuda13-plugin", "nvidia-cudnn-cu13"},
    ("jax", "cpu"): {"jax", "jaxlib"},
    ("xgboost", "cuda"): {"xgboost", "nvidia-nccl-cu13"},
    ("xgboost", "cpu"): {"xgboost-cpu"},
    ("lightgbm", "cpu"): {"lightgbm"},
}


@pytest.mark.thorough
@pytest.mark.parametrize("tool", ["uv"], indirect=True)
@pytest.mark.parametrize("chosen", WANTED, ids="-".join)
def test_the_default_index_has_cuda_where_it_is_asked_for_and_only_there(
    made: Origin, template: Path, tmp_path: Path, chosen: tuple[str, str]
) -> None:
    folder, (framework, accelerator) = tmp_path / "demo", chosen
    answers = {"ml_framework": framework, "accelerator": accelerator}
    rendering.render(template, folder, package_manager=made.tool.NAME, **answers)
    (folder / ".tools" / "venv").symlink_to(made.folder / ".tools" / "venv")
    with variables(made.variables):
        commands.succeed(folder, "make", "lock")
    assert WANTED[chosen] <= locked(folder).keys()
    # Not on other platforms either, which the lock is for as well.
    text = (folder / made.tool.LOCKED).read_text(encoding="utf-8")
    assert ('name = "nvidia-' in text) == (accelerator == "cuda")
