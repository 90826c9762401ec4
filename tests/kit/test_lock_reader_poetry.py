"""The reader of poetry.lock, and what check_lock says of it: what applies where, is stale, was edited by hand.

The lock below is the one that Poetry 2.5.1 wrote for this manifest, without descriptions; what applies where was
compared with what its own `Transaction` installs in these environments, and each digest is its content-hash.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from kit import readers
from kit.uv_project import LINUX, MAC, WINDOWS, digest, edit

pytestmark = pytest.mark.static

MANIFEST = """\
[project]
name = "Demo_App"
version = "0.1.0"
requires-python = "==3.13.*"
dependencies = [
    "alpha[fast]>=1,<2",
    "beta>=2; sys_platform == 'linux'",
    "torch==2.0; sys_platform == 'darwin'",
    "torch>=2.1; sys_platform != 'darwin'",
    "gitlib @ git+https://git.example/gitlib@main ; sys_platform == 'linux'",
    "private-lib>=1",
    "inner",
    "Weird.Name_x",
    "filed",
]
[project.optional-dependencies]
plot = ["plotter"]
[dependency-groups]
lint = ["checker>=3"]
dev = ["tester>=9", { include-group = "lint" }]
docs = ["writer"]
[tool.poetry.group.docs]
optional = true
[tool.poetry.dependencies]
private-lib = { source = "private" }
inner = { path = "packages/inner", develop = true }
filed = { path = "vendor/filed-1.0-py3-none-any.whl" }
"""
CONTENT_HASH = "feaf650c0d12249b9bf58e05df8ff65ada61604f536efa2b7550189df9389a1b"
TAIL = f"""
[extras]
plot = ["plotter"]

[metadata]
lock-version = "2.1"
python-versions = "==3.13.*"
content-hash = "{CONTENT_HASH}"
"""

ON_LINUX = 'markers = "sys_platform == \\"linux\\""\n'
COLOUR = (
    'markers = {main = "sys_platform == \\"darwin\\" and extra == \\"plot\\" or sys_platform == \\"win32\\" or'
    ' sys_platform == \\"linux\\"", dev = "sys_platform == \\"win32\\" or sys_platform == \\"linux\\""}\n'
)
COMMIT = "bbfe4516d4695b0bc5d1dd2f7e48651f050e308d"
GIT = f"""
[package.source]
type = "git"
url = "https://git.example/gitlib"
reference = "main"
resolved_reference = "{COMMIT}"
"""
PRIVATE = '\n[package.source]\ntype = "legacy"\nurl = "https://private.example/simple"\nreference = "private"\n'
FOLDER = '\n[package.source]\ntype = "directory"\nurl = "packages/inner"\n'
FILE = '\n[package.source]\ntype = "file"\nurl = "vendor/filed-1.0-py3-none-any.whl"\n'
# name, version, groups, what stands before the files (or, of two markers, behind them), what follows
PACKAGES = (
    ("alpha", "1.5", ["main", "dev"], "", '\n[package.extras]\nfast = ["quick-lib"]\n'),
    ("beta", "2.1", ["main"], ON_LINUX, ""),
    ("checker", "3.0", ["dev", "lint"], "", ""),
    ("colour", "0.4", ["main", "dev", "docs"], COLOUR, ""),
    ("filed", "1.0", ["main"], "", FILE),
    ("gitlib", "0.3", ["main"], ON_LINUX, GIT),
    ("inner", "0.1", ["main"], "", FOLDER),
    ("plotter", "5.0", ["main"], 'markers = "extra == \\"plot\\""\n', '\n[package.dependencies]\nalpha = "*"\n'),
    ("private-lib", "1.2", ["main"], "", PRIVATE),
    ("quick-lib", "0.2", ["main", "dev"], "", ""),
    ("tester", "9.0", ["dev"], "", '\n[package.dependencies]\nquick-lib = "*"\n'),
    ("torch", "2.0", ["main"], 'markers = "sys_platform == \\"darwin\\""\n', ""),
    ("torch", "2.1", ["main"], 'markers = "sys_platform != \\"darwin\\""\n', ""),
    ("weird-name-x", "1.0.post1", ["main"], "", ""),
    ("writer", "7.0", ["docs"], "", '\n[package.dependencies]\ncolour = "*"\n'),
)
WITHOUT_FILES = ("gitlib", "inner")
EVERYWHERE = {"alpha", "filed", "inner", "private-lib", "quick-lib", "weird-name-x", "torch"}
DEVELOPERS = {"alpha", "checker", "quick-lib", "tester"}


def wheel(name: str, version: str) -> str:
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def entry(name: str, version: str, groups: list[str], markers: str, rest: str) -> str:
    file = wheel(name, version)
    listed = f'[\n    {{file = "{file}", hash = "sha256:{digest(file)}"}},\n]'
    named = ", ".join(f'"{group}"' for group in groups)
    return (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\noptional = {str("extra ==" in markers).lower()}\n'
        f'python-versions = "*"\ngroups = [{named}]\n{markers}'
        f"files = {'[]' if name in WITHOUT_FILES else listed}\n{rest}"
    )


@pytest.fixture(scope="module")
def check_lock() -> Iterator[ModuleType]:
    """Poetry's check_lock: the conftest's one has another tool's reader."""
    with readers.of("poetry") as found:
        yield found["check_lock"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose lock answers its manifest."""
    (tmp_path / ".tools").mkdir()
    (tmp_path / ".tools" / "origins.txt").write_text("https://git.example\nhttps://private.example\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(MANIFEST, encoding="utf-8")
    lock = "\n".join([*(entry(*package) for package in PACKAGES), TAIL.lstrip("\n")])
    (tmp_path / "poetry.lock").write_text(lock, encoding="utf-8")
    return tmp_path


def sentences(check_lock: ModuleType, root: Path) -> list[str]:
    return [reason.sentence for reason in check_lock.reasons(root, root / "none.json")]


def names(check_lock: ModuleType, root: Path, environment: dict[str, str], group: str) -> set[str]:
    return {p["name"] for p in check_lock.locked(root, environment) if group in p["groups"]}


@pytest.mark.parametrize(
    ("environment", "main", "dev"),
    [
        (LINUX, {"beta", "colour", "gitlib"}, {"colour"}),
        (MAC, set(), set()),
        (WINDOWS, {"colour"}, {"colour"}),
    ],
    ids=["linux", "darwin", "win32"],
)
def test_groups_and_markers_decide(
    check_lock: ModuleType, root: Path, environment: dict[str, str], main: set[str], dev: set[str]
) -> None:
    assert names(check_lock, root, environment, "main") == EVERYWHERE | main
    assert names(check_lock, root, environment, "dev") == DEVELOPERS | dev


@pytest.mark.parametrize(("environment", "version"), [(LINUX, "2.1"), (WINDOWS, "2.1"), (MAC, "2.0")])
def test_of_two_entries_of_one_name_one_applies(
    check_lock: ModuleType, root: Path, environment: dict[str, str], version: str
) -> None:
    found = [p for p in check_lock.locked(root, environment) if p["name"] == "torch"]
    assert [p["version"] for p in found] == [version]
    assert found[0]["hashes"] == [digest(wheel("torch", version))]


def test_what_is_optional_is_allowed_and_not_demanded(check_lock: ModuleType, root: Path) -> None:
    groups = {p["name"]: p["groups"] for p in check_lock.locked(root, MAC)}
    assert groups["plotter"] == groups["writer"] == groups["colour"] == []


def test_a_group_of_poetrys_own_table_is_dev_where_it_is_not_optional(check_lock: ModuleType, root: Path) -> None:
    edit(root / "pyproject.toml", 'docs = ["writer"]\n', "")
    edit(root / "pyproject.toml", "optional = true", "optional = false")
    assert names(check_lock, root, MAC, "dev") == DEVELOPERS | {"writer", "colour"}


def test_markers_that_only_poetry_writes(check_lock: ModuleType, root: Path) -> None:
    edit(root / "poetry.lock", ON_LINUX, 'markers = "<empty>"\n')
    edit(root / "poetry.lock", ON_LINUX, 'markers = "*"\n')
    assert names(check_lock, root, LINUX, "main") == EVERYWHERE | {"colour", "gitlib"}


def test_direct_is_what_the_manifest_names_for_runtime_and_developers(check_lock: ModuleType, root: Path) -> None:
    direct = {package["name"] for package in check_lock.locked(root, LINUX) if package["direct"]}
    asked = {"alpha", "beta", "torch", "gitlib", "private-lib", "inner", "weird-name-x", "filed"}
    assert direct == asked | {"checker", "tester"}


def test_a_lock_that_poetry_wrote_has_no_fault(check_lock: ModuleType, root: Path) -> None:
    assert sentences(check_lock, root) == []
    check_lock.note_origins(root)
    assert check_lock.noted_origins(root) == {"https://git.example gitlib", "https://private.example private-lib"}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('lock-version = "2.1"', 'lock-version = "2.0"', "lock-version 2.0"),
        ('lock-version = "2.1"', 'lock-version = "3.0"', "lock-version 3.0"),
        ('lock-version = "2.1"\n', "", "not as poetry writes it"),
        ('groups = ["main"]', "groups = main", "is not TOML"),
        ('groups = ["main"]\n', "", "not as poetry writes it"),
        ('sys_platform == \\"linux\\"', "sys_platform is linux", "not as poetry writes it"),
    ],
)
def test_a_lock_that_cannot_be_read_is_one_sentence(
    check_lock: ModuleType, root: Path, old: str, new: str, sentence: str
) -> None:
    edit(root / "poetry.lock", old, new)
    with pytest.raises(ValueError, match=sentence) as caught:
        check_lock.locked(root, LINUX)
    assert re.search(r"`[^`]+`", str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_newer_minor_schema_is_read(check_lock: ModuleType, root: Path) -> None:
    edit(root / "poetry.lock", 'lock-version = "2.1"', 'lock-version = "2.4"')
    assert sentences(check_lock, root) == []


@pytest.mark.parametrize(("name", "repair"), [("poetry.lock", "make lock"), ("pyproject.toml", "git checkout -- py")])
def test_a_missing_file_names_the_command(check_lock: ModuleType, root: Path, name: str, repair: str) -> None:
    (root / name).unlink()
    (sentence,) = sentences(check_lock, root)
    assert sentence.startswith(f"{name} is missing: run `{repair}")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"inner"', '"inner", "six>=1"', "asks for six>=1 and poetry.lock does not know it"),
        ('"tester>=9"', '"tester>=9", "six>=1"', "asks for six>=1 in group dev and poetry.lock does not know it"),
        ('"alpha[fast]>=1,<2"', '"alpha[fast]>=1.6"', "alpha[fast]>=1.6 and poetry.lock has alpha 1.5"),
        ('"inner"', '"inner", "tester"', "asks for tester and poetry.lock does not know it"),
        ('    "Weird.Name_x",\n', "", "pyproject.toml was changed since poetry.lock was made"),
        ('"==3.13.*"', '"==3.12.*"', "pyproject.toml was changed since"),
        ('"writer"', '"writer>=8"', "pyproject.toml was changed since"),
        ('"plotter"', '"plotter>=6"', "pyproject.toml was changed since"),
        ("develop = true", "develop = false", "pyproject.toml was changed since"),
    ],
)
def test_an_edited_manifest_is_stale_and_named(
    check_lock: ModuleType, root: Path, old: str, new: str, told: str
) -> None:
    edit(root / "pyproject.toml", old, new)
    (found,) = sentences(check_lock, root)
    assert told in found
    assert found.endswith("run `make lock`.")


@pytest.mark.parametrize(
    ("old", "new"),
    [('version = "0.1.0"', 'version = "0.2.0"'), ("[project]\n", "# mine\n[tool.mine]\na = 1\n[project]\n")],
)
def test_what_poetry_does_not_lock_is_not_stale(check_lock: ModuleType, root: Path, old: str, new: str) -> None:
    edit(root / "pyproject.toml", old, new)
    assert sentences(check_lock, root) == []


@pytest.mark.parametrize(
    ("manifest", "content_hash"),
    [
        (
            '[project]\nrequires-python = "==3.13.*"\ndependencies = ["é>=1"]\n',
            "6c7eabad7f9a70502da95ca015886199d6c37527be74c65a4794112a07aa8e8a",
        ),
        (
            '[dependency-groups]\ndev = ["a>1", { include-group = "lint" }]\nlint = []\n',
            "ceb1f44f7056eae3de82da27fa3cc2cba21fd5be8d8b10674062b27a58e1be16",
        ),
        (
            '[tool.poetry.dependencies]\npython = "^3.12"\n',
            "34e39677d8527182346093002688d17a5d2fc204b9eb3e094b2e6ac519028228",
        ),
        (
            '[project]\ndependencies = ["a"]\noptional-dependencies = {}\n[tool.poetry]\nextras = { a = ["b"] }\n',
            "31676cfd6292d416cf66b5010218b7e2e9584155ec3590c178bce06528498e81",
        ),
    ],
    ids=["project", "groups", "legacy", "all"],
)
def test_the_digest_is_poetrys(check_lock: ModuleType, root: Path, manifest: str, content_hash: str) -> None:
    (root / "pyproject.toml").write_text(manifest, encoding="utf-8")
    now, recorded = check_lock.lock_reader.asked(root)["digest"]
    assert (now, recorded) == (content_hash, CONTENT_HASH)


ALPHA = digest(wheel("alpha", "1.5"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (f', hash = "sha256:{ALPHA}"', "", r"alpha 1\.5 has no sha256 for alpha-1\.5-py3-none-any\.whl"),
        (f"sha256:{ALPHA}", "md5:d41d8cd98f00b204e9800998ecf8427e", "alpha 1.5 has no sha256"),
        ('version = "1.5"', 'version = "1.6"', r"alpha 1\.6 was edited by hand.*alpha-1\.5"),
        ('{file = "beta-2.1', '{file = "gamma-2.1', r"beta 2\.1 was edited by hand"),
        ("private.example", "evil.example", r"private-lib 1\.2 comes from https://evil\.example"),
        ("https://git.example", "https://evil.example", r"gitlib 0\.3 comes from https://evil\.example"),
        ("https://git.example/gitlib", "git@evil.example:gitlib", r"gitlib 0\.3 comes from ssh://evil\.example"),
        (f'resolved_reference = "{COMMIT}"\n', "", "gitlib comes from git without the id of a commit"),
        (COMMIT, "main", "gitlib comes from git without the id of a commit"),
        ("packages/inner", "../inner", "outside of this repository"),
        (
            '\n[package.extras]\nfast = ["quick-lib"]\n',
            '\n[package.source]\ntype = "url"\nurl = "https://evil.example/alpha-1.5-py3-none-any.whl"\n',
            r"alpha 1\.5 comes from https://evil\.example",
        ),
    ],
)
def test_an_edit_by_hand_is_named(check_lock: ModuleType, root: Path, old: str, new: str, sentence: str) -> None:
    edit(root / "poetry.lock", old, new)
    (found,) = sentences(check_lock, root)
    assert re.search(sentence, found)
    assert found.endswith("`git checkout -- poetry.lock`.")


def test_an_entry_whose_files_were_emptied_is_a_fault(check_lock: ModuleType, root: Path) -> None:
    """Poetry installs it: nothing is left to compare with."""
    text = (root / "poetry.lock").read_text(encoding="utf-8")
    emptied = re.sub(r"files = \[\n    \{file = \"beta.*\n\]", "files = []", text)
    assert emptied != text
    (root / "poetry.lock").write_text(emptied, encoding="utf-8")
    (found,) = sentences(check_lock, root)
    assert "beta 2.1 has no file with a hash" in found


def test_an_entry_that_was_removed_is_missed_where_the_manifest_names_it(check_lock: ModuleType, root: Path) -> None:
    edit(root / "poetry.lock", entry(*PACKAGES[-2]), "")
    (found,) = sentences(check_lock, root)
    assert "asks for Weird.Name_x and poetry.lock does not know it" in found
