"""What seeding costs: fresh processes, with and without the kit, side by side.

    python benchmarks/seeding.py [ROUNDS]

Each round starts every program once, in turn, so that a busy moment of the machine hits all of them alike.
Prints medians and the ratio to the same program without the kit; exits with 1 when a ratio is over its limit.
A framework that is not installed is left out; none is imported by the kit, so its row shows the hook's price.
"""

import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 15
FEWEST_ROUNDS = 9

SEED = "from standing.parity import seeding; seeding.set_global_determinism()"
# library: the most that the kit may cost, as a ratio to the same program without it. Against the bare
# interpreter it costs `typing`, `dataclasses` and the like, which numpy imports as well: a fixed 10 to 30 ms.
LIMITS = {"": 6, "numpy": 1.3, "sklearn.ensemble": 1.15, "torch": 1.15, "tensorflow": 1.15, "jax": 1.15}
PARTS = {
    "import of the kit": "from standing.parity import seeding",
    "import and strict seed": SEED,
}


def seconds(program: str, folder: str) -> float:
    """Return how long a fresh interpreter takes for a program, start and end included."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-X", "frozen_modules=on", "-c", program], cwd=folder, check=True)
    return time.perf_counter() - start


def programs() -> dict[str, str]:
    """Return the programs to time: each library alone, and imported after a strict seed."""
    here = [name for name in LIMITS if name and find_spec(name.partition(".")[0])]
    pairs = {name: f"import {name}" for name in here}
    return {
        "bare interpreter": "pass",
        **PARTS,
        **pairs,
        **{f"{name}, seeded": f"{SEED}; {program}" for name, program in pairs.items()},
    }


def measure(rounds: int) -> dict[str, float]:
    """Return the median seconds of each program."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "standing").symlink_to(ROOT / "template" / "src" / "{{ package_name }}")
        timed = programs()
        for program in timed.values():
            seconds(program, folder)  # writes the bytecode and warms the file cache
        taken = [{name: seconds(program, folder) for name, program in timed.items()} for _ in range(rounds)]
    return {name: median(one[name] for one in taken) for name in timed}


def main() -> int:
    """Print the table and return the exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    if rounds < FEWEST_ROUNDS:
        print(f"A median wants at least {FEWEST_ROUNDS} rounds, not {rounds}.", file=sys.stderr)
        return 2
    took = measure(rounds)
    without = dict.fromkeys(PARTS, "bare interpreter") | {f"{name}, seeded": name for name in LIMITS if name}
    print(f"Python {sys.version.split()[0]} on {sys.platform}, median of {rounds}\n")
    print(f"{'program':<26}{'ms':>8}{'+ ms':>8}{'ratio':>8}")
    over = []
    for name, taken in took.items():
        base = took[without.get(name, "bare interpreter")]
        print(f"{name:<26}{1000 * taken:8.1f}{1000 * (taken - base):8.1f}{taken / base:8.2f}")
        limit = LIMITS["" if name in PARTS else without[name]] if name in without else taken / base
        if taken / base > limit:
            over.append(f"{name}: {taken / base:.2f} times the same without the kit, and at most {limit} is allowed.")
    print(*over, sep="\n", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
