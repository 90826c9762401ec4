"""What determinism costs: the time of a training step under `strict` and `seeded`, against `off`.

    python benchmarks/determinism.py [ROUNDS]

Each framework that is installed fits its own model (frameworks/<name>/model.py). Each round starts a fresh process for
every framework and level, in turn, so that a busy moment of the machine hits all of them alike; the first fit of a
process warms up, the second is timed. Prints medians and ratios; exits with 1 when `seeded`, which is to slow nothing
down, is over its limit.
"""

import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import links  # noqa: E402 - beside the tests

ROUNDS = 7
FEWEST_ROUNDS = 3
LEVELS = ("off", "seeded", "strict")
MOST_SEEDED = 1.25
# framework: the distribution whose version is told
INSTALLED = {
    "jax": "jax",
    "lightgbm": "lightgbm",
    "pytorch": "torch",
    "scikit-learn": "scikit-learn",
    "xgboost": "xgboost-cpu",
}
# What a training does, timed from its first step to its last.
PROGRAM = """
import sys, time
level = sys.argv[1]
from standing.parity import seeding
seeding.set_global_determinism(42, level=level)
from standing import data, model
table = data.load_data()
for _ in range(2):
    told = []
    model.fit(table.features, table.target, seed=None if level == "off" else 42,
              progress=lambda done, total: told.append((time.perf_counter(), done)))
(start, first), (end, last) = told[0], told[-1]
print((end - start) / (last - first))
"""


def versions() -> dict[str, str]:
    """Return the frameworks that are installed here, and their versions."""
    found = {}
    for name, distribution in INSTALLED.items():
        try:
            found[name] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def seconds(package: Path, level: str) -> float:
    """Return how long a step takes in a fresh process, whose number of threads nobody has set."""
    variables = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", PROGRAM, level]
    done = subprocess.run(command, cwd=package.parent, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def measure(names: list[str], rounds: int) -> dict[tuple[str, str], float]:
    """Return the median seconds of a step, by framework and level."""
    with tempfile.TemporaryDirectory() as folder:
        packages = {name: links.build(Path(folder) / name, framework=name) for name in names}
        cases = [(name, level) for name in names for level in LEVELS]
        taken = [{case: seconds(packages[case[0]], case[1]) for case in cases} for _ in range(rounds)]
    return {case: median(one[case] for one in taken) for case in cases}


def main() -> int:
    """Print the table and return the exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    if rounds < FEWEST_ROUNDS:
        print(f"A median wants at least {FEWEST_ROUNDS} rounds, not {rounds}.", file=sys.stderr)
        return 2
    here = versions()
    took = measure(list(here), rounds)
    print(f"Python {sys.version.split()[0]} on {sys.platform}, {os.cpu_count()} cores, median of {rounds}\n")
    print(f"{'framework':<24}{'off, ms':>9}{'seeded':>9}{'strict':>9}")
    for name, version in here.items():
        base = took[name, "off"]
        ratios = (took[name, level] / base for level in LEVELS[1:])
        print(f"{f'{name} {version}':<24}{1000 * base:9.2f}" + "".join(f"{ratio:9.2f}" for ratio in ratios))
    print(*(f"\n{name} is not installed here and left out" for name in INSTALLED.keys() - here.keys()), sep="")
    slow = [name for name in here if took[name, "seeded"] > MOST_SEEDED * took[name, "off"]]
    print(*(f"{name}: `seeded` takes more than {MOST_SEEDED} times `off`." for name in slow), sep="\n", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
