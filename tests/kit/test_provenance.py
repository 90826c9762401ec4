"""The contract: what is recorded, what is refused before loading, and what a crash leaves behind."""

import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import create_model
from standing.parity import drift, environment, lock, needs, provenance, statement
from standing.parity.provenance import DataRecord, ModelRefused

import links

PACKAGES = (
    "annotated-types",
    "packaging",
    "pydantic",
    "pydantic-core",
    "typing-extensions",
    "typing-inspection",
)
ROWS = [[0.0], [1.0], [2.5]]
Line = dict[str, float]


def save(model: Line, path: Path) -> None:
    path.write_text(json.dumps(model), encoding="utf-8")


def load(path: Path) -> Line:
    model: Line = json.loads(path.read_text(encoding="utf-8"))
    return model


def predict(model: Line, rows: Sequence[Sequence[float]]) -> list[float]:
    return [model["slope"] * row[0] + 1 for row in rows]


def never(path: Path) -> Line:
    raise AssertionError(f"{path} was loaded")


def record(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the arguments of a publication."""
    return {
        "save": save,
        "load": load,
        "predict": predict,
        "data": DataRecord("points on a line", "ab" * 32),
        "seed": {"seed": 42, "level": "strict"},
        "metrics": {"accuracy": 0.5},
        "parameters": {"slope": 2},
        "golden_inputs": ROWS,
        "framework": ("pydantic",),
        **changes,
    }


def here(names: Sequence[str] = PACKAGES) -> lock.Lock:
    """Return a lock that says of these packages what is installed."""
    versions = {name: version(name) for name in names}
    packages = tuple(
        lock.LockedPackage(name, number, frozenset({"00"}), frozenset({"main"}), direct=True)
        for name, number in versions.items()
    )
    return lock.Lock(packages, "uv.lock", "11" * 32, "22" * 32, target=versions)


@pytest.fixture(autouse=True)
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an image whose neutral lock is true; return that lock's path."""
    path = tmp_path / "parity-lock.json"
    lock.write_neutral(here(), path)
    monkeypatch.setattr(lock, "neutral_path", lambda: path)
    monkeypatch.setattr(lock, "find_root", lambda: None)
    for name in ("MODEL_PATH", "MODEL_POLICY", "APP_ENV", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return the path of a model that was published."""
    path = tmp_path / "models" / "champion.joblib"
    provenance.publish({"slope": 2.0}, path, **record())
    return path


def contract_of(model: Path) -> Path:
    return model.with_name(f"{model.name}.contract.json")


def trained_with(model: Path, changes: Mapping[str, object]) -> None:
    """Let the contract say, with a checksum that fits, that the training saw something else."""
    document = json.loads(contract_of(model).read_text(encoding="utf-8"))
    for field, value in changes.items():
        *above, last = field.split(".")
        statement.find(document, ".".join(["predicate", *above]))[last] = value
    document["predicate"]["checksum"] = statement.checksum(document)
    contract_of(model).write_text(json.dumps(document), encoding="utf-8")


def refused(model: Path, policy: str = "strict") -> tuple[str, ...]:
    """Return the reasons for which a model is refused before it is loaded."""
    with pytest.raises(ModelRefused) as caught:
        provenance.load_model(model, load=never, predict=predict, policy=policy)
    with pytest.raises(ModelRefused) as checked:
        provenance.check_contract(model, policy)
    assert checked.value.reasons == caught.value.reasons
    assert all(reason.endswith(".") and "\n" not in reason for reason in caught.value.reasons)
    return caught.value.reasons


# What is recorded


def test_a_contract_is_an_in_toto_statement_about_the_file(model: Path) -> None:
    document = json.loads(contract_of(model).read_text(encoding="utf-8"))
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["subject"] == [{"name": model.name, "digest": {"sha256": statement.digest(model)}}]


def test_a_contract_says_what_the_model_was_made_of(model: Path, image: Path) -> None:
    contract = provenance.read_contract(model)
    assert contract.at("data") == {"name": "points on a line", "digest": {"sha256": "ab" * 32}}
    assert contract.at("lock") == {"name": image.name, "digest": {"sha256": statement.digest(image)}}
    assert contract.at("environment.packages") == {name: version(name) for name in PACKAGES}
    assert contract.at("environment.signature") == environment.generate_env_signature()
    assert contract.at("seed") == {"seed": 42, "level": "strict"}
    assert contract.at("template") == "v0.0.0"
    assert contract.metrics == {"accuracy": 0.5}


def test_the_lock_is_copied_beside_the_model(model: Path, image: Path) -> None:
    assert model.with_name("champion.joblib.lock").read_bytes() == image.read_bytes()


def test_a_lock_of_two_files_is_one_copy_with_the_locks_own_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("requirements.txt", "requirements-dev.txt")
    for name in names:
        (tmp_path / name).write_text(name, encoding="utf-8")
    monkeypatch.setattr(lock, "find_root", lambda: tmp_path)
    monkeypatch.setitem(lock.pins()["tool"], "locks", names)
    assert statement.copy_lock(tmp_path / "copy") == "requirements.txt, requirements-dev.txt"
    assert statement.digest(tmp_path / "copy") == lock.digest(tmp_path, names)


def test_the_frameworks_closure_is_what_its_distribution_requires(model: Path) -> None:
    needed = provenance.read_contract(model).at("environment.modelPackages")
    assert needed == sorted(set(PACKAGES) - {"packaging"})


def test_a_package_stands_under_the_name_that_the_tool_has_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = next(one.metadata for one in drift.found() if one.name == "pydantic-core")
    conda = SimpleNamespace(owners=lambda _: {folder: "py-pydantic-core"})
    monkeypatch.setattr(environment, "native", lambda: conda)
    needed = needs.packages({"pydantic"})
    assert needed >= {"pydantic", "py-pydantic-core", "typing-extensions"}
    assert "pydantic-core" not in needed


def test_without_a_framework_the_models_class_names_it(tmp_path: Path) -> None:
    assert needs.distributions_of(create_model("Anything")) == {"pydantic"}
    contract = provenance.publish({"slope": 2.0}, tmp_path / "m", **record(framework=()))
    assert contract.at("environment.modelPackages") == sorted(PACKAGES)  # a dict comes from nowhere: all count


def test_golden_predictions_are_those_of_the_saved_file(tmp_path: Path) -> None:
    def save_rounded(model: Line, path: Path) -> None:
        save({"slope": round(model["slope"], 1)}, path)

    contract = provenance.publish({"slope": 2.04}, tmp_path / "m", **record(save=save_rounded))
    assert contract.at("golden.outputs") == predict({"slope": 2.0}, ROWS)


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"accuracy": math.nan}},
        {"golden_inputs": [[math.inf]]},
        {"predict": lambda _model, rows: [math.nan for _ in rows]},
    ],
)
def test_what_is_not_a_number_is_not_recorded(model: Path, changes: dict[str, Any]) -> None:
    before = contract_of(model).read_bytes()
    with pytest.raises(ValueError, match="finite"):
        provenance.publish({"slope": 3.0}, model, **record(**changes))
    assert contract_of(model).read_bytes() == before
    assert load(model) == {"slope": 2.0}


def test_source_date_epoch_fixes_the_only_clock(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    provenance.publish({"slope": 2.0}, model, **record())
    first = contract_of(model).read_bytes()
    assert provenance.read_contract(model).at("created") == "1970-01-01T00:00:00Z"
    provenance.publish({"slope": 2.0}, model, **record())
    assert contract_of(model).read_bytes() == first


def git(folder: Path, *arguments: str) -> None:
    person = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", "-C", str(folder), *person, *arguments], check=True, capture_output=True, env=plain)


def test_a_commit_is_dirty_when_a_tracked_file_differs(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("one", encoding="utf-8")
    assert statement.code(tmp_path) == {"commit": None, "dirty": None}
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "pyproject.toml")
    assert statement.code(tmp_path) == {"commit": None, "dirty": None}
    git(tmp_path, "commit", "--quiet", "--message", "First")
    (tmp_path / "notes.txt").touch()
    found = statement.code(tmp_path)
    assert found["dirty"] is False
    assert len(str(found["commit"])) == 40
    (tmp_path / "pyproject.toml").write_text("two", encoding="utf-8")
    assert statement.code(tmp_path) == {**found, "dirty": True}


def test_a_folder_in_a_strangers_repository_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "theirs").touch()
    git(tmp_path, "add", "theirs")
    git(tmp_path, "commit", "--quiet", "--message", "Theirs")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "pyproject.toml").touch()
    assert statement.code(tmp_path / "ours") == {"commit": None, "dirty": None}


def test_a_git_hook_does_not_lead_to_its_own_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    test_a_commit_is_dirty_when_a_tracked_file_differs(tmp_path)


# What is refused


def test_a_model_whose_contract_holds_is_loaded(model: Path) -> None:
    loaded, contract = provenance.load_model(model, load=load, predict=predict)
    assert loaded == {"slope": 2.0}
    assert contract.overrides == ()
    assert contract.sha256 == statement.digest(model)


def test_a_trio_may_be_copied_under_another_name(model: Path) -> None:
    for file in statement.names(model):
        file.rename(file.with_name(file.name.replace("champion", "previous")))
    provenance.load_model(model.with_name("previous.joblib"), load=load, predict=predict)


def truncate(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-1])


def swap(model: Path) -> None:
    provenance.publish({"slope": 3.0}, model.with_name("other"), **record())
    model.write_bytes(model.with_name("other").read_bytes())


def unreadable(path: Path) -> None:
    """Put a file there that opens and cannot be read, which holds for root too."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


def replace_text(old: str, new: str) -> Callable[[Path], None]:
    def edit(model: Path) -> None:
        text = contract_of(model).read_text(encoding="utf-8")
        assert old in text
        contract_of(model).write_text(text.replace(old, new), encoding="utf-8")

    return edit


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, "champion.joblib is truncated (13 of 14 bytes)"),
    "swapped": (swap, "champion.joblib is another file than its contract's"),
    "unreadable": (unreadable, "champion.joblib cannot be read (Input/output error)"),
    "missing model": (Path.unlink, "champion.joblib is missing: train it (`make train`)"),
    "missing contract": (lambda m: contract_of(m).unlink(), "contract.json is missing"),
    "no JSON": (replace_text("{", "["), "is not readable JSON"),
    "not text": (lambda m: contract_of(m).write_bytes(b"\xff\xfe\x00"), "is not readable JSON"),
    "nested": (lambda m: contract_of(m).write_text("[" * 100_000), "is not readable JSON"),
    "a list": (lambda m: contract_of(m).write_text("[]"), "is no contract that this code knows"),
    "null": (lambda m: contract_of(m).write_text("null"), "is no contract that this code knows"),
    "type no text": (lambda m: contract_of(m).write_text('{"_type":1}'), "is no contract that this code knows"),
    "unknown type": (
        replace_text("model-contract/v1", "model-contract/v9"),
        "no contract that this code knows",
    ),
    "field removed": (
        replace_text('"packages"', '"bundles"'),
        "(environment.packages missing or of another type)",
    ),
    "no subject": (replace_text('"subject"', '"topic"'), "(subject.0.digest.sha256 missing or of another type)"),
    "one figure edited": (replace_text("0.5", "0.9"), "its checksum no longer fits"),
    "altered lock": (
        lambda m: m.with_name(f"{m.name}.lock").write_text("x"),
        "champion.joblib.lock was altered",
    ),
    "missing lock": (lambda m: m.with_name(f"{m.name}.lock").unlink(), "champion.joblib.lock is missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_in_one_sentence_before_loading(model: Path, damage: str) -> None:
    act, sentence = DAMAGES[damage]
    act(model)
    (reason,) = refused(model)
    assert sentence in reason


@pytest.mark.parametrize("text", ["[]", "null", '{"_type":1}', "{", "{}"])
def test_the_last_command_of_a_contracts_refusal_repairs_it(model: Path, text: str) -> None:
    contract_of(model).write_text(text, encoding="utf-8")
    (reason,) = refused(model)
    assert re.findall(r"`([^`]+)`", reason)[-1:] == ["make train"]  # what `verify` prints as the repair


def test_all_reasons_come_together(model: Path) -> None:
    packages = {f"environment.packages.{name}": "0.1" for name in ("packaging", "pydantic")}
    trained_with(model, {"environment.python": "3.9.2", **packages})
    truncate(model)
    model.with_name("champion.joblib.lock").unlink()
    reasons = refused(model)
    starts = [
        "champion.joblib is truncated",
        "champion.joblib.lock is missing",
        "Python is",
        "pydantic is",
        "packaging",
    ]
    assert [reason.startswith(start) for reason, start in zip(reasons, starts, strict=True)] == [True] * 5
    assert f"pydantic is {version('pydantic')} here and was 0.1 in training" in reasons[3]


def test_a_package_that_the_training_had_not_is_a_difference(model: Path) -> None:
    document = provenance.read_contract(model).at("environment.packages")
    trained_with(model, {"environment.packages": {k: v for k, v in document.items() if k != "packaging"}})
    (reason,) = refused(model)
    assert f"packaging is {version('packaging')} here and was absent in training" in reason


def test_a_package_that_is_not_here_is_a_difference(model: Path) -> None:
    trained_with(model, {"environment.packages.narwhals": "2.28.0"})
    (reason,) = refused(model)
    assert "narwhals is absent here and was 2.28.0 in training" in reason


def test_another_patch_of_python_is_none(model: Path) -> None:
    trained_with(model, {"environment.python": f"{environment.python_minor()}.99"})
    assert provenance.check_contract(model).overrides == ()


def test_a_lock_that_is_missing_is_a_reason(model: Path, image: Path) -> None:
    image.unlink()
    (reason,) = refused(model)
    assert str(image) in reason


# Policies


@pytest.mark.parametrize(
    ("policy", "minded"),
    [
        ("strict", {"Python", "pydantic", "packaging", "champion.joblib.lock"}),
        ("model", {"pydantic"}),
        ("digest", set()),
    ],
)
def test_a_policy_refuses_what_it_minds_and_tells_the_rest(model: Path, policy: str, minded: set[str]) -> None:
    everything = {"Python", "pydantic", "packaging", "champion.joblib.lock"}
    packages = {f"environment.packages.{name}": "0.1" for name in ("packaging", "pydantic")}
    trained_with(model, {"environment.python": "3.9.2", **packages})
    model.with_name("champion.joblib.lock").unlink()
    if minded:
        assert {reason.split()[0] for reason in refused(model, policy)} == minded
        for name in minded & {"pydantic", "packaging"}:
            trained_with(model, {f"environment.packages.{name}": version(name)})
    if policy != "strict":
        _, contract = provenance.load_model(model, load=load, predict=predict, policy=policy)
        assert {override.split()[0] for override in contract.overrides} == everything - minded


def test_no_policy_takes_other_bytes(model: Path) -> None:
    swap(model)
    assert len(refused(model, "digest")) == 1


def test_an_unknown_policy_is_refused(model: Path) -> None:
    assert refused(model, "none") == ("MODEL_POLICY=none is no policy: choose one of strict, model, digest.",)


# Golden predictions


@pytest.mark.parametrize("policy", provenance.POLICIES)
def test_a_slightly_perturbed_model_fails_its_golden_predictions(model: Path, policy: str) -> None:
    def perturbed(path: Path) -> Line:
        return {"slope": load(path)["slope"] * (1 + 1e-7)}

    with pytest.raises(ModelRefused) as caught:
        provenance.load_model(model, load=perturbed, predict=predict, policy=policy)
    (reason,) = caught.value.reasons
    assert reason.startswith("2 of 3 golden predictions differ by more than 1e-09, as 6.0000005")


def test_another_machines_last_bits_pass(model: Path) -> None:
    def noisy(line: Line, rows: Sequence[Sequence[float]]) -> list[float]:
        return [value * (1 + 7.5e-12) for value in predict(line, rows)]

    provenance.load_model(model, load=load, predict=noisy)


def test_a_tolerance_of_ones_own_is_recorded_and_used(tmp_path: Path) -> None:
    provenance.publish({"slope": 2.0}, tmp_path / "m", **record(tolerance=1e-4))
    provenance.load_model(tmp_path / "m", load=lambda _path: {"slope": 2.0001}, predict=predict)
    with pytest.raises(ModelRefused):
        provenance.load_model(tmp_path / "m", load=lambda _path: {"slope": 2.01}, predict=predict)


def answers(outputs: list[float], _model: Line, _rows: object) -> list[float]:
    return outputs


def test_nan_and_another_count_fail(model: Path) -> None:
    for answer in ([math.nan, 3.0, 6.0], [1.0, 3.0]):
        with pytest.raises(ModelRefused, match="golden predictions"):
            provenance.load_model(model, load=load, predict=partial(answers, answer))


def test_code_that_cannot_use_the_file_is_a_reason(model: Path) -> None:
    def fails(_path: Path) -> Line:
        raise ModuleNotFoundError("No module named '_loss'")

    with pytest.raises(ModelRefused, match=r"this code cannot use it .*_loss"):
        provenance.load_model(model, load=fails, predict=predict)


# A crash in between

PUBLISH = """\
    import json, os, sys
    from pathlib import Path
    from standing.parity import lock, provenance
    path, neutral, fatal = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    lock.neutral_path, lock.find_root = (lambda: neutral), (lambda: None)
    renames = 0
    def watch(event, arguments):
        global renames
        if event == "os.rename":
            renames += 1
            if renames == fatal:
                os._exit(9)
    sys.addaudithook(watch)
    provenance.publish(
        {"slope": 3.0}, path, save=lambda m, p: p.write_text(json.dumps(m)),
        load=lambda p: json.loads(p.read_text()),
        predict=lambda m, rows: [m["slope"] * row[0] + 1 for row in rows],
        data=provenance.DataRecord("other", "00" * 32),
        seed={}, metrics={}, parameters={}, golden_inputs=[[1.0]],
    )
"""


def publish_and_die(model: Path, image: Path, fatal: int) -> int:
    """Publish slope 3 in a process that ends, without any cleaning up, before its rename number `fatal`."""
    command = [sys.executable, "-c", textwrap.dedent(PUBLISH), str(model), str(image), str(fatal)]
    folder = Path(str(sys.modules["standing"].__file__)).parent.parent
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": str(folder)}, check=False).returncode


def test_a_crash_leaves_the_old_three_or_the_new_three(model: Path, image: Path) -> None:
    def state() -> tuple[float, str]:
        loaded, contract = provenance.load_model(model, load=load, predict=predict)
        return loaded["slope"], contract.at("data.name")

    seen = []
    for fatal in range(1, 20):
        provenance.publish({"slope": 2.0}, model, **record())
        code = publish_and_die(model, image, fatal)
        seen.append(state())
        if code == 0:
            break
        assert code == 9
    old, new = (2.0, "points on a line"), (3.0, "other")
    # From the rename of the folder on it is the new one, also between the moves of its three files.
    switch = seen.index(new)
    assert seen == [old] * switch + [new] * (len(seen) - switch)
    assert switch >= 2
    assert len(seen) - switch == 4
    assert {path.name for path in model.parent.iterdir() if path.name.startswith("champion")} == {
        file.name for file in statement.names(model)
    }
    assert not provenance.ready(model).exists()


def test_a_model_that_its_library_wrote_for_one_user_is_as_readable_as_its_contract(model: Path) -> None:
    def private(line: Line, path: Path) -> None:
        save(line, path)
        path.chmod(0o600)

    provenance.publish({"slope": 3.0}, model, **record(save=private))
    assert model.stat().st_mode == contract_of(model).stat().st_mode
    assert model.stat().st_mode & 0o777 != 0o600, "the test's own umask hides what it looks for"


def test_a_failing_save_leaves_nothing_behind(model: Path) -> None:
    def fails(_model: Line, path: Path) -> None:
        path.write_text("half", encoding="utf-8")
        raise OSError("disk full")

    before = {path: path.read_bytes() for path in model.parent.iterdir()}
    with pytest.raises(OSError, match="disk full"):
        provenance.publish({"slope": 3.0}, model, **record(save=fails))
    assert {path: path.read_bytes() for path in model.parent.iterdir()} == before


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (
        lambda path: path.mkdir(parents=True),
        "models is a folder, and a model is a file: name another path for it.",
    ),
    "contract": (
        lambda path: contract_of(path).mkdir(parents=True),
        "models.contract.json is a folder, and a model is a file: name another path for it.",
    ),
    "file above": (lambda path: path.parent.touch(), "models cannot be written (File exists): name another path."),
    # Nobody may write there, not even root.
    "unwritable": (lambda path: path.parent.symlink_to("/proc/self/task"), "models cannot be written ("),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_path_that_takes_no_model_is_refused_before_anything_is_saved(tmp_path: Path, case: str) -> None:
    def saves(_model: Line, path: Path) -> None:
        raise AssertionError(f"saved to {path}")

    prepare, sentence = UNUSABLE[case]
    path = tmp_path / "work" / "models"
    prepare(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ModelRefused) as caught:
        provenance.publish({"slope": 3.0}, path, **record(save=saves))
    (reason,) = caught.value.reasons
    assert sentence in reason
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_is_no_model_though_one_was_once_published_for_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model.parent
    provenance.ready(folder).mkdir()
    for file, moved in zip(statement.names(model), statement.names(folder), strict=True):
        file.rename(provenance.ready(folder) / moved.name)
    assert refused(folder) == (f"{folder} is a folder, not a model: move it away, or correct MODEL_PATH.",)
    monkeypatch.setenv("MODEL_PATH", str(folder))
    assert provenance.verify_link()[0] is False


# Verify and the command


@pytest.mark.parametrize(
    ("variables", "file", "text", "expected"),
    [
        ({}, ".env", None, "models/champion.joblib"),
        ({}, ".env", "API_KEY=x\nMODEL_PATH=a.joblib # mine\n", "a.joblib"),
        ({}, ".env", 'export MODEL_PATH = "b c.joblib"\n', "b c.joblib"),
        ({}, ".env", "# MODEL_PATH=no\nMODEL_PATH=\nSEED=1\n", "models/champion.joblib"),
        ({}, ".env", "MODEL_PATH=a.joblib\r\nSEED=1\r\n", "a.joblib"),
        ({"MODEL_PATH": "real.joblib"}, ".env", "MODEL_PATH=a.joblib\n", "real.joblib"),
        ({"MODEL_PATH": ""}, ".env", "model_path=a.joblib\n", "a.joblib"),
        ({"APP_ENV": "prod"}, ".env.prod", "MODEL_PATH=/srv/m\n", "/srv/m"),
        ({"APP_ENV": "prod"}, ".env", "MODEL_PATH=/srv/m\n", "models/champion.joblib"),
    ],
)
def test_verify_finds_the_model_as_the_settings_do(  # noqa: PLR0913, PLR0917
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    file: str,
    text: str | None,
    expected: str,
) -> None:
    monkeypatch.setattr(lock, "find_root", lambda: tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if text is not None:
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert provenance.model_path() == tmp_path / expected


def test_verify_breaks_on_no_model_only_when_something_of_it_is_there(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_PATH", str(model))
    ok, detail, reasons = provenance.verify_link()
    assert (ok, reasons) == (True, [])
    assert statement.digest(model)[:12] in detail
    model.unlink()
    assert provenance.verify_link()[0] is False
    monkeypatch.setenv("MODEL_PATH", str(model.with_name("none")))
    assert provenance.verify_link()[::2] == (None, [])


def test_verify_judges_by_the_policy_that_the_service_has(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_PATH", str(model))
    trained_with(model, {"environment.packages.packaging": "0.1"})
    assert provenance.verify_link()[0] is False
    monkeypatch.setenv("MODEL_POLICY", "model")
    ok, detail, reasons = provenance.verify_link()
    assert (ok, reasons) == (True, [])
    assert detail.endswith("; MODEL_POLICY=model lets 1 pass")
    monkeypatch.setenv("MODEL_POLICY", "lax")
    assert provenance.verify_link()[2] == ["MODEL_POLICY=lax is no policy: choose one of strict, model, digest."]


def test_the_check_imports_no_framework_and_no_pydantic(model: Path, image: Path) -> None:
    code = f"""
        import sys
        from pathlib import Path
        from standing.parity import lock, provenance
        lock.neutral_path, lock.find_root = (lambda: Path({str(image)!r})), (lambda: None)
        assert provenance.verify_link()[0], provenance.verify_link()
        print(sorted({{"numpy", "sklearn", "joblib", "pydantic", "fastapi"}} & sys.modules.keys()))
    """
    folder = Path(str(sys.modules["standing"].__file__)).parent.parent
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(folder), "MODEL_PATH": str(model)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")


# Training twice, and before an environment is rebuilt


@pytest.fixture
def developer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """.tools/reproduce.py as a module that takes the models' folder for its repository."""
    spec = importlib.util.spec_from_file_location("reproduce", links.TEMPLATE / ".tools" / "reproduce.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path / "models")
    return module


SAME: dict[str, Any] = {
    "data": {"digest": {"sha256": "11"}},
    "parameters": {"trees": 2},
    "golden": {"outputs": [1.0, 2.0]},
    "metrics": {"accuracy": 0.5},
}
BIT = math.nextafter(2.0, 3.0)
# What the second training has otherwise, its model's bytes, and what is told of it.
DIFFERENT: dict[str, tuple[dict[str, Any], bytes, list[str]]] = {
    "data": (
        {"data": {"digest": {"sha256": "22"}}, "golden": {"outputs": [1.0, 3.0]}},
        b"weights",
        [
            "data        data.digest.sha256: 11 in the first training, 22 in the second",
            "predictions golden.outputs[1]: 2.0 in the first training, 3.0 in the second",
        ],
    ),
    "parameters": (
        {"parameters": {"trees": 3}},
        b"weights",
        ["parameters  parameters.trees: 2 in the first training, 3 in the second"],
    ),
    "weights": (
        {"golden": {"outputs": [BIT, BIT]}, "metrics": {"accuracy": 0.6}},
        b"weighed",
        [
            "weights     the saved models, 7 and 7 bytes, from byte 5 on",
            f"predictions golden.outputs[0]: 1.0 in the first training, {BIT} in the second, and 1 more",
            "metrics     metrics.accuracy: 0.5 in the first training, 0.6 in the second",
        ],
    ),
    "one bit of a prediction": (
        {"golden": {"outputs": [1.0, BIT]}},
        b"weights",
        [f"predictions golden.outputs[1]: 2.0 in the first training, {BIT} in the second"],
    ),
    "metric": (
        {"metrics": {"accuracy": 0.6}},
        b"weights",
        ["metrics     metrics.accuracy: 0.5 in the first training, 0.6 in the second"],
    ),
    "longer": (
        {"metrics": {"accuracy": 0.6}},
        b"weights and more",
        [
            "weights     the saved models, 7 and 16 bytes, from byte 7 on",
            "metrics     metrics.accuracy: 0.5 in the first training, 0.6 in the second",
        ],
    ),
}


def reproduce(developer: ModuleType, patch: pytest.MonkeyPatch, second: dict[str, Any], model: bytes) -> int:
    """Compare two trainings, of which the second differs as given; return the exit code."""
    published = [(b"weights", SAME), (model, SAME | second)]
    trainings = iter([developer.Training(saved, {"predicate": said}) for saved, said in published])
    patch.setattr(developer, "train", lambda _package, _folder: next(trainings))
    code: int = developer.main(["--package", "standing", "twice"])
    return code


@pytest.mark.parametrize("case", DIFFERENT)
def test_two_trainings_are_compared_and_the_first_difference_is_named_first(
    developer: ModuleType, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    second, model, lines = DIFFERENT[case]
    assert reproduce(developer, monkeypatch, second, model) == 1
    told = capsys.readouterr()
    assert told.out == ""
    first, *named, hint = told.err.splitlines()
    assert first == "Two trainings differ, first in what stands first:"
    assert named == [f"  {line}" for line in lines]
    assert hint.startswith("Look for a generator")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [(b"weights", "file is the same too, byte for byte"), (b"other", "bytes differ though all predictions are equal")],
)
def test_two_trainings_that_predict_alike_are_reproduced_whatever_the_file_holds_beside(
    developer: ModuleType, model: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert reproduce(developer, monkeypatch, {}, model) == 0
    told = capsys.readouterr()
    assert told.out.startswith("Reproduced: 2 predictions and all metrics")
    assert sentence in told.out
    assert told.err == ""


def test_a_training_that_fails_shows_what_it_says(developer: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    developer.ROOT.mkdir()
    assert developer.main(["--package", "nowhere", "twice"]) == 1
    told = capsys.readouterr().err
    assert "nowhere" in told
    assert told.endswith(f"The training failed in {developer.ROOT}: see above.\n")


REFUSALS: dict[str, tuple[dict[str, object], str]] = {
    "commit None": ({"code.commit": None, "code.dirty": None}, "The contract names no commit"),
    "commit gone": ({"code.commit": "f" * 40, "code.dirty": False}, "Commit ffffffffffff is not in this repository"),
    "dirty": ({"code.dirty": True}, "changes that no commit holds: go on without them by ARGS=--allow-dirty"),
    "image": ({"lock.name": "parity-lock.json"}, "trained in an image, which holds no lock to install from"),
}


@pytest.mark.parametrize("case", [*REFUSALS, "lock", "model", "contract"])
def test_a_rebuild_is_refused_in_one_sentence(
    model: Path, developer: ModuleType, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    git(model.parent, "init", "--quiet")
    (model.parent / "pyproject.toml").touch()
    git(model.parent, "add", "pyproject.toml")
    git(model.parent, "commit", "--quiet", "--message", "First")
    changes, sentence = REFUSALS.get(case, ({}, "is missing"))
    commit = statement.code(model.parent)["commit"]
    trained_with(model, {"code.commit": commit, "code.dirty": False, "lock.name": "uv.lock", **changes})
    if not changes:
        dict(zip(("model", "lock", "contract"), statement.names(model), strict=True))[case].unlink()
    assert developer.main(["--package", "standing", "rebuild", str(contract_of(model))]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert sentence in told.err
    assert not (model.parent / ".rebuild").exists()


# A commit whose own code answers: it stands for the kit and the model of that day.
OLD_KIT = """\
    from pathlib import Path
    class ModelRefused(RuntimeError):
        pass
    def load_model(path, *, load, predict):
        if Path("uv.lock").read_text() != Path("installed").read_text():
            raise ModelRefused("another lock is installed")
        if (answer := predict(load(path))) != {answer}:
            raise ModelRefused(f"it answers {{answer}}")
"""
OLD_MODEL = "from pathlib import Path\nload, predict = Path.read_text, len\n"
OLD_MAKEFILE = "sync:\n\t@cp uv.lock installed; mkdir -p .venv/bin; ln -sf {python} .venv/bin/python\n"


def commit_with(repository: Path, answer: int) -> str:
    """Commit code whose golden prediction is `answer`; return the commit."""
    written = {
        "Makefile": OLD_MAKEFILE.format(python=sys.executable),
        "pyproject.toml": "",
        "standing/model.py": OLD_MODEL,
        "standing/parity/provenance.py": textwrap.dedent(OLD_KIT).format(answer=answer),
    }
    for name, text in written.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text, encoding="utf-8")
    git(repository, "init", "--quiet")
    git(repository, "add", *written)
    git(repository, "commit", "--quiet", "--message", f"Answer {answer}")
    return str(statement.code(repository)["commit"])


def test_a_rebuild_asks_the_code_and_the_lock_of_the_training(
    model: Path, developer: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def rebuild(commit: str) -> tuple[int, str]:
        trained_with(model, {"code.commit": commit, "code.dirty": False, "lock.name": "uv.lock"})
        code = developer.main(["--package", "standing", "rebuild", str(model)])
        told = capsys.readouterr()
        return code, told.out + told.err

    right, wrong = commit_with(model.parent, model.stat().st_size), commit_with(model.parent, 0)
    code, told = rebuild(right)
    assert (code, "repeats its 3 golden predictions" in told) == (0, True)
    (worktree,) = (model.parent / ".rebuild").iterdir()
    assert (worktree / "installed").read_bytes() == model.with_name(f"{model.name}.lock").read_bytes()
    # The same model from another commit: that commit's code is asked, in a folder of its own.
    code, told = rebuild(wrong)
    assert (code, f"it answers {model.stat().st_size}\nLoading the model failed in" in told) == (1, True)


SERVED: dict[str, tuple[str, str, str | None]] = {
    "file": ("", "DATABASE_URL=sqlite:///predictions.db # mine\n", "sqlite:///{root}/predictions.db"),
    "driver": ("", "DATABASE_URL=sqlite+pysqlite:///a/b.db?timeout=5\n", "sqlite+pysqlite:///{root}/a/b.db?timeout=5"),
    "uri": ("", "DATABASE_URL=sqlite:///file:a.db?uri=true\n", "sqlite:///file:{root}/a.db?uri=true"),
    "environment": ("sqlite:///real.db", "DATABASE_URL=sqlite:///a.db\n", "sqlite:///{root}/real.db"),
    "absolute": ("", "DATABASE_URL=sqlite:////srv/a.db\n", "sqlite:////srv/a.db"),
    "memory": ("", "DATABASE_URL=sqlite:///:memory:\n", "sqlite:///:memory:"),
    "shared memory": ("", "DATABASE_URL=sqlite:///file::memory:?uri=true\n", "sqlite:///file::memory:?uri=true"),
    "server": ("", "DATABASE_URL=postgresql://host/a\n", "postgresql://host/a"),
    "no settings yet": ("", "", "sqlite:///{root}/example.db"),
    "none": ("", "API_KEY=x\n", None),
}


@pytest.mark.parametrize("case", SERVED)
def test_an_old_service_records_in_this_repositorys_database(
    tmp_path: Path, developer: ModuleType, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable, text, expected = SERVED[case]
    root, worktree = developer.ROOT, developer.ROOT / ".rebuild" / "1"
    worktree.mkdir(parents=True)
    (root / "Makefile").write_text(".env:\n\t@cp .env.example .env\n", encoding="utf-8")
    (root / ".env.example").write_text("DATABASE_URL=sqlite:///example.db\n", encoding="utf-8")
    if text:
        (root / ".env").write_text(text, encoding="utf-8")
    monkeypatch.setattr(lock, "find_root", lambda: root)
    monkeypatch.setenv("DATABASE_URL", variable)
    if not variable:
        monkeypatch.delenv("DATABASE_URL")
    started: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execvpe", lambda _file, command, variables: started.append((command, variables)))
    monkeypatch.chdir(tmp_path)  # and back, after the test
    developer.serve(provenance, worktree, tmp_path / "m")
    ((command, variables),) = started
    assert (command, Path.cwd()) == (["make", "serve"], worktree)
    assert variables["MODEL_PATH"] == str(tmp_path / "m")
    assert variables.get("DATABASE_URL") == (expected and expected.format(root=root))
    assert (worktree / ".env").read_bytes() == (root / ".env").read_bytes()


# A model of an old scikit-learn, really trained there

OLD = "1.6.1"
TRAIN = """\
    import importlib.metadata
    import sys
    from pathlib import Path
    from standing import data, model
    from standing.parity import lock, provenance
    names = ("scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl")
    versions = {name: importlib.metadata.version(name) for name in names}
    packages = tuple(
        lock.LockedPackage(name, number, frozenset({"00"}), frozenset({"main"}), direct=True)
        for name, number in versions.items()
    )
    lock.find_root = lambda: None
    made = lock.Lock(packages, "uv.lock", "11" * 32, "22" * 32, target=versions)
    lock.write_neutral(made, lock.neutral_path())
    table = data.load_data()
    provenance.publish(
        model.fit(table.features, table.target, seed=1), Path(sys.argv[1]), save=model.save, load=model.load,
        predict=model.predict, data=provenance.DataRecord(table.name, "00" * 32), seed={}, metrics={},
        parameters=model.PARAMETERS, golden_inputs=table.features[:20],
    )
"""


@pytest.mark.real
def test_a_model_of_an_old_scikit_learn_is_refused_before_it_is_unpickled(tmp_path: Path, image: Path) -> None:
    uv, old = Path(sys.executable).with_name("uv"), tmp_path / "old" / "bin" / "python"
    packages = [
        f"scikit-learn=={OLD}",
        *(f"{name}=={version(name)}" for name in ("numpy", "packaging", "pydantic")),
    ]
    model = tmp_path / "old.joblib"
    folder = Path(str(sys.modules["standing"].__file__)).parent.parent
    commands: tuple[list[str | Path], ...] = (
        [uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "old"],
        [uv, "pip", "install", "--quiet", "--python", old, *packages],
        [old, "-c", textwrap.dedent(TRAIN), model],
    )
    for command in commands:
        subprocess.run(command, env={**os.environ, "PYTHONPATH": str(folder)}, check=True)
    names = ("scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl")
    lock.write_neutral(here(names), image)
    for policy in ("strict", "model"):
        assert any(
            reason.startswith(f"scikit-learn is {version('scikit-learn')} here and was {OLD} in training: ")
            for reason in refused(model, policy)
        )
