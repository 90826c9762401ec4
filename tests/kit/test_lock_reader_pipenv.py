"""The reader of Pipfile.lock, and what check_lock says of it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kit import readers

pytestmark = pytest.mark.static

LINUX = {"sys_platform": "linux", "python_version": "3.13", "platform_machine": "x86_64", "os_name": "posix"}
ORIGINS = frozenset({"https://index.example", "https://torch.example torch"})

PIPFILE = """\
# what it needs
[[source]]
name = "default"
url = "https://${USER_NAME}:${PASSWORD}@index.example/simple"
verify_ssl = true

[[source]]
name = "torch"
url = "https://torch.example/cpu"
verify_ssl = true

[packages]
Alpha_One = {version = ">=1,<2", extras = ["fast"]}
beta = {version = "*", sys_platform = "== 'linux'", markers = "python_version >= '3'"}
torch = {version = "==2.0", index = "torch"}  # computes

[dev-packages]
tester = ">=9"
beta = "*"

[docs]
writer = "*"

[requires]
python_version = "3.13"
"""


def digests(*names: str) -> list[str]:
    return [f"sha256:{hashlib.sha256(name.encode()).hexdigest()}" for name in names]


def entry(name: str, version: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - what JSON holds
    return {"hashes": digests(name, f"{name}.tar.gz"), "version": f"=={version}", **more}


def document() -> dict[str, Any]:
    """Return a lock as Pipenv writes it."""
    beta = entry("beta", "2.1", markers="sys_platform == 'linux'")
    return {
        "_meta": {
            "hash": {"sha256": ""},
            "pipfile-spec": 6,
            "requires": {"python_version": "3.13"},
            "sources": [
                {"name": "default", "url": "https://${USER_NAME}:${PASSWORD}@index.example/simple", "verify_ssl": True},
                {"name": "torch", "url": "https://torch.example/cpu", "verify_ssl": True},
            ],
        },
        "default": {
            "alpha-one": entry("alpha-one", "1.5", extras=["fast"], markers="python_version >= '3.10'"),
            "beta": beta,
            "colour": entry("colour", "0.4", markers="sys_platform == 'win32'"),
            "quick.lib": entry("quick-lib", "0.2"),
            "torch": entry("torch", "2.0+cpu", index="torch"),
        },
        "develop": {"beta": beta, "tester": entry("tester", "9.1")},
        "docs": {"writer": entry("writer", "5.0")},
    }


def write(root: Path, lock: dict[str, Any]) -> None:
    (root / "Pipfile.lock").write_text(json.dumps(lock, indent=4, sort_keys=True), encoding="utf-8")


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """The reader, and a check_lock that reads by it."""
    with readers.of("pipenv") as found:
        yield found


@pytest.fixture
def reader(modules: dict[str, ModuleType]) -> ModuleType:
    return modules["lock_reader"]


@pytest.fixture
def check(modules: dict[str, ModuleType]) -> ModuleType:
    return modules["check_lock"]


@pytest.fixture
def root(tmp_path: Path, reader: ModuleType) -> Path:
    """A repository whose lock answers its manifest."""
    (tmp_path / ".tools").mkdir()
    (tmp_path / "Pipfile").write_text(PIPFILE, encoding="utf-8")
    lock = document()
    write(tmp_path, lock)
    lock["_meta"]["hash"]["sha256"] = reader.digest(tmp_path)
    write(tmp_path, lock)
    return tmp_path


def edit(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    lock = json.loads((root / "Pipfile.lock").read_bytes())
    change(lock)
    write(root, lock)


def edit_manifest(root: Path, old: str, new: str) -> None:
    text = (root / "Pipfile").read_text(encoding="utf-8")
    assert old in text
    (root / "Pipfile").write_text(text.replace(old, new, 1), encoding="utf-8")


def test_what_applies_where(root: Path, reader: ModuleType) -> None:
    packages = {package["name"]: package for package in reader.locked(root, LINUX)}
    assert {name: (one["version"], one["groups"]) for name, one in packages.items()} == {
        "alpha-one": ("1.5", ["main"]),
        "beta": ("2.1", ["main", "dev"]),
        "quick-lib": ("0.2", ["main"]),
        "tester": ("9.1", ["dev"]),
        "torch": ("2.0+cpu", ["main"]),
        "writer": ("5.0", []),
    }
    assert {name for name, one in packages.items() if one["direct"]} == packages.keys() - {"quick-lib", "writer"}
    assert packages["tester"]["hashes"] == sorted(
        one.removeprefix("sha256:") for one in digests("tester", "tester.tar.gz")
    )
    on_windows = {package["name"] for package in reader.locked(root, {**LINUX, "sys_platform": "win32"})}
    assert on_windows == packages.keys() - {"beta"} | {"colour"}


def test_every_entry_has_its_hashes_and_where_it_is_found(root: Path, reader: ModuleType, check: ModuleType) -> None:
    def replace(lock: dict[str, Any]) -> None:
        lock["default"] |= {
            "from-git": {"git": "https://git.example/x.git", "ref": "0" * 40, "editable": True},
            "moving": {"git": "https://git.example/y.git"},
            "own": {"path": "packages/own", "editable": True},
            "demo": {"path": ".", "editable": True},
            "archive": {"file": "https://files.example/archive-1.0.zip", "hashes": digests("archive")},
        }

    edit(root, replace)
    found = {one["name"]: one for one in reader.entries(root)}
    assert found["torch"]["addresses"] == ["https://torch.example/cpu"]
    assert check.origins(found["quick-lib"]) == {"https://index.example"}
    assert found["tester"]["files"] == [{"address": "", "hash": one} for one in digests("tester", "tester.tar.gz")]
    assert (found["from-git"]["commit"], found["moving"]["commit"], found["tester"]["commit"]) == ("0" * 40, "", None)
    assert (found["own"]["folder"], found["own"]["addresses"]) == ("packages/own", [])
    assert found["archive"]["addresses"] == ["https://files.example/archive-1.0.zip"]
    assert found["archive"]["folder"] is None
    assert "demo" not in {package["name"] for package in reader.locked(root, LINUX)}


def test_the_manifest_as_requirements(root: Path, reader: ModuleType) -> None:
    edit_manifest(root, "torch = {version", 'own = {path = "packages/own"}\nseven = "7"\ntorch = {version')
    assert reader.asked(root)["wanted"] == {
        "": [
            "Alpha_One[fast]>=1,<2",
            "beta ; (sys_platform == 'linux') and (python_version >= '3')",
            "own",
            "seven==7",
            "torch==2.0",
        ],
        "dev": ["tester>=9", "beta"],
    }


def test_a_lock_that_answers_has_no_reason(root: Path, check: ModuleType) -> None:
    check.note_origins(root)
    assert check.noted_origins(root) == ORIGINS
    assert [*check.reasons(root, root / "none.json")] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# what it needs\n", ""),
        ("Alpha_One", '"alpha.one"'),
        ("  # computes", ""),
        ("[docs]\n", "[scripts]\nx = 'y'\n[pipenv]\nallow_prereleases = true\n[docs]\n"),
    ],
)
def test_another_spelling_is_not_stale(root: Path, check: ModuleType, old: str, new: str) -> None:
    edit_manifest(root, old, new)
    assert [*check.stale(root)] == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('tester = ">=9"', 'tester = ">=9.2"', "asks for tester>=9.2 in group dev and Pipfile.lock has tester 9.1"),
        ('tester = ">=9"', 'tester = ">=9"\nsix = "*"', "asks for six in group dev and Pipfile.lock does not know it"),
        ("[dev-packages]\n", '[dev-packages]\ntorch = "*"\n', "asks for torch in group dev"),
        ("torch = {", 'tester = "*"\ntorch = {', "asks for tester and Pipfile.lock does not know it"),
        ('tester = ">=9"\n', "", "Pipfile was changed since Pipfile.lock was made"),
        ('"https://torch.example/cpu"', '"https://torch.example/gpu"', "Pipfile was changed since"),
        ('writer = "*"', 'writer = ">=1"', "Pipfile was changed since"),
        (
            'python_version = "3.13"',
            'python_version = "3.14"',
            "has Python ==3.14.* and Pipfile.lock was made for ==3.13",
        ),
        ('python_version = "3.13"', 'python_full_version = "3.14.1"', "has Python ==3.14.1"),
    ],
)
def test_an_edited_manifest_is_stale_and_named(root: Path, check: ModuleType, old: str, new: str, told: str) -> None:
    edit_manifest(root, old, new)
    (reason,) = check.stale(root)
    assert told in reason.sentence
    assert reason.sentence.endswith("run `make lock`.")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda lock: lock["default"]["beta"].update(hashes=[]), "beta 2.1 has no file with a hash"),
        (lambda lock: lock["default"]["beta"].pop("hashes"), "beta 2.1 has no file with a hash"),
        (lambda lock: lock["develop"]["tester"]["hashes"].append("md5:0"), "tester 9.1 has no sha256"),
        (lambda lock: lock["default"]["beta"].update(file="https://evil.example/b.whl"), "comes from https://evil.example"),
        (lambda lock: lock["default"].update(x={"git": "https://index.example/x"}), "without the id of a commit"),
        (lambda lock: lock["default"].update(x={"path": "../x", "editable": True}), "outside of this repository"),
        (lambda lock: lock["default"].update(x={"file": "/srv/x.whl", "hashes": []}), "outside of this repository"),
    ],
)  # fmt: skip
def test_an_edit_by_hand_is_named(
    root: Path, check: ModuleType, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    edit(root, change)
    (reason,) = check.faults(root, ORIGINS)
    assert sentence in reason.sentence
    assert reason.sentence.endswith("`git checkout -- Pipfile.lock`.")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda lock: lock.pop("_meta"), "not as Pipenv has it"),
        (lambda lock: lock.update(develop=[]), "not as Pipenv has it"),
        (lambda lock: lock["_meta"].update({"pipfile-spec": 7}), "has pipfile-spec 7"),
        (lambda lock: lock["develop"]["beta"].update(version="==2.2"), "has both beta 2.1 and beta 2.2"),
        (lambda lock: lock["develop"]["beta"].update(hashes=digests("x")), "has both beta 2.1 and beta 2.1"),
        (lambda lock: lock["default"]["torch"].update(index="gone"), "not as pipenv writes it"),
        (lambda lock: lock["default"]["beta"].update(markers="sys_platform is 'x'"), "not as pipenv writes it"),
        (lambda lock: lock["default"].update(beta="==2.1"), "not as pipenv writes it"),
    ],
)
def test_a_lock_that_cannot_be_read_is_one_sentence(
    root: Path, check: ModuleType, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    edit(root, change)
    (root / check.ORIGINS).write_text("", encoding="utf-8")
    (reason, *_) = check.reasons(root, root / "none.json")
    assert sentence in reason.sentence.replace("cannot be compared with", "not as pipenv writes it")
    assert "\n" not in reason.sentence


@pytest.mark.parametrize(("name", "text"), [("Pipfile", "[packages\n"), ("Pipfile.lock", "{"), ("Pipfile.lock", "[]")])
def test_a_file_that_does_not_parse_is_one_sentence(root: Path, reader: ModuleType, name: str, text: str) -> None:
    (root / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"^{name} is not as Pipenv has it .*git checkout -- {name}`.$"):
        reader.locked(root, LINUX)
