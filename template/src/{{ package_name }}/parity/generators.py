"""How each library's random generators are seeded, now or right after its import, and put back again.

`seeding.py` is the door; here stands what is known of each library, one short function a library and level.
Nothing here imports a library: its module comes in as an argument.
"""

import os
import random  # noqa: F401 - loaded, so that it is seeded at once: much of the standard library draws from it
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader

# Each library reads its own when it starts. The first is what people set: where it is set, it wins.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


_started_strict: set[str] = set()  # imported while strict was in force: these have read their variables


@dataclass(slots=True)
class Run:
    """What one call of `set_global_determinism` did, and in `undo` how each step is taken back."""

    seed: int
    level: str
    threads: int = 0  # 0: not pinned
    seeded: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # library: sentence
    variables: dict[str, str] = field(default_factory=dict)
    undo: ExitStack = field(default_factory=ExitStack)

    def put(self, owner: ModuleType, name: str, *, value: bool) -> None:
        """Set an attribute until `undo`."""
        self.undo.callback(setattr, owner, name, getattr(owner, name))
        setattr(owner, name, value)

    def export(self, name: str, value: str) -> None:
        """Set an environment variable until `undo`, for libraries and child processes yet to start."""
        if os.environ.get(name) != value:
            self.undo.callback(_put_back, name, os.environ.get(name))
            os.environ[name] = self.variables[name] = value

    def start(self) -> None:
        """Seed what is loaded, and watch for the import of what is not."""
        if self.level == "strict":
            self._pin_threads()
        watch = _SeedAfterImport(self)
        sys.meta_path.insert(0, watch)
        self.undo.callback(_unwatch, watch)
        for name in KNOWN:
            if loaded(name):
                self.apply(name, sys.modules[name])

    def apply(self, name: str, module: ModuleType) -> None:
        """Seed one library, and in strict set its flags; a fault becomes a sentence, the others go on."""
        steps = [SEED.get(name), STRICT.get(name) if self.level == "strict" else None]
        try:
            for step in filter(None, steps):
                step(module, self)
        except Exception as error:  # noqa: BLE001 - whatever a framework raises, the next one is still seeded
            self.failed[name] = f"{name} could not be made {self.level}: {type(error).__name__}: {error}"
        else:
            self.seeded.extend({name} & SEED.keys())

    def prepare(self, name: str) -> None:
        """Export what a library reads when it starts; what the user has set stays as it is."""
        for variable, template in VARIABLES.get(name, {}).items() if self.level == "strict" else ():
            now, value = os.environ.get(variable, ""), template.format(threads=self.threads)
            is_flag = value.startswith("--")  # flags are added to those that are there
            if not now or (is_flag and value.partition("=")[0] not in now):
                self.export(variable, f"{now} {value}".strip())

    def _pin_threads(self) -> None:
        """Give all libraries one thread count: the user's, or 1, the only one that every machine has."""
        asked = os.environ.get(THREAD_VARIABLES[0], "")
        self.threads = int(asked) if asked.isdecimal() and int(asked) else 1
        for variable in THREAD_VARIABLES:
            self.export(variable, str(self.threads))
        if loaded("numpy") and "numpy" not in _started_strict and self.variables:
            self.failed["threadpoolctl"] = (
                "numpy was imported before its threads were pinned, and read their number once: "
                f"call set_global_determinism before, or start with {THREAD_VARIABLES[0]}={self.threads}."
            )


class _SeedAfterImport:
    """A finder for `sys.meta_path` that lets the others find, and seeds once the module has run.

    https://docs.python.org/3/reference/import.html#the-meta-path
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in KNOWN:
            return None
        others = sys.meta_path[sys.meta_path.index(self) + 1 :]
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _SeedingLoader(spec.loader, self._run)  # type: ignore[assignment] # has its methods
        return spec


class _SeedingLoader:
    """The library's own loader, and a seed after it."""

    def __init__(self, loader: "Loader", run: Run) -> None:
        self._loader, self._run = loader, run

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        if module.__spec__ is not None:  # from here on nobody sees that we were here
            module.__spec__.loader = module.__loader__ = self._loader
        self._run.prepare(name)
        if self._run.level == "strict":
            _started_strict.add(name)
        self._loader.exec_module(module)
        self._run.apply(name, sys.modules.get(name, module))


def loaded(name: str) -> bool:
    """Return whether a module is imported, and not still at it."""
    module = sys.modules.get(name)
    return module is not None and not getattr(module.__spec__, "_initializing", False)


def _unwatch(watch: _SeedAfterImport) -> None:
    with suppress(ValueError):
        sys.meta_path.remove(watch)


def _put_back(name: str, value: str | None) -> None:
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


def _random(module: ModuleType, run: Run) -> None:
    run.undo.callback(module.setstate, module.getstate())
    module.seed(run.seed)


def _numpy(numpy: ModuleType, run: Run) -> None:
    # The legacy global generator: scikit-learn (random_state=None), SciPy and older code draw from it.
    run.undo.callback(numpy.random.set_state, numpy.random.get_state(legacy=False))
    numpy.random.seed(run.seed)


def _torch(torch: ModuleType, run: Run) -> None:
    run.undo.callback(torch.set_rng_state, torch.get_rng_state())
    for device in (torch.cuda, torch.xpu):
        if device.is_initialized():
            run.undo.callback(device.set_rng_state_all, device.get_rng_state_all())
        else:  # nothing is drawn there yet: should it start, it starts from the seed of before
            run.undo.callback(device.manual_seed_all, torch.initial_seed())
    if torch.backends.mps.is_available():
        run.undo.callback(torch.mps.set_rng_state, torch.mps.get_rng_state())
    torch.manual_seed(run.seed)  # of every device, without starting one: cuda.manual_seed_all adds nothing


def _torch_strict(torch: ModuleType, run: Run) -> None:
    run.prepare("torch")
    # The flag of use_deterministic_algorithms(), which since 2.10 takes a second to import the compiler.
    # https://docs.pytorch.org/docs/stable/generated/torch.set_deterministic_debug_mode.html
    run.undo.callback(torch.set_deterministic_debug_mode, torch.get_deterministic_debug_mode())
    torch.set_deterministic_debug_mode("error")  # "warn" would run what cannot repeat, and only say so
    run.put(torch.backends.cudnn, "benchmark", value=False)  # else the kernel that is fastest today is taken
    run.put(torch.backends.cudnn, "deterministic", value=True)
    if inductor := sys.modules.get("torch._inductor.config"):
        run.put(inductor, "deterministic", value=True)
    run.undo.callback(torch.set_num_threads, torch.get_num_threads())
    torch.set_num_threads(run.threads)
    if torch.cuda.is_initialized() and "torch" not in _started_strict:
        run.failed["torch"] = "torch had started CUDA before: call set_global_determinism before using the GPU."


def _tensorflow(tf: ModuleType, run: Run) -> None:
    tf.random.set_seed(run.seed)


def _tensorflow_strict(tf: ModuleType, run: Run) -> None:
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(run.threads)  # raises once TensorFlow has computed
    tf.config.threading.set_inter_op_parallelism_threads(run.threads)


def _jax_strict(_jax: ModuleType, run: Run) -> None:
    run.prepare("jax")
    bridge = sys.modules.get("jax._src.xla_bridge")
    if getattr(bridge, "backends_are_initialized", bool)() and "jax" not in _started_strict:
        run.failed["jax"] = "jax had computed before, and read XLA_FLAGS once: call set_global_determinism before."


def _cupy(cupy: ModuleType, run: Run) -> None:
    run.undo.callback(cupy.random.set_random_state, cupy.random.get_random_state())
    cupy.random.set_random_state(cupy.random.RandomState(run.seed))


def _threadpoolctl_strict(threadpoolctl: ModuleType, run: Run) -> None:
    # Reaches libraries that have already read the variables; scikit-learn imports it, so it is often here.
    run.failed.pop("threadpoolctl", None)
    run.undo.callback(threadpoolctl.threadpool_limits(run.threads).restore_original_limits)


Step = Callable[[ModuleType, Run], None]
SEED: dict[str, Step] = {
    "random": _random,
    "numpy": _numpy,
    "torch": _torch,
    "tensorflow": _tensorflow,
    "cupy": _cupy,
}
STRICT: dict[str, Step] = {
    "torch": _torch_strict,
    "tensorflow": _tensorflow_strict,
    "jax": _jax_strict,
    "threadpoolctl": _threadpoolctl_strict,
}
VARIABLES = {
    # cuBLAS: https://docs.nvidia.com/cuda/cublas/#results-reproducibility (torch before 2.10 demands it)
    "torch": {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "TORCHINDUCTOR_DETERMINISTIC": "1"},
    # XLA's thread pool reads this one alone. https://github.com/openxla/xla/blob/main/xla/pjrt/utils.cc
    "jax": {"XLA_FLAGS": "--xla_gpu_deterministic_ops=true", "NPROC": "{threads}"},
}
KNOWN = tuple(dict.fromkeys((*SEED, *STRICT)))
