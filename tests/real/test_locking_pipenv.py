"""Level real: the program that has Pipenv make its lock: nothing moves unasked, nothing is lost."""

import json
import runpy
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

import commands
import rendering
from index import Index, Json, Planted
from kit.test_lock_reader_pipenv import PIPFILE

pytestmark = pytest.mark.real

FOLDER = rendering.ROOT / "tools" / "pipenv"
TOOLS = rendering.ROOT / "template" / ".tools"


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds what tools/pipenv/requirements.txt pins."""
    folder = tmp_path_factory.mktemp("pipenv") / "venv"
    found = commands.succeed(rendering.ROOT, "sh", TOOLS / "bootstrap.sh", "find", "3.13").strip()
    commands.succeed(rendering.ROOT, found, "-m", "venv", folder)
    made = folder / "bin" / "python"
    hashed = ("--require-hashes", "--only-binary", ":all:", "--requirement", FOLDER / "requirements.txt")
    commands.succeed(rendering.ROOT, made, "-m", "pip", "install", "--quiet", *hashed)
    return made


SMALL = """\
[packages]
app = "*"  # the reason for it all
lib = ">=1"

# only we need these
[dev-packages]
tester = "*"

[requires]
python_version = "3.13"
"""
FIRST = [
    Planted("app", "1.0", ("helper>=1",)),
    Planted("helper", "1.0"),
    Planted("lib", "1.0", ("base",)),
    Planted("base", "1.0"),
    Planted("tester", "1.0", ("base", "plug")),
    Planted("plug", "1.0"),
]


class Repository:
    """A Pipfile beside the program that locks it, and an index."""

    def __init__(self, root: Path, python: Path, index: str) -> None:
        self.root, self.python = root, python
        self.variables = {"PIP_INDEX_URL": index, "PIP_CONFIG_FILE": "/dev/null"}
        # pip's cache would answer for another index on the same port.
        self.variables |= {"PIPENV_CACHE_DIR": str(root.parent / "cache"), "HOME": str(root.parent)}
        (root / ".tools").mkdir(parents=True)
        for name in ("lock.py", "lock_reader.py"):
            shutil.copy(FOLDER / name, root / ".tools")
        self.manifest.write_text(SMALL, encoding="utf-8")

    @property
    def manifest(self) -> Path:
        return self.root / "Pipfile"

    @property
    def lock(self) -> Path:
        return self.root / "Pipfile.lock"

    def run(self, *arguments: str, **more: str) -> str:
        return commands.succeed(self.root, self.python, ".tools/lock.py", *arguments, **{**self.variables, **more})

    def refuse(self, *arguments: str, **more: str) -> str:
        """Run the program, which must fail in words and leave both files as they were."""
        before = [path.read_bytes() if path.exists() else b"" for path in (self.manifest, self.lock)]
        said = commands.refuse(self.root, self.python, ".tools/lock.py", *arguments, **{**self.variables, **more})
        assert [path.read_bytes() if path.exists() else b"" for path in (self.manifest, self.lock)] == before
        return said

    def versions(self) -> dict[str, str]:
        lock = json.loads(self.lock.read_bytes())
        return {name: one["version"][2:] for section in ("default", "develop") for name, one in lock[section].items()}


@pytest.fixture
def index() -> Iterator[Index]:
    with Index(FIRST) as server:
        yield server


@pytest.fixture
def repository(tmp_path: Path, python: Path, index: Index) -> Repository:
    """A repository that is locked."""
    made = Repository(tmp_path / "a folder" / "repository", python, index.url)
    made.run()
    return made


OLD = {"app": "1.0", "base": "1.0", "helper": "1.0", "lib": "1.0", "plug": "1.0", "tester": "1.0"}


@pytest.mark.thorough
def test_locking_again_keeps_every_pin_and_touches_nothing_else(repository: Repository, index: Index) -> None:
    before = repository.lock.read_bytes()
    index.plant(*(Planted(one.name, "2.0", one.requires) for one in FIRST))
    repository.run()
    assert repository.lock.read_bytes() == before
    assert {path.name for path in repository.root.iterdir()} == {".tools", "Pipfile", "Pipfile.lock"}
    assert not [*repository.root.parent.rglob("virtualenvs")]


def test_upgrading_one_loses_nothing_that_others_need(repository: Repository, index: Index) -> None:
    """https://github.com/pypa/pipenv/issues/6573: the newest app no longer needs helper, the locked one does."""
    index.plant(Planted("app", "2.0"), Planted("lib", "2.0", ("base",)), Planted("base", "2.0"))
    said = repository.run("--upgrade", "lib")
    assert repository.versions() == {**OLD, "lib": "2.0"}
    assert "lib 1.0 -> 2.0" in said
    assert "app" not in said


@pytest.mark.thorough
def test_upgrading_one_moves_what_it_forces_and_no_more(repository: Repository, index: Index) -> None:
    index.plant(Planted("lib", "2.0", ("base>=2",)), Planted("base", "2.0"), Planted("plug", "2.0"))
    index.plant(Planted("tester", "1.0", ("base<2", "plug")), Planted("tester", "2.0", ("base", "plug")))
    repository.run("--upgrade", "lib")
    assert repository.versions() == {**OLD, "lib": "2.0", "base": "2.0", "tester": "2.0"}


def test_what_holds_an_upgraded_one_back_moves(repository: Repository, index: Index) -> None:
    index.plant(
        Planted("app", "1.0", ("helper", "lib<2")), Planted("app", "2.0", ("helper",)), Planted("helper", "2.0")
    )
    index.plant(Planted("lib", "2.0", ("base",)), Planted("base", "2.0"))
    repository.run("--upgrade", "lib")
    assert repository.versions() == {**OLD, "lib": "2.0", "app": "2.0"}


@pytest.mark.thorough
def test_upgrading_to_a_version(repository: Repository, index: Index) -> None:
    index.plant(Planted("lib", "1.5", ("base",)), Planted("lib", "2.0", ("base",)))
    repository.run("--upgrade", "lib==1.5")
    assert repository.versions() == {**OLD, "lib": "1.5"}
    assert "correct PKG='lib==9' or loosen" in repository.refuse("--upgrade", "lib==9")


def test_a_changed_manifest_moves_what_it_contradicts(repository: Repository, index: Index) -> None:
    index.plant(Planted("lib", "2.0", ("base>=2",)), Planted("base", "2.0"), Planted("app", "2.0"))
    repository.manifest.write_text(SMALL.replace('lib = ">=1"', 'lib = ">=2"'), encoding="utf-8")
    repository.run()
    assert repository.versions() == {**OLD, "lib": "2.0", "base": "2.0"}


def test_adding_edits_the_manifest_as_a_person_would(repository: Repository, index: Index) -> None:
    index.plant(Planted("extra-one", "1.0", ("base",)), Planted("app", "2.0"))
    repository.run("--add", "Extra_One[x]>=1; python_version > '3'")
    repository.run("--add", "tester>=1", "--dev")
    line = """Extra_One = {version = ">=1", extras = ["x"], markers = "python_version > \\"3\\""}\n"""
    expected = SMALL.replace('lib = ">=1"\n', f'lib = ">=1"\n{line}').replace('tester = "*"', 'tester = ">=1"')
    assert repository.manifest.read_text(encoding="utf-8") == expected
    assert repository.versions() == {**OLD, "extra-one": "1.0"}


def test_what_another_platform_needs_is_locked_in_an_exact_version(repository: Repository, index: Index) -> None:
    index.plant(Planted("elsewhere", "1.0"))
    repository.run("--add", "elsewhere==1.0; sys_platform == 'win32'")
    locked = json.loads(repository.manifest.with_name("Pipfile.lock").read_bytes())["default"]["elsewhere"]
    assert (locked["version"], len(locked["hashes"])) == ("==1.0", 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--add", "no such"), "PKG=httpx"),
        (("--add", "nothere"), "No matching distribution found for nothere"),
        (("--add", "lib>=9"), "lib>=9"),
        (("--add", "x @ https://files.example/x.whl"), "take a release"),
        (("--add", "base>=1; sys_platform == 'win32'"), "give it one with == in Pipfile"),
        (("--add", "base; sys_platform == 'win32'"), "give it one with == in Pipfile"),
        (("--add", "base==1.*; sys_platform == 'win32'"), "give it one with == in Pipfile"),
    ],
)
def test_what_fails_changes_nothing(repository: Repository, words: tuple[str, ...], told: str) -> None:
    said = repository.refuse(*words)
    assert told in said
    assert "Locking" not in said


@pytest.mark.thorough
def test_the_cooldown_and_what_passes_it(repository: Repository, index: Index) -> None:
    index.plant(Planted("lib", "2.0", ("base",), uploaded=datetime.now(UTC) - timedelta(days=1)))
    cooldown = {"PIP_UPLOADED_PRIOR_TO": "P7D"}
    repository.run("--upgrade", "lib", **cooldown)
    assert repository.versions() == OLD
    assert "NOW=1" in repository.refuse("--add", "lib>=2", **cooldown)
    repository.run("--upgrade", "lib")
    assert repository.versions() == {**OLD, "lib": "2.0"}
    # It is not taken back without a word.
    said = repository.refuse(**cooldown)
    assert "lib 2.0 is locked" in said
    assert "NOW=1" in said


class Timeless(Index):
    """An index that does not say when a file was uploaded."""

    def answer(self, path: str) -> Json | bytes | None:
        """Return what the other one does, without upload times."""
        page = super().answer(path)
        for file in page.get("files", ()) if isinstance(page, dict) else ():
            file.pop("upload-time")
        return page


def test_an_index_without_upload_times_keeps_no_cooldown(tmp_path: Path, python: Path) -> None:
    with Timeless(FIRST) as index:
        repository = Repository(tmp_path / "repository", python, index.url)
        said = repository.refuse(PIP_UPLOADED_PRIOR_TO="P7D")
        assert "The index does not say when a file was uploaded" in said
        assert "NOW=1" in said
        repository.run()


USER, PASSWORD = "user", 'p@ss:w"\\rd%'
SIMPLE = "p-a_ss.w0rd"  # what Pipenv itself carries from a variable to the index


def with_credentials(index: str) -> str:
    return index.replace("//", f"//{USER}:{quote(PASSWORD, safe='')}@")


def assert_no_secret(repository: Repository) -> None:
    for path in repository.root.rglob("*"):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        assert PASSWORD not in text, path
        assert quote(PASSWORD, safe="") not in text, path


@pytest.mark.thorough
@pytest.mark.parametrize("named", [True, False], ids=["named in Pipfile", "of the environment"])
def test_credentials_come_from_the_environment_and_stay_there(tmp_path: Path, python: Path, named: bool) -> None:  # noqa: FBT001 - a parameter
    with Index(FIRST, credentials=(USER, PASSWORD)) as index:
        repository = Repository(tmp_path / "repository", python, index.url)
        if named:
            source = f'[[source]]\nname = "default"\nurl = "{index.url}"\nverify_ssl = false\n\n'
            repository.manifest.write_text(source + SMALL, encoding="utf-8")
        repository.refuse()
        repository.run(PIP_INDEX_URL=with_credentials(index.url))
        assert repository.versions() == OLD
        assert_no_secret(repository)
        assert ("127.0.0.1" in repository.lock.read_text(encoding="utf-8")) == named
        # pip's other place for them
        netrc = repository.root.parent / ".netrc"
        words = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
        netrc.write_text(f'machine 127.0.0.1 login {USER} password "{words}"\n', encoding="utf-8")
        netrc.chmod(0o600)
        repository.lock.unlink()
        repository.run()
        repository.run("--verify")


@pytest.mark.thorough
def test_credentials_may_be_variables_in_the_manifest(tmp_path: Path, python: Path) -> None:
    with Index(FIRST, credentials=(USER, SIMPLE)) as index:
        repository = Repository(tmp_path / "repository", python, index.url)
        url = index.url.replace("//", "//${INDEX_USER}:${INDEX_PASSWORD}@")
        source = f'[[source]]\nname = "default"\nurl = "{url}"\nverify_ssl = false\n\n'
        repository.manifest.write_text(source + SMALL, encoding="utf-8")
        repository.run(INDEX_USER=USER, INDEX_PASSWORD=SIMPLE)
        assert SIMPLE not in repository.lock.read_text(encoding="utf-8")
        assert "${INDEX_PASSWORD}" in repository.lock.read_text(encoding="utf-8")


def test_settings_of_the_machine_do_not_reach_the_lock(repository: Repository) -> None:
    before = repository.lock.read_bytes()
    conf = repository.root.parent / "pip.conf"
    conf.write_text("[global]\nindex-url = https://conf.example/simple\nextra-index-url = https://more.example/\n")
    theirs = {"PIP_CONFIG_FILE": str(conf), "PIP_EXTRA_INDEX_URL": "https://extra.example/simple"}
    theirs |= {"PIPENV_PIPFILE": str(conf), "PIPENV_VENV_IN_PROJECT": "1", "PIPENV_IGNORE_VIRTUALENVS": "1"}
    repository.run(**theirs)
    assert repository.lock.read_bytes() == before
    repository.run("--verify", **theirs)


@pytest.mark.parametrize(
    "manifest",
    [
        SMALL.replace("app", "other"),
        PIPFILE,
        PIPFILE.replace("[docs]", "[docs-More]").replace("python_version", "python_full_version"),
        "[scripts]\nx = 'y'\n[pipenv]\nallow_prereleases = true\n",
        '[packages]\n"A.B_c" = {git = "https://git.example/x.git", ref = "main", editable = true, extras = ["é"]}\n',
        "[default]\na = '*'\n[packages.b]\nversion = '*'\n",
    ],
)
def test_the_digest_is_the_one_that_pipenv_takes(repository: Repository, manifest: str) -> None:
    repository.manifest.write_text(manifest, encoding="utf-8")
    told = repository.refuse("--verify")
    assert "out-of-date" in told
    digest = runpy.run_path(str(FOLDER / "lock_reader.py"))["digest"](repository.root)
    lock = json.loads(repository.lock.read_bytes())
    lock["_meta"]["hash"]["sha256"] = digest
    repository.lock.write_text(json.dumps(lock), encoding="utf-8")
    repository.run("--verify")
