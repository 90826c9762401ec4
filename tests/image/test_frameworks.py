"""Level image, for each framework: uv's image is built, run and asked; PyTorch's with the stand-in of its wheel.

What does not depend on the framework is tested in test_image.py, with scikit-learn and every tool.
"""

import json
import os
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import commands
import links
import repositories
import services
import torch_stand_in
from image.built import HOST, KEY, Built, built, running

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif("STAND_IN_PYTHONS" not in os.environ, reason="runs under tests/engine/with-engine"),
]

NAMES = ("jax", "lightgbm", "pytorch", "xgboost")


# What leads to the one wheel of PyTorch that is here, for containers too.
STAND_INS = {"pytorch": partial(torch_stand_in.served, host=HOST)}


@pytest.fixture(scope="module", params=NAMES)
def made(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """A repository and its image, one framework after the other."""
    place = tmp_path_factory.mktemp("image")
    nothing: dict[str, Any] = {}
    plain = nullcontext((template, nothing))
    with (
        STAND_INS.get(request.param, lambda *_: plain)(template, place) as (source, answers),
        built(source, place, repositories.DEFAULT, request.param, answers) as one,
    ):
        yield one


def test_the_image_holds_the_lock_and_every_shared_library_and_answers_as_outside(made: Built) -> None:
    # Green also says that no shared library is missing: LightGBM's needs one of Debian's.
    assert "equal: " in commands.succeed(made.folder, "make", "image-verify")
    example = json.loads((made.folder / "tests/example.json").read_bytes())
    with running(made) as (name, port):
        services.wait_until_ready(port, lambda: made.inspect("{{.State.Running}}", name) == "true")
        answer = services.ask(port, "POST", "/predict", example, key=KEY)
    assert answer.status == 200, answer
    outside = (
        "from my_model import data, model; import json, pathlib, sys; name, row = sys.argv[1:]; row = json.loads(row)"
    )
    program = (
        f"{outside}; print(model.predict(model.load(pathlib.Path(name)), [[row[key] for key in data.FEATURES]])[0])"
    )
    file = f"models/{links.framework_data(framework_of(made))['model_file']}"
    printed = commands.succeed(made.folder, ".venv/bin/python", "-c", program, file, json.dumps(example["rows"][0]))
    assert answer.body["predictions"][0] == pytest.approx(float(printed), rel=1e-9)


def framework_of(made: Built) -> str:
    """Return the framework of an image's repository."""
    return made.image.rpartition("-")[2]


def test_without_the_debian_packages_of_the_framework_a_missing_library_is_named(made: Built) -> None:
    packages = made.folder / ".tools/system-packages.txt"
    if not packages.exists():
        assert not links.framework_data(framework_of(made))["system"]
        return
    kept = packages.read_text(encoding="utf-8")
    packages.write_text("# none\n", encoding="utf-8")
    printed = commands.refuse(made.folder, "make", "image", IMAGE=f"{made.image}-without")
    packages.write_text(kept, encoding="utf-8")
    assert "needs libgomp.so.1, which is not in the image" in printed
