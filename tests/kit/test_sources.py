"""The files that a model learned from: named as DVC names them, told where they are others."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from standing.parity import environment, lock, provenance, sources, statement

import rendering

# What DVC 3.67 wrote for these files by `dvc add raw`.
FILES = {"b.txt": "a", "sub/a": "b", "sub-x/é": "d", "sub.txt": "c"}
FOLDER = "b1752b17cbec1f994e9f1a190f166d30.dir"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with data in a file and in a folder."""
    monkeypatch.setattr(lock, "find_root", lambda: tmp_path)
    for name, text in FILES.items():
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    return tmp_path


def contract(record: sources.DataRecord) -> statement.Contract:
    """Return what matters of a contract here."""
    return statement.Contract({"predicate": {"data": record.described()}})


def learned(root: Path) -> statement.Contract:
    del root  # where the names are looked up
    return contract(sources.DataRecord("two", "00" * 32, sources.digests([Path("raw"), Path("table.csv")])))


@pytest.mark.usefixtures("root")
def test_digests_are_those_of_dvc_lock() -> None:
    assert sources.digests([Path("raw"), Path("table.csv")]) == {
        "raw": FOLDER,
        "table.csv": "e5ebd4c02cefbe7955977c67ada242b7",
    }


def test_a_record_without_files_is_what_it_was_before_there_were_any() -> None:
    record = sources.DataRecord("none", "ab" * 32)
    assert record.described() == {"name": "none", "digest": {"sha256": "ab" * 32}}
    assert list(sources.differ(contract(record))) == []


def test_files_that_changed_are_named_and_those_that_are_not_here_are_not(root: Path) -> None:
    trained = learned(root)
    assert list(sources.differ(trained)) == []
    (root / "raw" / "sub" / "a").write_text("other\n", encoding="utf-8")
    (root / "table.csv").unlink()
    told = f"raw is not what the model learned from (its md5 was {FOLDER}): train again (`make train`), or restore"
    assert list(sources.differ(trained)) == [f"{told} the data of then."]


def test_nothing_is_looked_for_in_an_image(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = learned(root)
    (root / "table.csv").write_text("other\n", encoding="utf-8")
    monkeypatch.chdir(root)
    monkeypatch.setattr(lock, "find_root", lambda: None)
    assert list(sources.differ(trained)) == []


@pytest.mark.parametrize(("strict", "ok"), [(False, True), (True, False)])
def test_other_data_is_a_warning_and_fails_only_strict(
    monkeypatch: pytest.MonkeyPatch, *, strict: bool, ok: bool
) -> None:
    monkeypatch.setattr(provenance, "verify_link", lambda: (True, "m", ["it is other data: `make train`."]))
    chain: Any = SimpleNamespace(strict=strict)
    link = environment.LINKS["model"](chain)
    assert (link.ok, [finding.warning for finding in link.findings]) == (ok, [ok])


def test_a_refused_model_stays_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "verify_link", lambda: (False, "m", ["it is refused."]))
    chain: Any = SimpleNamespace(strict=False)
    link = environment.LINKS["model"](chain)
    assert (link.ok, link.findings[0].warning) == (False, False)


@pytest.mark.parametrize(("written", "dirty"), [((), True), (("dvc.lock",), False)])
def test_what_versions_the_data_makes_no_training_dirty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, written: tuple[str, ...], dirty: bool
) -> None:
    project = tmp_path / "one" / "project"  # a folder of a larger repository
    project.mkdir(parents=True)
    for path in (project / "pyproject.toml", project / "dvc.lock", tmp_path / "other"):
        path.write_text("1\n", encoding="utf-8")
    rendering.commit(tmp_path, "First")
    pins = {**lock.pins(), "data": {"written": written}}
    monkeypatch.setattr(lock, "pins", lambda: pins)
    (project / "dvc.lock").write_text("2\n", encoding="utf-8")
    assert statement.code(project)["dirty"] is dirty
    (tmp_path / "other").write_text("2\n", encoding="utf-8")
    assert statement.code(project)["dirty"] is True


HEADER = ",".join(["x"] * 31)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "is missing: `make data` brings it"),
        ("", "is no table of numbers"),
        (f"{HEADER}\n1,2\n1\n", "is no table of numbers"),
        (f"{HEADER}\n{HEADER}\n", "is no table of numbers"),
        (f"{HEADER}\n", "has no rows or other columns"),
        (f"{HEADER}\n{','.join(['1'] * 31)}\n", "has no rows or other columns"),
    ],
)
def test_a_table_that_cannot_be_learned_from_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, sentence: str
) -> None:
    module = runpy.run_path(str(rendering.ROOT / "template/versioning/dvc/data.py"))
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data/biopsies.csv").write_text(text, encoding="utf-8")
    with pytest.raises(module["DataError"]) as error:
        module["load_data"]()
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
