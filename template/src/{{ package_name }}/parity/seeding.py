"""One seed for every random generator of this process, and a report of what that fixes and what not.

Three levels, from exact to free:

* `strict`: generators seeded, one thread count for all libraries, operations that cannot repeat are errors;
* `seeded`: generators seeded, nothing slowed down: the same draws, though the last bits of sums may differ;
* `off`: nothing seeded, and what an earlier call set is put back.

No framework is imported to be seeded: what is loaded is seeded at once, the rest right after its own import.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.util import find_spec
from operator import index
from typing import TYPE_CHECKING, Any

from .generators import SEED, Run, loaded

if TYPE_CHECKING:
    import numpy as np

LEVELS = ("strict", "seeded", "off")
MAX_SEED = 2**32 - 1  # numpy's legacy generator takes no more

# How child processes learn of the seed: a spawned worker starts empty, and `rng` must agree there.
INHERITED = "_PARITY_SEED"
RESTARTED = "_PARITY_RESTARTED"

ALWAYS_OPEN = (
    "another CPU, GPU, BLAS or driver takes sums in another order, and their last bits differ",
    "work that is spread by n_jobs or by threads of your own is summed as it comes in",
    "generators made without a seed, such as default_rng(): use rng(purpose) instead",
)
OPEN_WHEN_LOADED = {
    "jax": "jax has no global generator: make its keys from the seed, as in jax.random.key(seed)",
    "lightgbm": "lightgbm has no global generator, and without a seed among its parameters always the same one",
    "polars": "polars orders group_by and unique anew in each run: pass maintain_order=True",
    "tensorflow": "tensorflow's seed cannot be read, so neither scoped_seed nor off puts it back",
    "xgboost": "xgboost has no global generator, and without a seed among its parameters always the same one",
}
OPEN_HASHES = "the order of sets of strings changes from run to run: start with PYTHONHASHSEED=0"

_runs: list[Run] = []  # the last one is in force; `scoped_seed` adds one and takes it away again


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What was seeded and what was not: plain values, ready for JSON and for the model's contract."""

    level: str
    seed: int | None  # None: nothing was seeded
    seeded: list[str]  # libraries whose generators hold the seed
    pending: list[str]  # installed and not imported yet: seeded when they are
    failed: list[str]  # sentences: asked for, and not done
    hash_seed: str  # "fixed" or "not fixed"
    threads: dict[str, int]  # "pinned" to, and what each loaded thread pool says of itself
    variables: dict[str, str]  # environment variables set for libraries and processes yet to start
    uncontrolled: list[str]  # what can still differ from run to run

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """Return lines for a person."""
        rows = {name: value for name, value in asdict(self).items() if value or value == 0}
        return "\n".join(f"{name:<13}{_line(value)}" for name, value in rows.items())


def _line(value: object) -> str:
    """Return a value on one line; sentences one below the other."""
    if isinstance(value, dict):
        value = [f"{name}={item}" for name, item in value.items()]
    if not isinstance(value, list):
        return str(value)
    return ("\n" + " " * 13 if any(" " in item for item in value) else ", ").join(value)


def set_global_determinism(seed: int = 42, *, level: str = "strict") -> SeedReport:
    """Seed this process and return what was done.

    A later call replaces an earlier one. Call it first thing in a command's `main()`, before the frameworks
    are imported, and once: seeding again in the middle makes later draws repeat earlier ones.

    `seed` lies in 0 ... 4294967295 and `level` is one of `LEVELS`; ValueError otherwise. A library that
    cannot be seeded raises nothing: the report's `failed` says so.
    """
    run = _begin(seed, level)
    if _runs:
        _runs.pop().undo.close()
    return _enter(run)


@contextmanager
def scoped_seed(seed: int, *, level: str | None = None) -> Iterator[SeedReport]:
    """Seed for a `with` block, then put every generator, flag and variable back as it was.

    `level` is the one in force; `seeded` where that is `off` or none, because here a seed was asked for.
    ValueError as in `set_global_determinism`. Generators belong to the process: not for several threads.
    """
    strict = bool(_runs) and _runs[-1].level == "strict"
    run = _begin(seed, level or ("strict" if strict else "seeded"))
    depth = len(_runs)
    try:
        yield _enter(run)
    finally:
        while len(_runs) > depth:
            _runs.pop().undo.close()


def rng(purpose: str, *key: int) -> "np.random.Generator":
    """Return a numpy Generator of its own for one purpose, and for whole numbers such as fold, epoch, row.

    The same purpose and key give the same numbers, whatever was drawn elsewhere, in whatever order and in
    however many workers; others are independent. With level `off` each call gives fresh numbers.

    Raises RuntimeError before any `set_global_determinism`, ValueError for a number outside 0 ... 4294967295,
    TypeError for one that is not whole.
    Method: https://numpy.org/doc/stable/reference/random/parallel.html#seedsequence-spawning
    """
    seed, level = _in_force()
    numbers = [index(number) for number in key]
    if any(not 0 <= number <= MAX_SEED for number in numbers):
        raise ValueError(f"The key of rng({purpose!r}) holds whole numbers in 0 ... {MAX_SEED}, not {key}.")
    import numpy as np  # noqa: PLC0415 - whoever asks for a numpy Generator has numpy; others go without

    if level == "off":
        return np.random.default_rng()
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*_words(purpose), *numbers)))


def seed_worker(worker_id: int) -> None:
    """Seed a data loader's worker process: `DataLoader(..., worker_init_fn=seed_worker)`.

    Every worker gets its own seed. For the same samples with 0, 1 and 2 workers draw what concerns one
    sample from `rng("augment", epoch, index)`, which is the same in every process, not from the global ones.
    https://docs.pytorch.org/docs/stable/notes/randomness.html#dataloader
    """
    seed, level = _in_force()
    torch = sys.modules.get("torch")
    loader = torch.utils.data.get_worker_info() if torch else None
    own = loader.seed % (MAX_SEED + 1) if loader else _words(f"worker {worker_id} of {seed}")[0]
    for name in ("random", "numpy") if level != "off" else ():  # torch has seeded itself
        if loaded(name):
            SEED[name](sys.modules[name], Run(own, level))


def report() -> SeedReport:
    """Return what is seeded at this moment; call it at the end of training for what was imported since."""
    run = _runs[-1] if _runs else Run(0, "off")
    off = run.level == "off"
    is_open = [text for name, text in OPEN_WHEN_LOADED.items() if loaded(name)]
    return SeedReport(
        level=run.level,
        seed=None if off else run.seed,
        seeded=list(run.seeded),
        pending=[] if off else [name for name in SEED if name not in sys.modules and find_spec(name)],
        failed=list(run.failed.values()),
        hash_seed="fixed" if ensure_hash_seed() else "not fixed",
        threads=_threads(run),
        variables=dict(run.variables),
        uncontrolled=[*ALWAYS_OPEN, *is_open, *([] if ensure_hash_seed() else [OPEN_HASHES])],
    )


def ensure_hash_seed(*, restart: bool = False) -> bool:
    """Return whether the hashes of strings, and with them the order of sets, are known to repeat.

    Only PYTHONHASHSEED=0 shows from inside: for 42 the flag is the same as for none, and the variable may
    have been set after the start, which changes nothing, or be ignored (python -I, -E).
    https://docs.python.org/3/using/cmdline.html#envvar-PYTHONHASHSEED

    With `restart`, for the first line of a command's `main()` only, the command starts again with 0, once;
    never where that would lose work or output: in a test, a notebook, a debugger, a child process, a program
    from standard input, on Windows. Not for servers: 0 takes away their protection against chosen collisions.
    """
    if sys.flags.hash_randomization and restart and not any(_obstacles()):
        sys.stdout.flush()
        sys.stderr.flush()
        environment = {**os.environ, "PYTHONHASHSEED": "0", RESTARTED: "1"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - itself
    return sys.flags.hash_randomization == 0


def _obstacles() -> Iterator[object]:
    yield from (RESTARTED in os.environ, os.name != "posix", sys.flags.ignore_environment, sys.gettrace())
    yield from (sys.argv[0] in {"", "-"}, hasattr(sys, "ps1"), {"pytest", "ipykernel"} & sys.modules.keys())
    yield getattr(sys.modules.get("multiprocessing.process"), "parent_process", bool)()


def _begin(seed: int, level: str) -> Run:
    if type(seed) is not int or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"The seed is a whole number in 0 ... {MAX_SEED}, not {seed!r}.")
    if level not in LEVELS:
        raise ValueError(f"The level is one of {', '.join(LEVELS)}, not {level!r}.")
    return Run(seed, level)


def _enter(run: Run) -> SeedReport:
    _runs.append(run)
    run.export(INHERITED, f"{run.seed} {run.level}")
    if run.level != "off":
        run.start()
    return report()


def _in_force() -> tuple[int, str]:
    """Return the seed and level of this process, or of the one that started it."""
    if _runs:
        return _runs[-1].seed, _runs[-1].level
    seed, _, level = os.environ.get(INHERITED, "").partition(" ")
    if not seed.isdecimal():
        raise RuntimeError("Nothing is seeded yet: call set_global_determinism first.")
    return int(seed), level


def _words(text: str) -> tuple[int, ...]:
    """Return four 32-bit numbers that stand for a text, the same in every process (unlike `hash`)."""
    digest = sha256(text.encode()).digest()
    return tuple(int.from_bytes(digest[start : start + 4], "little") for start in range(0, 16, 4))


def _threads(run: Run) -> dict[str, int]:
    pools = sys.modules["threadpoolctl"].threadpool_info() if loaded("threadpoolctl") else []
    told = {"pinned": run.threads} if run.threads else {}
    for pool in pools:  # numpy and scipy each bring an OpenBLAS of their own
        told[pool["internal_api"]] = max(pool["num_threads"], told.get(pool["internal_api"], 0))
    return told


def run_seeds(argv: Sequence[str]) -> int:
    """Print what seeding does in this environment, as JSON with `--json`; return 0."""
    parser = argparse.ArgumentParser("parity seeds", description="Show what is seeded and what cannot be.")
    parser.add_argument("level", nargs="?", choices=LEVELS, default=LEVELS[0])
    parser.add_argument("--json", action="store_true", help="for machines")
    args = parser.parse_args(argv)
    told = set_global_determinism(level=args.level)
    sys.stdout.write(f"{json.dumps(told.as_dict(), indent=2) if args.json else told}\n")
    return 0
