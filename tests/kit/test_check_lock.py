"""What check_lock judges for every tool: what means the same, where files come from, what was edited."""

import json
import os
import subprocess
import sys
from pathlib import Path

import check_lock
import lock_reader
import pytest
from packaging.requirements import InvalidRequirement
from standing.parity import lock

from kit import uv_project
from kit.uv_project import LINUX, edit

pytestmark = pytest.mark.static


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that check_lock and the kit take for their own; its lock answers."""
    folder = uv_project.write(tmp_path / "demo")
    monkeypatch.setattr(check_lock, "ROOT", folder)
    monkeypatch.setattr(check_lock, "default_environment", lambda: LINUX)
    monkeypatch.setattr(lock, "find_root", lambda: folder)
    monkeypatch.setattr(lock, "here_environment", lambda: LINUX)
    monkeypatch.setattr(sys, "argv", sys.argv)
    return folder


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("platform_system != 'Windows'", "sys_platform != 'win32'"),
        ("platform_system == 'Linux' and extra == 'gpu'", "extra == 'gpu' and sys_platform == 'linux'"),
        ("python_version >= '3.8'", ""),
        ("python_version >= '3.12' and os_name == 'nt'", "os_name == 'nt'"),
        ("python_version < '3.14'", "python_full_version < '3.14'"),
        ("sys_platform == 'emscripten' or os_name == 'nt'", "os_name == 'nt' or sys_platform == 'emscripten'"),
    ],
)
def test_markers_that_mean_the_same_are_the_same(one: str, other: str) -> None:
    assert check_lock.same_markers(one, other, ">=3.12,<3.15")
    assert check_lock.same_markers(other, one, ">=3.12,<3.15")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sys_platform == 'linux'", ""),
        ("sys_platform == 'linux'", "sys_platform == 'darwin'"),
        ("python_version < '3.13'", "python_version < '3.14'"),
        ("python_full_version < '3.13.4'", "python_full_version < '3.13.5'"),
        ("extra == 'gpu'", ""),
        ("extra == 'gpu'", "extra == 'cpu'"),
        ("sys_platform == 'emscripten'", "sys_platform == 'wasi'"),
        ("platform_machine == 'arm64'", "platform_machine == 'aarch64'"),
    ],
)
def test_markers_that_differ_are_told_apart(one: str, other: str) -> None:
    assert not check_lock.same_markers(one, other, ">=3.12")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("==3.13.*", ">=3.13,<3.14", True),
        (">=3.12", ">=3.12.0", True),
        ("~=3.12", ">=3.12,<4", True),
        (">=3.12", ">=3.12.2", False),
        ("==3.13.*", ">=3.13", False),
        (">=3.13", ">=3.13,!=3.13.7", False),
    ],
)
def test_pythons_are_compared_by_what_they_admit(one: str, other: str, *, same: bool) -> None:
    assert check_lock.same_pythons(one, other) is same


@pytest.mark.parametrize(
    ("file", "holds"),
    [
        ("torch-2.0+cpu-cp313-cp313-linux_x86_64.whl", True),
        ("Torch-2.0.0+cpu-py3-none-any.whl", True),
        ("torch-2.0-py3-none-any.whl", False),
        ("torchvision-2.0+cpu-py3-none-any.whl", False),
        ("torch-nonsense-py3-none-any.whl", False),
        ("torch.whl", False),
        ("torch-2.0.tar.gz", True),
    ],
)
def test_a_wheel_says_what_it_is(file: str, *, holds: bool) -> None:
    assert check_lock.claims(file, "torch", "2.0+cpu") is holds


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Files.Example/a/b.whl", "https://files.example"),
        ("https://user:word@files.example:8443/a", "https://files.example:8443"),
        ("https://files.example#@evil.example/", "https://files.example"),
        ("https://files.example\\@evil.example/", "https://files.example"),
        ("https://files.example?@evil.example/", "https://files.example"),
        ("ssh://git@git.example/repo", "ssh://git.example"),
        ("../wheels/a.whl", ""),
    ],
)
def test_an_origin_is_scheme_and_host(address: str, origin: str) -> None:
    assert check_lock.origin(address) == origin


def started(*arguments: str) -> int:
    sys.argv = ["check_lock.py", "--package", "standing", *arguments]
    return check_lock.main()


def test_a_lock_that_answers_is_0_and_the_tool_is_asked(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert started("--", sys.executable, "-c", "pass") == 0
    assert started("--", sys.executable, "-c", "print('no: ' + __import__('os').getcwd()); raise SystemExit(2)") == 1
    printed = capsys.readouterr().err
    assert printed == f"uv.lock no longer answers the manifest: run `make lock`. The tool says:\n    no: {root}\n"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("pyproject.toml", "torch>=2", "torch>=3"), "torch>=3 and uv.lock was made for torch>=2"),
        (("uv.lock", "files.example/beta-2.1", "files.example/beta-2.2"), "beta 2.1 was edited by hand"),
        (("uv.lock", "version = 1", "version = ["), "uv.lock is not TOML"),
        (("uv.lock", '{ name = "beta"', '{ nome = "beta"'), "uv.lock is not as uv writes it (KeyError: 'name')"),
    ],
)
def test_the_first_reason_is_one_line_and_nothing_is_written(
    root: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str, str], told: str
) -> None:
    before = root / "before.json"
    lock.write_neutral(lock.read_native(root), root / check_lock.INSTALLED.name)
    (root / ".venv").mkdir()
    (root / check_lock.INSTALLED.name).rename(root / check_lock.INSTALLED)
    file, old, new = change
    edit(root / file, old, new)
    assert started("--write", str(before)) == 1
    printed = capsys.readouterr().err
    assert told in printed
    assert len(printed.splitlines()) == 1
    assert not before.exists()


def test_the_lock_is_written_where_it_is_asked_for(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = root / "out.json"
    assert started("--write", str(target)) == 0
    assert {"tester", "beta"} <= {package.name for package in lock.read_neutral(target).packages}
    assert started("--production", "--write", str(target)) == 0
    assert {package.name for package in lock.read_neutral(target).packages} == uv_project.RUNTIME.keys()
    assert started("--write", str(root / "no" / "x")) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_new_origins_are_told_and_foreign_ones_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert started("--note-origins") == 0
    assert capsys.readouterr().out == ""
    edit(root / "uv.lock", "https://files.example/beta", "https://other.example/beta")
    assert started() == 1
    assert "https://other.example, which .tools/origins.txt does not hold" in capsys.readouterr().err
    assert started("--note-origins") == 0
    assert capsys.readouterr().out.startswith("New origin in the lock: https://other.example, for beta. Make sure")


def test_without_noted_origins_any_address_would_pass(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / check_lock.ORIGINS).unlink()
    assert started() == 1
    assert ".tools/origins.txt is missing, so any address would pass: run `make lock`" in capsys.readouterr().err
    assert started("--note-origins") == 0
    told = capsys.readouterr().out.splitlines()
    lines = [origin.replace(" ", ", for ") for origin in uv_project.ORIGINS]
    assert [line.split(": ")[1].split(". ")[0] for line in told] == lines
    assert started() == 0


def test_an_index_beside_the_main_one_delivers_nothing_but_what_it_did(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started("--note-origins") == 0
    assert "https://torch.example torch\n" in (root / check_lock.ORIGINS).read_text()
    edit(root / "uv.lock", "https://files.example/beta", "https://torch.example/beta")
    assert started() == 1
    assert "beta 2.1 comes from https://torch.example, which .tools/origins.txt does not hold for it" in (
        capsys.readouterr().err
    )
    # A line that an older version of the template wrote, or a person, allows all of them.
    edit(root / check_lock.ORIGINS, "https://torch.example torch", "https://torch.example")
    assert started() == 0


def test_origins_are_lines_without_comments(root: Path) -> None:
    (root / check_lock.ORIGINS).unlink()
    assert check_lock.noted_origins(root) is None
    (root / check_lock.ORIGINS).write_text("# noted\nhttps://a.example\n\n https://b.example \n")
    assert check_lock.noted_origins(root) == frozenset({"https://a.example", "https://b.example"})


@pytest.mark.parametrize(("now", "told"), [("a b", 0), ("a b c", 0), ("a", 1), ("a c", 1), ("", 1)])
def test_a_lock_may_gain_files_and_lose_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: str, told: int
) -> None:
    def made(hashes: str) -> list[dict[str, object]]:
        return [{"name": "x", "version": "1", "hashes": hashes.split()}]

    (tmp_path / "before.json").write_text(json.dumps({"packages": made("a b")}))
    monkeypatch.setattr(lock_reader, "locked", lambda *_: made(now))
    assert len(list(check_lock.altered(tmp_path, tmp_path / "before.json"))) == told


def test_a_line_that_is_no_requirement_is_named() -> None:
    with pytest.raises(InvalidRequirement, match="torch>>2"):
        list(check_lock.differences({"": ["torch>>2"]}, {}))


def test_it_starts_as_a_program() -> None:
    # Python looks beside the file that a link leads to, and lock_reader.py lies elsewhere in the template.
    environment = {**os.environ, "PYTHONPATH": str(Path(check_lock.__file__).parent)}
    command = [sys.executable, check_lock.__file__, "--help"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "--note-origins" in result.stdout
