"""Level real: a repository whose data DVC keeps, from its first stage to a clone that serves the model."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import commands
import links
import rendering
from real import serving

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("dvc")]

DVC = ".dvc/venv/bin/dvc"
PYTHON = ".venv/bin/python"
DATA = "data/biopsies.csv"
# The same numbers as without DVC: what went through a file came back to the last bit.
BUNDLED = "21db8f5b2f651acd015475d14aceaf793c1db8657ac12b95b623ad6eee0cb8ad"


def install(folder: Path) -> None:
    """Install DVC as `make dvc` does, by uv and its cache, which takes a tenth of pip's time."""
    uv, python = folder / ".tools/venv/bin/uv", folder / PYTHON
    commands.succeed(folder, uv, "venv", "--quiet", "--python", python, ".dvc/venv")
    options = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement", ".dvc/requirements.txt")
    commands.succeed(folder, uv, "pip", "install", "--quiet", "--python", ".dvc/venv", *options)
    (folder / ".dvc/venv/installed").touch()


@pytest.fixture(scope="module")
def trained(template: Path, tmp_path_factory: pytest.TempPathFactory, patch: str) -> Path:
    """A repository after `make setup repro`, committed, with a folder as its remote."""
    return begun(template, tmp_path_factory.mktemp("dvc") / "demo", python_patch=patch)


def begun(template: Path, folder: Path, **answers: str) -> Path:
    """Return a repository with DVC after its first training, as `trained` describes it."""
    rendering.render(template, folder, data_versioning="dvc", **answers)
    commands.succeed(folder, "git", "init", "--quiet")
    commands.succeed(folder, "make", "setup")
    rendering.commit(folder, "Start")
    install(folder)
    commands.succeed(folder, "make", "repro")
    commands.succeed(folder, DVC, "remote", "add", "--default", "folder", str(folder.parent / "remote"))
    rendering.commit(folder, "Train", tag="first")
    return folder


@pytest.fixture
def repository(trained: Path) -> Iterator[Path]:
    """The repository as its first training left it."""
    yield trained
    commands.succeed(trained, "git", "checkout", "--quiet", "--force", "first")
    commands.succeed(trained, DVC, "checkout", "--quiet", "--force")


def locked(folder: Path) -> dict[str, Any]:
    """Return the stages of dvc.lock."""
    stages: dict[str, Any] = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return stages


def learned(folder: Path, model: str = "champion.joblib") -> dict[str, Any]:
    """Return what the contract of the model says."""
    predicate: dict[str, Any] = serving.contract(folder, model)["predicate"]
    return predicate


def verify(folder: Path, *options: str) -> commands.Outcome:
    return commands.run(folder, PYTHON, "-m", "my_model.parity", "verify", *options)


def told(folder: Path) -> str:
    """Return the sentence about data that is not what the model learned from."""
    then = learned(folder)["data"]["files"][0]["digest"]["md5"]
    return f"{DATA} is not what the model learned from (its md5 was {then})"


def test_the_contract_names_the_data_as_dvc_lock_does(repository: Path) -> None:
    data, (out,) = learned(repository)["data"], locked(repository)["data"]["outs"]
    assert data["files"] == [{"name": DATA, "digest": {"md5": out["md5"]}}]
    assert data["digest"]["sha256"] == BUNDLED
    assert json.loads((repository / "metrics.json").read_text(encoding="utf-8")) == learned(repository)["metrics"]
    assert verify(repository, "--deep", "--strict").status == 0
    assert "up to date" in commands.succeed(repository, DVC, "status")
    assert rendering.git(repository, "status", "--porcelain") == ""


def test_the_other_verbs_are_what_they_are_without_dvc(repository: Path) -> None:
    before = learned(repository)
    commands.succeed(repository, "make", "lint", "test", "train")
    after = learned(repository)
    assert [after[name] for name in ("data", "golden", "metrics")] == [
        before[name] for name in ("data", "golden", "metrics")
    ]
    assert verify(repository, "--strict").status == 0


def test_a_clone_pulls_data_and_model_and_serves(repository: Path, tmp_path: Path) -> None:
    commands.succeed(repository, DVC, "push")
    clone = tmp_path / "clone"
    rendering.git(tmp_path, "clone", "--quiet", str(repository), "clone")
    commands.succeed(clone, "make", "setup")
    (clone / ".dvc/venv").symlink_to(repository / ".dvc/venv")
    assert f"{DATA} is missing: `make data` brings it." in commands.refuse(clone, PYTHON, "-m", "my_model.training")
    commands.succeed(clone, DVC, "pull")
    assert (clone / DATA).read_bytes() == (repository / DATA).read_bytes()
    assert verify(clone, "--strict").status == 0
    with serving.served(clone) as (port, _):
        answer = serving.ask(port, "POST", "/predict", serving.example(clone), key=serving.KEY)
    assert answer.status == 200
    # What is here is no other: data that is missing is brought, and what lies there is left as it is.
    shutil.rmtree(clone / "data")
    shutil.rmtree(clone / ".dvc/cache")
    commands.succeed(clone, "make", "data")
    (clone / DATA).write_text("mine\n", encoding="utf-8")
    commands.succeed(clone, "make", "data")
    assert (clone / DATA).read_text(encoding="utf-8") == "mine\n"


def test_other_data_is_told_by_verify_and_by_the_service(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = told(repository)
    with (repository / DATA).open("a", encoding="utf-8") as file:
        file.write((repository / DATA).read_text(encoding="utf-8").splitlines()[-1] + "\n")
    found, strict = verify(repository), verify(repository, "--strict")
    assert (found.status, strict.status) == (0, 1)
    assert sentence in found.output
    with serving.served(repository) as (port, _):
        facts = serving.ask(port, "GET", "/environment", key=serving.KEY).body
    assert facts["policy"]["overrides"][0].startswith(sentence)
    assert f"MODEL_POLICY=strict lets pass: {sentence}" in capsys.readouterr().out


def test_a_commit_of_then_brings_back_data_and_model_of_then(repository: Path) -> None:
    stages = repository / "src/my_model/stages.py"
    model, contract = (repository / "models/champion.joblib").read_bytes(), learned(repository)
    # The first hundred are left out: other data, and so another model.
    stages.write_text(stages.read_text(encoding="utf-8").replace("zip(bunch.data.", "zip(bunch.data[100:]."
        ).replace("bunch.target.", "bunch.target[100:]."), encoding="utf-8")  # fmt: skip
    rendering.commit(repository, "Leave out the first hundred")
    commands.succeed(repository, "make", "repro")
    newer = learned(repository)
    assert newer["data"]["files"] != contract["data"]["files"]
    assert newer["golden"] != contract["golden"]
    # dvc.lock changed on the way, which is no change that the contract would not name.
    assert newer["code"]["dirty"] is False
    rendering.commit(repository, "Train")
    commands.succeed(repository, "git", "checkout", "--quiet", "first")
    assert told(repository) not in verify(repository).output
    commands.succeed(repository, DVC, "checkout")
    assert learned(repository) == contract
    commands.succeed(repository, "make", "train")
    again = learned(repository)
    assert (again["data"], again["golden"]) == (contract["data"], contract["golden"])
    assert (repository / "models/champion.joblib").read_bytes() == model


def test_a_stage_that_is_forced_trains_the_same_model_again(repository: Path) -> None:
    before = (repository / "models/champion.joblib").read_bytes()
    printed = commands.succeed(repository, "make", "repro", "ARGS=--force")
    assert "Running stage 'train'" in printed
    assert (repository / "models/champion.joblib").read_bytes() == before


def test_a_training_that_fails_leaves_the_model_of_before(repository: Path) -> None:
    before = (repository / "models/champion.joblib").read_bytes()
    training = repository / "src/my_model/training.py"
    training.write_text(
        training.read_text(encoding="utf-8").replace("HELD_OUT = 0.25", "HELD_OUT = -1"), encoding="utf-8"
    )
    assert commands.run(repository, "make", "repro").status != 0
    assert (repository / "models/champion.joblib").read_bytes() == before
    assert verify(repository).status == 0


# A line of model.py that decides about the model, and another in its place.
PARAMETERS = {
    "jax": ('"epochs": 20,', '"epochs": 10,'),
    "lightgbm": ("ROUNDS = 100\n", "ROUNDS = 50\n"),
}


@pytest.mark.thorough
@pytest.mark.parametrize("framework", PARAMETERS)
def test_another_framework_trains_under_dvc_and_its_model_comes_back(
    template: Path, tmp_path: Path, patch: str, framework: str
) -> None:
    folder = begun(template, tmp_path / "demo", ml_framework=framework, python_patch=patch)
    name = links.framework_data(framework)["model_file"]
    first, model = learned(folder, name), (folder / "models" / name).read_bytes()
    (data,) = locked(folder)["data"]["outs"]
    assert first["data"]["files"] == [{"name": DATA, "digest": {"md5": data["md5"]}}]
    assert first["data"]["digest"]["sha256"] == BUNDLED
    assert {out["path"] for out in locked(folder)["train"]["outs"]} == {
        *(f"models/{name}{ending}" for ending in ("", ".lock", ".contract.json")),
        "metrics.json",
    }
    assert verify(folder, "--deep", "--strict").status == 0
    assert "up to date" in commands.succeed(folder, DVC, "status")
    assert rendering.git(folder, "status", "--porcelain") == ""

    # Another parameter is another model; the commit of then has the one of then, which is served.
    source, (old, new) = folder / "src/my_model/model.py", PARAMETERS[framework]
    text = source.read_text(encoding="utf-8")
    assert text.count(old) == 1
    source.write_text(text.replace(old, new), encoding="utf-8")
    commands.succeed(folder, "make", "repro")
    assert learned(folder, name)["parameters"] != first["parameters"]
    assert (folder / "models" / name).read_bytes() != model
    commands.succeed(folder, DVC, "push")
    commands.succeed(folder, "git", "checkout", "--quiet", "--force", "first")
    commands.succeed(folder, DVC, "checkout")
    assert (folder / "models" / name).read_bytes() == model
    assert verify(folder, "--strict").status == 0
    with serving.served(folder) as (port, _):
        answer = serving.ask(port, "POST", "/predict", serving.example(folder), key=serving.KEY)
    assert answer.status == 200
    # The same seed and the same data give the same bits, trained by a stage too.
    commands.succeed(folder, "make", "repro", "ARGS=--force")
    assert (folder / "models" / name).read_bytes() == model


@pytest.mark.thorough
@pytest.mark.parametrize("python_version", ["3.12", "3.13"])
def test_make_dvc_installs_the_pinned_one_by_hash(template: Path, tmp_path: Path, python_version: str) -> None:
    folder = rendering.render(template, tmp_path / "demo", data_versioning="dvc", python_version=python_version)
    commands.succeed(folder, "make", "dvc")
    pinned = next(line for line in (folder / ".dvc/requirements.txt").read_text().splitlines() if line[:5] == "dvc==")
    assert commands.succeed(folder, DVC, "--version").strip() == pinned.split()[0].partition("==")[2]
    assert "No broken requirements" in commands.succeed(folder, ".dvc/venv/bin/python", "-m", "pip", "check")
    text = (folder / ".dvc/requirements.txt").read_text(encoding="utf-8")
    (folder / ".dvc/requirements.txt").write_text(text.replace("sha256:a", "sha256:b"), encoding="utf-8")
    assert "DO NOT MATCH THE HASHES" in commands.refuse(folder, "make", "dvc")
