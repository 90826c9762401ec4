"""check_seeds: every seed outside the kit is found where it stands, and nothing else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import links

pytestmark = pytest.mark.static

USE_KIT = "outside the kit: call set_global_determinism once instead, or scoped_seed for a part."
USE_RNG = "without a seed differs in each run: use rng(purpose) of the kit."


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the check as it stands in a repository."""
    (folder / ".tools").mkdir(exist_ok=True)
    shutil.copy(links.TEMPLATE / ".tools" / "check_seeds.py", folder / ".tools")
    command = [sys.executable, "-I", ".tools/check_seeds.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def found(folder: Path, code: str, name: str = "src/demo/data.py") -> list[str]:
    """Return what the check says of one file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")
    done = check(folder)
    assert done.stderr == ""
    assert done.returncode == (1 if done.stdout else 0)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import random\nrandom.seed(1)", "random.seed"),
        ("import random as r\nr.seed()", "random.seed"),
        ("from random import seed as s\ns(1)", "random.seed"),
        ("import numpy as np\nnp.random.seed(42)", "numpy.random.seed"),
        ("import numpy.random\nnumpy.random.seed(42)", "numpy.random.seed"),
        ("from numpy import random\nrandom.seed(42)", "numpy.random.seed"),
        ("import torch\ntorch.manual_seed(0)", "torch.manual_seed"),
        ("import torch.cuda\ntorch.cuda.manual_seed_all(0)", "torch.cuda.manual_seed_all"),
        ("torch = pytest.importorskip('torch')\ntorch.manual_seed(0)", "torch.manual_seed"),
        ("import tensorflow as tf\ntf.random.set_seed(0)", "tensorflow.random.set_seed"),
        ("from lightning import seed_everything\nseed_everything(1)", "lightning.seed_everything"),
    ],
)
def test_a_seed_is_found_under_any_name(tmp_path: Path, code: str, name: str) -> None:
    assert found(tmp_path, code) == [f"src/demo/data.py:2: {name} sets a seed {USE_KIT}"]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import numpy as np\nnp.random.default_rng()", "numpy.random.default_rng"),
        ("from numpy.random import default_rng\nx = [default_rng(None)]", "numpy.random.default_rng"),
        ("import numpy as np\nnp.random.default_rng(seed=None)", "numpy.random.default_rng"),
        ("import numpy as np\nnp.random.RandomState()", "numpy.random.RandomState"),
        ("import numpy as np\nnp.random.Generator(np.random.PCG64())", "numpy.random.PCG64"),
        ("from random import Random\nRandom()", "random.Random"),
    ],
)
def test_a_generator_without_a_seed_is_found(tmp_path: Path, code: str, name: str) -> None:
    assert found(tmp_path, code) == [f"src/demo/data.py:2: {name} {USE_RNG}"]


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.environ['PYTHONHASHSEED'] = str(42)",
        "from os import environ\nenviron['PYTHONHASHSEED'] = '0'",
        "import os\nos.environ.setdefault('PYTHONHASHSEED', '0')",
    ],
)
def test_a_hash_seed_set_too_late_is_found(tmp_path: Path, code: str) -> None:
    sentence = "PYTHONHASHSEED set in a running program changes nothing in it: set it before Python starts."
    assert found(tmp_path, code) == [f"src/demo/data.py:2: {sentence}"]


@pytest.mark.parametrize(
    "code",
    [
        "import numpy as np\nnp.random.default_rng(3).random()\nnp.random.default_rng([seed, epoch])",
        "import numpy as np\nnp.random.RandomState(**options)\nnp.random.default_rng(*key)",
        "def random(): ...\nrandom.seed(1)",
        "# random.seed(1)\ntext = 'np.random.seed(1)'",
        "from .parity import seeding\nseeding.set_global_determinism(1)",
        "import os\nchild = {**os.environ, 'PYTHONHASHSEED': '0'}",
        "import random\nrandom.seed(1)  # parity: allow-seed: shows what a second seed does",
        "import random\nrandom.seed(  # parity: allow-seed - the page quotes it\n  1,\n)",
    ],
)
def test_what_is_right_or_explained_is_left_alone(tmp_path: Path, code: str) -> None:
    assert found(tmp_path, code) == []


def test_an_exception_without_a_reason_is_none(tmp_path: Path) -> None:
    assert found(tmp_path, "import random\nrandom.seed(1)  # parity: allow-seed") == [
        "src/demo/data.py:2: allow-seed needs a reason after it, on the same line."
    ]


def test_the_kit_is_left_out_and_a_module_of_that_name_elsewhere_is_not(tmp_path: Path) -> None:
    code = "import random\nrandom.seed(1)"
    assert found(tmp_path, code, "src/demo/parity/seeding.py") == []
    for name in ("src/demo/deeper/parity/a.py", "tests/parity/b.py", "src/demo/parity.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code)
    places = [line.partition(": ")[0] for line in check(tmp_path).stdout.splitlines()]
    assert sorted(places) == ["src/demo/deeper/parity/a.py:2", "src/demo/parity.py:2", "tests/parity/b.py:2"]


def test_environments_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    for name in (".venv/lib/a.ipynb", ".ipynb_checkpoints/b.ipynb", "build/c.ipynb", "scripts/d.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("import random\nrandom.seed(1)")
    assert found(tmp_path, "") == []


def cells(*codes: str) -> str:
    """Return a notebook with these cells of code behind one of text."""
    text = {"cell_type": "markdown", "source": ["import random\n", "random.seed(1)"], "metadata": {}}
    code = [
        {"cell_type": "code", "source": code.splitlines(keepends=True), "outputs": [], "metadata": {}}
        for code in codes
    ]
    return json.dumps({"cells": [text, *code], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def test_a_notebook_is_read_cell_by_cell(tmp_path: Path) -> None:
    notebook = cells(
        "%matplotlib inline\nimport numpy as np\nif True:\n    !ls\nnp?",
        "%%bash\nset seed = (",
        "%%time\nfiles = !ls\nx = 5 \\\n  % 2\nnp.random.seed(x)",
    )
    assert found(tmp_path, notebook, "notebooks/explore.ipynb") == [
        f"notebooks/explore.ipynb:cell 4:5: numpy.random.seed sets a seed {USE_KIT}"
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("src/demo/data.py", "def ("),
        ("notebooks/explore.ipynb", "def ("),
        ("notebooks/explore.ipynb", "{}"),
        ("notebooks/explore.ipynb", '{"cells": [1]}'),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, content: str) -> None:
    lines = found(tmp_path, content, name)
    assert len(lines) == 1
    assert lines[0].startswith(f"{name}: this cannot be read as Python, so its seeds are not known: ")


def test_named_files_only(tmp_path: Path) -> None:
    found(tmp_path, "import random\nrandom.seed(1)", "src/demo/data.py")
    found(tmp_path, "", "src/demo/clean.py")
    assert check(tmp_path, "src/demo/clean.py").returncode == 0
    assert check(tmp_path, "src/demo").returncode == 1
    done = check(tmp_path, "src/dmeo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "check_seeds.py takes files and folders, and there is no src/dmeo.\n"
