"""Level real: what each tool locks, from an index whose releases and upload times the test decides.

A private index that asks for a password; three small packages. conda reads channels and not an index: it has tests of
its own (test_conda.py).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

import commands
import rendering
from index import Index, Planted
from repositories import NAMES, NO_FRAMEWORK, module, variables

pytestmark = pytest.mark.real

USER, SECRET = "reader", "s3cret-of-the-test"
TODAY = datetime.now(tz=UTC)
LONG_AGO, YESTERDAY = TODAY - timedelta(days=90), TODAY - timedelta(days=1)
RELEASES = (
    Planted("demo-lib", "1.0", requires=("demo-dep>=1",), uploaded=LONG_AGO),
    Planted("demo-dep", "1.0", uploaded=LONG_AGO),
    Planted("demo-dep", "1.1", uploaded=YESTERDAY),
    Planted("demo-other", "1.0", uploaded=LONG_AGO),
    Planted("demo-dev", "1.0", requires=("demo-dep>=1",), uploaded=LONG_AGO),
)
NEEDS = {"runtime": ["demo-lib>=1,<3", "demo-other>=1"], "dev": ["demo-dev>=1"]}


@pytest.fixture
def private() -> Iterator[Index]:
    """An index that asks for a password; what is not planted there (the tools) it has from this machine's."""
    cache = rendering.ROOT / "build" / "index"
    with Index(RELEASES, upstream=True, cache=cache, credentials=(USER, SECRET)) as server:
        yield server


def with_credentials(index: Index) -> dict[str, str]:
    """Return the variables that README names for an index of one's own."""
    return {
        "PIP_INDEX_URL": index.url.replace("://", f"://{USER}:{SECRET}@"),
        "UV_INDEX_DEFAULT_USERNAME": USER,
        "UV_INDEX_DEFAULT_PASSWORD": SECRET,
        "POETRY_HTTP_BASIC_DEFAULT_USERNAME": USER,
        "POETRY_HTTP_BASIC_DEFAULT_PASSWORD": SECRET,
    }


TOOLS = [name for name in NAMES if name != "conda"]


@pytest.fixture(params=TOOLS)
def tool(request: pytest.FixtureRequest) -> ModuleType:
    """The module that knows how this tool's files are edited by hand."""
    return module(request.param)


@pytest.fixture
def repository(tool: ModuleType, template: Path, tmp_path: Path, patch: str, private: Index) -> Iterator[Path]:
    """A repository that needs the planted packages, locked and committed."""
    folder = tmp_path / "demo"
    rendering.render(
        template, folder, package_manager=tool.NAME, python_patch=patch, package_index=private.url,
        common=NEEDS, framework=NO_FRAMEWORK,
    )  # fmt: skip
    with variables({**tool.ENVIRONMENT, **with_credentials(private)}):
        commands.succeed(folder, "make", "lock")
        rendering.commit(folder, "Start")
        yield folder


def test_it_locks_moves_and_installs_no_more_than_was_asked_for(
    repository: Path, tool: ModuleType, private: Index, tmp_path: Path
) -> None:
    """One repository goes the whole way, since setting one up for each step would take minutes."""
    # A release of yesterday is not taken, and developers' packages stand apart.
    first = {"demo-lib": "1.0", "demo-dep": "1.0", "demo-other": "1.0"}
    assert tool.versions(repository) == first
    assert no_secret(repository)

    # Newer releases that are old enough: what is locked stays, also where the manifest is edited by hand.
    private.plant(
        Planted("demo-lib", "2.0", requires=("demo-dep>=1.2",), uploaded=LONG_AGO),
        Planted("demo-lib", "2.1", requires=("demo-dep>=1.2",), uploaded=YESTERDAY),
        *(Planted("demo-dep", version, uploaded=LONG_AGO) for version in ("1.2", "1.3")),
        Planted("demo-other", "1.5", uploaded=LONG_AGO),
        Planted("demo-new", "1.0", requires=("demo-dep>=1",), uploaded=LONG_AGO),
    )
    commands.succeed(repository, "make", "lock")
    assert tool.versions(repository) == first
    commands.succeed(repository, "make", "add", "PKG=demo-new>=1")
    assert tool.versions(repository) == {**first, "demo-new": "1.0"}

    # One package, and what it forces; not the others, and nothing of yesterday.
    commands.succeed(repository, "make", "upgrade", "PKG=demo-lib")
    moved = tool.versions(repository)
    assert (moved["demo-lib"], moved["demo-other"]) == ("2.0", "1.0")
    assert moved["demo-dep"] in {"1.2", "1.3"}

    # An urgent fix passes the cooldown, alone.
    commands.succeed(repository, "make", "upgrade", "PKG=demo-lib", "NOW=1")
    assert tool.versions(repository) == {**moved, "demo-lib": "2.1"}
    commands.succeed(repository, "make", "check-lock")

    # Installed as locked, with a credential that a build secret can carry; `add` has installed already.
    before = tool.versions(repository)
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {SECRET}\n", encoding="utf-8")
    netrc.chmod(0o600)
    commands.succeed(repository, "rm", "-rf", ".venv")
    with pytest.MonkeyPatch.context() as alone:
        for name in with_credentials(private):
            alone.delenv(name)
        commands.succeed(repository, "make", "sync", NETRC=str(netrc))
        refused = commands.run(repository, "make", "upgrade", "PKG=demo-other")
    assert refused.status != 0
    assert tool.versions(repository) == before
    assert no_secret(repository)

    for name, version in before.items():
        script = f"import importlib.metadata as m; print(m.version({name!r}))"
        printed = commands.succeed(repository, ".venv/bin/python", "-c", script)
        assert printed.strip() == version


def no_secret(repository: Path) -> bool:
    """Tell whether no file that would be committed holds the password."""
    rendering.git(repository, "add", "--all")
    held = commands.run(repository, "git", "grep", "--cached", "-l", SECRET)
    return held.status == 1
