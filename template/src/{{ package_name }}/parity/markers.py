"""Evaluates environment markers, and tells whether two mean the same.

https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product

# Importing packaging.markers takes longer than all the rest of `verify`, and nearly every marker in a lock only
# asks for a platform: those are answered here, all others there.
PLATFORM = re.compile(
    r"(os_name|sys_platform|platform_machine|platform_system|implementation_name|platform_python_implementation)"
    r" (==|!=) '([^'<>=!~ ]*[a-zA-Z][^'<>=!~ ]*)'"
)
COMPARISON = re.compile(r"(\w+)\s*(?:[=!<>~]=?=?|not\s+in|in)\s*[\"']([^\"']*)[\"']")
# Platforms on which two markers are tried; what the markers name themselves is tried as well.
SYSTEMS = (("posix", "linux", "Linux"), ("posix", "darwin", "Darwin"), ("nt", "win32", "Windows"))
MACHINES = ("x86_64", "aarch64", "arm64", "AMD64")
IMPLEMENTATIONS = (("cpython", "CPython"), ("pypy", "PyPy"))


def applies(marker: str | None, environment: Mapping[str, str]) -> bool:
    """Tell whether a marker (None: none) holds in a complete marker environment.

    Raises ValueError where it is none (packaging.markers.InvalidMarker is one).
    """
    if not marker:
        return True
    clauses = [[PLATFORM.fullmatch(part) for part in way.split(" and ")] for way in marker.split(" or ")]
    if all(clause for way in clauses for clause in way):
        return any(all(_holds(clause, environment) for clause in way if clause) for way in clauses)
    from packaging.markers import Marker  # noqa: PLC0415 - see PLATFORM

    return Marker(marker).evaluate({"extra": "", **environment})


def _holds(clause: re.Match[str], environment: Mapping[str, str]) -> bool:
    return (environment[clause[1]] == clause[3]) == (clause[2] == "==")


def same(one: str, other: str, python: str = "") -> bool:
    """Tell whether two markers ("" for none) hold in the same environments, of all that could tell them apart.

    A tool rewrites the markers that it records: it asks sys_platform for platform_system, and drops what `python`,
    the project's requires-python, implies.
    """
    if one == other:
        return True
    from packaging.markers import Marker  # noqa: PLC0415 - see PLATFORM

    first, second = (Marker(text).evaluate if text else None for text in (one, other))
    return all(
        (first is None or first(environment)) == (second is None or second(environment))
        for environment in _environments(one, other, python)
    )


def _environments(one: str, other: str, python: str) -> Iterator[dict[str, str]]:
    """Yield marker environments: common platforms, admitted Pythons, and the values that the markers name."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - see PLATFORM

    named = [dict.fromkeys(COMPARISON.findall(marker)) for marker in (one, other)]
    pythons = {value for pairs in named for variable, value in pairs if variable.startswith("python_")}
    versions = {f"3.{minor}.{patch}" for minor in range(10, 16) for patch in (0, 20)}
    versions |= {version if version.count(".") > 1 else f"{version}.1" for version in pythons}
    admitted = sorted(SpecifierSet(python).filter(versions))
    variables = [{variable for variable, _ in pairs} for pairs in named]
    # A value that only one marker names may be said of another variable in the other, which is no difference.
    values = {(k, v) for pairs in named for k, v in pairs if all(k in own for own in variables)}
    for version, system, machine, implementation in product(admitted, SYSTEMS, MACHINES, IMPLEMENTATIONS):
        environment = {
            "python_full_version": version,
            "python_version": ".".join(version.split(".")[:2]),
            **dict(zip(("os_name", "sys_platform", "platform_system"), system, strict=True)),
            "platform_machine": machine,
            **dict(zip(("implementation_name", "platform_python_implementation"), implementation, strict=True)),
            "extra": "",
        }
        yield environment
        yield from ({**environment, variable: value} for variable, value in values if variable[:7] != "python_")
