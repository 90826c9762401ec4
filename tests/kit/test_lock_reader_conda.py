"""The reader of conda-lock.yml, and what check_lock says of it; each content hash below is conda-lock 4.0.3's own."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import links
from kit import readers
from kit.uv_project import LINUX, MAC, WINDOWS, digest, edit

pytestmark = pytest.mark.static

FOLDER = links.ROOT / "tools" / "conda"
MANIFEST = """\
# what it needs
channels:
  - conda-forge
  - nodefaults # none of Anaconda's own
platforms:
- linux-64
- osx-arm64
- linux-aarch64
dependencies:
  - python 3.13.* # the lock chooses the patch
  - Alpha >=1, <2
  - "beta=2.1"
  - torch_base ==2.0
  - metal # [osx]
  - _mutex
  - gamma 1.0|1.1 py_0
  - delta
"""
DEVELOPERS = """\
category: dev
channels:
  - conda-forge
dependencies:
  - 'tester >=9'
"""
HASHES = {
    "linux-64": "f506dfed8319776579d156695c777f8e9288607d73b4e101698314bcc49d087f",
    "linux-aarch64": "d00ae052f4b28212ca6b35676ed8c93c8cf2fae12f489d33e6a60bc35a0bbe84",
    "osx-arm64": "35cb58acb561aec6f1489c5ffe98fb911bc58cf2e3201d6304b1fa98f4355c8e",
}
CHANNEL = "https://conda.anaconda.org/conda-forge"
# name, version, build, category, what it needs; the order is conda-lock's
PACKAGES: tuple[tuple[str, str, str, str, dict[str, str]], ...] = (
    ("_mutex", "0.1", "conda_forge", "main", {}),
    ("alpha", "1.5", "pyhd8ed1ab_0", "main", {"python": ">=3.10", "quick-lib": ""}),
    ("beta", "2.1.3", "py313_0", "main", {"python_abi": "3.13.*", "__glibc": ">=2.17,<3.0.a0"}),
    ("delta", "1!2.0", "0", "main", {}),
    ("gamma", "1.1", "py_0", "main", {}),
    ("python", "3.13.0", "h_0_cp313", "main", {"openssl": ">=3"}),
    ("openssl", "3.5.4", "h26f9b46_0", "main", {}),
    ("python_abi", "3.13", "8_cp313", "main", {}),
    ("quick-lib", "0.2", "py_0", "main", {}),
    ("tester", "9.0", "py_0", "dev", {"quick-lib": ""}),
    ("torch_base", "2.0", "cpu_py313_0", "main", {}),
)
RUNTIME = {
    "mutex": "0.1",
    "alpha": "1.5",
    "beta": "2.1.3",
    "delta": "1!2.0",
    "gamma": "1.1",
    "openssl": "3.5.4",
    "python": "3.13.0",
    "python-abi": "3.13",
    "quick-lib": "0.2",
    "torch-base": "2.0",
}


def lock_text() -> str:
    """Return the lock, dumped as conda-lock does."""
    packages = [
        {
            "name": name,
            "version": version,
            "manager": "conda",
            "platform": platform,
            "dependencies": dict(needs),
            "url": f"{CHANNEL}/{platform}/{name}-{version.replace('!', '%21')}-{build}.conda",
            "hash": {"md5": "d41d8cd98f00b204e9800998ecf8427e", "sha256": digest(f"{platform}{name}")},
            "category": category,
            "optional": category != "main",
        }
        for name, version, build, category, needs in (*PACKAGES, ("metal", "4.0", "0", "main", {}))
        for platform in HASHES
        if name != "metal" or platform == "osx-arm64"
    ]
    metadata = {
        "content_hash": HASHES,
        "channels": [{"url": "conda-forge", "used_env_vars": []}],
        "platforms": [*HASHES],
        "sources": ["environment.yml", "environment-dev.yml"],
    }
    return "# DO NOT EDIT!\n" + yaml.dump({"version": 1, "metadata": metadata, "package": packages}, sort_keys=False)


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    with readers.of("conda", "lock") as found:
        yield found


@pytest.fixture(scope="module")
def reader(modules: dict[str, ModuleType]) -> ModuleType:
    return modules["lock_reader"]


@pytest.fixture(scope="module")
def check_lock(modules: dict[str, ModuleType]) -> ModuleType:
    """The check_lock of conda: the conftest's one has another tool's reader."""
    return modules["check_lock"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose lock answers its manifest."""
    (tmp_path / ".tools").mkdir()
    (tmp_path / ".tools" / "origins.txt").write_text("https://conda.anaconda.org\n", encoding="utf-8")
    (tmp_path / "environment.yml").write_text(MANIFEST, encoding="utf-8")
    (tmp_path / "environment-dev.yml").write_text(DEVELOPERS, encoding="utf-8")
    assumed = (FOLDER / "virtual-packages.yml").read_text(encoding="utf-8")
    # As it is rendered for the CPU, for which nothing more is assumed.
    (tmp_path / "virtual-packages.yml").write_text(
        re.sub(r"{% for .*\n.*\n{% endfor.*\n", "", assumed), encoding="utf-8"
    )
    (tmp_path / "conda-lock.yml").write_text(lock_text(), encoding="utf-8")
    return tmp_path


@pytest.fixture(autouse=True)
def on_linux(check_lock: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """This lock has no Windows, and tests run on any machine."""
    monkeypatch.setattr(check_lock, "default_environment", lambda: LINUX)


def sentences(check_lock: ModuleType, root: Path) -> list[str]:
    return [reason.sentence for reason in check_lock.reasons(root, root / "none.json")]


def in_words(value: Any) -> Any:  # noqa: ANN401 - what YAML holds
    """Return a parsed document with each number and truth value as it is written."""
    if isinstance(value, dict):
        return {key: in_words(item) for key, item in value.items()}
    if isinstance(value, list):
        return [in_words(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("name", ["environment.yml", "environment-dev.yml", "virtual-packages.yml", "conda-lock.yml"])
def test_it_reads_what_a_yaml_library_reads(reader: ModuleType, root: Path, name: str) -> None:
    assert reader.read(root, name) == in_words(yaml.safe_load((root / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text",
    [
        "a: b\nc:\n  d: 'it''s'\n  e: \"x # y\" # z\n",
        "a:\n- b: 1\n  c:\n  - d\n  - e\n- b: 2\nf: []\n",
        "a:\n    -   b: 1\n        c: {}\n    -   d\n",
        "a:\n  # only this\n  - b#c\n\n  - d  # e\n'f': g\n",
        "a: https://b.example/c#d\n",
    ],
)
def test_other_yaml_of_that_kind(reader: ModuleType, root: Path, text: str) -> None:
    (root / "environment.yml").write_text(text, encoding="utf-8")
    assert reader.read(root, "environment.yml") == in_words(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [b, c]\n", "line 1 says [b, c]"),
        ("a: &b c\n", "line 1 says &b c"),
        ("a: |\n  b\n", "line 1 says |"),
        ("a: b\n  c\n", "line 2 says c"),
        ("a: b\na: c\n", "line 2 has a for the second time"),
        ("a: 'b\n", "line 1 says 'b"),
        ("- a\n", "line 1 says - a"),
        ("a:\n  - b\n - c\n", "line 3 says - c"),
        ("a:\n\tb: c\n", "line 2 says its margin in tabs"),
    ],
)
def test_what_it_does_not_know_is_refused_in_one_sentence(
    check_lock: ModuleType, root: Path, text: str, told: str
) -> None:
    (root / "environment.yml").write_text(text, encoding="utf-8")
    (found,) = sentences(check_lock, root)
    assert told in found
    assert "git checkout -- environment.yml" in found
    assert "\n" not in found


def test_the_content_hash_is_conda_locks(reader: ModuleType, root: Path) -> None:
    assert {platform: reader.content_hash(root, platform) for platform in HASHES} == HASHES


def test_what_has_no_meaning_does_not_change_it(reader: ModuleType, root: Path) -> None:
    edit(root / "environment.yml", "  - delta\n", "")
    edit(root / "environment.yml", "dependencies:\n", "dependencies: # all\n\n  - delta\n")
    assert reader.content_hash(root, "linux-64") == HASHES["linux-64"]


@pytest.mark.parametrize(
    ("line", "version", "build"),
    [
        ("a", "", None),
        ("a 1.2", "1.2", None),
        ("a =1.2", "1.2.*", None),
        ("a=1.2", "1.2.*", None),
        ("a = 1.2", "1.2.*", None),
        ("a==1.2", "1.2", None),
        ("a=1.2.*", "1.2.*", None),
        ("a=1.2=py_0", "1.2", "py_0"),
        ("a 1.2.* *_cpu", "1.2.*", "*_cpu"),
        ("a >= 1.2", ">=1.2", None),
        ("a >=1, <2", ">=1,<2", None),
        ("a ~=1.4", "~=1.4", None),
        ("a 1.2|1.3", "1.2|1.3", None),
        ("a >=1,<2|>=3", ">=1,<2|>=3", None),
        ("a *", "*", None),
        ("a 1!2.0", "1!2.0", None),
    ],
)
def test_a_spec_is_taken_apart_as_conda_lock_does(
    reader: ModuleType, line: str, version: str, build: str | None
) -> None:
    spec = reader.parsed(line, "environment.yml")
    assert (spec["name"], spec["version"], spec["build"]) == ("a", version, build)


@pytest.mark.parametrize(
    "line", ["conda-forge::a", "a[version='>=1']", "a (>=1)", "a =", "a =1,<2", "a b c d", "", "a[extra]", "./folder"]
)
def test_another_spec_is_refused(reader: ModuleType, line: str) -> None:
    with pytest.raises(ValueError, match="by name, version and build only"):
        reader.parsed(line, "environment.yml")


def versions(check_lock: ModuleType, root: Path, environment: dict[str, str], group: str) -> dict[str, str]:
    return {p["name"]: p["version"] for p in check_lock.locked(root, environment) if group in p["groups"]}


@pytest.mark.parametrize(("environment", "more"), [(LINUX, {}), (MAC, {"metal": "4.0"})])
def test_platform_and_category_decide(
    check_lock: ModuleType, root: Path, environment: dict[str, str], more: dict[str, str]
) -> None:
    assert versions(check_lock, root, environment, "main") == RUNTIME | more
    assert versions(check_lock, root, environment, "dev") == {"tester": "9.0"}


def test_a_platform_that_is_not_locked_is_named(check_lock: ModuleType, root: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing for win-64: add that line to `platforms:` in environment\.yml"):
        check_lock.locked(root, WINDOWS | {"platform_machine": "AMD64"})


def test_hashes_and_what_is_direct(check_lock: ModuleType, root: Path) -> None:
    packages = {package["name"]: package for package in check_lock.locked(root, LINUX)}
    assert packages["alpha"]["hashes"] == [digest("linux-64alpha")]
    direct = {name for name, package in packages.items() if package["direct"]}
    assert direct == {*RUNTIME, "tester"} - {"openssl", "python-abi", "quick-lib"}


def test_a_lock_that_conda_lock_wrote_has_no_fault(check_lock: ModuleType, root: Path) -> None:
    assert sentences(check_lock, root) == []
    check_lock.note_origins(root)
    assert check_lock.noted_origins(root) == {"https://conda.anaconda.org"}


CHANGED = "were changed since conda-lock.yml was made: run `make lock`."


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("environment.yml", "  - delta\n", "  - delta\n  - six >=1\n", "ask for six>=1 and conda-lock.yml does not"),
        ("environment-dev.yml", ">=9'", ">=9'\n  - six", "ask for six in group dev and conda-lock.yml does not"),
        ("environment.yml", "Alpha >=1, <2", "alpha >=1.6", "ask for alpha>=1.6 and conda-lock.yml has alpha 1.5"),
        ("environment.yml", "Alpha >=1, <2", "alpha >=1", CHANGED),
        ("environment.yml", "  - delta\n", "", CHANGED),
        ("environment.yml", "gamma 1.0|1.1 py_0", "gamma 1.0|1.1", CHANGED),
        ("environment.yml", "- linux-aarch64\n", "", CHANGED),
        ("environment.yml", "- linux-aarch64\n", "- linux-aarch64\n- win-64\n", CHANGED),
        ("environment.yml", "metal # [osx]", "metal # [arm64]", ""),
        ("environment.yml", "metal # [osx]", "metal # [linux]", "metal and conda-lock.yml does not know it"),
        ("virtual-packages.yml", '"2.28"', '"2.34"', CHANGED),
    ],
)
def test_an_edited_manifest_is_stale_and_named(  # noqa: PLR0913, PLR0917 - a table's columns
    check_lock: ModuleType, root: Path, file: str, old: str, new: str, told: str
) -> None:
    edit(root / file, old, new)
    found = sentences(check_lock, root)
    assert [told] == [told for sentence in found if told in sentence and sentence.endswith("`make lock`.")] or not told
    assert len(found) == bool(told)


def test_another_channel_is_stale(check_lock: ModuleType, root: Path) -> None:
    for name in ("environment.yml", "environment-dev.yml"):
        edit(root / name, "- conda-forge", "- https://conda.example/forge")
    (found,) = sentences(check_lock, root)
    assert CHANGED in found


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("environment-dev.yml", "'tester >=9'", "alpha", "alpha stands twice in environment.yml and env"),
        ("environment.yml", "- delta", "- delta\n  - delta", "delta stands twice in environment.yml"),
        ("environment.yml", "- delta", "- pip:\n    - six", "by name, version and build only"),
        ("environment.yml", "- conda-forge", "- https://$ME:secret@conda.example/x", "put that into ~/.netrc"),
        ("environment-dev.yml", "- conda-forge", "- bioconda", "no common `channels:`"),
        ("environment.yml", "- osx-arm64", "- beos-64", "no list `platforms:` of linux-64"),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_locked_is_one_sentence(  # noqa: PLR0913, PLR0917 - a table's columns
    check_lock: ModuleType, root: Path, file: str, old: str, new: str, told: str
) -> None:
    edit(root / file, old, new)
    (found,) = sentences(check_lock, root)
    assert told in found
    assert "secret" not in found
    assert re.search(r"`[^`]+`", found)
    assert "\n" not in found


BETA = f"sha256: {digest('linux-64beta')}"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (f"    {BETA}\n", "", r"beta 2\.1\.3 has no sha256 for beta-2\.1\.3-py313_0\.conda"),
        (BETA, "sha256: abc", r"beta 2\.1\.3 has no sha256"),
        ("version: 2.1.3", "version: 2.1.4", r"beta 2\.1\.4 was edited by hand, for its file is beta-2\.1\.3"),
        ("/beta-2.1.3-", "/beta-2.1.2-", r"beta 2\.1\.3 was edited by hand"),
        ("/linux-64/beta", "/linux-64/gamma", r"beta 2\.1\.3 was edited by hand"),
        ("https://conda.anaconda.org", "https://evil.example", r"_?mutex 0\.1 comes from https://evil\.example"),
        ("name: quick-lib", "name: slow-lib", r"lacks quick-lib for linux-64, which alpha needs"),
        ("version: 1\n", "version: 2\n", r"has version 2 and this reader knows 1"),
        ("manager: conda", "manager: pip", r"_mutex from pip"),
        ("  platform: linux-64\n", "", r"\(KeyError: 'platform'\)"),
        ("metadata:\n", "metadata: &x\n", r"line 3 says &x"),
    ],
)
def test_an_edit_of_the_lock_is_named(check_lock: ModuleType, root: Path, old: str, new: str, told: str) -> None:
    edit(root / "conda-lock.yml", old, new)
    (found,) = sentences(check_lock, root)
    assert re.search(told, found)
    assert re.search(r"`(git checkout -- conda-lock\.yml|make lock)`\.$", found)
    assert "\n" not in found


@pytest.mark.parametrize(
    ("name", "repair"),
    [
        ("conda-lock.yml", "make lock"),
        ("environment-dev.yml", "git checkout -- environment-dev.yml"),
        ("virtual-packages.yml", "git checkout -- virtual-packages.yml"),
    ],
)
def test_a_missing_file_names_the_command(check_lock: ModuleType, root: Path, name: str, repair: str) -> None:
    (root / name).unlink()
    (sentence,) = sentences(check_lock, root)
    assert sentence.startswith(f"{name} is missing: run `{repair}")


# The program behind `make lock`, with a solver that is asked and answers by a table: what it keeps, what it lets go.


@pytest.fixture
def lock(modules: dict[str, ModuleType], root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = modules["lock"]
    monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(module, "unanswered", lambda *_: set())
    return module


class Solver:
    """Stands in for conda-lock: refuses as often as it is told to, and notes which packages it was to keep."""

    def __init__(self, lock: ModuleType, refusals: int = 0) -> None:
        self.error, self.refusals, self.kept, self.runs = lock.LockError, refusals, list[set[str]](), 0

    def __call__(self, root: Path, platforms: list[str], pins: list[str]) -> None:
        self.runs += 1
        if "linux-64" in platforms:
            self.kept.append({*pins})
            if len(self.kept) <= self.refusals:
                raise self.error("Could not lock the environment")
        (root / "conda-lock.yml").write_text(lock_text().replace("1.5", "1.7"), encoding="utf-8")


@pytest.fixture
def stale(root: Path) -> None:
    """The manifest was changed since the lock was made."""
    path = root / "environment.yml"
    path.write_text(MANIFEST.replace("  - delta\n", "  - delta >=1\n"), encoding="utf-8")


def start(lock: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["lock.py", *arguments])
    return int(lock.main())


ALL = {"_mutex 0.1 conda_forge", "alpha 1.5 pyhd8ed1ab_0", "beta 2.1.3 py313_0", "delta 1!2.0 0", "gamma 1.1 py_0"} | {
    *("python 3.13.0 h_0_cp313", "openssl 3.5.4 h26f9b46_0", "python_abi 3.13 8_cp313", "quick-lib 0.2 py_0"),
    *("tester 9.0 py_0", "torch_base 2.0 cpu_py313_0"),
}


def test_a_lock_that_answers_is_left_as_it_is(
    lock: ModuleType, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:  # fmt: skip
    before = (root / "conda-lock.yml").read_bytes()
    monkeypatch.setattr(lock, "solve", solver := Solver(lock))
    assert start(lock, monkeypatch) == 0
    assert solver.runs == 0
    assert (root / "conda-lock.yml").read_bytes() == before


def test_the_first_lock_is_made_for_all_platforms_at_once(
    lock: ModuleType, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:  # fmt: skip
    (root / "conda-lock.yml").unlink()
    monkeypatch.setattr(lock, "solve", solver := Solver(lock))
    assert start(lock, monkeypatch) == 0
    assert (solver.runs, solver.kept) == (1, [set()])


@pytest.mark.usefixtures("stale")
def test_a_new_lock_keeps_what_is_locked(lock: ModuleType, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    solver = Solver(lock)
    monkeypatch.setattr(lock, "solve", solver)
    assert start(lock, monkeypatch) == 0
    assert solver.kept == [ALL]
    assert "alpha-1.7" in (root / "conda-lock.yml").read_text(encoding="utf-8")


@pytest.mark.usefixtures("stale")
def test_it_lets_go_of_as_little_as_it_must(lock: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    solver = Solver(lock, refusals=2)
    monkeypatch.setattr(lock, "solve", solver)
    monkeypatch.setattr(lock, "unanswered", lambda *_: {"quick-lib"})
    assert start(lock, monkeypatch) == 0
    quick = {pin for pin in ALL if pin.startswith(("quick-lib", "alpha", "tester"))}
    assert solver.kept == [ALL - {"quick-lib 0.2 py_0"}, ALL - quick, set()]


def test_an_upgrade_pins_the_newest_and_keeps_the_others(lock: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    solver = Solver(lock)
    monkeypatch.setattr(lock, "solve", solver)
    assert start(lock, monkeypatch, "--upgrade", "Alpha") == 0
    assert solver.kept == [set(), ALL - {"alpha 1.5 pyhd8ed1ab_0"} | {"alpha 1.7 pyhd8ed1ab_0"}]
    assert start(lock, monkeypatch, "--upgrade", "python-abi==3.13") == 0
    assert "python_abi 3.13" in solver.kept[-1]


@pytest.mark.usefixtures("stale")
@pytest.mark.parametrize("arguments", [(), ("--add", "six"), ("--add", "six", "--dev"), ("--upgrade", "alpha")])
def test_where_nothing_answers_nothing_is_changed(
    lock: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    root: Path,
    arguments: tuple[str, ...],
) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    monkeypatch.setattr(lock, "solve", Solver(lock, refusals=9))
    assert start(lock, monkeypatch, *arguments) == 1
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert "Could not lock" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "old", "new"),
    [
        ("six>=1", "  - delta\n", "  - delta\n  - six >=1\n"),
        ("delta==2", "  - delta\n", "  - delta ==2\n"),
        ("python 3.12.*", "  - python 3.13.* # the lock", "  - python 3.12.* # the lock"),
        ("beta", '  - "beta=2.1"\n', "  - beta\n"),
    ],
)
def test_add_writes_one_line_and_leaves_the_others(  # noqa: PLR0913, PLR0917 - a table's columns
    lock: ModuleType, monkeypatch: pytest.MonkeyPatch, root: Path, spec: str, old: str, new: str
) -> None:  # fmt: skip
    monkeypatch.setattr(lock, "solve", Solver(lock))
    assert start(lock, monkeypatch, "--add", spec) == 0
    assert (root / "environment.yml").read_text(encoding="utf-8") == MANIFEST.replace(old, new)
    assert "alpha-1.7" in (root / "conda-lock.yml").read_text(encoding="utf-8")


def test_add_stops_before_the_next_key(lock: ModuleType, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    path = root / "environment-dev.yml"
    path.write_text(f"{DEVELOPERS}\nvariables:\n  A: b\n", encoding="utf-8")
    monkeypatch.setattr(lock, "solve", Solver(lock))
    assert start(lock, monkeypatch, "--add", "six", "--dev") == 0
    assert "  - 'tester >=9'\n  - six\n\nvariables:\n" in path.read_text(encoding="utf-8")


VERSION = re.escape(yaml.safe_load((FOLDER / "tool.yml").read_text(encoding="utf-8"))["micromamba"]["version"])


@pytest.mark.usefixtures("stale")
@pytest.mark.parametrize("verb", [(), ("--sync", "demo"), ("--add", "six"), ("--upgrade", "alpha")])
def test_without_micromamba_one_sentence_says_where_to_get_it(
    lock: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    root: Path,
    verb: tuple[str, ...],
) -> None:
    monkeypatch.setattr(lock.shutil, "which", lambda _: None)
    (root / ".venv").mkdir()
    assert start(lock, monkeypatch, *verb) == 1
    said = capsys.readouterr()
    assert re.fullmatch(
        rf"micromamba is not on PATH.*: install {VERSION} .*https://mamba\.readthedocs\.io/\S+ says.*\n", said.err
    )
    assert said.out == ""
    assert (root / ".venv").exists()


def test_a_failed_sync_leaves_the_environment(
    lock: ModuleType, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:  # fmt: skip
    (root / ".tools" / "venv").mkdir()
    (root / ".venv").mkdir()
    (root / ".venv" / "mine").touch()
    monkeypatch.setattr(lock.shutil, "which", lambda _: "false")
    assert start(lock, monkeypatch, "--sync", "demo") == 1
    assert (root / ".venv" / "mine").exists()


def test_why_goes_up_to_the_manifest(
    lock: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(lock, monkeypatch, "--why", "quick_lib") == 0
    assert capsys.readouterr().out.splitlines() == [
        "quick-lib 0.2",
        "    alpha 1.5 (the manifest asks for it)",
        "    tester 9.0 (the manifest asks for it)",
    ]
