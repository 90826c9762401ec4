"""Reads uv.lock: what applies where, whether it answers pyproject.toml, and whether somebody edited it.

Offline and without uv, so that it can look before anything is installed. uv documents what the file is for and
not its fields: https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile. What is read here was seen in
locks that uv wrote, and the tests compare it with what uv installs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from . import artifacts, markers, requirements, toml
from .lock import LockedPackage, LockError, canonical

NAME = "uv"
MANIFESTS = ("pyproject.toml",)
LOCKS = ("uv.lock",)
SCHEMA = 1  # uv raises it when an older reader would misunderstand; `revision` may grow meanwhile
FOLDERS = ("editable", "directory", "virtual")  # kinds of source that are code and not an archive
RESTORE = f"git checkout -- {LOCKS[0]}"
MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
Entry = dict[str, Any]


def _lock(root: Path) -> Entry:
    return toml.read(root, LOCKS[0], repair="make lock")


def _entries(root: Path) -> list[Entry]:
    document = _lock(root)
    if document.get("version") != SCHEMA:
        raise LockError(
            f"{LOCKS[0]} has schema version {document.get('version')} and this reader knows {SCHEMA}: make it anew with"
            " the uv that this repository pins, `make lock`."
        )
    return list(document.get("package", []))


def _project(entries: Iterable[Entry]) -> Entry:
    """Return the entry of the project itself, the one whose source is the repository's own folder."""
    for entry in entries:
        if any(entry["source"].get(kind) == "." for kind in FOLDERS):
            return entry
    raise LockError(f"{LOCKS[0]} has no entry for this project: run `make lock`.")


def locked(root: Path, environment: Mapping[str, str]) -> list[LockedPackage]:
    """Return the packages that apply in this marker environment, the project itself left out.

    "main" is what the project needs to run, "dev" every group that `uv sync` installs unasked. What only other
    groups or extras of the project reach may be installed and need not be: its groups are empty.
    Raises LockError where uv.lock is missing or cannot be read.
    """
    entries, manifest = _entries(root), toml.read(root, MANIFESTS[0])
    try:
        return _Walk(entries, environment).packages(_default_groups(manifest))
    except MALFORMED as error:
        raise LockError(f"{LOCKS[0]} is not as uv writes it ({error!r}): run `{RESTORE}`.") from None


def _default_groups(manifest: Entry) -> frozenset[str]:
    """https://docs.astral.sh/uv/concepts/projects/dependencies/#default-groups."""
    groups = manifest.get("tool", {}).get("uv", {}).get("default-groups", ["dev"])
    return frozenset(canonical(name) for name in (manifest["dependency-groups"] if groups == "all" else groups))


class _Walk:
    """Follows the edges of the lock that apply in one environment."""

    def __init__(self, entries: list[Entry], environment: Mapping[str, str]) -> None:
        self.project = _project(entries)
        self.environment = environment
        self.named: dict[str, list[Entry]] = {}
        for entry in entries:
            self.named.setdefault(entry["name"], []).append(entry)

    def applies(self, marker: str | None) -> bool:
        return markers.applies(marker, self.environment)

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

    def packages(self, default_groups: frozenset[str]) -> list[LockedPackage]:
        main = self.project.get("dependencies", [])
        dev = self.project.get("dev-dependencies", {})
        extras = self.project.get("optional-dependencies", {})
        unasked = [edge for name, edges in dev.items() if name in default_groups for edge in edges]
        every = [edge for edges in (main, *dev.values(), *extras.values()) for edge in edges]
        groups = {"main": self.reach(main), "dev": self.reach(unasked)}
        direct = {id(self.target(edge)) for edge in every if self.applies(edge.get("marker"))}
        return [
            LockedPackage(
                name=canonical(entry["name"]),
                version=entry.get("version", ""),
                hashes=frozenset(artifacts.sha256(file.get("hash", "")) for file in _files(entry)),
                groups=frozenset(name for name, members in groups.items() if key in members),
                direct=key in direct,
            )
            for key, entry in self.reach(every).items()
            if entry is not self.project and "virtual" not in entry["source"]
        ]


def _files(entry: Entry) -> list[Entry]:
    return [*([entry["sdist"]] if "sdist" in entry else []), *entry.get("wheels", [])]


def _file_name(file: Entry) -> str:
    return artifacts.file_name(file.get("url") or file.get("path") or file.get("filename") or "a file without a name")


def _origins(entry: Entry) -> frozenset[str]:
    source = [entry["source"].get(kind, "") for kind in ("registry", "git", "url")]
    addresses = (*source, *(file.get("url", "") for file in _files(entry)))
    return frozenset(map(artifacts.origin, addresses)) - {""}


def origins(root: Path) -> frozenset[str]:
    """Return the scheme://host of every address in the lock."""
    return frozenset().union(*map(_origins, _entries(root)))


def faults(root: Path, allowed: frozenset[str] | None) -> list[str]:
    """Return a sentence for each entry that uv would install without proof of what it is.

    `uv lock --check` sees none of them: it compares the lock with the manifest only.
    `allowed` are the origins that may stand in the lock; None: none were noted yet, so all may.
    """
    try:
        return [f"{LOCKS[0]}: {fault}, `{RESTORE}`." for e in _entries(root) for fault in _faults(e, allowed)]
    except LockError as error:
        return [str(error)]
    except MALFORMED as error:
        return [f"{LOCKS[0]} is not as uv writes it ({error!r}): run `{RESTORE}`."]


def _faults(entry: Entry, allowed: frozenset[str] | None) -> Iterator[str]:
    name, version, source = entry["name"], entry.get("version", ""), entry["source"]
    folder = next((source[kind] for kind in FOLDERS if kind in source), None)
    if folder is not None:
        # Code of this repository has no hash: git keeps it. A folder elsewhere is on no other machine.
        if folder.startswith(("/", "..")) or ":" in folder:
            yield f"{name} is the folder {folder}, outside of this repository: move it in, or restore the lock"
        return
    # The id of a commit is a digest of its content, so what comes from git needs no hash.
    if "git" in source and "#" not in source["git"]:
        yield f"{name} comes from git without the id of a commit: restore the lock"
    if "git" not in source and not _files(entry):
        yield f"{name} {version} has no file with a hash: restore the lock"
    files = {_file_name(file): artifacts.sha256(file.get("hash", "")) for file in _files(entry)}
    # One file is told of each entry: what was edited by hand is wrong for all of them.
    unproven = [file for file, digest in files.items() if not digest]
    if unproven:
        yield f"{name} {version} has no sha256 for {unproven[0]}: restore the lock"
    others = [file for file in files if not artifacts.claims(file, name, version)]
    if others:
        yield f"{name} {version} was edited by hand, for its file is {others[0]}: restore the lock"
    foreign = sorted(_origins(entry) - allowed) if allowed is not None else []
    if foreign:
        yield f"{name} {version} comes from {foreign[0]}, which .tools/origins.txt does not hold: restore the lock"


def stale(root: Path) -> list[str]:
    """Return a sentence for each thing in pyproject.toml that uv.lock was not made for, and the reverse.

    What only uv can know (sources, constraints, members of a workspace) is left to `uv lock --check`.
    """
    try:
        document, recorded, manifest = _lock(root), _project(_entries(root)), toml.read(root, MANIFESTS[0])
        project = manifest.get("project", {})
        python = (project.get("requires-python"), document.get("requires-python"))
        version = (project.get("version"), recorded.get("version"))
        return [
            *requirements.differences(
                _wanted(manifest), _recorded(recorded), (MANIFESTS[0], LOCKS[0]), python[1] or ""
            ),
            *_moved("Python", *python, requirements.same_pythons),
            # uv installs from no lock that records another version of the project itself.
            *_moved("version", *version, artifacts.same_version),
        ]
    except LockError as error:
        return [str(error)]
    except MALFORMED as error:
        return [f"{MANIFESTS[0]} cannot be compared with {LOCKS[0]} ({error}): correct it, then run `make lock`."]


def _moved(what: str, wanted: str | None, recorded: str | None, same: Callable[[str, str], bool]) -> Iterator[str]:
    if wanted and recorded and not same(wanted, recorded):
        yield f"{MANIFESTS[0]} has {what} {wanted} and {LOCKS[0]} was made for {recorded}: run `make lock`."


def _wanted(manifest: Entry) -> requirements.Groups:
    """Return what pyproject.toml asks for: "" is the project, other names are dependency groups."""
    project, groups = manifest.get("project", {}), manifest.get("dependency-groups", {})
    expanded = {canonical(name): requirements.expand(groups, name) for name in groups}
    legacy = manifest.get("tool", {}).get("uv", {}).get("dev-dependencies", [])
    extras = project.get("optional-dependencies", {}).items()
    optional = [requirements.for_extra(line, extra) for extra, lines in extras for line in lines]
    main = [*project.get("dependencies", []), *optional]
    return {"": main, **expanded, **({"dev": [*expanded.get("dev", []), *legacy]} if legacy else {})}


def _recorded(entry: Entry) -> requirements.Groups:
    """Return what uv wrote down of pyproject.toml when it made the lock."""
    metadata = entry.get("metadata", {})
    groups = {"": metadata.get("requires-dist", []), **metadata.get("requires-dev", {})}
    return {name: [_line(item) for item in items] for name, items in groups.items()}


def _line(item: Entry) -> str:
    """Return a recorded requirement as PEP 508 spells it."""
    extras = f"[{','.join(item['extras'])}]" if item.get("extras") else ""
    elsewhere = any(kind in item for kind in ("git", "url", "path", *FOLDERS))
    specifier = requirements.ANYWHERE if elsewhere else item.get("specifier", "")
    marker = f" ; {item['marker']}" if "marker" in item else ""
    return f"{item['name']}{extras}{specifier}{marker}"
