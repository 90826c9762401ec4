"""Compares what a manifest asks for with what a lock was made for: requirements by meaning, not by spelling.

A tool rewrites what it records: it sorts specifiers, drops what requires-python implies, normalizes names.
https://packaging.python.org/en/latest/specifications/dependency-specifiers/
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import markers
from .lock import canonical

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    _Pair = tuple[str, Requirement]

Groups = Mapping[str, Sequence[str]]
ANYWHERE = "===anywhere"  # stands for the specifier where a source (git, URL, folder) takes its place


def expand(groups: Mapping[str, Sequence[Any]], name: str, seen: tuple[str, ...] = ()) -> list[str]:
    """Return the lines of a dependency group with those of the groups that it includes.

    Raises ValueError where it includes itself or one that does not exist.
    https://packaging.python.org/en/latest/specifications/dependency-groups/
    """
    found = {canonical(key): lines for key, lines in groups.items()}
    wanted = canonical(name)
    if wanted in seen:
        raise ValueError(f"dependency group {name} includes itself")
    if wanted not in found:
        raise ValueError(f"dependency group {name} does not exist")
    lines: list[str] = []
    for item in found[wanted]:
        included = item["include-group"] if isinstance(item, dict) else None
        lines += [item] if included is None else expand(groups, included, (*seen, wanted))
    return lines


def for_extra(line: str, extra: str) -> str:
    """Return the requirement as one of the project's extra: installed only where that is asked for."""
    requirement, _, marker = (part.strip() for part in line.partition(";"))
    condition = f"extra == '{canonical(extra)}'"
    return f"{requirement} ; " + (f"({marker}) and {condition}" if marker else condition)


def differences(wanted: Groups, recorded: Groups, files: tuple[str, str], python: str = "") -> Iterator[str]:
    """Yield one sentence for each requirement that differs, with its repair.

    `files` are the names of manifest and lock, `python` is the project's requires-python.

    Raises ValueError where a line of the manifest is no requirement.
    """
    manifest, lock = files
    for group in sorted({*wanted, *recorded}):
        asked, known = _apart(wanted.get(group, ()), recorded.get(group, ()), python)
        where = f" in group {group}" if group else ""
        for line, item in asked:
            before = next((pair for pair in known if _name(pair[1]) == _name(item)), None)
            known = [pair for pair in known if pair is not before]
            state = "does not know it" if before is None else f"was made for {_shown(before[0])}"
            yield f"{manifest} asks for {_shown(line)}{where} and {lock} {state}: run `make lock`."
        for line, _ in known:
            yield f"{manifest} no longer asks for {_shown(line)}{where}, as {lock} does: run `make lock`."


def _apart(wanted: Iterable[str], recorded: Iterable[str], python: str) -> tuple[list["_Pair"], list["_Pair"]]:
    """Return the lines that only one side has, each also parsed; what is spelled alike is not even parsed."""
    ours, theirs = ({"".join(line.split()): line for line in lines} for lines in (wanted, recorded))
    if ours.keys() == theirs.keys():
        return [], []
    asked, known = ({key: _parsed(line) for key, line in side.items()} for side in (ours, theirs))
    added = [
        (ours[key], item)
        for key, item in asked.items()
        if key not in known and not any(_same(item, other, python) for other in known.values())
    ]
    gone = [
        (theirs[key], item)
        for key, item in known.items()
        if key not in asked and not any(_same(other, item, python) for other in asked.values())
    ]
    return added, gone


def _parsed(line: str) -> "Requirement":
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - slow to import

    try:
        return Requirement(line)
    except InvalidRequirement as error:
        raise ValueError(f"{line!r} is no requirement: {str(error).splitlines()[0]}") from None


def _name(requirement: "Requirement") -> str:
    return canonical(requirement.name)


def _shown(line: str) -> str:
    return " ".join(line.replace(ANYWHERE, "").split())


def _same(one: "Requirement", other: "Requirement", python: str) -> bool:
    # A lock that names a source instead of a version says nothing about the specifier.
    elsewhere = any(r.url or str(r.specifier) == ANYWHERE for r in (one, other))
    return (
        _name(one) == _name(other)
        and {*map(canonical, one.extras)} == {*map(canonical, other.extras)}
        and (elsewhere or one.specifier == other.specifier)
        and markers.same(str(one.marker or ""), str(other.marker or ""), python)
    )


def same_pythons(one: str, other: str) -> bool:
    """Tell whether two version specifiers of Python admit the same releases from 3.0 on."""
    if one.replace(" ", "") == other.replace(" ", ""):
        return True
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - slow to import

    first, second = SpecifierSet(one), SpecifierSet(other)
    releases = [f"3.{minor}.{patch}" for minor in range(30) for patch in (0, 1, 5, 15, 40)]
    bounds = {specifier.version for specifier in (*first, *second) if "*" not in specifier.version}
    return all(first.contains(v) == second.contains(v) for v in [*releases, *bounds, "4.0.0"])
