"""What conda installed, by its own records: names by ownership, what pip put over them, other builds of a version."""

import base64
import hashlib
import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from standing.parity import drift
from standing.parity.drift import Distribution
from standing.parity.lock import Lock, LockedPackage

import links
from kit import uv_project
from kit.uv_project import digest

pytestmark = pytest.mark.static

SITE = "lib/python3.13/site-packages"


@pytest.fixture(scope="module")
def native() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "standing.parity.native", links.ROOT / "tools" / "conda" / "native.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Prefix:
    """An environment of conda's, made of files."""

    def __init__(self, folder: Path, native: ModuleType) -> None:
        self.folder, self.native, self.site = folder, native, folder / SITE
        (folder / "conda-meta").mkdir(parents=True)

    def conda(self, name: str, version: str, *paths: str, build: str = "py_0") -> Path:
        """Install a package of conda's that owns these files; return its record."""
        entries = [self._file(path, name) for path in paths]
        record = {
            "name": name,
            "version": version,
            "build": build,
            "sha256": digest(f"{name}-{version}-{build}"),
            "files": [*paths],
            "paths_data": {"paths": entries, "paths_version": 1},
        }
        path = self.folder / "conda-meta" / f"{name}-{version}-{build}.json"
        path.write_text(json.dumps(record), encoding="utf-8")
        return path

    def _file(self, path: str, name: str) -> dict[str, Any]:
        text = {"INSTALLER": "conda\n", "METADATA": f"Name: {name}\n"}.get(Path(path).name, f"# {name}\n")
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text, encoding="utf-8")
        hashed = hashlib.sha256(text.encode()).hexdigest()
        return {"_path": path, "path_type": "hardlink", "sha256": hashed, "size_in_bytes": len(text)}

    def python(self, name: str, version: str, *, conda: str = "") -> Path:
        """Install a Python package that conda calls `conda`; return its record."""
        stem = f"{name.replace('-', '_')}-{version}.dist-info"
        files = (f"{name}.py", f"{stem}/METADATA", f"{stem}/INSTALLER", f"{stem}/RECORD")
        return self.conda(conda or name, version, *(f"{SITE}/{file}" for file in files))

    def packages(self) -> dict[str, list[str]]:
        """Return the versions of each name, the one that is imported first."""
        self.native._records.cache_clear()  # noqa: SLF001 - files change here under one process
        found: dict[str, list[str]] = {}
        for distribution in self.native.packages(self.folder, drift.found([str(self.site)])):
            found.setdefault(distribution.name, []).append(distribution.version)
        return found

    def altered(self, *locked: LockedPackage) -> list[tuple[str, str]]:
        self.native._records.cache_clear()  # noqa: SLF001 - as above
        lock = Lock(locked, "conda-lock.yml", "", "")
        return [(one.name, state) for one, state in self.native.altered(self.folder, lock)]

    def one(self, name: str) -> Distribution:
        self.native._records.cache_clear()  # noqa: SLF001 - as above
        every: list[Distribution] = [*self.native.packages(self.folder, drift.found([str(self.site)]))]
        return next(distribution for distribution in every if distribution.name == name)


def locked(name: str, version: str, build: str = "py_0") -> LockedPackage:
    hashes = frozenset({digest(f"{name}-{version}-{build}")})
    return LockedPackage(name, version, hashes, frozenset({"main"}), direct=True)


@pytest.fixture
def prefix(tmp_path: Path, native: ModuleType) -> Prefix:
    """An environment with a Python package, one that conda calls otherwise, and two that are no Python."""
    prefix = Prefix(tmp_path / "env", native)
    prefix.python("numpy", "2.5.4")
    prefix.python("torch", "2.9", conda="pytorch")
    prefix.conda("openssl", "3.5.4", "lib/libssl.so", "bin/openssl")
    prefix.conda("_x_mutex", "0.1")
    return prefix


EVERY = {"numpy": ["2.5.4"], "pytorch": ["2.9"], "openssl": ["3.5.4"], "x-mutex": ["0.1"]}


def test_names_are_condas_by_what_it_owns(prefix: Prefix) -> None:
    assert prefix.packages() == EVERY


def test_the_metadata_is_what_the_package_owns(prefix: Prefix) -> None:
    assert prefix.one("pytorch").metadata == str(prefix.site / "torch-2.9.dist-info")
    assert prefix.one("pytorch").folder == str(prefix.site)
    assert prefix.one("openssl").metadata == str(prefix.folder / "conda-meta" / "openssl-3.5.4-py_0.json")


def test_what_a_package_carries_further_down_is_no_distribution(prefix: Prefix) -> None:
    prefix.conda("setuptools", "80", f"{SITE}/setuptools/_vendor/x-1.dist-info/METADATA")
    assert prefix.one("setuptools").metadata.endswith("setuptools-80-py_0.json")


def test_one_package_may_own_two_distributions(prefix: Prefix) -> None:
    prefix.conda("pair", "1", *(f"{SITE}/{name}-1.dist-info/METADATA" for name in ("left", "right")))
    assert prefix.packages() == EVERY | {"pair": ["1"]}
    owners = prefix.native.owners(prefix.folder)
    assert [owners[str(prefix.site / f"{name}-1.dist-info")] for name in ("left", "right")] == ["pair", "pair"]
    assert owners[prefix.one("pytorch").metadata] == "pytorch"


def test_what_no_conda_package_owns_is_told_first(prefix: Prefix) -> None:
    uv_project.install(prefix.site, "six", "1.17")
    uv_project.install(prefix.site, "numpy", "2.4")
    assert prefix.packages() == EVERY | {"six": ["1.17"], "numpy": ["2.4", "2.5.4"]}
    names = [one.name for one in prefix.native.packages(prefix.folder, drift.found([str(prefix.site)]))]
    assert sorted(names[:2]) == ["numpy", "six"]


def test_a_linked_prefix_is_the_same_environment(prefix: Prefix, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(prefix.folder)
    prefix.folder = tmp_path / "link"
    prefix.site = prefix.folder / SITE
    assert prefix.packages() == EVERY


@pytest.mark.parametrize("other", ["", "2.4"])
def test_a_package_whose_metadata_is_gone_is_not_installed(prefix: Prefix, other: str) -> None:
    shutil.rmtree(prefix.site / "numpy-2.5.4.dist-info")
    if other:
        uv_project.install(prefix.site, "numpy", other)
    assert prefix.packages().get("numpy", []) == ([other] if other else [])


def test_a_folder_that_an_uninstall_left_is_not_installed(prefix: Prefix) -> None:
    (prefix.site / "numpy-2.5.4.dist-info" / "METADATA").unlink()
    assert "numpy" not in prefix.packages()


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "half"}', ""])
def test_a_record_that_cannot_be_read_is_not_installed(prefix: Prefix, text: str) -> None:
    (prefix.folder / "conda-meta" / "half-1-0.json").write_text(text, encoding="utf-8")
    assert prefix.packages() == EVERY


def test_what_is_as_locked_is_not_altered(prefix: Prefix) -> None:
    assert prefix.altered(locked("numpy", "2.5.4"), locked("pytorch", "2.9"), locked("openssl", "3.5.4")) == []


def test_another_build_of_the_locked_version_is_altered(prefix: Prefix) -> None:
    found = prefix.altered(locked("openssl", "3.5.4", build="h_1"), locked("numpy", "2.5.3"))
    assert found == [("openssl", "is build py_0 of it, and another build is locked")]


def test_a_record_without_a_digest_proves_nothing(prefix: Prefix) -> None:
    path = prefix.conda("openssl", "3.5.4")
    path.write_text(path.read_text(encoding="utf-8").replace('"sha256": "', '"md5": "'), encoding="utf-8")
    assert [name for name, _ in prefix.altered(locked("openssl", "3.5.4"))] == ["openssl"]


def test_pip_over_the_same_version_is_altered(prefix: Prefix) -> None:
    (prefix.site / "torch-2.9.dist-info" / "INSTALLER").write_text("pip\n", encoding="utf-8")
    assert prefix.packages() == EVERY
    assert prefix.altered(locked("pytorch", "2.9")) == [("pytorch", "was replaced by pip")]


def test_a_build_of_which_pip_knows_nothing_has_records(prefix: Prefix, native: ModuleType) -> None:
    rows = native.records(prefix.folder, prefix.one("openssl"))
    wanted = base64.urlsafe_b64encode(hashlib.sha256(b"# openssl\n").digest()).decode().rstrip("=")
    assert rows == [("../lib/libssl.so", f"sha256={wanted}"), ("../bin/openssl", f"sha256={wanted}")]


def test_records_lead_to_the_files_that_are_there(prefix: Prefix, native: ModuleType) -> None:
    one = prefix.one("numpy")
    paths = [Path(one.folder, path) for path, _ in native.records(prefix.folder, one)]
    assert "numpy.py" in [path for path, _ in native.records(prefix.folder, one)]
    assert all(path.exists() for path in paths)


def test_where_the_prefix_was_written_in_the_hash_of_the_result_counts(prefix: Prefix, native: ModuleType) -> None:
    path = prefix.conda("tool", "1", "bin/tool")
    record = json.loads(path.read_text(encoding="utf-8"))
    record["paths_data"]["paths"][0]["sha256_in_prefix"] = "ab" * 32
    path.write_text(json.dumps(record), encoding="utf-8")
    wanted = base64.urlsafe_b64encode(bytes.fromhex("ab" * 32)).decode().rstrip("=")
    assert native.records(prefix.folder, prefix.one("tool")) == [("../bin/tool", f"sha256={wanted}")]


@pytest.mark.parametrize("kind", ["softlink", "directory", "pyc_file"])
def test_what_is_made_on_this_machine_has_no_hash(prefix: Prefix, native: ModuleType, kind: str) -> None:
    path = prefix.conda("tool", "1", "bin/tool")
    path.write_text(path.read_text(encoding="utf-8").replace("hardlink", kind), encoding="utf-8")
    assert native.records(prefix.folder, prefix.one("tool")) == [("../bin/tool", "")]


def test_noarch_files_are_found_as_conda_names_them_too(prefix: Prefix, native: ModuleType) -> None:
    path = prefix.python("pure", "1")
    record = json.loads(path.read_text(encoding="utf-8"))
    entries = record["paths_data"]["paths"]
    expected = native.records(prefix.folder, prefix.one("pure"))
    for entry in entries:
        entry["_path"] = entry["_path"].removeprefix("lib/python3.13/")
    entries.append(entries[0] | {"_path": "python-scripts/pure"})
    path.write_text(json.dumps(record), encoding="utf-8")
    assert native.records(prefix.folder, prefix.one("pure")) == [*expected, ("../../../bin/pure", expected[0][1])]
    assert prefix.altered(locked("pure", "1")) == []
    (prefix.site / "pure-1.dist-info" / "INSTALLER").write_text("pip\n", encoding="utf-8")
    assert prefix.altered(locked("pure", "1")) == [("pure", "was replaced by pip")]


def test_a_pyc_that_came_with_the_package_has_no_hash_either(prefix: Prefix, native: ModuleType) -> None:
    prefix.conda("fast", "1", f"{SITE}/__pycache__/fast.pyc")
    (row,) = native.records(prefix.folder, prefix.one("fast"))
    assert not row[1]


def test_what_is_not_condas_has_no_records_of_it(prefix: Prefix, native: ModuleType) -> None:
    uv_project.install(prefix.site, "numpy", "2.4")
    assert native.records(prefix.folder, prefix.one("numpy")) is None
