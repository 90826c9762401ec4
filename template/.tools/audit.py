"""Is a vulnerability known of a version that the lock pins? Owned by the template.

    audit.py --package NAME [--cooldown DAYS] [--json]

OSV is asked for every locked version, for production and for developers, on all platforms. It joins the advisories of
the Python Packaging Authority, GitHub and others: https://google.github.io/osv.dev/api/. OSV_URL in the environment
names a mirror of it. audit.toml, if there is one, says what is ignored, why and until when. Python itself, C libraries
and Debian packages of the image are not asked for: OSV's PyPI knows Python packages alone.

It ends with 0 where nothing is known, 1 where something is, 2 where lock or audit.toml cannot be read, and 3 where the
service could not be asked for all of it: silence is no answer. That is why this is no pip-audit, which reads the first
page of an answer only, ends in a traceback where OSV is out of reach, and is 28 packages to pin.
"""

import argparse
import importlib
import json
import os
import re
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPException
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

import check_lock
import lock_reader

SERVICE, ECOSYSTEM = "https://api.osv.dev", "PyPI"
SETTINGS = "audit.toml"
BATCH = 1000  # questions in one request; the server takes no more
PAGES = 100  # of one answer: whoever promises more is broken
PAUSES = (1, 3)  # seconds, before a service that failed is asked again
NAMED = 5  # of a longer list, in a line for people
TIMEOUT = 60  # the server itself gives up after 35 seconds
# What reaches a log is an id and nothing else: https://ossf.github.io/osv-schema/#id-modified-fields
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{2,99}")
PARTS = {"main": "production", "dev": "development"}
ELSEWHERE = "an extra or another platform"
Record = dict[str, Any]


class AuditError(RuntimeError):
    """There is nothing to audit, or no settings to audit by; the message is one sentence."""

    status = 2


class ServiceError(AuditError):
    """The service did not answer for every package; the message is one sentence."""

    status = 3


class Pinned(NamedTuple):
    """One version that the lock pins."""

    name: str
    version: str
    part: str  # who gets it
    asked_as: str  # its name in advisories


class Ignored(NamedTuple):
    """One entry of audit.toml."""

    id: str
    reason: str
    until: date  # the last day on which it is ignored


class Settings(NamedTuple):
    """What audit.toml says."""

    ignored: Sequence[Ignored] = ()
    names: Mapping[str, str] = {}  # what a locked package is called in advisories, where that differs


class Finding(NamedTuple):
    """One vulnerability of one locked version, whatever number of databases tell of it."""

    package: Pinned
    ids: tuple[str, ...]  # its own and its aliases
    fixed: str  # the first release without it, "" where none is known
    published: str  # the day on which it was told, "" where that is not known
    summary: str

    def named(self, name: str) -> bool:
        """Tell whether this is one of its ids."""
        return name.casefold() in map(str.casefold, self.ids)


class Report(NamedTuple):
    """What was asked, and what is known."""

    asked: Sequence[Pinned]
    left_out: Mapping[str, Sequence[str]]  # why, and the names
    findings: Sequence[Finding]
    ignored: Sequence[tuple[Finding, Ignored]]
    expired: Sequence[Ignored]
    unused: Sequence[Ignored]

    @property
    def clean(self) -> bool:
        """Tell whether there is nothing to do."""
        return not (self.findings or self.expired)


# What the lock pins


def pinned(root: Path, environment: Mapping[str, str], names: Mapping[str, str]) -> tuple[list[Pinned], Record]:
    """Return what to ask for, and the names of what is left out by the reason for it; raises AuditError.

    `environment` is that of the image: it decides which part of the lock a package is in.
    """
    entries, foreign, parts = read(root, environment)
    own = {entry["name"] for entry in entries if entry["folder"] is not None}
    archives = [entry for entry in entries if entry["folder"] is None and entry["name"] not in foreign]
    found = sorted({(canonicalize_name(entry["name"]), entry["version"]) for entry in archives})
    if unknown := [name for name, version in found if not version]:
        raise ServiceError(f"{unknown[0]} has no version in {check_lock.LOCK}, so nobody can be asked: lock a release.")
    names = {**getattr(lock_reader, "INDEX_NAMES", {}), **names}
    asked = [Pinned(name, v, parts.get((name, v), ELSEWHERE), names.get(name, name)) for name, v in found]
    return asked, {"of this repository's own code": sorted(own), "that are no Python packages": sorted(foreign)}


def read(root: Path, environment: Mapping[str, str]) -> tuple[list[Record], set[str], dict[tuple[str, str], str]]:
    """Return the lock's entries, the names that are no Python, and the part of each version; raises AuditError."""
    try:
        for reason in check_lock.missing(root, noting=True):
            raise AuditError(reason.sentence)
        foreign = lock_reader.only_here(root) if hasattr(lock_reader, "only_here") else set[str]()
        return lock_reader.entries(root), foreign, _parts(root, environment)
    except check_lock.MALFORMED as error:
        raise AuditError(check_lock.malformed(error)) from None
    except ValueError as error:
        raise AuditError(str(error)) from None


def _parts(root: Path, environment: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Return what each version is installed for, by name and version."""
    return {
        (package["name"], package["version"]): PARTS[group]
        for package in check_lock.locked(root, environment)
        for group in ("dev", "main")  # what production needs is production's, whoever else has it
        if group in package["groups"]
    }


# What is ignored


def settings(root: Path) -> Settings:
    """Return what audit.toml says, nothing where there is none; raises AuditError."""
    try:
        document = tomllib.loads((root / SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:
        raise AuditError(f"{SETTINGS} cannot be read ({check_lock.cause(error)}): correct it.") from None
    for fault in _faults(document):
        raise AuditError(f"{SETTINGS}: {fault}.")
    ignored = [Ignored(one["id"], " ".join(one["reason"].split()), one["until"]) for one in document.get("ignore", ())]
    return Settings(ignored, {canonicalize_name(k): canonicalize_name(v) for k, v in document.get("names", {}).items()})


def _faults(document: Record) -> Iterator[str]:
    """Yield what is wrong with audit.toml, as the end of a sentence; what follows a fault trusts that it is mended."""
    entries, names = document.get("ignore", []), document.get("names", {})
    for key in sorted({*document} - {"ignore", "names"}):
        yield f"nobody reads {key!r}, write [[ignore]] or [names]"
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        yield "write each thing that is ignored below a [[ignore]] of its own"
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        yield 'write a name as text in [names], such as pytables = "tables"'
    for number, entry in enumerate(entries, 1):
        yield from (f"[[ignore]] number {number} {fault}" for fault in _faults_of(entry))
    for name, times in Counter(entry["id"].casefold() for entry in entries).items():
        if times > 1:
            yield f"{name} stands there {times} times: leave one"


def _faults_of(entry: Record) -> Iterator[str]:
    for key, (fits, what) in KEYS.items():
        if not fits(entry.get(key)):
            yield f"needs `{key} =` and {what}"
    for key in sorted({*entry} - {*KEYS}):
        yield f"has {key!r}, which nobody reads: remove it"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_day(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


# What an entry of audit.toml needs, and what a person is told to write.
KEYS: dict[str, tuple[Callable[[object], bool], str]] = {
    "id": (_is_text, 'an id, such as "GHSA-462w-v97r-4m45"'),
    "reason": (_is_text, "why"),
    "until": (_is_day, "a day, such as 2026-12-31"),
}


# What the service says


def ask(address: str, body: object = None) -> Any:  # noqa: ANN401 - what JSON holds
    """Return what the service answers at an address, asked again where it fails; raises ServiceError."""
    pauses = [*PAUSES]
    while True:
        try:
            return json.loads(_answer(address, body))
        except (ValueError, RecursionError):
            raise ServiceError(_unasked(address, "it answers with something else than JSON")) from None
        except (OSError, HTTPException) as error:
            if not pauses or _final(error):
                raise ServiceError(_unasked(address, _said(error))) from None
        time.sleep(pauses.pop(0))


def _final(error: Exception) -> bool:
    """Tell whether the service has understood and refused, which it would do again."""
    temporary = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    code = error.code if isinstance(error, HTTPError) else HTTPStatus.INTERNAL_SERVER_ERROR
    return code < HTTPStatus.INTERNAL_SERVER_ERROR and code not in temporary


def _answer(address: str, body: object) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "parity-audit"}
    request = Request(address, data, headers)  # noqa: S310 - service() has looked at the scheme
    with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - the same
        content: bytes = answer.read()
        return content


def _said(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"it answers with HTTP {error.code}"
    reason = error.reason if isinstance(error, URLError) else error
    return " ".join(str(reason).split()) or type(reason).__name__


def _unasked(address: str, why: str) -> str:
    place = check_lock.origin(address)
    return f"{place} could not be asked for every package ({why}): repeat it later, or name a mirror in OSV_URL."


def _strange(address: str) -> ServiceError:
    return ServiceError(_unasked(address, "its answer is not as OSV documents it"))


def query(package: Pinned) -> Record:
    """Return the question for a package; no advisory knows a build of one's own, as 2.0+cpu is of 2.0."""
    version = package.version.partition("+")[0]
    return {"package": {"name": package.asked_as, "ecosystem": ECOSYSTEM}, "version": version}


def known(url: str, packages: Sequence[Pinned]) -> dict[Pinned, set[str]]:
    """Return the ids of advisories by package, of all pages; raises ServiceError.

    https://google.github.io/osv.dev/post-v1-querybatch/
    """
    found: dict[Pinned, set[str]] = {package: set() for package in packages}
    todo = [(package, query(package)) for package in packages]
    for _ in range(PAGES):
        if not todo:
            return found
        parts = [todo[at : at + BATCH] for at in range(0, len(todo), BATCH)]
        todo = [more for part in parts for more in _page(f"{url}/v1/querybatch", part, found)]
    raise ServiceError(_unasked(url, "its answer has no last page"))


def _page(
    address: str, asked: Sequence[tuple[Pinned, Record]], found: Mapping[Pinned, set[str]]
) -> list[tuple[Pinned, Record]]:
    """Add the ids of one page to `found`; return what to ask for the next."""
    answer = ask(address, {"queries": [question for _, question in asked]})
    more = []
    try:
        for (package, question), result in zip(asked, answer["results"], strict=True):
            found[package].update(_id(advisory["id"]) for advisory in result.get("vulns", ()))
            if token := result.get("next_page_token"):
                more.append((package, {**question, "page_token": token}))
    except (AttributeError, LookupError, TypeError, ValueError):
        raise _strange(address) from None
    return more


def _id(text: str) -> str:
    """Return an id; raises ValueError where it is none, TypeError where it is no text."""
    if not ID.fullmatch(text):
        raise ValueError
    return text


class Advisory(NamedTuple):
    """One record of a database. https://ossf.github.io/osv-schema/."""

    ids: frozenset[str]
    withdrawn: bool
    published: str
    summary: str
    fixes: Mapping[str, Sequence[str]]  # by package


def advisory(url: str, name: str) -> Advisory:
    """Return one advisory by its id; raises ServiceError. https://google.github.io/osv.dev/get-v1-vulns/."""
    address = f"{url}/v1/vulns/{name}"
    record = ask(address)
    try:
        fixes: dict[str, list[str]] = {}
        for affected in record.get("affected", ()):
            package = affected.get("package", {})
            if package.get("ecosystem") == ECOSYSTEM:
                fixes.setdefault(canonicalize_name(package["name"]), []).extend(_fixes(affected))
        aliases = [alias for alias in record.get("aliases", ()) if ID.fullmatch(alias)]
        return Advisory(
            frozenset({_id(record["id"]), *aliases}),
            bool(record.get("withdrawn")),
            str(record.get("published", ""))[:10],
            " ".join(str(record.get("summary", "")).split()),
            fixes,
        )
    except (AttributeError, LookupError, TypeError, ValueError):
        raise _strange(address) from None


def _fixes(affected: Record) -> list[str]:
    """Return the releases at which a range of affected ones ends; a commit is no release."""
    spans = [span for span in affected.get("ranges", ()) if span["type"] != "GIT"]
    return [event["fixed"] for span in spans for event in span["events"] if "fixed" in event]


# What it comes to


def findings(url: str, packages: Sequence[Pinned]) -> list[Finding]:
    """Return each vulnerability that is known of a package, once; raises ServiceError."""
    ids = {package: found for package, found in known(url, packages).items() if found}
    records = {name: advisory(url, name) for name in sorted({*chain(*ids.values())})}
    told = {package: [records[name] for name in sorted(found)] for package, found in ids.items()}
    return [finding(package, same) for package, all_told in told.items() for same in merged(all_told)]


def merged(records: Iterable[Advisory]) -> list[list[Advisory]]:
    """Return those that count, in groups of one vulnerability each: databases tell of each other by aliases."""
    groups: list[list[Advisory]] = []
    for record in records:
        if not record.withdrawn:
            same = [group for group in groups if any(record.ids & other.ids for other in group)]
            groups = [*(group for group in groups if group not in same), [*chain(*same), record]]
    return groups


def finding(package: Pinned, records: Sequence[Advisory]) -> Finding:
    """Return what these records of one vulnerability say of a package."""
    fixed = [fix for record in records if (fix := first_fix(package, record.fixes.get(package.asked_as, ())))]
    return Finding(
        package,
        tuple(sorted({*chain(*(record.ids for record in records))})),
        str(max(fixed, default="")),  # where they differ, the later one is without doubt
        max(record.published for record in records),
        next((record.summary for record in records if record.summary), ""),
    )


def first_fix(package: Pinned, fixes: Iterable[str]) -> Version | None:
    """Return the first of these releases that is newer than the package, None where none is."""
    own = _version(package.version)
    newer = [fix for fix in map(_version, fixes) if fix and own and fix > own]
    return min(newer, default=None)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def audit(root: Path, environment: Mapping[str, str], url: str, today: date) -> Report:
    """Return what is known of everything that the lock of this repository pins; raises AuditError."""
    said = settings(root)
    packages, left_out = pinned(root, environment, said.names)
    found = findings(url, packages)
    valid = [entry for entry in said.ignored if entry.until >= today]
    hidden = {one: entry for one in found for entry in valid if one.named(entry.id)}
    return Report(
        packages,
        left_out,
        findings=[one for one in found if one not in hidden],
        ignored=[*hidden.items()],
        expired=[entry for entry in said.ignored if entry.until < today],
        unused=[entry for entry in valid if not any(one.named(entry.id) for one in found)],
    )


# How it is told


def repair(one: Finding, young: str) -> str:
    """Return the command that mends a finding, "" where no release does.

    An advisory that was published on the day `young` or later has a fix that the cooldown probably holds back.
    """
    now = " NOW=1" if young and one.published >= young else ""
    return f"make upgrade PKG={one.package.name}{now}" if one.fixed else ""


def lines(report: Report, young: str) -> Iterator[str]:
    """Yield the report for people."""
    for one in report.findings:
        name, version, part, _ = one.package
        mend = f"fixed in {one.fixed}: {repair(one, young)}" if one.fixed else "no release mends it: replace it"
        yield f"{name} {version} ({part}): {', '.join(one.ids)}; {mend}"
    for one, entry in report.ignored:
        yield f"Ignored until {entry.until}: {one.package.name} {one.package.version}, {entry.id} ({entry.reason})"
    for entry in report.expired:
        yield f"{SETTINGS}: {entry.id} was ignored until {entry.until} ({entry.reason}): remove it, or decide anew."
    for entry in report.unused:
        yield f"{SETTINGS}: {entry.id} is known of nothing that is locked: remove the entry."
    for why, names in report.left_out.items():
        if names:
            some = ", ".join([*names[:NAMED], *(["…"] if names[NAMED:] else [])])
            yield f"Not asked for, {len(names)} {why}: {some}"
    asked, count = f"{len(report.asked)} versions in {check_lock.LOCK}", len(report.findings)
    yield f"{asked}: {count or 'no'} known {'vulnerability' if count == 1 else 'vulnerabilities'} to mend."


def document(report: Report, young: str) -> Record:
    """Return the report for machines."""

    def told(one: Finding) -> Record:
        about = {**one._asdict(), **one.package._asdict(), "repair": repair(one, young)}
        return {key: value for key, value in about.items() if key != "package"}

    def entries(some: Iterable[Ignored]) -> list[Record]:
        return [{**entry._asdict(), "until": str(entry.until)} for entry in some]

    return {
        "schema": 1,
        "ok": report.clean,
        "locks": [*lock_reader.LOCKS],
        "asked": {f"{package.name} {package.version}": package.part for package in report.asked},
        "left_out": report.left_out,
        "findings": [*map(told, report.findings)],
        "ignored": [{**told(one), **entries([entry])[0]} for one, entry in report.ignored],
        "expired": entries(report.expired),
        "unused": entries(report.unused),
    }


def service() -> str:
    """Return where to ask; raises AuditError."""
    address = os.environ.get("OSV_URL") or SERVICE
    if not re.match(r"https?://[^/@\s]+(/|\Z)", address):
        raise AuditError("OSV_URL is no address such as https://osv.example.com, without a password: correct it.")
    return address.rstrip("/")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is known and return 0 or 1; what keeps it from being known is told on stderr and returns 2 or 3."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", required=True, help="the project's package, which holds the kit")
    parser.add_argument(
        "--cooldown", type=int, default=0, metavar="DAYS", help="how old a release must be to be locked"
    )
    parser.add_argument("--json", action="store_true", help="print the report for machines")
    options = parser.parse_args(arguments)
    today = datetime.now(UTC).date()
    young = str(today - timedelta(options.cooldown)) if options.cooldown else ""
    try:
        environment = importlib.import_module(f"{options.package}.parity.lock").target_environment()
        report = audit(check_lock.ROOT, environment, service(), today)
    except AuditError as error:
        print(error, file=sys.stderr)
        return error.status
    print(json.dumps(document(report, young), indent=1) if options.json else "\n".join(lines(report, young)))
    return int(not report.clean)


if __name__ == "__main__":
    sys.exit(main())
