"""What `verify` costs: 120 installed packages beside the bare interpreter, and how fast bytes are read.

    python benchmarks/verify.py [ROUNDS]

The packages are made of files, as an installer leaves them; nothing is downloaded. Each round starts both programs,
so that a busy moment of the machine hits both. `--deep` is timed on this Python's own environment, which holds real
packages, once it is in memory. Prints medians; exits with 1 when one is over its limit.
"""

import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import links  # noqa: E402
from kit import uv_project  # noqa: E402

ROUNDS = 15
FEWEST_ROUNDS = 9
PACKAGES = 120
MOST_MS = 100  # over the start of a bare interpreter
LEAST_GBS = 0.7


@contextmanager
def repository() -> Iterator[Path]:
    """Make a repository whose environment holds what its lock says, as `make sync` leaves it; give its folder."""
    with tempfile.TemporaryDirectory() as name:
        root = uv_project.write(Path(name).resolve())
        links.build(root / "src")
        (root / "src" / "standing" / "parity" / "pins.toml").write_text(links.pins(), encoding="utf-8")
        venv.create(root / ".venv", symlinks=True)
        (site,) = (root / ".venv").glob("lib/python*/site-packages")
        for number in range(PACKAGES):
            uv_project.install(site, f"package-{number}", f"1.{number}")
        sys.path.insert(0, str(root / "src"))
        from standing.parity import lock  # noqa: PLC0415 - it was just made

        digests = (lock.digest(root, ("uv.lock",)), lock.digest(root, ("pyproject.toml",)))
        packages = tuple(
            lock.LockedPackage(f"package-{n}", f"1.{n}", frozenset({"0" * 64}), frozenset({"main"}), direct=True)
            for n in range(PACKAGES)
        )
        made = lock.Lock(packages, "uv.lock", *digests, target={p.name: p.version for p in packages})
        lock.write_neutral(made, root / ".venv" / lock.NEUTRAL)
        yield root


def milliseconds(root: Path, *arguments: str) -> float:
    """Return how long the repository's Python takes for a program, start and end included."""
    command = [str(root / ".venv" / "bin" / "python"), *arguments]
    start = time.perf_counter()
    subprocess.run(command, cwd=root / "src", check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - start)


def chain(root: Path, rounds: int) -> tuple[float, float]:
    """Return the median milliseconds of the bare interpreter and of `verify`."""
    programs = (("-c", "pass"), ("-m", "standing.parity", "verify"))
    for program in programs:
        milliseconds(root, *program)  # writes the bytecode and warms the file cache
    took = [[milliseconds(root, *program) for program in programs] for _ in range(rounds)]
    bare, verify = (median(column) for column in zip(*took, strict=True))
    return bare, verify


def deep(rounds: int) -> tuple[int, float]:
    """Return how many bytes this environment's packages hold, and the median gigabytes a second of their check."""
    from standing.parity import drift  # noqa: PLC0415 - `repository` made it importable

    every = drift.installed(drift.found()).values()
    files = [Path(one.folder, path) for one in every for path, digest in drift.records(one) or () if digest]
    size = sum(file.stat().st_size for file in files if file.is_file())
    speeds = []
    for _ in range(rounds + 1):  # the first one warms the file cache
        start = time.perf_counter()
        list(drift.changed(every, {}))
        speeds.append(size / (time.perf_counter() - start) / 1e9)
    return size, median(speeds[1:])


def main() -> int:
    """Print both and return the exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    if rounds < FEWEST_ROUNDS:
        print(f"A median wants at least {FEWEST_ROUNDS} rounds, not {rounds}.", file=sys.stderr)
        return 2
    with repository() as root:
        bare, verify = chain(root, rounds)
        size, speed = deep(rounds)
    print(f"Python {sys.version.split()[0]} on {sys.platform}, median of {rounds}\n")
    print(f"bare interpreter         {bare:6.1f} ms")
    print(f"verify, {PACKAGES} packages     {verify:6.1f} ms   {verify - bare:+.1f} ms   {verify / bare:.1f} times")
    print(f"--deep, {size / 1e6:.0f} MB here      {speed:6.2f} GB/s")
    over = {
        f"verify may take {MOST_MS} ms more than the interpreter's start.": verify - bare > MOST_MS,
        f"--deep must read {LEAST_GBS} GB/s.": speed < LEAST_GBS,
    }
    for sentence in (sentence for sentence, broken in over.items() if broken):
        print(sentence, file=sys.stderr)
    return 1 if any(over.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
