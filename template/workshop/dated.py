"""What a list of requirements gives on a day: its resolver is shown no file that was uploaded later.

`make resolve DATE=2026-03-01` prints it as a list with hashes, below a line with its signature.
"""

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from .repository import HERE, PACKAGE, PINS, RENDERED, ROOT, SOURCE, TOOLS, WorkshopError, must

LIST = ROOT / "fragile.txt"
ANSWER = HERE / ".state" / "pylock.toml"
# https://pip.pypa.io/en/stable/cli/pip_lock/; a tool that knows dates itself says how in rendered.json.
PIP = (
    *(str(TOOLS), "-m", "pip", "--quiet", "--quiet", "--disable-pip-version-check", "lock", "--only-binary", ":all:"),
    *("--uploaded-prior-to", "{day}", "--requirement", "{list}", "--output", "{answer}"),
)
# A line of a list, with those that it goes on in.
ENTRY = re.compile(r"^[A-Za-z0-9](?:.*\\\n)*.*$", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """One package that was chosen, and the sha256 of each file of it that fits."""

    name: str
    version: str
    hashes: tuple[str, ...]


def resolved(day: str) -> list[Package]:
    """Return what the list gives on that day; WorkshopError where it gives nothing, or there is no list or no day."""
    try:
        day = date.fromisoformat(day).isoformat()
    except ValueError:
        raise WorkshopError(f"{day!r} is no day: write it as in make resolve DATE=2026-03-01.") from None
    if not LIST.is_file():
        raise WorkshopError(f"There is no {LIST.name}: `make break-13` writes it.")
    ANSWER.parent.mkdir(exist_ok=True)
    # What is there already would be kept.
    ANSWER.unlink(missing_ok=True)
    words = RENDERED["dated"] or PIP
    must(*(word.format(list=LIST.name, day=day, answer=ANSWER.relative_to(ROOT)) for word in words))
    chosen = tomllib.loads(ANSWER.read_text(encoding="utf-8"))["packages"]
    return [
        Package(one["name"], one["version"], tuple(sorted(wheel["hashes"]["sha256"] for wheel in one["wheels"])))
        for one in sorted(chosen, key=lambda one: str(one["name"]))
    ]


def signature(packages: list[Package]) -> str:
    """Return the signature that an environment of these packages has, as the kit computes it."""
    sys.path.insert(0, str(SOURCE.parent))
    lock = importlib.import_module(f"{PACKAGE}.parity.lock")
    return str(lock.signature({one.name: one.version for one in packages}, PINS["python"]["version"]))


def lines(packages: list[Package]) -> Iterator[str]:
    """Yield the packages as lines that pip installs."""
    yield f"# {signature(packages)} ({len(packages)} packages)"
    for one in packages:
        yield " \\\n".join([f"{one.name}=={one.version}", *(f"    --hash=sha256:{digest}" for digest in one.hashes)])


def without_hash() -> list[str]:
    """Return the first lines of the entries in the list that have no hash."""
    entries = ENTRY.findall(LIST.read_text(encoding="utf-8"))
    return [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]


def main() -> int:
    """Print what the list gives on the day that is named; 2 with one sentence where it cannot be said."""
    try:
        print("\n".join(lines(resolved(" ".join(sys.argv[1:])))))
    except WorkshopError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
