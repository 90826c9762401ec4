"""The lock in its neutral form: written whole, read back equal, refused in words; and the signature."""

import json
import sys
from pathlib import Path

import check_lock
import pytest
from standing.parity import lock
from standing.parity.lock import LockError

from kit import uv_project
from kit.uv_project import LINUX, MAC, RUNTIME, edit

pytestmark = pytest.mark.static


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that the kit takes for its own."""
    folder = uv_project.write(tmp_path / "demo")
    monkeypatch.setattr(lock, "find_root", lambda: folder)
    monkeypatch.setattr(lock, "here_environment", lambda: LINUX)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return folder


def test_it_is_read_for_this_platform_and_knows_the_one_that_serves(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {name: package.version for name, package in lock.load().runtime.items()} == RUNTIME
    monkeypatch.setattr(lock, "here_environment", lambda: MAC)
    assert lock.load().runtime.keys() == {"alpha", "quick-lib", "torch"}
    assert lock.load().target == RUNTIME
    assert lock.load().project == "demo-app"
    assert lock.load().source == "uv.lock"
    assert root.name == "demo"


def test_while_nothing_changes_what_sync_wrote_is_the_lock(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lock.checked(root) is None
    native = lock.read_native(root)
    lock.write_neutral(native, lock.neutral_path())
    with monkeypatch.context() as without:
        without.setattr(lock, "developers", None)  # asking .tools would fail
        assert {package.name for package in lock.load().packages} == {package.name for package in native.packages}
    for name in ("pyproject.toml", "uv.lock"):
        text = (root / name).read_text()
        (root / name).write_text(text + "# a remark\n")
        assert lock.checked(root) is None
        assert lock.load().packages == native.packages
        (root / name).write_text(text)
        assert lock.checked(root)


def test_a_lock_or_tool_that_is_not_there_is_one_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        LockError, match=r"\.tools/nothing_here\.py is missing, and the lock is read with it: run `git checkout"
    ):
        lock.developers("nothing_here", root)
    monkeypatch.setattr(check_lock, "locked", fail)
    with pytest.raises(LockError, match=r"^a sentence\.$"):
        lock.load()
    (root / "uv.lock").unlink()
    with pytest.raises(LockError, match=r"uv\.lock is missing: run `make lock`"):
        lock.load()


def fail(*_: object) -> None:
    raise ValueError("a sentence.")


def test_the_neutral_form_says_the_same(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "here_environment", lambda: MAC)
    native, path = lock.load(), tmp_path / "all.json"
    lock.write_neutral(native, path)
    again = lock.read_neutral(path)
    assert {**{p.name: p for p in again.packages}} == {**{p.name: p for p in native.packages}}
    assert (again.digest, again.manifest_digest, again.project) == (native.digest, native.manifest_digest, "demo-app")
    assert again.target == native.target
    assert json.loads(path.read_text())["signature"] == lock.signature(RUNTIME, lock.pins()["python"]["version"])
    assert [file.name for file in tmp_path.iterdir() if file != root] == ["all.json"]


def test_production_is_what_the_project_needs_to_run(root: Path, tmp_path: Path) -> None:
    lock.write_neutral(lock.read_native(root), tmp_path / "main.json", ["main"])
    packages = lock.read_neutral(tmp_path / "main.json").packages
    assert {package.name for package in packages} == RUNTIME.keys()
    assert {package.groups for package in packages} == {frozenset({"main"})}


def test_an_image_reads_the_neutral_form_whatever_is_asked(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock.write_neutral(lock.read_native(root), tmp_path / lock.NEUTRAL, ["main"])
    monkeypatch.setattr(lock, "find_root", lambda: None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(lock, "here_environment", lambda: MAC)
    assert lock.load().runtime.keys() == RUNTIME.keys()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "packages": [{}]}', "\udcff", '{"version": 1}']
)
def test_what_is_no_neutral_form_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(LockError, match=r"run `make clean sync`") as caught:
        lock.read_neutral(path)
    assert "\n" not in str(caught.value)


def test_an_image_without_its_lock_says_so(tmp_path: Path) -> None:
    with pytest.raises(LockError, match=r"is missing, so nothing says what belongs here: rebuild with `make image`"):
        lock.read_neutral(tmp_path / lock.NEUTRAL)


def test_a_failed_write_leaves_what_was_there(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock.json"
    path.write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        lock.write_neutral(lock.read_native(root), path)
    assert path.read_text() == "before"


def test_the_digest_of_one_file_is_sha256sums_and_of_two_knows_their_border(tmp_path: Path) -> None:
    for name, text in {"a": "one\n", "b": "two\n", "c": "one\ntwo\n", "d": ""}.items():
        (tmp_path / name).write_text(text)
    assert lock.digest(tmp_path, ["a"]) == uv_project.digest("one\n")
    assert lock.digest(tmp_path, ["a", "b"]) != lock.digest(tmp_path, ["c", "d"])


def test_a_lost_manifest_is_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock.pins()  # read beside this file, and kept
    monkeypatch.setattr(lock, "__file__", str(tmp_path / "src" / "demo" / "parity" / "lock.py"))
    assert lock.find_root() is None
    (tmp_path / "uv.lock").touch()
    assert lock.find_root() == tmp_path


def test_the_target_is_a_complete_marker_environment() -> None:
    assert lock.target_environment().keys() == lock.here_environment().keys()
    assert lock.target_environment()["sys_platform"] == "linux"


@pytest.mark.parametrize("name", ["Foo.Bar", "foo-bar", "FOO__bar", "foo_.-bar"])
def test_names_have_one_spelling(name: str) -> None:
    assert lock.canonical(name) == "foo-bar"


def test_the_signature_knows_names_versions_and_python_and_no_order() -> None:
    one = lock.signature({"a": "1", "b": "2"}, "3.13")
    assert one == lock.signature({"b": "2", "a": "1"}, "3.13")
    assert one.startswith("sha256:")
    others = [
        lock.signature({"a": "1", "b": "3"}, "3.13"),
        lock.signature({"a": "1"}, "3.13"),
        lock.signature({"a": "1", "b": "2"}, "3.14"),
        lock.signature({"a==1": "", "b": "2"}, "3.13"),
        lock.signature({"a": "11", "b": "2"}, "3.13"),
    ]
    assert len({one, *others}) == 6


def test_the_signature_is_this_one() -> None:
    # printf %s '{"packages":{"numpy":"2.5.4"},"python":"3.13"}' | sha256sum. A change here makes every contract that
    # was ever written differ, so it needs a new version of the contract.
    expected = "5dbfb917f6e66b2021e3d1ba36b59ed6773c23382ff7cbe0bcd618714d78a1be"
    assert lock.signature({"numpy": "2.5.4"}, "3.13") == f"sha256:{expected}"


def test_a_state_of_a_file_is_read_once_and_a_new_state_anew(root: Path) -> None:
    assert lock.load().runtime["beta"].version == "2.1"
    edit(root / "uv.lock", 'name = "beta"\nversion = "2.1"', 'name = "beta"\nversion = "2.10"')
    assert lock.load().runtime["beta"].version == "2.10"
