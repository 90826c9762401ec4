"""Level real, conda alone, over a local channel and with a stand-in for its solver: what only conda can get wrong."""

import json
import os
import shutil
from pathlib import Path

import pytest

import commands
from real.careless import install

pytestmark = [pytest.mark.real, pytest.mark.parametrize("tool", ["conda"], indirect=True)]

PARITY = (".venv/bin/python", "-m", "my_model.parity")


def findings(repository: Path, *options: str) -> set[tuple[str, str]]:
    report = json.loads(commands.run(repository, *PARITY, "verify", "--json", *options).output)
    return {(finding["kind"], finding["name"]) for link in report["links"] for finding in link["findings"]}


def test_without_micromamba_a_sentence_says_where_to_get_it(repository: Path) -> None:
    folders = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if not Path(folder, "micromamba").exists())
    assert shutil.which("micromamba", path=path) is None
    # Where the lock answers and the environment is as locked, there is nothing to do for it.
    for verb in ("lock", "sync"):
        assert "nothing to" in commands.succeed(repository, "make", verb, PATH=path)
    shutil.rmtree(repository / ".venv")
    refused = [commands.refuse(repository, "make", "sync", PATH=path)]
    (repository / "conda-lock.yml").unlink()
    refused.append(commands.refuse(repository, "make", "lock", PATH=path))
    for printed in refused:
        assert "micromamba is not on PATH" in printed
        assert "https://mamba.readthedocs.io/en/latest/installation/" in printed


def test_a_package_that_pip_put_over_condas_is_named_in_both_forms(repository: Path) -> None:
    install(repository, "threadpoolctl==3.5.0")
    assert ("version", "threadpoolctl") in findings(repository) | findings(repository, "--deep")
    commands.succeed(repository, "make", "sync", "verify")
    assert findings(repository, "--deep") == set()


def test_the_interpreter_and_what_is_no_python_package_are_locked(repository: Path) -> None:
    document = json.loads((repository / ".venv/parity-lock.json").read_text(encoding="utf-8"))
    names = {package["name"] for package in document["packages"]}
    assert "python" in names
    records = [json.loads(path.read_bytes()) for path in (repository / ".venv/conda-meta").glob("*.json")]
    assert names == {record["name"].strip("_").replace("_", "-") for record in records}
