"""`make audit` against a database of advisories on loopback: what it asks for, what it tells, when it is red."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import links
from advisories import Advisories, Advisory
from kit import readers
from services import free_port

pytestmark = pytest.mark.static

HASH = "sha256:" + "0" * 64
TODAY = datetime.now(UTC).date()
NEVER, GONE = TODAY + timedelta(30), TODAY - timedelta(1)

# A repository for each tool, of the least that its reader takes: alpha and torch in production, tester for developers.
PROJECT = """\
[project]
name = "demo"
version = "1"
dependencies = ["alpha", "torch"]
[dependency-groups]
dev = ["tester"]
"""
CONDA = (  # name, version, category, whether it is Python
    ("alpha", "1.5", "main", True),
    ("openssl", "3.5.4", "main", False),
    ("python", "3.13.0", "main", False),
    ("pytorch", "2.0", "main", True),
    ("tester", "9.0", "dev", True),
)
FILES: dict[str, dict[str, str]] = {
    "uv": {
        "pyproject.toml": PROJECT,
        "uv.lock": """\
version = 1
[[package]]
name = "demo"
version = "1"
source = { editable = "." }
dependencies = [{ name = "alpha" }, { name = "torch", marker = "sys_platform != 'darwin'" }]
dev-dependencies = { dev = [{ name = "alpha" }, { name = "tester" }] }
[[package]]
name = "alpha"
version = "1.5"
source = { registry = "https://index.example/simple" }
[[package]]
name = "colour"
version = "0.4"
source = { registry = "https://index.example/simple" }
[[package]]
name = "tester"
version = "9.0"
source = { registry = "https://index.example/simple" }
[[package]]
name = "torch"
version = "2.0+cpu"
source = { registry = "https://index.example/simple" }
""",
    },
    "poetry": {
        "pyproject.toml": PROJECT,
        "poetry.lock": """\
[[package]]
name = "Alpha"
version = "1.5"
groups = ["main", "dev"]
files = []
[[package]]
name = "inner"
version = "0.1"
groups = ["main"]
files = []
source = { type = "directory", url = "packages/inner" }
[[package]]
name = "tester"
version = "9.0"
groups = ["dev"]
files = []
[[package]]
name = "torch"
version = "2.0+cpu"
groups = ["main"]
files = []
[metadata]
lock-version = "2.1"
""",
    },
    "pip-tools": {
        "requirements.in": "alpha\ntorch\n",
        "requirements-dev.in": "-c requirements.txt\ntester\n",
        "requirements.txt": f"alpha==1.5 --hash={HASH}\n    # via -r requirements.in\n"
        f"torch==2.0+cpu --hash={HASH}\n    # via -r requirements.in\n",
        "requirements-dev.txt": f"alpha==1.5 --hash={HASH}\n    # via tester\n"
        f"tester==9.0 --hash={HASH}\n    # via -r requirements-dev.in\n",
    },
    "pipenv": {
        "Pipfile": '[packages]\nalpha = "*"\ntorch = "*"\n[dev-packages]\ntester = "*"\n',
        "Pipfile.lock": json.dumps({
            "_meta": {"pipfile-spec": 6},
            "default": {"alpha": {"version": "==1.5"}, "torch": {"version": "==2.0+cpu"}},
            "develop": {"alpha": {"version": "==1.5"}, "tester": {"version": "==9.0"}},
        }),
    },
    "conda": {
        "environment.yml": "channels: \n- conda-forge\nplatforms:\n- linux-64\ndependencies:\n- alpha\n- pytorch\n",
        "environment-dev.yml": "category: dev\nchannels:\n- conda-forge\ndependencies:\n- tester\n",
        "conda-lock.yml": yaml.dump(
            {
                "version": 1,
                "metadata": {"platforms": ["linux-64"]},
                "package": [
                    {
                        "name": name, "version": version, "manager": "conda", "platform": "linux-64",
                        "dependencies": {"python": ">=3"} if python else {}, "category": category,
                        "url": f"https://conda.example/{name}-{version}-0.conda", "hash": {"sha256": "0" * 64},
                    }
                    for name, version, category, python in CONDA
                ],
            },
            sort_keys=False,
        ),
    },
}  # fmt: skip

ALPHA = Advisory("GHSA-aaaa-bbbb-cccc", "alpha", ("1.4", "1.5"), fixed="1.6", aliases=("CVE-2026-1", "PYSEC-2026-1"))
TESTER = Advisory("PYSEC-2026-2", "tester", ("9.0",))
TORCH = Advisory("PYSEC-2026-3", "torch", ("2.0",), fixed="2.1")


@pytest.fixture(params=FILES)
def tool(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def program(tool: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    with readers.of(tool, "audit") as found:
        monkeypatch.setattr(found["audit"], "PAUSES", (0, 0))
        yield found["audit"]


@pytest.fixture
def root(tool: str, tmp_path: Path, program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES[tool].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(program.check_lock, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Advisories]:
    with Advisories() as server:
        monkeypatch.setenv("OSV_URL", server.url)
        yield server


@pytest.fixture
def audit(root: Path, program: ModuleType, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run `make audit`'s program: how it ended and all that it said."""
    assert root.exists()

    def run(*options: str) -> tuple[int, str]:
        status = program.main(["--package", links.NAME, *options])
        said = capsys.readouterr()
        assert not (said.out and said.err), said
        return status, said.out + said.err

    return run


Audit = Callable[..., tuple[int, str]]
ONE_TOOL = pytest.mark.parametrize("tool", ["uv"], indirect=True)


# What is asked for


def test_every_locked_version_is_asked_for_once_and_by_its_public_name(audit: Audit, service: Advisories) -> None:
    status, said = audit()
    assert status == 0
    assert said.endswith("no known vulnerabilities to mend.\n")
    asked = {(query["package"]["name"], query["version"]) for query in service.asked}
    assert asked - {("colour", "0.4")} == {("alpha", "1.5"), ("tester", "9.0"), ("torch", "2.0")}
    assert len(service.asked) == len(asked)


@pytest.mark.parametrize(
    ("tool", "left_out"),
    [
        ("uv", "Not asked for, 1 of this repository's own code: demo\n"),
        ("poetry", "Not asked for, 1 of this repository's own code: inner\n"),
        ("conda", "Not asked for, 2 that are no Python packages: openssl, python\n"),
    ],
    indirect=["tool"],
)
def test_what_is_not_asked_for_is_told(audit: Audit, service: Advisories, left_out: str) -> None:
    status, said = audit()
    assert status == 0
    assert left_out in said
    assert service.requests == ["/v1/querybatch"]


def test_names_of_conda_are_the_reverse_of_what_its_manifest_is_rendered_with() -> None:
    with readers.of("conda") as modules:
        names = modules["lock_reader"].INDEX_NAMES
    assert {index: conda for conda, index in names.items()} == links.data("conda")["names"]


@ONE_TOOL
def test_a_thousand_and_one_packages_are_two_requests(
    audit: Audit, service: Advisories, root: Path, program: ModuleType
) -> None:
    lock = root / "uv.lock"
    more = (
        f'[[package]]\nname = "many-{n}"\nversion = "1"\nsource = {{ registry = "https://index.example/simple" }}\n'
        for n in range(program.BATCH)
    )
    lock.write_text("".join([lock.read_text(encoding="utf-8"), *more]), encoding="utf-8")
    service.planted.append(Advisory("PYSEC-2026-9", "many-999", ("1",)))
    status, said = audit()
    assert status == 1
    assert "many-999 1 (an extra or another platform): PYSEC-2026-9; no release mends it: replace it\n" in said
    assert service.requests[:2] == ["/v1/querybatch", "/v1/querybatch"]


# What is told


def test_a_planted_vulnerability_is_one_line_with_the_command_that_mends_it(audit: Audit, service: Advisories) -> None:
    service.planted += [ALPHA, TESTER, TORCH]
    status, said = audit("--cooldown", "7")
    assert status == 1
    found = said.splitlines()
    expected = (
        "alpha 1.5 (production): CVE-2026-1, GHSA-aaaa-bbbb-cccc, PYSEC-2026-1; fixed in 1.6: make upgrade PKG=alpha"
    )
    assert found[0] == expected
    assert "tester 9.0 (development): PYSEC-2026-2; no release mends it: replace it" in found
    (torch,) = (re.sub("pytorch", "torch", line).replace("+cpu", "") for line in found if "PYSEC-2026-3" in line)
    assert torch == "torch 2.0 (production): PYSEC-2026-3; fixed in 2.1: make upgrade PKG=torch"
    assert found[-1].endswith(": 3 known vulnerabilities to mend.")


@ONE_TOOL
def test_what_several_databases_tell_of_is_one_finding_with_the_latest_fix(audit: Audit, service: Advisories) -> None:
    again = Advisory("PYSEC-2026-1", "Alpha_", ("1.5",), fixed="9")  # another package: says nothing of alpha's fix
    service.planted += [ALPHA, Advisory("OTHER-1", "alpha", ("1.5",), fixed="1.7", aliases=("CVE-2026-1",))]
    service.planted.append(again)
    status, said = audit()
    assert status == 1
    assert "alpha 1.5 (production): CVE-2026-1, GHSA-aaaa-bbbb-cccc, OTHER-1, PYSEC-2026-1; fixed in 1.7: " in said
    assert said.count("alpha 1.5") == 1


@ONE_TOOL
def test_what_is_no_id_reaches_no_log(audit: Audit, service: Advisories) -> None:
    service.planted.append(Advisory("PYSEC-2026-1", "alpha", ("1.5",), aliases=("CVE-2026-1", "X\n::error::gone")))
    assert "alpha 1.5 (production): CVE-2026-1, PYSEC-2026-1; no release" in audit()[1]


@ONE_TOOL
def test_an_advisory_that_was_withdrawn_does_not_count(audit: Audit, service: Advisories) -> None:
    service.planted.append(Advisory("PYSEC-2026-1", "alpha", ("1.5",), withdrawn=True))
    status, said = audit()
    assert (status, "alpha" in said) == (0, False)
    service.planted.append(ALPHA)  # ... and the one that replaced it does
    assert audit()[0] == 1


@ONE_TOOL
def test_of_several_lines_of_releases_the_nearest_is_told(audit: Audit, service: Advisories) -> None:
    service.planted.append(Advisory("PYSEC-2026-1", "alpha", ("1.5",), fixed="3.1 1.10 1.6.1 0.9"))
    assert "PYSEC-2026-1; fixed in 1.6.1: make upgrade" in audit()[1]


@ONE_TOOL
def test_an_old_fix_of_another_line_of_releases_is_no_fix(audit: Audit, service: Advisories) -> None:
    service.planted.append(Advisory("PYSEC-2026-1", "alpha", ("1.5",), fixed="0.9"))
    assert "PYSEC-2026-1; no release mends it" in audit()[1]


@ONE_TOOL
@pytest.mark.parametrize(("age", "cooldown", "now"), [(3, 7, True), (7, 7, True), (8, 7, False), (0, 0, False)])
def test_a_fix_that_the_cooldown_holds_back_is_asked_for_at_once(
    audit: Audit, service: Advisories, age: int, cooldown: int, *, now: bool
) -> None:
    published = f"{TODAY - timedelta(age)}T10:00:00Z"
    service.planted.append(Advisory("PYSEC-2026-1", "alpha", ("1.5",), fixed="1.6", published=published))
    said = audit("--cooldown", str(cooldown))[1]
    service.planted.append(Advisory("GHSA-1-2-3", "alpha", ("1.5",), fixed="1.6", aliases=("PYSEC-2026-1",)))
    assert audit("--cooldown", str(cooldown))[1] == said.replace("PYSEC", "GHSA-1-2-3, PYSEC", 1)  # told of long ago
    assert ("make upgrade PKG=alpha NOW=1\n" in said, "make upgrade PKG=alpha\n" in said) == (now, not now)


@ONE_TOOL
def test_every_page_of_an_answer_is_read(audit: Audit, service: Advisories) -> None:
    service.page = 2
    service.planted += [Advisory(f"PYSEC-2026-{n}", "alpha", ("1.5",)) for n in range(7)]
    service.planted.append(TESTER)
    status, said = audit()
    assert status == 1
    assert said.count("alpha 1.5 (production): PYSEC-2026-") == 7
    assert said.count("tester 9.0") == 1
    assert service.requests.count("/v1/querybatch") == 4


@ONE_TOOL
def test_a_page_may_be_empty_and_still_not_the_last(audit: Audit, service: Advisories) -> None:
    service.page = 0
    service.planted.append(ALPHA)

    def first_empty(before: int) -> None:
        service.page = min(before, 1)

    service.answer = first_empty
    assert audit()[0] == 1


def test_the_report_for_machines_holds_the_same(audit: Audit, service: Advisories) -> None:
    service.planted += [ALPHA, TESTER]
    status, said = audit("--json")
    report = json.loads(said)
    assert (status, report["ok"], report["schema"]) == (1, False, 1)
    assert [(one["name"], one["version"], one["fixed"], one["part"]) for one in report["findings"]] == [
        ("alpha", "1.5", "1.6", "production"),
        ("tester", "9.0", "", "development"),
    ]
    assert (
        report["findings"][0]
        | {
            "ids": ["CVE-2026-1", "GHSA-aaaa-bbbb-cccc", "PYSEC-2026-1"],
            "repair": "make upgrade PKG=alpha",
            "published": "2020-01-01",
            "summary": "alpha is vulnerable",
        }
        == report["findings"][0]
    )
    assert report["asked"]["alpha 1.5"] == "production"


# When nothing can be known


def refused(audit: Audit, told: str, status: int = 3) -> None:
    """Assert that it ends with this status and one sentence."""
    ended, said = audit()
    assert ended == status, said
    assert told in said
    assert said.count("\n") == 1


def test_a_service_out_of_reach_is_red(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("OSV_URL", address)
    refused(audit, f"{address} could not be asked for every package (")


def always(status: int, body: bytes = b"") -> Callable[[int], tuple[int, bytes]]:
    return lambda _: (status, body)


@ONE_TOOL
@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (500, b"{}", "(it answers with HTTP 500)"),
        (404, b"{}", "(it answers with HTTP 404)"),
        (200, b"<html>Sign in", "(it answers with something else than JSON)"),
        (200, b"[" * 100_000, "(it answers with something else than JSON)"),
        (200, b"\xff", "(it answers with something else than JSON)"),
        (200, b"{}", "(its answer is not as OSV documents it)"),
        (200, b"[]", "(its answer is not as OSV documents it)"),
        (200, b'{"results": [{}]}', "(its answer is not as OSV documents it)"),
        (200, b'{"results": [{}, {}, {}, {"vulns": {"id": "X"}}]}', "(its answer is not as OSV documents it)"),
        (200, b'{"results": [{}, {}, {}, {"vulns": [{"id": 1}]}]}', "(its answer is not as OSV documents it)"),
        (200, b'{"results": [{}, {}, {}, {"vulns": [{"id": "../x"}]}]}', "(its answer is not as OSV documents it)"),
        (200, b'{"results": [{}, {}, {}, {"vulns": [{"id": "PYSEC-1\\n::error::"}]}]}', "(its answer is not as OSV"),
    ],
)
def test_another_answer_than_osvs_is_red(
    audit: Audit, service: Advisories, status: int, body: bytes, told: str
) -> None:
    service.answer = always(status, body)
    refused(audit, told)


@ONE_TOOL
def test_an_answer_without_a_last_page_is_red(audit: Audit, service: Advisories, program: ModuleType) -> None:
    service.page = 0
    service.planted.append(ALPHA)
    refused(audit, "(its answer has no last page)")
    assert len(service.requests) == program.PAGES


@ONE_TOOL
def test_an_advisory_that_cannot_be_read_is_red(audit: Audit, service: Advisories) -> None:
    service.planted.append(ALPHA)
    service.answer = lambda before: (404, b"{}") if before else None
    refused(audit, "(it answers with HTTP 404)")
    service.requests.clear()
    service.answer = lambda before: (200, b'{"id": "X"}') if before else None
    refused(audit, "(its answer is not as OSV documents it)")


@ONE_TOOL
def test_a_service_that_fails_once_is_asked_again(audit: Audit, service: Advisories) -> None:
    service.planted.append(ALPHA)
    service.answer = lambda before: (503, b"") if before == 0 else None
    assert audit()[0] == 1
    assert service.requests[:2] == ["/v1/querybatch", "/v1/querybatch"]


@ONE_TOOL
def test_a_refusal_is_final(audit: Audit, service: Advisories) -> None:
    service.answer = always(403)
    refused(audit, "(it answers with HTTP 403)")
    assert len(service.requests) == 1


@ONE_TOOL
@pytest.mark.parametrize(
    "address", ["osv.example", "file:///etc/hosts", "ftp://osv.example", "https://me:secret@osv.example"]
)
def test_another_address_than_the_webs_is_refused(audit: Audit, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("OSV_URL", address)
    refused(audit, "OSV_URL is no address such as https://osv.example.com, without a password", status=2)


@ONE_TOOL
def test_a_slash_at_the_end_of_the_address_is_no_other_address(
    audit: Audit, service: Advisories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSV_URL", f"{service.url}/")
    assert audit()[0] == 0
    assert service.requests == ["/v1/querybatch"]


def test_without_a_lock_the_command_is_named(
    audit: Audit, service: Advisories, program: ModuleType, root: Path
) -> None:
    (root / program.lock_reader.LOCKS[0]).unlink()
    refused(audit, "is missing: run `make lock`", status=2)
    assert not service.requests


def test_a_lock_that_cannot_be_read_is_one_sentence(audit: Audit, program: ModuleType, root: Path) -> None:
    lock = root / program.lock_reader.LOCKS[0]
    lock.write_text("<<<<<<< before\n" + lock.read_text(encoding="utf-8"), encoding="utf-8")
    refused(audit, program.lock_reader.LOCKS[0], status=2)


@ONE_TOOL
def test_a_package_without_a_version_is_red(audit: Audit, root: Path) -> None:
    lock = root / "uv.lock"
    lock.write_text(lock.read_text(encoding="utf-8").replace('version = "0.4"\n', ""), encoding="utf-8")
    refused(audit, "colour has no version in uv.lock")


# What is ignored


@pytest.fixture
def ignoring(root: Path) -> Callable[[str], None]:
    def write(text: str) -> None:
        (root / "audit.toml").write_text(text, encoding="utf-8")

    return write


Ignoring = Callable[[str], None]


def entry(name: str, until: object) -> str:
    return f'[[ignore]]\nid = "{name}"\nreason = """no input\nof users"""\nuntil = {until}\n'


@pytest.mark.parametrize("name", ["GHSA-aaaa-bbbb-cccc", "cve-2026-1"])
def test_what_is_ignored_is_told_and_green(audit: Audit, service: Advisories, ignoring: Ignoring, name: str) -> None:
    service.planted.append(ALPHA)
    ignoring(entry(name, NEVER))
    status, said = audit()
    assert status == 0
    assert f"Ignored until {NEVER}: alpha 1.5, {name} (no input of users)\n" in said
    assert said.endswith("no known vulnerabilities to mend.\n")
    assert json.loads(audit("--json")[1])["ignored"][0]["until"] == str(NEVER)


@ONE_TOOL
def test_it_is_ignored_on_the_last_day(audit: Audit, service: Advisories, ignoring: Ignoring) -> None:
    service.planted.append(ALPHA)
    ignoring(entry(ALPHA.id, TODAY))
    assert audit()[0] == 0


@ONE_TOOL
@pytest.mark.parametrize("planted", [[ALPHA], []], ids=["found", "not found"])
def test_an_entry_that_expired_is_red(
    audit: Audit, service: Advisories, ignoring: Ignoring, planted: list[Advisory]
) -> None:
    service.planted += planted
    ignoring(entry(ALPHA.id, GONE))
    status, said = audit()
    assert status == 1
    assert f"audit.toml: {ALPHA.id} was ignored until {GONE} (no input of users): remove it, or decide anew." in said
    assert ("alpha 1.5 (production)" in said) == bool(planted)


@ONE_TOOL
def test_an_entry_that_nothing_needs_is_told(audit: Audit, service: Advisories, ignoring: Ignoring) -> None:
    service.planted.append(ALPHA)
    ignoring(entry(ALPHA.id, NEVER) + entry("PYSEC-2020-1", NEVER))
    status, said = audit()
    assert status == 0
    assert "audit.toml: PYSEC-2020-1 is known of nothing that is locked: remove the entry.\n" in said
    assert f"{ALPHA.id} is known of nothing" not in said


@ONE_TOOL
def test_two_entries_for_one_vulnerability_are_both_needed_by_it(
    audit: Audit, service: Advisories, ignoring: Ignoring
) -> None:
    service.planted.append(ALPHA)
    ignoring(entry(ALPHA.id, NEVER) + entry("CVE-2026-1", NEVER))
    status, said = audit()
    assert (status, "known of nothing" in said) == (0, False)


@ONE_TOOL
def test_ignoring_one_vulnerability_hides_no_other(audit: Audit, service: Advisories, ignoring: Ignoring) -> None:
    service.planted += [ALPHA, TESTER]
    ignoring(entry(ALPHA.id, NEVER))
    status, said = audit()
    assert status == 1
    assert "tester 9.0 (development): PYSEC-2026-2" in said
    assert said.endswith(": 1 known vulnerability to mend.\n")


GOOD = entry("PYSEC-1", NEVER)


@ONE_TOOL
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ignore = [", "audit.toml cannot be read (TOMLDecodeError: "),
        ("[ignore]\nid = 'x'\n", "below a [[ignore]] of its own"),
        ("ignored = []\n", "nobody reads 'ignored', write [[ignore]] or [names]"),
        (GOOD.replace("reason =", "why ="), "[[ignore]] number 1 needs `reason =` and why"),
        (GOOD.replace("no input\nof users", " "), "[[ignore]] number 1 needs `reason =` and why"),
        (GOOD.replace("PYSEC-1", ""), "[[ignore]] number 1 needs `id =` and an id, such as"),
        (GOOD.replace('"PYSEC-1"', "1"), "[[ignore]] number 1 needs `id =` and an id, such as"),
        (GOOD.replace(str(NEVER), f'"{NEVER}"'), "needs `until =` and a day, such as 2026-12-31"),
        (GOOD.replace(str(NEVER), f"{NEVER}T10:00:00Z"), "needs `until =` and a day, such as 2026-12-31"),
        (GOOD + "package = 'alpha'\n", "[[ignore]] number 1 has 'package', which nobody reads: remove it"),
        (GOOD + GOOD.replace("no input", "none"), "pysec-1 stands there 2 times: leave one"),
        ("[names]\npytables = 1\n", "write a name as text in [names]"),
    ],
)
def test_a_list_that_is_not_understood_is_one_sentence(
    audit: Audit, service: Advisories, ignoring: Ignoring, text: str, told: str
) -> None:
    ignoring(text)
    refused(audit, told, status=2)
    assert not service.requests


def test_a_package_can_be_given_the_name_that_advisories_know(
    audit: Audit, service: Advisories, ignoring: Ignoring
) -> None:
    service.planted.append(Advisory("PYSEC-2026-5", "alpha-on-the-index", ("1.5",), fixed="1.6"))
    ignoring('[names]\nAlpha = "alpha_on.the-index"\n')
    status, said = audit()
    assert status == 1
    assert "alpha 1.5 (production): PYSEC-2026-5; fixed in 1.6: make upgrade PKG=alpha\n" in said


def test_main_takes_its_words_from_the_command_line(
    audit: Audit, program: ModuleType, service: Advisories, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert audit()[0] == 0
    monkeypatch.setattr(sys, "argv", ["audit.py", "--package", links.NAME])
    assert program.main() == 0
    assert len(service.requests) == 2
