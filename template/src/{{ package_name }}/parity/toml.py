"""Reads the TOML files of a repository, each state of a file once; what cannot be read is one sentence."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from .lock import LockError

# Most of a lock is lists of files in one regular spelling. tomllib is Python and slow, so those are read by
# pattern, in a quarter of the time; any other spelling, such as an edit by hand, is left to tomllib.
FILES = re.compile(
    r"^(wheels|files) = \[\n((?: {4}\{ ?(?:[a-z-]+ = (?:\"[^\"\\\n]*\"|\d+)(?:, )?)+ ?\},\n)+)\]$", re.MULTILINE
)
PAIR = re.compile(r"([a-z-]+) = \"([^\"]*)\"")
Table = dict[str, Any]


def read(root: Path, name: str, repair: str = "git checkout -- {}") -> Table:
    """Return the parsed file `name` of a repository.

    Raises LockError where it is missing (`repair` brings it back; {} is its name) or is not TOML.
    """
    try:
        state = (root / name).stat()
    except FileNotFoundError:
        raise LockError(f"{name} is missing: run `{repair.format(name)}`.") from None
    return _parsed(root / name, (state.st_mtime_ns, state.st_size))


@cache
def _parsed(path: Path, _state: tuple[int, int]) -> Table:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no TOML, or no UTF-8
        raise LockError(f"{path.name} is not TOML ({error}): run `git checkout -- {path.name}`.") from None


def parse(text: str) -> Table:
    """Return what tomllib.loads returns, except that lists of files hold only what is a string."""
    lists: list[str] = []

    def cut(found: re.Match[str]) -> str:
        lists.append(found[2])
        return f"{found[1]} = {len(lists) - 1}" + "\n" * found[2].count("\n")

    document = tomllib.loads(FILES.sub(cut, text))
    for entry in document.get("package", []) if lists else ():
        for key in ("wheels", "files"):
            if type(entry.get(key)) is int:
                entry[key] = [dict(PAIR.findall(line)) for line in lists[entry[key]].splitlines()]
    return document
