"""Seeding: what is loaded and what comes later, put back exactly, never imported, told honestly."""

import importlib
import json
import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import standing
from hypothesis import given
from hypothesis import strategies as st
from standing.parity import generators, seeding

pytestmark = pytest.mark.static

KIT = str(Path(standing.__path__[0]).parent)
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name not in {*generators.THREAD_VARIABLES, "PYTHONHASHSEED", "XLA_FLAGS", "NPROC"}
}


@pytest.fixture(autouse=True)
def _nothing_seeded() -> Iterator[None]:
    yield
    while seeding._runs:  # noqa: SLF001 - each test begins as a process does: nothing seeded
        seeding._runs.pop().undo.close()  # noqa: SLF001


def fresh(
    program: str, *, options: Sequence[str] = (), stdin: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, which knows where the kit is."""
    command = [sys.executable, *options, *([] if stdin else ["-c", textwrap.dedent(program)])]
    path = os.pathsep.join([environment.pop("path", KIT), KIT])
    return subprocess.run(
        command,
        env={**CLEAN, "PYTHONPATH": path, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def answer(program: str, **environment: str) -> str:
    """Return what a program prints."""
    done = fresh(program, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def draws() -> tuple[float, float]:
    return random.random(), float(np.random.random_sample())  # noqa: NPY002, S311 - the global ones are the point


# What is seeded


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    seeding.set_global_determinism(7)
    first = draws()
    seeding.set_global_determinism(7)
    assert draws() == first
    seeding.set_global_determinism(8)
    assert draws() != first


def test_no_framework_is_imported_to_be_seeded() -> None:
    program = """
        import sys
        import standing.parity.seeding as seeding
        before = set(sys.modules)
        told = seeding.set_global_determinism()
        print(sorted(set(sys.modules) - before), "numpy" in sys.modules, told.pending)
    """
    assert answer(program) == "[] False ['numpy']"


LATER = """
    from standing.parity import seeding
    {first}
    import numpy
    {then}
    print(numpy.random.random_sample(), seeding.report().seeded, numpy.__loader__.__class__.__name__)
"""


@pytest.mark.parametrize("level", ["strict", "seeded"])
def test_a_library_imported_later_is_seeded_as_one_imported_before(level: str) -> None:
    call = f"seeding.set_global_determinism(3, level={level!r})"
    before = answer(LATER.format(first="", then=call))
    after = answer(LATER.format(first=call, then=""))
    assert before == after
    assert after.endswith("['random', 'numpy'] SourceFileLoader")


def test_an_import_that_fails_fails_as_without_the_kit(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch is missing')")
    program = """
        from standing.parity import seeding
        seeding.set_global_determinism()
        try:
            import torch
        except ImportError as error:
            print(error, seeding.report().seeded)
    """
    assert answer(program, path=str(tmp_path)) == "libtorch is missing ['random']"


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "42", None, True])
def test_a_seed_that_numpy_would_refuse_is_refused_and_nothing_changes(seed: object) -> None:
    told = seeding.set_global_determinism(5)
    with pytest.raises(ValueError, match=r"^The seed is a whole number in 0 \.\.\. 4294967295, not .*\.$"):
        seeding.set_global_determinism(seed)  # type: ignore[arg-type]
    assert seeding.report() == told


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^The level is one of strict, seeded, off, not 'Strict'\.$"):
        seeding.set_global_determinism(level="Strict")


# A real model, three fresh processes each

FOREST = """
    from standing.parity import seeding
    seeding.set_global_determinism(42, level={level!r})
    import hashlib
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier
    rows, target = make_classification(400, 12, random_state=0)
    forest = RandomForestClassifier(20, random_state=None).fit(rows, target)
    print(hashlib.sha256(forest.predict_proba(rows).tobytes()).hexdigest())
"""


@pytest.mark.parametrize(("level", "distinct"), [("strict", 1), ("seeded", 1), ("off", 3)])
def test_three_trainings_of_a_forest_without_a_random_state(level: str, distinct: int) -> None:
    assert len({answer(FOREST.format(level=level)) for _ in range(3)}) == distinct


REGRESSION = """
    import os
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cpus[: {cpus}])
    from standing.parity import seeding
    seeding.set_global_determinism()
    import hashlib
    from sklearn.linear_model import LogisticRegression
    rows = seeding.rng("rows").normal(size=(20_000, 60))
    fitted = LogisticRegression().fit(rows, rows[:, 0] > 0)
    print(hashlib.sha256(fitted.predict_proba(rows).tobytes()).hexdigest())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux takes CPUs away from a process")
def test_strict_fits_the_same_bits_on_one_cpu_and_on_all() -> None:
    assert answer(REGRESSION.format(cpus=1)) == answer(REGRESSION.format(cpus=999))


# Put back


@pytest.mark.parametrize("level", ["strict", "seeded", None])
def test_a_scope_puts_every_generator_back(level: str | None) -> None:
    seeding.set_global_determinism(1)
    expected = [draws(), draws()]
    seeding.set_global_determinism(1)
    first = draws()
    environment, finders = dict(os.environ), list(sys.meta_path)
    with seeding.scoped_seed(99, level=level) as told:
        inside = draws()
        assert (told.seed, told.level) == (99, level or "strict")
    assert [first, draws()] == expected
    assert (dict(os.environ), sys.meta_path) == (environment, finders)
    with seeding.scoped_seed(99):
        assert draws() == inside


def test_a_scope_puts_back_what_no_call_had_seeded_also_after_an_error() -> None:
    before = random.getstate(), repr(np.random.get_state(legacy=False))  # noqa: NPY002 - as above
    environment = dict(os.environ)

    @seeding.scoped_seed(5, level="strict")
    def failing() -> None:
        draws()
        seeding.set_global_determinism(6)
        raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert (random.getstate(), repr(np.random.get_state(legacy=False))) == before  # noqa: NPY002
    assert dict(os.environ) == environment
    assert seeding.report().seed is None


def test_off_puts_back_what_strict_had_set() -> None:
    before, environment = random.getstate(), dict(os.environ)
    seeding.set_global_determinism(level="strict")
    told = seeding.set_global_determinism(level="off")
    assert random.getstate() == before
    assert dict(os.environ) == {**environment, "_PARITY_SEED": "42 off"}
    assert (told.seed, told.seeded, told.pending, told.variables) == (
        None,
        [],
        [],
        {"_PARITY_SEED": "42 off"},
    )


def test_what_is_imported_within_a_scope_is_left_with_the_seed_outside_it() -> None:
    program = """
        from standing.parity import seeding
        seeding.set_global_determinism(1)
        {scope}
            import numpy
            numpy.random.random_sample()
        print(numpy.random.random_sample())
    """
    plain = """
        from standing.parity import seeding
        seeding.set_global_determinism(1)
        import numpy
        print(numpy.random.random_sample())
    """
    assert answer(program.format(scope="with seeding.scoped_seed(2):")) == answer(plain)
    assert answer(program.format(scope="if True:")) != answer(plain)


# Threads

POOLS = """
    {first}
    from standing.parity import seeding
    seeding.set_global_determinism()
    {then}
    told = seeding.report()
    print(sorted(told.threads.items()), told.failed)
"""


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("", "import sklearn.ensemble"),
        ("import numpy", "import sklearn.ensemble"),
        ("import sklearn.ensemble", ""),
    ],
)
def test_strict_gives_every_thread_pool_one_thread_before_and_after_its_import(first: str, then: str) -> None:
    told = answer(POOLS.format(first=first, then=then))
    assert told == "[('openblas', 1), ('openmp', 1), ('pinned', 1)] []"


def test_strict_keeps_the_number_of_threads_that_the_user_has_set() -> None:
    told = answer(POOLS.format(first="", then="import sklearn.ensemble"), OMP_NUM_THREADS="2")
    assert told == "[('openblas', 2), ('openmp', 2), ('pinned', 2)] []"


def test_strict_says_so_when_numpy_had_started_its_threads() -> None:
    told = answer(POOLS.format(first="import numpy", then=""))
    assert told.startswith("[('pinned', 1)] ['numpy was imported before its threads were pinned")
    assert answer(
        POOLS.format(first="", then="import numpy\nseeding.set_global_determinism()".replace("\n", "; "))
    ).endswith("[]")


@pytest.mark.parametrize("level", ["seeded", "off"])
def test_only_strict_touches_threads(level: str) -> None:
    threadpoolctl = importlib.import_module("threadpoolctl")  # it has no types
    pools = threadpoolctl.threadpool_info()
    environment = dict(os.environ)
    told = seeding.set_global_determinism(level=level)
    assert threadpoolctl.threadpool_info() == pools
    assert dict(os.environ) == {**environment, "_PARITY_SEED": f"42 {level}"}
    assert "pinned" not in told.threads


# rng

KEYS = st.lists(st.integers(0, seeding.MAX_SEED), max_size=3).map(tuple)


@given(st.text(max_size=8), st.text(max_size=8), KEYS, KEYS)
def test_a_purpose_and_key_have_numbers_of_their_own(
    one: str, two: str, key: tuple[int, ...], other: tuple[int, ...]
) -> None:
    seeding.set_global_determinism(11)
    same = (one, key) == (two, other)
    first, second = seeding.rng(one, *key).bytes(16), seeding.rng(two, *other).bytes(16)
    assert (first == second) is same
    assert seeding.rng(one, *key).bytes(16) == first


def test_rng_depends_on_the_seed_and_on_nothing_drawn_elsewhere() -> None:
    seeding.set_global_determinism(1)
    first = seeding.rng("split").integers(2**60)
    draws()
    assert seeding.rng("split", np.int64(3)).bytes(8) == seeding.rng("split", 3).bytes(8)  # type: ignore[arg-type]
    assert seeding.rng("split").integers(2**60) == first
    seeding.set_global_determinism(2)
    assert seeding.rng("split").integers(2**60) != first


def test_rng_is_the_same_in_later_versions_of_the_kit() -> None:
    seeding.set_global_determinism(42)
    # Raw output: numpy keeps that of PCG64 and SeedSequence for good, and its distributions not (NEP 19).
    assert seeding.rng("split", 3).bit_generator.random_raw(2).tolist() == [
        15921522614803887515,
        13828534397695442649,
    ]


def test_rng_draws_afresh_when_off() -> None:
    seeding.set_global_determinism(level="off")
    assert seeding.rng("split").bytes(16) != seeding.rng("split").bytes(16)


def test_rng_before_any_seed_says_what_to_call() -> None:
    with pytest.raises(RuntimeError, match=r"^Nothing is seeded yet: call set_global_determinism first\.$"):
        seeding.rng("split")


@pytest.mark.parametrize(("key", "error"), [(-1, ValueError), (2**32, ValueError), (0.5, TypeError)])
def test_rng_refuses_a_key_that_would_collide_with_another(key: float, error: type[Exception]) -> None:
    seeding.set_global_determinism()
    with pytest.raises(error):
        seeding.rng("fold", key)  # type: ignore[arg-type]


WORKERS = """
    import multiprocessing
    from standing.parity import seeding

    def draw(index):
        return seeding.rng("augment", index).integers(1000).item()

    if __name__ == "__main__":
        seeding.set_global_determinism(5)
        alone = [draw(index) for index in range(4)]
        with multiprocessing.get_context({method!r}).Pool(2) as pool:
            print(pool.map(draw, range(4)) == alone)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.skipif(os.name != "posix", reason="Windows has spawn only")
def test_worker_processes_draw_as_the_main_one_does(method: str, tmp_path: Path) -> None:
    (tmp_path / "workers.py").write_text(textwrap.dedent(WORKERS.format(method=method)))
    assert (
        answer(
            "import runpy; runpy.run_module('workers', run_name='__main__', alter_sys=True)",
            path=str(tmp_path),
        )
        == "True"
    )


def test_seed_worker_gives_each_worker_draws_of_its_own_that_repeat() -> None:
    seeding.set_global_determinism(3)
    drawn = []
    for worker in (0, 1, 0):
        seeding.seed_worker(worker)
        drawn.append(draws())
    assert drawn[0] == drawn[2]
    assert drawn[0] != drawn[1]


def test_seed_worker_leaves_a_worker_alone_when_off() -> None:
    seeding.set_global_determinism(level="off")
    before = random.getstate()
    seeding.seed_worker(0)
    assert random.getstate() == before


# String hashes


@pytest.mark.parametrize(("value", "options", "fixed"), [("0", (), True), ("42", (), False), ("0", ("-E",), False)])
def test_only_a_zero_that_counts_is_called_fixed(value: str, options: Sequence[str], *, fixed: bool) -> None:
    program = f"import sys; sys.path.insert(0, {KIT!r}); from standing.parity import seeding; "
    done = fresh(program + "print(seeding.set_global_determinism().hash_seed)", options=options, PYTHONHASHSEED=value)
    assert done.stdout == ("fixed\n" if fixed else "not fixed\n")


def test_a_variable_set_after_the_start_is_not_believed() -> None:
    program = "import os; os.environ['PYTHONHASHSEED'] = '0'; from standing.parity import seeding; "
    assert answer(program + "print(seeding.ensure_hash_seed())") == "False"


RESTART = """
    import sys
    sys.path.insert(0, {kit!r})
    from standing.parity import seeding
    print("start", sys.argv[1:], flush=True)
    print(seeding.ensure_hash_seed(restart=True), hash("parity") == {hash})
"""


def restarting(tmp_path: Path, **environment: str) -> list[str]:
    zero = answer("print(hash('parity'))", PYTHONHASHSEED="0")
    script = tmp_path / "command.py"
    script.write_text(textwrap.dedent(RESTART.format(kit=KIT, hash=zero)))
    command = [sys.executable, *environment.pop("options", "").split(), str(script), "a b", "--level"]
    done = subprocess.run(command, env={**CLEAN, **environment}, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_command_restarts_once_with_its_arguments(tmp_path: Path) -> None:
    start = "start ['a b', '--level']"
    assert restarting(tmp_path) == [start, start, "True True"]
    assert restarting(tmp_path, PYTHONHASHSEED="0") == [start, "True True"]


@pytest.mark.parametrize("refusing", [{"options": "-E"}, {"options": "-I"}, {"_PARITY_RESTARTED": "1"}])
def test_no_restart_that_would_not_help(tmp_path: Path, refusing: dict[str, str]) -> None:
    assert restarting(tmp_path, **refusing) == ["start ['a b', '--level']", "False False"]


def test_no_restart_of_a_program_from_standard_input_nor_of_a_test() -> None:
    done = fresh("", stdin="from standing.parity import seeding\nprint(seeding.ensure_hash_seed(restart=True))")
    assert done.stdout == "False\n"
    assert seeding.ensure_hash_seed(restart=True) is (sys.flags.hash_randomization == 0)


# Stand-ins for frameworks that are not installed here


TORCH = """
    import types
    calls, mode, state, threads, cuda_started = [], 0, "as found", 8, {cuda}

    def __getattr__(name):
        raise AttributeError(name)

    def use_deterministic_algorithms(*a, **k): calls.append("use_deterministic_algorithms")
    def manual_seed(seed): calls.append(("manual_seed", seed))
    def initial_seed(): return 0
    def get_rng_state(): return state
    def set_rng_state(value): calls.append(("set_rng_state", value))
    def get_deterministic_debug_mode(): return mode
    def set_deterministic_debug_mode(value): calls.append(("mode", value))
    def get_num_threads(): return threads
    def set_num_threads(value): calls.append(("threads", value))

    class cuda:
        is_initialized = staticmethod(lambda: cuda_started)
        manual_seed_all = staticmethod(lambda seed: calls.append(("cuda", seed)))
        get_rng_state_all = staticmethod(lambda: "cuda as found")
        set_rng_state_all = staticmethod(lambda value: calls.append(("cuda state", value)))
    class xpu(cuda):
        is_initialized = staticmethod(lambda: False)
    class cudnn:
        benchmark, deterministic = True, False
    backends = types.SimpleNamespace(cudnn=cudnn, mps=types.SimpleNamespace(is_available=lambda: False))
    import os
    seen = os.environ.get("CUBLAS_WORKSPACE_CONFIG"), os.environ.get("TORCHINDUCTOR_DETERMINISTIC")
"""


def with_torch(folder: Path, program: str, *, cuda: bool = False, **environment: str) -> str:
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text(textwrap.dedent(TORCH.format(cuda=cuda)))
    return answer(textwrap.dedent(program), path=str(folder), **environment)


def test_strict_with_a_stand_in_for_torch_sets_the_flags_without_the_second_long_import(
    tmp_path: Path,
) -> None:
    told = with_torch(
        tmp_path,
        """
        from standing.parity import seeding
        seeding.set_global_determinism(9)
        import torch
        print(torch.calls, torch.seen, torch.cudnn.benchmark, torch.cudnn.deterministic)
        print(seeding.report().failed)
        """,
    )
    assert told == ("[('manual_seed', 9), ('mode', 'error'), ('threads', 1)] (':4096:8', '1') False True\n[]")


def test_seeded_with_a_stand_in_for_torch_sets_no_flag(tmp_path: Path) -> None:
    told = with_torch(
        tmp_path,
        """
        from standing.parity import seeding
        seeding.set_global_determinism(9, level="seeded")
        import torch
        print(torch.calls, torch.seen, torch.cudnn.benchmark, torch.cudnn.deterministic)
        """,
    )
    assert told == "[('manual_seed', 9)] (None, None) True False"


def test_a_scope_with_a_stand_in_for_torch_puts_generators_and_flags_back(tmp_path: Path) -> None:
    told = with_torch(
        tmp_path,
        """
        import torch
        from standing.parity import seeding
        with seeding.scoped_seed(9, level="strict") as told:
            torch.calls.clear()
        print(torch.calls, torch.cudnn.benchmark, torch.cudnn.deterministic, told.failed)
        """,
        cuda=True,
    )
    assert told == (
        "[('threads', 8), ('mode', 0), ('cuda', 0), ('cuda state', 'cuda as found'), "
        "('set_rng_state', 'as found')] True False "
        "['torch had started CUDA before: call set_global_determinism before using the GPU.']"
    )


def test_what_the_user_set_for_a_stand_in_for_torch_stays(tmp_path: Path) -> None:
    program = """
        from standing.parity import seeding
        seeding.set_global_determinism()
        import torch
        print(torch.seen)
    """
    assert with_torch(tmp_path, program, CUBLAS_WORKSPACE_CONFIG=":16:8") == "(':16:8', '1')"


def test_a_stand_in_for_torch_that_fails_leaves_a_sentence_and_the_others_seeded(
    tmp_path: Path,
) -> None:
    (tmp_path / "torch.py").write_text("set_rng_state = get_rng_state = None")
    program = """
        import torch, numpy
        from standing.parity import seeding
        told = seeding.set_global_determinism(level="seeded")
        print(told.seeded, told.failed)
    """
    assert answer(program, path=str(tmp_path)) == (
        "['random', 'numpy'] [\"torch could not be made seeded: TypeError: 'NoneType' object is not callable\"]"
    )


def test_flags_of_a_stand_in_for_jax_are_added_to_the_users(tmp_path: Path) -> None:
    (tmp_path / "jax.py").write_text("import os; print(os.environ['XLA_FLAGS'])")
    program = """
        from standing.parity import seeding
        seeding.set_global_determinism()
        import jax
        print(seeding.report().seeded)
    """
    ours = "--xla_gpu_deterministic_ops=true"
    for users, expected in [("--xla_a=1", f"--xla_a=1 {ours}"), (f"{ours[:-4]}false", f"{ours[:-4]}false")]:
        assert answer(program, path=str(tmp_path), XLA_FLAGS=users) == f"{expected}\n['random']"


@pytest.mark.parametrize(
    ("level", "variables", "threads"),
    [
        ("strict", {}, "1"),
        ("strict", {"OMP_NUM_THREADS": "2"}, "2"),
        ("strict", {"NPROC": "3"}, "3"),
        ("seeded", {}, "None"),
    ],
)
def test_strict_gives_a_stand_in_for_jax_the_threads_of_the_others(
    tmp_path: Path, level: str, variables: dict[str, str], threads: str
) -> None:
    (tmp_path / "jax.py").write_text("import os; print(os.environ.get('NPROC'))")
    program = f"from standing.parity import seeding; seeding.set_global_determinism(level={level!r}); import jax"
    assert answer(program, path=str(tmp_path), **variables) == threads


@pytest.mark.parametrize("name", ["jax", "lightgbm", "polars", "tensorflow", "xgboost"])
def test_the_report_names_a_library_whose_seed_is_its_own_only_where_it_is_loaded(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").touch()
    program = f"""
        from standing.parity import seeding
        seeding.set_global_determinism(level="off")
        before = seeding.report().uncontrolled
        import {name}
        print([line.partition(" ")[0] for line in seeding.report().uncontrolled if line not in before])
    """
    assert answer(program, path=str(tmp_path)).strip("[]").strip("'\"").removesuffix("'s") == name


def test_a_stand_in_for_tensorflow_is_seeded_and_made_deterministic(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text(
        textwrap.dedent("""
        from types import SimpleNamespace as names
        calls = []
        note = lambda name: lambda *values: calls.append((name, *values))
        random = names(set_seed=note("seed"))
        config = names(
            experimental=names(enable_op_determinism=note("deterministic")),
            threading=names(
                set_intra_op_parallelism_threads=note("intra"), set_inter_op_parallelism_threads=note("inter")
            ),
        )
        """)
    )
    program = """
        from standing.parity import seeding
        seeding.set_global_determinism(8)
        import tensorflow
        print(tensorflow.calls, any("tensorflow" in line for line in seeding.report().uncontrolled))
    """
    assert answer(program, path=str(tmp_path)) == ("[('seed', 8), ('deterministic',), ('intra', 1), ('inter', 1)] True")


def test_a_stand_in_for_cupy_gets_a_generator_of_its_own_and_its_old_one_back(tmp_path: Path) -> None:
    (tmp_path / "cupy.py").write_text(
        textwrap.dedent("""
        from types import SimpleNamespace as names
        states = ["as found"]
        random = names(
            get_random_state=lambda: states[-1], set_random_state=states.append, RandomState=lambda seed: seed
        )
        """)
    )
    program = """
        import cupy
        from standing.parity import seeding
        with seeding.scoped_seed(8):
            pass
        print(cupy.states)
    """
    assert answer(program, path=str(tmp_path)) == "['as found', 8, 'as found']"


# The report


def test_the_report_is_json_and_names_what_is_not_controlled() -> None:
    told = seeding.set_global_determinism(4)
    assert json.loads(json.dumps(told.as_dict())) == told.as_dict()
    assert {"random", "numpy"} <= set(told.seeded)
    assert all(os.environ[name] == value for name, value in told.variables.items())
    assert told.variables["_PARITY_SEED"] == "4 strict"
    assert any("CPU" in line for line in told.uncontrolled)


def test_the_report_before_any_call_claims_nothing() -> None:
    told = seeding.report()
    assert (told.level, told.seed, told.seeded, told.pending, told.variables) == ("off", None, [], [], {})


def test_the_command_prints_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert seeding.run_seeds(["--json", "seeded"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["level"], told["seed"]) == ("seeded", 42)
    assert seeding.run_seeds([]) == 0
    lines = capsys.readouterr().out
    assert lines.startswith("level        strict\nseed         42\nseeded       random, numpy")


@pytest.mark.parametrize("argv", [["loose"], ["strict", "off"], ["--yaml"]])
def test_the_command_refuses_what_it_does_not_know(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        seeding.run_seeds(argv)
    assert argv[-1] in capsys.readouterr().err
    assert seeding.report().seed is None
