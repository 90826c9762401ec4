"""pyproject.toml with what another tool needs in it, and every other byte as it was. Owned by the template.

The file is the user's, with comments and a layout of its own: no writer of TOML keeps all of that. Where a value ends
is found by asking whether its lines are TOML yet, and at the end the whole is compared by meaning.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from typing import Any

HEADER = re.compile(r"\[\[?[^\[\]]+\]\]?\s*(#.*)?")
NEEDS = "# What it needs stands in "  # in the place of the dependencies, where they are in another file
Lines = list[str]


def table(lines: Sequence[str], name: str) -> tuple[int, int]:
    """Return where a table begins and ends, both after the last line where there is none."""
    start = next((n for n, one in enumerate(lines) if re.match(rf"\[{re.escape(name)}\]", one)), len(lines))
    following = (n for n in range(start + 1, len(lines)) if HEADER.fullmatch(lines[n]))
    end = after = next(following, len(lines))
    while end > start and after < len(lines) and lines[end - 1].startswith("#"):  # it is about the next table
        end -= 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return start, end


def entry(lines: Sequence[str], name: str, key: str) -> tuple[int, int]:
    """Return where the value of a table's key begins and ends, an empty place at the table's end where it has none."""
    start, end = table(lines, name)
    for first in range(start + 1, end):
        if re.match(rf"{key}\s*=", lines[first]):
            for last in range(first + 1, len(lines) + 1):
                try:
                    tomllib.loads("\n".join(lines[first:last]))
                except tomllib.TOMLDecodeError:
                    continue
                return first, last
    return end, end


def dependencies(lines: Sequence[str]) -> tuple[int, int]:
    """Return where the project's dependencies stand, or the line that says where else."""
    start, end = entry(lines, "project", "dependencies")
    elsewhere = next((n for n, one in enumerate(lines) if one.startswith(NEEDS)), end)
    return (start, end) if start < end or elsewhere == end else (elsewhere, elsewhere + 1)


def tail(lines: Sequence[str]) -> tuple[int, int]:
    """Return where the tables stand that only this tool has, in what the template renders."""
    groups, project = table(lines, "dependency-groups")[1], table(lines, "project")[1]
    start = groups if table(lines, "dependency-groups")[0] < len(lines) else project
    return start, max(start, table(lines, "tool.ruff")[0] - 1)


def exchanged(text: str, stock: str, fresh: str, *, keep: bool) -> str:
    """Return a user's pyproject.toml with what another tool needs: `stock` is the old tool's render, `fresh` the new.

    `keep` leaves the requirements as they are written. Raises ValueError where more than that would change.
    """
    old, ours, theirs = stock.splitlines(), text.splitlines(), fresh.splitlines()
    only = "\n".join(old[slice(*tail(old))])
    if only.strip() and f"{only}\n" in text:
        ours = text.replace(f"{only}\n", "", 1).splitlines()
    replace(ours, table(ours, "build-system"), theirs[slice(*table(theirs, "build-system"))])
    python = [lines[slice(*entry(lines, "project", "requires-python"))] for lines in (old, theirs)]
    if python[0] != python[1]:
        replace(ours, entry(ours, "project", "requires-python"), python[1])
    if not keep:
        replace(ours, dependencies(ours), theirs[slice(*dependencies(theirs))])
        _replace_groups(ours, theirs)
    end = tail(ours)[0]
    replace(ours, (end, end), theirs[slice(*tail(theirs))])
    result = "\n".join([*ours, ""])
    if tomllib.loads(result) != _expected(text, stock, fresh, keep=keep):
        raise ValueError(
            "pyproject.toml is written in a way that only you can edit: write [project] and [dependency-groups] as the"
            " template does, each key on a line of its own, commit, then repeat."
        )
    return result


def _replace_groups(ours: Lines, theirs: Lines) -> None:
    """Exchange the developers' group, or put in or take out the whole table where only one tool reads it."""
    (start, end), wanted = table(ours, "dependency-groups"), theirs[slice(*table(theirs, "dependency-groups"))]
    if start == len(ours):
        place = table(ours, "project")[1]
        replace(ours, (place, place), ["", *wanted] if wanted else [])
    elif wanted:
        replace(
            ours, entry(ours, "dependency-groups", "dev"), theirs[slice(*entry(theirs, "dependency-groups", "dev"))]
        )
    else:
        replace(ours, (start - 1, end), [])


def replace(lines: Lines, place: tuple[int, int], wanted: Sequence[str]) -> None:
    """Put these lines in the place of others."""
    lines[place[0] : place[1]] = wanted


def _expected(text: str, stock: str, fresh: str, *, keep: bool) -> dict[str, Any]:
    """Return what the edited file must mean."""
    ours, before, after = (tomllib.loads(one) for one in (text, stock, fresh))
    tables = [tomllib.loads("\n".join(lines[slice(*tail(lines))])) for lines in map(str.splitlines, (stock, fresh))]
    ours["build-system"] = after["build-system"]
    if before["project"]["requires-python"] != after["project"]["requires-python"]:
        ours["project"]["requires-python"] = after["project"]["requires-python"]
    if not keep:
        ours["project"].pop("dependencies", None)
        groups = ours.pop("dependency-groups", {})
        if "dependency-groups" in after:
            ours["project"]["dependencies"] = after["project"]["dependencies"]
            ours["dependency-groups"] = groups | after["dependency-groups"]
    for key, value in tables[0].items():
        _take(ours, value, key)
    for key, value in tables[1].items():
        _give(ours, value, key)
    return ours


def _take(ours: dict[str, Any], gone: Any, key: str) -> None:  # noqa: ANN401 - as TOML has it
    """Take out of a table what stands under a key in another one; what is empty then goes too."""
    if isinstance(gone, dict) and isinstance(ours.get(key), dict):
        for inner, value in gone.items():
            _take(ours[key], value, inner)
    elif isinstance(gone, list) and isinstance(ours.get(key), list):
        ours[key] = [one for one in ours[key] if one not in gone]
    elif ours.get(key) == gone:
        del ours[key]
    if ours.get(key) in ({}, []):
        del ours[key]


def _give(ours: dict[str, Any], new: Any, key: str) -> None:  # noqa: ANN401 - as TOML has it
    """Put a value under a key of a table: into what is there, at its end."""
    if isinstance(new, dict):
        table_there = ours.setdefault(key, {})
        for inner, value in new.items():
            _give(table_there, value, inner)
    elif isinstance(new, list):
        ours[key] = [*ours.get(key, []), *new]
    else:
        ours[key] = new


def constrained(text: str, place: str, constraints: Sequence[str]) -> str:
    """Return pyproject.toml with constraints under a dotted key, in the place of those that it has."""
    lines, (name, _, key) = text.splitlines(), place.rpartition(".")
    # JSON's text is TOML's as well.
    value = [f"{key} = [", *(f"    {json.dumps(line, ensure_ascii=False)}," for line in constraints), "]"]
    if table(lines, name)[0] == len(lines):
        lines += ["", f"[{name}]", *value]
    else:
        replace(lines, entry(lines, name, key), value)
    return "\n".join([*lines, ""])
