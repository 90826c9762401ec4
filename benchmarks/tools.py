"""How much `make lock` and `make sync` take beside the tool's bare commands, in one run, for each tool.

    build/venv/bin/python benchmarks/tools.py [TOOL…]

The bare commands are those that a team would type without Parity: the tool's own lock, install and `pip check`. Cold:
there is no lock, or no environment; warm: there is one, and nothing changes. Both sides obey the settings of the
repository: files are copied out of the cache and not linked into it. Downloads are in the tool's cache in any
case, and packages come from the loopback index of the tests, so that the network is not measured.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import commands
import rendering
import repositories
from index import Index

FACTOR, SECONDS = 1.15, 0.5  # at most this many times as long, or so many seconds more
ROUNDS = 3
BIN = ".tools/venv/bin"
PIP = f"{BIN}/python -m pip --disable-pip-version-check"
HASHED = "install --quiet --no-compile --require-hashes --no-deps --only-binary :all:"
EDITABLE = f"{BIN}/python -c 'import flit_core.buildapi as b; print(b.build_editable(\"build\"))' >/dev/null"
WHEEL = f"{PIP} --python .venv install --quiet --no-index --no-deps --force-reinstall build/*.whl"
VENV = f"test -e .venv || {BIN}/python -m venv --without-pip .venv"
COMPILE = f"{BIN}/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras"
CHECK = f"{PIP} --python .venv check"
# What a team types without Parity; {cooldown} is the tool's own.
BARE = {
    "uv": {
        "lock": f"UV_PYTHON={BIN}/python {BIN}/uv lock",
        "sync": f"UV_PYTHON={BIN}/python {BIN}/uv sync --locked && {BIN}/uv pip check --python .venv",
    },
    "poetry": {"lock": f"{BIN}/poetry lock", "sync": f"{BIN}/poetry sync && {CHECK}"},
    "pip-tools": {
        "lock": "export PIP_UPLOADED_PRIOR_TO=P7D; "
        + " && ".join(f"{COMPILE} -o {name}.txt {name}.in" for name in ("requirements", "requirements-dev")),
        "sync": f"{VENV}; {PIP} --python .venv {HASHED} -r requirements.txt -r requirements-dev.txt"
        f" && mkdir -p build && {EDITABLE} && {WHEEL} && {CHECK}",
    },
    "pipenv": {
        "lock": f"PIP_UPLOADED_PRIOR_TO=P7D PIPENV_VENV_IN_PROJECT=1 {BIN}/pipenv lock",
        "sync": f"PIPENV_VENV_IN_PROJECT=1 {BIN}/pipenv sync --dev"
        f" && mkdir -p build && {EDITABLE} && {WHEEL} && {CHECK}",
    },
    "conda": {
        "lock": f'{BIN}/conda-lock lock --conda "$(command -v micromamba)" --file environment.yml'
        " --file environment-dev.yml",
        "sync": "micromamba create --yes --quiet --always-copy --prefix .venv --file conda-lock.yml"
        f" --category main --category dev && mkdir -p build && {EDITABLE} && {WHEEL} && {CHECK}",
    },
}


def seconds(folder: Path, command: str, before: Callable[[], None]) -> float:
    """Return how long a shell line takes, after `before` has brought its beginning about."""
    before()
    start = time.perf_counter()
    commands.succeed(folder, "bash", "-c", command)
    return time.perf_counter() - start


def beginnings(folder: Path, locks: list[str]) -> dict[str, Callable[[], None]]:
    """Return what brings about each beginning: without lock or environment, and with both."""

    def without_lock() -> None:
        for name in locks:
            (folder / name).unlink(missing_ok=True)

    def without_environment() -> None:
        shutil.rmtree(folder / ".venv", ignore_errors=True)

    def as_it_is() -> None:
        pass

    return {
        "lock cold": without_lock,
        "lock warm": as_it_is,
        "sync cold": without_environment,
        "sync warm": as_it_is,
    }


def measure(name: str, template: Path, place: Path, index: str) -> bool:
    """Print the medians of one tool; tell whether all are within the limits."""
    tool, folder = repositories.module(name), place / name
    rendering.render(template, folder, package_manager=name, python_patch="3.13.0")
    rendering.commit(folder, "Start")
    origin = repositories.Origin(folder, tool, index)
    origin.prepare()
    good = True
    with repositories.variables(origin.variables):
        commands.succeed(folder, "make", "lock", "sync")  # fills the caches
        locks = [
            line.partition(" := ")[2] for line in (folder / "Makefile").read_text().splitlines() if "LOCKS :=" in line
        ]
        for what, before in beginnings(folder, locks[0].split()).items():
            verb = what.split()[0]
            rounds = [
                (seconds(folder, BARE[name][verb], before), seconds(folder, f"make {verb}", before))
                for _ in range(ROUNDS)
            ]
            bare, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
            within = ours <= max(bare * FACTOR, bare + SECONDS)
            good &= within
            told = "" if within else "  over the limit"
            print(
                f"  {name:10} {what}: bare {bare:5.1f} s, make {ours:5.1f} s, {ours / bare:4.2f} times{told}",
                flush=True,
            )
            commands.succeed(folder, "make", "lock", "sync")
    return good


def main() -> int:
    """Measure the tools that are named, or all; return 1 where one is over a limit."""
    names = sys.argv[1:] or repositories.NAMES
    with (
        tempfile.TemporaryDirectory() as folder,
        Index(upstream=True, cache=rendering.ROOT / "build" / "index") as index,
    ):
        place = Path(folder)
        template = rendering.checkout(place / "parity")
        outcomes = [measure(name, template, place, index.url) for name in names]
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
