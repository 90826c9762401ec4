"""What pyproject.toml and uv.lock say, as data: what applies where, every file, what the lock was made for.

Owned by the template. Offline and without uv; what is wrong with it is said by check_lock.py. uv documents what the
file is for and not its fields: https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile. What is read here
was seen in locks that uv wrote, and the template's tests compare it with what uv installs.
"""

import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from packaging.dependency_groups import resolve_dependency_groups
from packaging.markers import Marker
from packaging.utils import canonicalize_name

NAME = "uv"
MANIFESTS = ("pyproject.toml",)
LOCKS = ("uv.lock",)
SCHEMA = 1  # uv raises it when an older reader would misunderstand; `revision` may grow meanwhile
FOLDERS = ("editable", "directory", "virtual")  # kinds of source that are code and not an archive
ADDRESSES = ("registry", "git", "url")
Entry = dict[str, Any]

_loads = lru_cache(tomllib.loads)  # a lock takes a tenth of a second, and several questions are asked of it


def read(root: Path, name: str) -> Entry:
    """Return one of the files above, parsed; raises ValueError with one sentence."""
    try:
        return _loads((root / name).read_text(encoding="utf-8"))
    except ValueError as error:  # no TOML, or no UTF-8
        raise ValueError(f"{name} is not TOML ({error}): run `git checkout -- {name}`.") from None


def _entries(root: Path) -> list[Entry]:
    document = read(root, LOCKS[0])
    if document.get("version") != SCHEMA:
        raise ValueError(
            f"{LOCKS[0]} has schema version {document.get('version')} and this reader knows {SCHEMA}: make it anew with"
            " the uv that this repository pins, `make lock`."
        )
    return list(document.get("package", []))


def _project(entries: Iterable[Entry]) -> Entry:
    """Return the entry of the project itself, the one whose source is the repository's own folder."""
    for entry in entries:
        if any(entry["source"].get(kind) == "." for kind in FOLDERS):
            return entry
    raise ValueError(f"{LOCKS[0]} has no entry for this project: run `make lock`.")


def locked(root: Path, environment: Mapping[str, str]) -> list[Entry]:
    """Return the packages that apply in this marker environment, the project itself left out.

    Each has name, version, hashes (hex sha256), direct (the manifest names it) and groups: "main" is what the project
    needs to run, "dev" every group that `uv sync` installs unasked. What only other groups or extras of the project
    reach may be installed and need not be: its groups are empty. Raises ValueError.
    """
    return _Walk(_entries(root), environment).packages(_default_groups(read(root, MANIFESTS[0])))


def _default_groups(manifest: Entry) -> frozenset[str]:
    """https://docs.astral.sh/uv/concepts/projects/dependencies/#default-groups."""
    groups = manifest.get("tool", {}).get("uv", {}).get("default-groups", ["dev"])
    return frozenset(canonicalize_name(name) for name in (manifest["dependency-groups"] if groups == "all" else groups))


class _Walk:
    """Follows the edges of the lock that apply in one environment."""

    def __init__(self, entries: list[Entry], environment: Mapping[str, str]) -> None:
        self.project = _project(entries)
        self.environment = {"extra": "", **environment}
        self.named: dict[str, list[Entry]] = {}
        for entry in entries:
            self.named.setdefault(entry["name"], []).append(entry)

    def applies(self, marker: str | None) -> bool:
        return not marker or Marker(marker).evaluate(self.environment)

    def target(self, edge: Entry) -> Entry:
        """Return the entry that an edge leads to: where a name has several, the edge or their fork decides."""
        named = self.named[edge["name"]]
        if len(named) == 1:
            return named[0]
        found = [e for e in named if all(edge.get(key, e.get(key)) == e.get(key) for key in ("version", "source"))]
        forks = [e for e in found if any(map(self.applies, e.get("resolution-markers", ())))]
        return (forks or found)[0]

    def reach(self, edges: Iterable[Entry]) -> dict[int, Entry]:
        """Return every entry that these edges lead to, by identity."""
        reached: dict[int, Entry] = {}
        followed: dict[int, set[str]] = {}  # extras whose edges were taken; "" for those of the package itself
        todo = list(edges)
        while todo:
            edge = todo.pop()
            if not self.applies(edge.get("marker")):
                continue
            entry = self.target(edge)
            reached[id(entry)] = entry
            extras = {"", *edge.get("extra", ())} - followed.setdefault(id(entry), set())
            followed[id(entry)] |= extras
            for extra in extras:
                optional = entry.get("optional-dependencies", {})
                todo += optional.get(extra, ()) if extra else entry.get("dependencies", ())
        return reached

    def packages(self, default_groups: frozenset[str]) -> list[Entry]:
        main = self.project.get("dependencies", [])
        dev = self.project.get("dev-dependencies", {})
        extras = self.project.get("optional-dependencies", {})
        unasked = [edge for name, edges in dev.items() if name in default_groups for edge in edges]
        every = [edge for edges in (main, *dev.values(), *extras.values()) for edge in edges]
        groups = {"main": self.reach(main), "dev": self.reach(unasked)}
        direct = {id(self.target(edge)) for edge in every if self.applies(edge.get("marker"))}
        return [
            {
                "name": canonicalize_name(entry["name"]),
                "version": entry.get("version", ""),
                "hashes": sorted({file.get("hash", "").removeprefix("sha256:") for file in _files(entry)}),
                "groups": [name for name, members in groups.items() if key in members],
                "direct": key in direct,
            }
            for key, entry in self.reach(every).items()
            if entry is not self.project and "virtual" not in entry["source"]
        ]


def _files(entry: Entry) -> list[Entry]:
    return [*([entry["sdist"]] if "sdist" in entry else []), *entry.get("wheels", [])]


def entries(root: Path) -> list[Entry]:
    """Return every entry of the lock, for all platforms; raises ValueError.

    Each has name, version, folder (None: it is no code of a folder), commit (None: it is not from git), addresses
    (of where it is found) and files, each with address (or name) and hash ("sha256:…"), "" where there is none.
    """
    return [
        {
            "name": entry["name"],
            "version": entry.get("version", ""),
            "folder": next((entry["source"][kind] for kind in FOLDERS if kind in entry["source"]), None),
            "commit": entry["source"]["git"].partition("#")[2] if "git" in entry["source"] else None,
            "addresses": [entry["source"][kind] for kind in ADDRESSES if kind in entry["source"]],
            "files": [{"address": _address(file), "hash": file.get("hash", "")} for file in _files(entry)],
        }
        for entry in _entries(root)
    ]


def _address(file: Entry) -> str:
    return str(file.get("url") or file.get("path") or file.get("filename") or "a file without a name")


def asked(root: Path) -> dict[str, tuple[Any, Any]]:
    """Return what the manifest asks for and what the lock was made for, as pairs; raises ValueError.

    `requirements` are lines by group, of which "" is the project itself; `python` and `version` may be None. What
    only uv can know (sources, constraints, members of a workspace) is left to `uv lock --check`.
    """
    document, manifest = read(root, LOCKS[0]), read(root, MANIFESTS[0])
    recorded, project = _project(_entries(root)), manifest.get("project", {})
    return {
        "requirements": (_wanted(manifest), _recorded(recorded.get("metadata", {}))),
        "python": (project.get("requires-python"), document.get("requires-python")),
        # uv installs from no lock that records another version of the project itself.
        "version": (project.get("version"), recorded.get("version")),
    }


def _wanted(manifest: Entry) -> dict[str, list[str]]:
    project, groups = manifest.get("project", {}), manifest.get("dependency-groups", {})
    extras = project.get("optional-dependencies", {}).items()
    optional = [_of_extra(line, extra) for extra, lines in extras for line in lines]
    expanded = {str(canonicalize_name(name)): [*resolve_dependency_groups(groups, name)] for name in groups}
    if legacy := manifest.get("tool", {}).get("uv", {}).get("dev-dependencies"):
        expanded["dev"] = [*expanded.get("dev", []), *legacy]
    return {"": [*project.get("dependencies", []), *optional], **expanded}


def _of_extra(line: str, extra: str) -> str:
    """Return the requirement as one of the project's extra: installed only where that is asked for."""
    requirement, _, marker = (part.strip() for part in line.partition(";"))
    condition = f"extra == '{canonicalize_name(extra)}'"
    return f"{requirement} ; " + (f"({marker}) and {condition}" if marker else condition)


def _recorded(metadata: Entry) -> dict[str, list[str]]:
    groups = {"": metadata.get("requires-dist", []), **metadata.get("requires-dev", {})}
    return {name: [*map(_line, items)] for name, items in groups.items()}


def _line(item: Entry) -> str:
    """Return a recorded requirement as PEP 508 spells it; a source stands in the place of a version."""
    extras = f"[{','.join(item['extras'])}]" if item.get("extras") else ""
    source = next((f" @ {item[kind]}" for kind in ("git", "url", "path", *FOLDERS) if kind in item), "")
    marker = f" ; {item['marker']}" if "marker" in item else ""
    return f"{item['name']}{extras}{source or item.get('specifier', '')}{marker}"
