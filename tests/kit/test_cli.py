"""`python -m <package>.parity`: what it prints, what it returns, and what it does not import."""

import json
import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import check_lock
import pytest
from standing.parity import __main__ as cli
from standing.parity import environment, lock, table
from standing.parity.drift import Finding
from standing.parity.environment import Link, Report

from kit import uv_project

pytestmark = pytest.mark.static

PROGRAMS = {"rebuild": "reproduce.py"}  # of .tools
BROKEN = Report(
    links=(
        Link("manifest", "pyproject.toml", ok=True),
        Link(
            "environment",
            "1 difference",
            ok=False,
            findings=(Finding("version", "beta", "beta 2.0 is installed.", "make sync", "2.1", "2.0", "direct"),),
        ),
        Link("model", "not checked"),
    )
)
WHOLE = Report(links=(Link("manifest", "pyproject.toml", ok=True),), signature="sha256:abc", packages={"a": "1"})


class Terminal(TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(report: Report, kind: type[TextIOWrapper] = TextIOWrapper, encoding: str = "utf-8") -> str:
    raw = BytesIO()
    stream = kind(raw, encoding=encoding)
    table.show(report, stream)
    stream.flush()
    return raw.getvalue().decode(encoding)


def saved(path: Path, packages: dict[str, str], python: str = "3.13", **platform: object) -> str:
    document = {"schema": 1, "python": python, "packages": packages, "platform": platform}
    path.write_text(json.dumps(document))
    return str(path)


def test_the_table_names_link_difference_and_repair() -> None:
    assert shown(BROKEN).splitlines() == [
        "  ✓ manifest     pyproject.toml",
        "  ✗ environment  1 difference",
        "  │              • beta 2.0 is installed (direct)",
        "  · model        not checked",
        "",
        "  Repair: make sync",
    ]
    assert shown(WHOLE).splitlines()[-1].endswith("sha256:abc")


def test_the_summary_of_a_run_is_the_table_as_markdown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = Finding("changed", "x", "a|b/<i>.py of x 1 is changed.", "make clean sync")
    report = Report(links=(*BROKEN.links[:2], Link("model", "not checked", findings=(odd,))))
    monkeypatch.setattr(environment, "check", lambda **_: report)
    assert cli.run(["verify", "--markdown"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "| | link | what was found |",
        "|---|---|---|",
        "| ✓ | manifest | pyproject.toml |",
        "| ✗ | environment | 1 difference<br>• beta 2.0 is installed (direct) |",
        "| · | model | not checked<br>• a\\|b/&lt;i>.py of x 1 is changed |",
        "",
        "Repair: `make sync`",
    ]
    monkeypatch.setattr(environment, "check", lambda **_: WHOLE)
    assert cli.run(["verify", "--markdown"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Every link that is here holds: sha256:abc"


def test_marks_are_ascii_where_nothing_else_can_be_printed() -> None:
    text = shown(BROKEN, encoding="ascii")
    assert text.splitlines()[:2] == ["  + manifest     pyproject.toml", "  x environment  1 difference"]


def test_a_path_that_the_stream_cannot_print_does_not_end_it() -> None:
    assert "caf?" in shown(Report(links=(Link("model", "café", ok=True),)), encoding="ascii")


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert "\033[31m" in shown(BROKEN, Terminal)
    assert "\033[" not in shown(BROKEN)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033[" not in shown(BROKEN, Terminal)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\033[" not in shown(BROKEN, Terminal)


def test_a_long_list_is_cut_for_people_and_whole_for_machines() -> None:
    findings = tuple(Finding("extra", f"p{n}", f"p{n} 1 is installed.", "make sync") for n in range(40))
    report = Report(links=(Link("environment", "40 differences", ok=False, findings=findings),))
    assert len(shown(report).splitlines()) < 20
    assert "28 more" in shown(report)
    assert len(cli.document(report)["links"][0]["findings"]) == 40


def test_json_holds_what_is_documented() -> None:
    document = json.loads(json.dumps(cli.document(BROKEN)))
    assert document.keys() == {
        *("schema", "template", "ok", "repair"),
        *("signature", "python", "packages", "platform", "links"),
    }
    assert document["template"] == "v0.0.0"
    assert (document["ok"], document["repair"], document["signature"]) == (False, "make sync", None)
    assert document["links"][1]["findings"] == [
        {
            "kind": "version",
            "name": "beta",
            "message": "beta 2.0 is installed.",
            "repair": "make sync",
            "locked": "2.1",
            "installed": "2.0",
            "role": "direct",
            "warning": False,
        }
    ]
    reference = (Path(__file__).parents[2] / "docs" / "reference" / "verify.md").read_text(encoding="utf-8")
    fields = {*document, *document["links"][1], *document["links"][1]["findings"][0], *document["platform"]}
    assert [field for field in sorted(fields) if f"`{field}`" not in reference] == []


def test_diff_names_both_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = saved(tmp_path / "1", {"a": "1", "b": "2", "c": "3"}, system="Linux")
    other = saved(tmp_path / "2", {"a": "1", "b": "2.1", "d": "4"}, python="3.14", system="Darwin")
    assert cli.run(["diff", one, other]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "b: 2 -> 2.1",
        "c: 3 -> absent",
        "d: absent -> 4",
        "python: 3.13 -> 3.14",
        "  beside it: system: Linux -> Darwin",
    ]


def test_diff_of_equals_is_0_whatever_the_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = saved(tmp_path / "1", {"a": "1"}, libc="glibc 2.36")
    other = saved(tmp_path / "2", {"a": "1"}, libc="")
    assert cli.run(["diff", one, other]) == 0
    assert "equal: 1 packages" in capsys.readouterr().out


def test_diff_reads_stdin_and_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = uv_project.write(tmp_path / "demo")
    for name, version in uv_project.RUNTIME.items():
        uv_project.install(tmp_path / "site", name, version)
    monkeypatch.setattr(lock, "developers", lambda *_: check_lock)  # this folder has no .tools
    monkeypatch.setattr(lock, "find_root", lambda: root)
    monkeypatch.setattr(lock, "here_environment", lambda: uv_project.LINUX)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert cli.run(["signature", "--json"]) == 0
    text = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(text.encode())))
    assert cli.run(["diff", "-", "here"]) == 0
    assert cli.run(["signature"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == json.loads(text)["signature"]


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2, "python": "3", "packages": {}, "platform": {}}', "{}"])
def test_what_cannot_be_compared_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "x").write_text(text)
    assert cli.run(["diff", str(tmp_path / "x"), "here"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name not in PROGRAMS])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run([command, "--help"])
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_the_list_of_commands_is_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    out = capsys.readouterr().out
    assert [name for name in cli.COMMANDS if f"  {name}" not in out] == []
    assert cli.run([]) == 2


@pytest.mark.parametrize("command", ["nonsense", "rebuild"])
def test_an_unknown_command_is_one_sentence(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run([command]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("command", [*PROGRAMS])
def test_a_program_of_developers_gets_its_arguments(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    (tmp_path / ".tools").mkdir()
    program = f"import pathlib, sys; pathlib.Path({str(told)!r}).write_text(' '.join(sys.argv[1:])); sys.exit(3)"
    (tmp_path / ".tools" / PROGRAMS[command]).write_text(program)
    monkeypatch.setattr(lock, "find_root", lambda: tmp_path)
    assert cli.run([command, "a", "b"]) == 3
    assert told.read_text() == f"--package standing {command} a b"


def test_it_runs_as_a_module() -> None:
    result = python("-m", "standing.parity", "nonsense")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("nonsense is no command: choose from verify, ")


def test_a_package_that_was_removed_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(*_: object) -> int:
        raise ModuleNotFoundError("No module named 'packaging'", name="packaging.version")

    monkeypatch.setitem(cli.COMMANDS, "verify", (absent, ""))
    monkeypatch.setattr(sys, "argv", ["parity", "verify"])
    assert cli.main() == 1
    assert capsys.readouterr().err == "packaging is not installed here: run `make sync`, or rebuild the image.\n"


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = next(entry for entry in sys.path if Path(entry, "standing", "parity").is_dir())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([path, str(Path(path, "tools"))])}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


def imported(statement: str) -> set[str]:
    """Return the top-level modules that a statement loads, in a fresh process."""
    code = f"import sys; before = set(sys.modules)\n{statement}\nprint('\\n'.join(set(sys.modules) - before))"
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    return {name.partition(".")[0] for name in result.stdout.split()}


def test_importing_the_kit_imports_nothing() -> None:
    assert imported("import standing.parity") - {"standing", "typing", "importlib"} <= sys.stdlib_module_names
    assert not imported("import standing.parity") & {"numpy", "pydantic", "packaging", "json", "argparse"}


def test_verify_imports_the_standard_library_only() -> None:
    """Not even packaging: it takes longer to import than all the rest of `verify`, and may be what is missing."""
    assert imported("import standing.parity.__main__") - {"standing"} <= sys.stdlib_module_names


def test_verify_of_a_checked_lock_needs_no_packaging(tmp_path: Path) -> None:
    root = uv_project.write(tmp_path / "demo")
    for name, version in uv_project.INSTALLED.items():
        uv_project.install(tmp_path / "site", name, version)
    statement = f"""
from pathlib import Path
from standing.parity import environment, lock, table
lock.find_root, lock.neutral_path = lambda: Path({str(root)!r}), lambda: Path({str(tmp_path / lock.NEUTRAL)!r})
if not lock.neutral_path().exists():
    lock.here_environment = lambda: {uv_project.LINUX!r}
    lock.write_neutral(lock.load(), lock.neutral_path())
sys.path = [{str(tmp_path / "site")!r}, *(path for path in sys.path if "site-packages" not in path)]
assert environment.check(until="image").ok
"""
    assert "packaging" in imported(statement)
    assert not imported(statement) & {"packaging", "check_lock"}


def test_names_are_fetched_when_they_are_asked_for() -> None:
    import standing.parity  # noqa: PLC0415

    assert standing.parity.LockError is lock.LockError
    assert "verify_link" not in dir(standing.parity)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = standing.parity.nonsense
