"""What is installed against what is locked: each kind of drift by its name, its role and its repair."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import check_lock
import pytest
from standing.parity import drift, environment, lock
from standing.parity.drift import Finding
from standing.parity.environment import EnvironmentDriftError, Report

from kit import uv_project
from kit.uv_project import INSTALLED, LINUX, MAC, RUNTIME, edit

pytestmark = pytest.mark.static


class Place:
    """A repository with its environment, made of files."""

    def __init__(self, folder: Path) -> None:
        self.root = uv_project.write(folder / "demo")
        self.prefix = folder / "venv"
        self.site = self.prefix / "site-packages"
        self.here = dict(LINUX)
        for name, version in INSTALLED.items():
            uv_project.install(self.site, name, version)
        uv_project.install(self.site, "demo_app", "0.1.0", url="file:///demo")

    def sync(self) -> None:
        """Write down what was installed, as `make sync` does."""
        lock.write_neutral(lock.read_native(self.root), self.prefix / lock.NEUTRAL)

    def remove(self, name: str) -> None:
        (folder,) = self.site.glob(f"{name}-*.dist-info")
        shutil.rmtree(folder)
        shutil.rmtree(self.site / name)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A repository that holds, and that the kit takes for its own; Python is the pinned one."""
    made = Place(tmp_path)
    monkeypatch.setattr(lock, "find_root", lambda: made.root)
    monkeypatch.setattr(lock, "here_environment", lambda: made.here)
    monkeypatch.setattr(sys, "prefix", str(made.prefix))
    monkeypatch.setattr(sys, "path", [str(made.site)])
    made.sync()
    return made


def image(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it an image: no repository, the production part of the lock, and only what that names."""
    lock.write_neutral(lock.read_native(place.root), place.prefix / lock.NEUTRAL, ["main"])
    monkeypatch.setattr(lock, "find_root", lambda: None)
    place.remove("checker")
    place.remove("tester")


def states(report: Report) -> dict[str, bool | None]:
    return {link.name: link.ok for link in report.links}


def broken(report: Report, name: str = "environment") -> tuple[Finding, ...]:
    (link,) = [link for link in report.links if link.name == name]
    assert link.ok is False
    return report.errors


def test_the_whole_chain_holds(place: Place) -> None:
    report = environment.check(deep=True, until="image")
    assert states(report) == {"manifest": True, "lock": True, "environment": True, "image": None}
    assert [link.findings for link in report.links] == [(), (), (), ()]
    assert (report.ok, report.repair, report.packages) == (True, "", RUNTIME)
    assert place.site.exists()


Edit = Callable[[Place], object]


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (lambda p: p.remove("beta"), ("missing", "beta", "2.1", "", "direct", "make sync")),
        (lambda p: p.remove("quick_lib"), ("missing", "quick-lib", "0.2", "", "transitive", "make sync")),
        (lambda p: p.remove("tester"), ("missing", "tester", "9.0", "", "dev", "make sync")),
        (
            lambda p: (p.remove("beta"), uv_project.install(p.site, "Beta", "2.0")),
            ("version", "beta", "2.1", "2.0", "direct", "make sync"),
        ),
        (
            lambda p: (p.remove("torch"), uv_project.install(p.site, "torch", "2.0")),
            ("version", "torch", "2.0+cpu", "2.0", "direct", "make sync"),
        ),
        (
            lambda p: uv_project.install(p.site, "six", "1.17"),
            ("extra", "six", "", "1.17", "extra", "make sync"),
        ),
        (
            lambda p: (p.remove("beta"), uv_project.install(p.site, "beta", "2.1", url="file:///fork")),
            ("changed", "beta", "2.1", "2.1", "direct", "make clean sync"),
        ),
    ],
    ids=["missing", "missing-transitive", "missing-dev", "version", "local-version", "extra", "editable"],
)
def test_a_difference_is_named_with_both_versions_role_and_repair(
    place: Place, break_it: Edit, expected: tuple[str, ...]
) -> None:
    break_it(place)
    (found,) = broken(environment.check())
    assert (found.kind, found.name, found.locked, found.installed, found.role, found.repair) == expected
    for version in (found.locked, found.installed):
        assert version in found.message


def test_an_environment_that_make_did_not_make_is_checked_all_the_same(place: Place) -> None:
    (place.prefix / lock.NEUTRAL).unlink()
    report = environment.check(until="image")
    assert (report.ok, report.packages) == (True, RUNTIME)
    place.remove("beta")
    assert [found.name for found in broken(environment.check())] == ["beta"]


def test_what_is_no_requirement_may_change_in_the_manifest(place: Place) -> None:
    with (place.root / "pyproject.toml").open("a") as file:
        file.write("[tool.ruff]\nline-length = 100\n")
    assert environment.check(until="image").ok


def test_what_comes_after_a_broken_link_is_not_checked(place: Place) -> None:
    place.remove("beta")
    report = environment.check()
    assert states(report) == {"manifest": True, "lock": True, "environment": False, "image": None, "model": None}
    assert [link.detail for link in report.links[3:]] == ["not checked", "not checked"]


def test_what_only_another_platform_needs_is_not_missing_here(place: Place) -> None:
    place.here = dict(MAC)
    place.sync()
    place.remove("beta")
    place.remove("torch")
    uv_project.install(place.site, "torch", "2.0")
    report = environment.check(until="image")
    assert report.ok
    assert report.signature == lock.signature(RUNTIME, environment.python_minor())


def test_an_optional_group_may_be_installed_in_the_locked_version(place: Place) -> None:
    uv_project.install(place.site, "writer", "7.0")
    assert environment.check(until="image").ok
    place.remove("writer")
    uv_project.install(place.site, "writer", "7.1")
    assert [found.kind for found in broken(environment.check())] == ["version"]


def test_another_spelling_of_a_version_is_the_same_version(place: Place) -> None:
    place.remove("beta")
    uv_project.install(place.site, "beta", "2.1.0")
    report = environment.check(until="image")
    assert report.ok
    assert report.packages == RUNTIME


def test_pip_is_told_and_with_strict_refused(place: Place) -> None:
    uv_project.install(place.site, "pip", "26.3")
    report = environment.check(until="image")
    assert report.ok
    assert [found.warning for link in report.links for found in link.findings] == [True]
    assert [found.name for found in broken(environment.check(strict=True))] == ["pip"]


@pytest.mark.parametrize(("running", "kind"), [("3.13.1", "patch"), ("3.1.3", "minor"), ("3.12.9", "minor")])
def test_another_patch_is_a_warning_and_another_minor_an_error(
    place: Place, monkeypatch: pytest.MonkeyPatch, running: str, kind: str
) -> None:
    monkeypatch.setitem(lock.pins(), "python", {"version": "3.13", "patch": "3.13.15"})
    monkeypatch.setattr("platform.python_version", lambda: running)
    assert environment.check(until="image").ok is (kind == "patch")
    (found,) = broken(environment.check(strict=True))
    assert (found.kind, found.installed) == ("interpreter", running)
    assert found.locked == ("3.13.15" if kind == "patch" else "3.13")
    assert place.root.exists()


def test_a_package_that_hides_another_is_named(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv_project.install(tmp_path / "over", "beta", "2.1")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "over"), str(place.site)])
    (found,) = broken(environment.check())
    assert (found.kind, found.repair) == ("shadowed", "make clean sync")
    assert str(tmp_path / "over") in found.message
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "over"))
    assert environment.check().repair == "unset PYTHONPATH"


def test_two_installed_over_one_another_are_named(place: Place) -> None:
    uv_project.install(place.site, "beta", "2.2")
    assert "shadowed" in {found.kind for found in broken(environment.check())}


def test_a_changed_and_a_missing_file_are_found_only_by_deep(place: Place) -> None:
    with (place.site / "beta" / "__init__.py").open("a") as file:
        file.write("#")
    (place.site / "torch" / "__init__.py").unlink()
    assert environment.check(until="image").ok
    found = broken(environment.check(deep=True))
    assert {(f.name, f.message) for f in found} == {
        ("beta", "beta/__init__.py of beta 2.1 is changed."),
        ("torch", "torch/__init__.py of torch 2.0+cpu is missing."),
    }
    assert {f.repair for f in found} == {"make clean sync"}


def test_a_lost_record_and_an_unknown_digest_are_found_by_deep(place: Place) -> None:
    (place.site / "beta-2.1.dist-info" / "RECORD").unlink()
    edit(place.site / "torch-2.0+cpu.dist-info" / "RECORD", "sha256=", "sha999=")
    messages = " ".join(found.message for found in broken(environment.check(deep=True)))
    assert "RECORD of beta 2.1 is missing" in messages
    assert "sha999" in messages


def test_a_hash_that_was_edited_after_the_install_is_found(place: Place) -> None:
    digest = uv_project.digest("beta-2.1-py3-none-any.whl")
    edit(place.root / "uv.lock", digest, digest[:-1] + ("0" if digest[-1] != "0" else "1"))
    report = environment.check()
    (found,) = broken(report, "lock")
    assert (found.kind, found.name, report.repair) == ("hashes", "beta", "git checkout -- uv.lock")


def test_the_project_may_be_seen_twice(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv_project.install(tmp_path / "src", "demo_app", "0.0.9")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "src"), str(place.site)])
    assert environment.check(until="image").ok


def test_what_breaks_the_link_is_told_before_warnings(place: Place) -> None:
    uv_project.install(place.site, "pip", "26.3")
    uv_project.install(place.site, "six", "1.17")
    (_, _, link, *_) = environment.check().links
    assert [found.name for found in link.findings] == ["six", "pip"]


def test_a_new_version_in_the_lock_is_drift_and_no_edit_by_hand(place: Place) -> None:
    text = (place.root / "uv.lock").read_text().replace("beta-2.1", "beta-2.2")
    text = text.replace('name = "beta"\nversion = "2.1"', 'name = "beta"\nversion = "2.2"')
    old = uv_project.digest("beta-2.1-py3-none-any.whl")
    (place.root / "uv.lock").write_text(text.replace(old, "0" * 64))
    (found,) = broken(environment.check())
    assert (found.kind, found.locked, found.installed) == ("version", "2.2", "2.1")


@pytest.mark.parametrize(
    ("break_it", "link", "repair"),
    [
        (lambda p: (p.root / "pyproject.toml").unlink(), "manifest", "git checkout -- pyproject.toml"),
        (lambda p: (p.root / "pyproject.toml").write_text("["), "manifest", "git checkout -- pyproject.toml"),
        (lambda p: (p.root / "uv.lock").unlink(), "lock", "make lock"),
        (lambda p: edit(p.root / "pyproject.toml", "torch>=2", "torch>=3"), "lock", "make lock"),
        (lambda p: edit(p.root / "uv.lock", 'version = "2.1"', 'version = "2.2"'), "lock", "git checkout -- uv.lock"),
        (lambda p: edit(p.root / "uv.lock", "version = 1", "version = 9"), "lock", "make lock"),
    ],
)
def test_the_repair_is_that_of_the_first_broken_link(place: Place, break_it: Edit, link: str, repair: str) -> None:
    break_it(place)
    place.remove("beta")
    report = environment.check()
    broken(report, link)
    assert report.repair == repair


def test_the_stronger_repair_is_named_where_two_are_needed(place: Place) -> None:
    uv_project.install(place.site, "six", "1.17")
    (place.site / "torch" / "__init__.py").unlink()
    assert environment.check(deep=True).repair == "make clean sync"


def test_foreign_origins_are_faults_once_the_own_are_noted(place: Place) -> None:
    (place.root / check_lock.ORIGINS).write_text("https://index.example\nhttps://torch.example\n")
    (place.prefix / lock.NEUTRAL).unlink()
    assert all("https://files.example" in found.message for found in broken(environment.check(), "lock"))


def test_an_image_is_the_production_part_and_nothing_more(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = environment.generate_env_signature()
    image(place, monkeypatch)
    report = environment.check(deep=True, strict=True, until="image")
    assert states(report) == {"manifest": None, "lock": True, "environment": True, "image": True}
    assert report.signature == before == environment.generate_env_signature()
    uv_project.install(place.site, "tester", "9.0")
    report = environment.check(until="image")
    (found,) = broken(report)
    assert (found.kind, found.name, report.repair) == ("extra", "tester", "make image")


def test_an_image_without_its_lock_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    image(place, monkeypatch)
    (place.prefix / lock.NEUTRAL).unlink()
    report = environment.check()
    assert (report.ok, report.repair, report.signature) == (False, "make image", "")


def test_the_signature_sees_the_runtime_and_nothing_else(place: Place) -> None:
    before = environment.generate_env_signature()
    uv_project.install(place.site, "six", "1.17")
    place.remove("tester")
    assert environment.generate_env_signature() == before
    place.remove("beta")
    missing = environment.generate_env_signature()
    uv_project.install(place.site, "beta", "2.0")
    assert len({before, missing, environment.generate_env_signature()}) == 3


def test_validate_names_every_difference(place: Place) -> None:
    environment.validate_environment(deep=True)
    place.remove("beta")
    uv_project.install(place.site, "six", "1.17")
    with pytest.raises(EnvironmentDriftError, match=r"^Environment drift detected! beta 2\.1 .* six 1\.17 .*make sync"):
        environment.validate_environment()


def test_distributions_are_found_as_they_are_imported(tmp_path: Path) -> None:
    uv_project.install(tmp_path / "a", "Zope.Interface", "1.0")
    uv_project.install(tmp_path / "b", "zope-interface", "2.0")
    (tmp_path / "b" / "half-1.0.dist-info").mkdir()
    (tmp_path / "b" / "old_lib.egg-info").mkdir()
    (tmp_path / "b" / "old_lib.egg-info" / "PKG-INFO").write_text("Name: old-lib\nVersion: 3.1\n\nVersion: 9\n")
    (tmp_path / "file.zip").touch()
    (uv_project.install(tmp_path / "b", "odd", "5") / "direct_url.json").write_text("[")
    (tmp_path / "b" / "flat-4.2-py3.13.egg-info").write_text("Name: flat\nVersion: 4.2\n")
    paths = [str(tmp_path / name) for name in ("a", "b", "none", "file.zip")]
    found = drift.installed(drift.found(paths))
    assert {name: one.version for name, one in found.items()} == {
        "zope-interface": "1.0",
        "old-lib": "3.1",
        "flat": "4.2",
        "odd": "5",
    }


def test_this_environment_is_read_as_importlib_reads_it() -> None:
    from importlib import metadata  # noqa: PLC0415 - what the kit does without

    expected = {lock.canonical(one.name): one.version for one in metadata.distributions()}
    found = {name: one.version for name, one in drift.installed(drift.found()).items()}
    assert found.keys() == expected.keys()
    assert [name for name in found if not drift.same_version(found[name], expected[name])] == []


def test_every_file_of_this_environment_is_as_installed() -> None:
    numpy = drift.installed(drift.found())["numpy"]
    assert list(drift.changed([numpy], {})) == []
    assert len(drift.records(numpy) or []) > 100


@pytest.mark.usefixtures("place")
def test_a_file_that_may_not_be_read_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: object) -> None:
        raise PermissionError(13, "Permission denied", "models/champion.joblib")

    monkeypatch.setitem(environment.LINKS, "model", closed)
    link = environment.check().links[-1]
    assert link.ok is False
    assert [finding.message for finding in link.findings] == [
        "models/champion.joblib cannot be read here: Permission denied."
    ]
