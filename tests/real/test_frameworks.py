"""Level real, for each framework but the default one: from a render to a prediction, with uv and its real packages.

scikit-learn goes the whole way with every tool in test_whole_way.py. For PyTorch the development machine has one wheel,
for the CPU and for a Python that the template does not offer: tests/torch_stand_in.py says what stands in for what.
"""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import commands
import links
import rendering
import repositories
import torch_stand_in
from index import Index
from real import serving
from repositories import Origin

pytestmark = pytest.mark.real

OTHERS = [name for name in links.FRAMEWORKS if name != links.FRAMEWORK]
OTHER_TOOLS = [name for name in repositories.NAMES if name != repositories.DEFAULT]
# By the default tool each, by the others those whose packages are within their reach: PyTorch's stand-in is uv's alone.
BY_OTHERS = [f"{name} by {tool}" for name in OTHERS if name != "pytorch" for tool in OTHER_TOOLS]
CASES = [*OTHERS, *(pytest.param(case, marks=pytest.mark.thorough) for case in BY_OTHERS)]
STAND_INS = {"pytorch": torch_stand_in.served}
# What a report says of a framework that keeps its randomness to itself.
OWN_SEED = {"jax": "jax.random.key", "lightgbm": "without a seed", "xgboost": "without a seed"}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    """One framework and tool after the other."""
    framework, _, tool = str(request.param).partition(" by ")
    return framework, tool or repositories.DEFAULT


@pytest.fixture(scope="module")
def framework(case: tuple[str, str]) -> str:
    """Its framework."""
    return case[0]


@pytest.fixture(scope="module")
def made(
    case: tuple[str, str], template: Path, tmp_path_factory: pytest.TempPathFactory, patch: str, index: Index
) -> Iterator[Origin]:
    """The framework's repository, set up and trained."""
    framework, tool = case
    folder = tmp_path_factory.mktemp(framework) / "demo"
    plain = nullcontext((template, {"python_patch": patch}))
    with STAND_INS.get(framework, lambda *_: plain)(template, folder.parent) as (source, answers):
        rendering.render(source, folder, ml_framework=framework, package_manager=tool, **answers)
        origin = Origin(folder, repositories.module(tool), "" if tool == repositories.DEFAULT else index.url)
        with pytest.MonkeyPatch.context() as shell:
            # A test runner may ask for no bytecode: a user's shell does not, and PyTorch is compiled for seconds.
            shell.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            origin.make()
            yield origin


@pytest.fixture
def repository(made: Origin) -> Iterator[Path]:
    """Its folder; no test here changes a file of it."""
    with repositories.variables(made.variables):
        yield made.folder


def predicate(repository: Path, framework: str) -> dict[str, Any]:
    """Return what the contract says of the model that `make train` has made."""
    path = repository / "models" / f"{links.framework_data(framework)['model_file']}.contract.json"
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["predicate"]
    return said


def test_check_is_green_and_two_trainings_are_equal_to_the_last_byte(repository: Path) -> None:
    printed = commands.succeed(repository, "make", "check")
    assert "predictions and all metrics of two fresh processes are equal, bit for bit" in printed
    assert "The model's file is the same too, byte for byte." in printed
    commands.succeed(repository, "make", "verify", "ARGS=--strict")


def test_a_prediction_is_served(repository: Path) -> None:
    with serving.served(repository) as (port, _):
        answer = serving.ask(port, "POST", "/predict", serving.example(repository), key=serving.KEY)
        assert answer.status == 200, answer
        assert answer.body["predictions"][0] > 0.9


def test_the_model_lies_where_its_name_says_how_it_is_saved_and_is_no_pickle(repository: Path, framework: str) -> None:
    model = repository / "models" / links.framework_data(framework)["model_file"]
    # https://docs.python.org/3/library/pickle.html#data-stream-format: each begins with PROTO, and a zip holds some
    assert model.read_bytes()[:1] not in {b"\x80", b"P"}


def test_strict_pins_the_threads_and_reports_what_it_does_not_control(repository: Path, framework: str) -> None:
    seed = predicate(repository, framework)["seed"]
    assert (seed["level"], seed["failed"]) == ("strict", [])
    assert set(seed["threads"].values()) == {1}
    assert OWN_SEED.get(framework, "") in " ".join(seed["uncontrolled"])


MODEL_ITSELF = {"jax": "jaxlib", "lightgbm": "lightgbm", "pytorch": "torch", "xgboost": "xgboost-cpu"}


def test_the_contract_names_the_packages_that_the_model_itself_needs(repository: Path, case: tuple[str, str]) -> None:
    framework, tool = case
    needed, name = predicate(repository, framework)["environment"]["modelPackages"], MODEL_ITSELF[framework]
    assert links.data(tool).get("names", {}).get(name, name) in needed
    assert "fastapi" not in needed


SEEDS = """
from my_model.parity import seeding
seeding.set_global_determinism(1)  # one thread: on a busy machine several wait for one another
from my_model import data, model
table = data.load_data()
told = []

def predictions(seed):
    fitted = model.fit(table.features, table.target, seed=seed, progress=lambda *now: told.append(now))
    return model.predict(fitted, table.features)

greatest = predictions(2**32 - 1)
assert predictions(2**32 - 1) == greatest, "the greatest seed of the settings repeats"
assert predictions(1) != greatest, "another seed gives another model"
assert predictions(None) != predictions(None), "without a seed each model is another"
shown = len(told) // 5
assert shown > 1 and told == [(done, told[-1][1]) for done in range(1, shown + 1)] * 5, told
assert model.predict(model.fit(table.features, table.target, seed=1), []) == []
print("right")
"""


def test_a_seed_repeats_and_none_does_not_and_progress_is_told(repository: Path) -> None:
    assert commands.succeed(repository, serving.PYTHON, "-c", SEEDS).splitlines()[-1] == "right"


# One model for any number of workers, and one stream of noise for each row.
WORKERS = """
import sys
import torch
from my_model import data, model
from my_model.parity import seeding

class Noisy(torch.utils.data.Dataset):
    def __len__(self):
        return 40
    def __getitem__(self, row):
        return row, seeding.rng("noise", 0, row).standard_normal()

def samples(workers, method):
    model.PARAMETERS["num_workers"] = workers
    table = data.load_data()
    features, target = torch.as_tensor(table.features[:100]), torch.as_tensor(table.target[:100])
    ordered = [rows for rows, _ in model.batches(features, target, torch.Generator().manual_seed(1))]
    context = method if workers else None
    noise = list(torch.utils.data.DataLoader(Noisy(), 8, num_workers=workers, multiprocessing_context=context))
    return torch.cat(ordered).tolist(), torch.cat([drawn for _, drawn in noise]).tolist()

if __name__ == "__main__":
    seeding.set_global_determinism(3)
    alone = samples(0, None)
    assert alone[0] != torch.as_tensor(data.load_data().features[:100]).tolist(), "the order is drawn"
    for workers, method in ((1, "fork"), (2, "fork"), (2, "spawn")):
        assert samples(workers, method) == alone, (workers, method)
    print("equal")
"""


@pytest.mark.parametrize("case", ["pytorch"], indirect=True)  # the one that loads data in other processes
def test_the_samples_are_the_same_with_0_1_and_2_workers(repository: Path, tmp_path: Path) -> None:
    program = tmp_path / "workers.py"
    program.write_text(WORKERS, encoding="utf-8")
    assert commands.succeed(repository, serving.PYTHON, program).splitlines()[-1] == "equal"
