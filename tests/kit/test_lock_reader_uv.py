"""The reader of uv.lock, and what check_lock says of it: what applies where, is stale, was edited by hand."""

import re
from pathlib import Path

import check_lock
import pytest

from kit import uv_project
from kit.uv_project import LINUX, MAC, RUNTIME, WINDOWS, edit

pytestmark = pytest.mark.static

ORIGINS = frozenset({"https://index.example", "https://torch.example torch", "https://files.example"})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose lock answers its manifest."""
    (tmp_path / ".tools").mkdir()
    return uv_project.write(tmp_path)


def sentences(root: Path) -> list[str]:
    return [reason.sentence for reason in check_lock.reasons(root, root / "none.json")]


def stale(root: Path) -> list[str]:
    return [reason.sentence for reason in check_lock.stale(root)]


def faults(root: Path, allowed: frozenset[str] | None) -> list[str]:
    return [reason.sentence for reason in check_lock.faults(root, allowed)]


def versions(root: Path, environment: dict[str, str], group: str = "main") -> dict[str, str]:
    return {p["name"]: p["version"] for p in check_lock.locked(root, environment) if group in p["groups"]}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (LINUX, RUNTIME),
        (MAC, {"alpha": "1.5", "quick-lib": "0.2", "torch": "2.0"}),
        (WINDOWS, {"alpha": "1.5", "colour": "0.4", "quick-lib": "0.2", "torch": "2.0+cpu"}),
    ],
    ids=["linux", "darwin", "win32"],
)
def test_markers_extras_and_forks_decide(root: Path, environment: dict[str, str], expected: dict[str, str]) -> None:
    assert versions(root, environment) == expected


@pytest.mark.parametrize(("environment", "version"), [(LINUX, "2.0+cpu"), (MAC, "2.0")])
def test_where_an_edge_names_no_version_its_fork_decides(root: Path, environment: dict[str, str], version: str) -> None:
    text = re.sub(r'    \{ name = "torch", version.*\n.*\n', '    { name = "torch" },\n', uv_project.lock_text())
    for fork, marker in {"2.0": "== 'darwin'", "2.0+cpu": "!= 'darwin'"}.items():
        head = f'name = "torch"\nversion = "{fork}"\n'
        assert head in text
        text = text.replace(head, f'{head}resolution-markers = ["sys_platform {marker}"]\n')
    (root / "uv.lock").write_text(text, encoding="utf-8")
    assert versions(root, environment)["torch"] == version


def test_an_extra_of_the_project_may_name_the_project(root: Path) -> None:
    edit(root / "uv.lock", '    { name = "plotter" },\n', '    { name = "demo-app", extra = ["plot"] },\n')
    assert "demo-app" not in {package["name"] for package in check_lock.locked(root, LINUX)}


def test_the_project_itself_is_left_out_and_each_package_once(root: Path) -> None:
    names = [package["name"] for package in check_lock.locked(root, LINUX)]
    assert sorted(names) == sorted({*RUNTIME, "checker", "tester", "plotter", "writer"})


def test_a_group_that_uv_installs_unasked_is_dev_and_others_are_allowed(root: Path) -> None:
    groups = {package["name"]: set(package["groups"]) for package in check_lock.locked(root, LINUX)}
    assert groups["tester"] == groups["checker"] == {"dev"}
    assert groups["quick-lib"] == {"main", "dev"}
    assert groups["writer"] == groups["plotter"] == set()


def test_default_groups_are_the_manifests(root: Path) -> None:
    with (root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('[tool.uv]\ndefault-groups = "all"\n')
    assert versions(root, LINUX, "dev").keys() == {"checker", "tester", "writer", "quick-lib", "alpha"}


def test_direct_is_what_the_manifest_names(root: Path) -> None:
    direct = {package["name"] for package in check_lock.locked(root, LINUX) if package["direct"]}
    assert direct == {"alpha", "beta", "torch", "checker", "tester", "plotter", "writer"}


def test_hashes_are_those_of_every_file(root: Path) -> None:
    packages = {package["name"]: package for package in check_lock.locked(root, LINUX)}
    assert packages["torch"]["hashes"] == [uv_project.digest("torch-2.0+cpu-py3-none-any.whl")]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("\nversion = 1\n", "\nversion = 2\n", "schema version 2"),
        ("version = 1\n", "version = 1\n[[", "is not TOML"),
        ('{ name = "beta", marker', '{ name = "nobody", marker', "not as uv writes it"),
        ('source = { editable = "." }', 'source = { editable = "packages/x" }', "no entry for this project"),
        ("sys_platform == 'linux'", "sys_platform is 'linux'", "not as uv writes it"),
    ],
)
def test_a_lock_that_cannot_be_read_is_one_sentence(root: Path, old: str, new: str, sentence: str) -> None:
    (root / "uv.lock").write_text("\n" + uv_project.lock_text(), encoding="utf-8")
    edit(root / "uv.lock", old, new)
    with pytest.raises(ValueError, match=sentence) as caught:
        check_lock.locked(root, LINUX)
    assert re.search(r"`[^`]+`", str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "repair"), [("uv.lock", "make lock"), ("pyproject.toml", "git checkout -- py")])
def test_a_missing_file_names_the_command(root: Path, name: str, repair: str) -> None:
    (root / name).unlink()
    (sentence,) = sentences(root)
    assert sentence.startswith(f"{name} is missing: run `{repair}")


def test_a_lock_that_answers_is_not_stale(root: Path) -> None:
    assert stale(root) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"alpha[fast]>=1,<2"', '"Alpha [fast] <2, >=1"'),
        ("\"beta>=2; sys_platform == 'linux'\"", "'beta>=2 ; platform_system == \"Linux\"'"),
        ('"torch>=2"', "\"torch>=2; python_version >= '3.8'\""),
        ('requires-python = "==3.13.*"', 'requires-python = ">=3.13,<3.14"'),
        ('version = "0.1.0"', 'version = "0.1"'),
        ("lint = [", "empty = []\nlint = ["),
        ('"tester>=9", ', '"tester>=9", "checker>=3.0", '),
    ],
)
def test_another_spelling_is_not_stale(root: Path, old: str, new: str) -> None:
    edit(root / "pyproject.toml", old, new)
    assert stale(root) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"torch>=2"', '"torch>=2.1"', ["torch>=2.1", "was made for torch>=2"]),
        (', "torch>=2"', "", ["no longer asks for torch>=2"]),
        ('"torch>=2"', '"torch>=2", "six"', ["six", "does not know it"]),
        ("sys_platform == 'linux'", "sys_platform != 'darwin'", ['beta>=2; sys_platform != "darwin" and']),
        ("\"beta>=2; sys_platform == 'linux'\"", '"beta>=2"', ["asks for beta>=2 and"]),
        ("alpha[fast]", "alpha", ["alpha<2,>=1 and", "alpha[fast]<2,>=1"]),
        ('"==3.13.*"', '">=3.13"', ["Python >=3.13", "==3.13.*"]),
        ('"tester>=9", ', "", ["no longer asks for tester>=9 in group dev"]),
        ('{ include-group = "lint" }', '{ include-group = "docs" }', ["writer in group dev"]),
        ('plot = ["plotter"]', 'plot = ["plotter>=5"]', ["plotter>=5"]),
        ("plot = ", "draw = ", ['extra == "draw"', 'extra == "plot"']),
        ('version = "0.1.0"', 'version = "0.2.0"', ["version 0.2.0", "0.1.0"]),
    ],
)
def test_an_edited_manifest_is_stale_and_named(root: Path, old: str, new: str, told: list[str]) -> None:
    edit(root / "pyproject.toml", old, new)
    told_of = " ".join(stale(root))
    assert [words for words in told if words not in told_of] == []
    assert told_of.endswith("run `make lock`.")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"torch>=2"', '"torch>>2"', "torch>>2"),
        ('{ include-group = "lint" }', '{ include-group = "dev" }', "includes itself"),
        ('{ include-group = "lint" }', '{ include-group = "none" }', "'none' not found"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_one_sentence(root: Path, old: str, new: str, sentence: str) -> None:
    edit(root / "pyproject.toml", old, new)
    (found,) = stale(root)
    assert sentence in found
    assert "\n" not in found


def test_what_a_source_replaces_is_not_compared(root: Path) -> None:
    edit(root / "uv.lock", '{ name = "torch", specifier = ">=2" }', '{ name = "torch", git = "https://x.example/t" }')
    assert stale(root) == []


def test_a_lock_that_uv_wrote_has_no_fault(root: Path) -> None:
    assert faults(root, None) == []
    check_lock.note_origins(root)
    assert check_lock.noted_origins(root) == ORIGINS
    assert sentences(root) == []
    assert faults(root, ORIGINS) == []


REGISTRY = 'source = { registry = "https://index.example/simple" }'
ALPHA = f'hash = "sha256:{uv_project.digest("alpha-1.5-py3-none-any.whl")}"'


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (f", {ALPHA}", "", r"alpha 1\.5 has no sha256 for alpha-1\.5-py3-none-any\.whl"),
        (ALPHA, 'hash = "md5:d41d8cd98f00b204e9800998ecf8427e"', "has no sha256"),
        (ALPHA, 'hash = "sha256:abc"', "has no sha256"),
        ('version = "1.5"', 'version = "1.6"', r"alpha 1\.6 was edited by hand.*alpha-1\.5"),
        ("files.example/beta-2.1", "files.example/gamma-2.1", r"beta 2\.1 was edited by hand"),
        ("https://files.example/alpha", "http://files.example/alpha", r"comes from http://files\.example"),
        ("https://files.example/alpha", "https://files.example@evil.example/alpha", r"from https://evil\.ex"),
        (f"{REGISTRY}\nwheels", 'source = { registry = "https://other.example" }\nwheels', "from https://other"),
        (f"{REGISTRY}\n", 'source = { git = "https://index.example/x?rev=main" }\n',
         "without the id of a commit"),
        (f"{REGISTRY}\n", 'source = { directory = "../elsewhere" }\n',
         "outside of this repository"),
    ],
)  # fmt: skip
def test_an_edit_by_hand_is_named(root: Path, old: str, new: str, sentence: str) -> None:
    edit(root / "uv.lock", old, new)
    (found,) = faults(root, ORIGINS)
    assert re.search(sentence, found)
    assert found.endswith("`git checkout -- uv.lock`.")


def test_an_entry_without_a_file_is_a_fault(root: Path) -> None:
    text = re.sub(
        r'(name = "beta"\nversion.*\nsource.*\n)wheels = \[\n.*\n\]', r"\1wheels = []", uv_project.lock_text()
    )
    (root / "uv.lock").write_text(text, encoding="utf-8")
    assert [s for s in faults(root, None) if "beta 2.1 has no file with a hash" in s]


def test_code_of_this_repository_and_a_commit_need_no_hash(root: Path) -> None:
    source = '{ registry = "https://index.example/simple" }'
    edit(root / "uv.lock", source, '{ editable = "packages/alpha" }')
    edit(
        root / "uv.lock",
        source,
        '{ git = "https://index.example/x?rev=main#0123456789abcdef0123456789abcdef01234567" }',
    )
    assert faults(root, ORIGINS) == []
