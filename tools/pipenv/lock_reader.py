"""What Pipfile and Pipfile.lock say, as data: what applies where, every hash, what the lock was made for.

Owned by the template. Offline and without Pipenv; what is wrong with it is said by check_lock.py. Pipenv documents the
manifest (https://pipenv.pypa.io/en/latest/pipfile.html) and of the lock only what it is for: what is read here was seen
in locks that Pipenv wrote, and the template's tests compare it with `pipenv verify` and with what gets installed.
"""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from packaging.markers import Marker, default_environment
from packaging.utils import canonicalize_name

NAME = "pipenv"
MANIFESTS = ("Pipfile",)
LOCKS = ("Pipfile.lock",)
SCHEMA = 6  # `pipfile-spec`: Pipenv has written it since 2017
GROUPS = {"default": "main", "develop": "dev"}  # sections of the lock; nobody installs others unasked
TABLES = {"": "packages", "dev": "dev-packages"}
# Tables of the manifest that name no packages.
SETTINGS = frozenset({"source", "requires", "scripts", "pipfile", "pipenv", "default", "develop"})
Entry = dict[str, Any]


def _lock(text: str) -> Entry:
    document: Entry = json.loads(text)
    for key in ("_meta", *GROUPS):
        if not isinstance(document[key], dict):
            raise TypeError(f"{key} is no table")
    return document


_loads: dict[str, Callable[[str], Entry]] = {MANIFESTS[0]: lru_cache(tomllib.loads), LOCKS[0]: lru_cache(_lock)}


def read(root: Path, name: str) -> Entry:
    """Return one of the files above, parsed; raises ValueError with one sentence."""
    try:
        return _loads[name]((root / name).read_text(encoding="utf-8"))
    except (ValueError, LookupError, TypeError) as error:  # neither JSON nor TOML, no UTF-8, not all of its sections
        told = " ".join(str(error).split())
        raise ValueError(f"{name} is not as Pipenv has it ({told}): run `git checkout -- {name}`.") from None


def _document(root: Path) -> Entry:
    document = read(root, LOCKS[0])
    if document["_meta"].get("pipfile-spec") != SCHEMA:
        raise ValueError(
            f"{LOCKS[0]} has pipfile-spec {document['_meta'].get('pipfile-spec')} and this reader knows {SCHEMA}: make"
            " it anew with the Pipenv that this repository pins, `make lock`."
        )
    return document


def _sections(root: Path) -> Iterator[tuple[str, str, Entry]]:
    """Yield section, canonical name and entry of every locked package; raises ValueError."""
    for section, packages in _document(root).items():
        for name, entry in packages.items() if section != "_meta" else ():
            yield section, canonicalize_name(name), entry


def locked(root: Path, environment: Mapping[str, str]) -> list[Entry]:
    """Return the packages that apply in this marker environment, the project itself left out.

    Each has name, version, hashes (hex sha256), direct (project or developers ask for it) and groups: "main" is what
    the project needs to run, "dev" what developers need. What only other categories hold may be installed and need not
    be: its groups are empty. Raises ValueError, also where two sections disagree.
    """
    manifest = read(root, MANIFESTS[0])
    direct = {canonicalize_name(name) for table in TABLES.values() for name in manifest.get(table, ())}
    packages: dict[str, Entry] = {}
    for section, name, entry in _sections(root):
        if entry.get("path") == "." or not _applies(entry.get("markers"), environment):
            continue
        own = {"name": name, "version": _version(entry), "hashes": _hashes(entry), "direct": name in direct}
        package = packages.setdefault(name, {**own, "groups": []})
        if (package["version"], package["hashes"]) != (own["version"], own["hashes"]):
            told = f"{name} {package['version']} and {name} {own['version']} with other hashes"
            raise ValueError(f"{LOCKS[0]} has both {told}: run `make lock`.")
        package["groups"] += [GROUPS[section]] if section in GROUPS else []
    return [*packages.values()]


def _applies(marker: str | None, environment: Mapping[str, str]) -> bool:
    return not marker or Marker(marker).evaluate({"extra": "", **environment})


def _version(entry: Entry) -> str:
    """Return the version of an entry, "" where a folder, an archive or a commit stands in its place."""
    return str(entry.get("version", "")).removeprefix("==")


def _hashes(entry: Entry) -> list[str]:
    return sorted({digest.removeprefix("sha256:") for digest in entry.get("hashes", ())})


def entries(root: Path) -> list[Entry]:
    """Return every entry of the lock; raises ValueError.

    Each has name, version, folder (None: it is no code of a folder), commit (None: it is not from git), addresses (of
    its index or archive) and files, each with hash ("sha256:…"); their names are not in this lock.
    """
    sources = [dict(source) for source in _document(root)["_meta"].get("sources", ())]
    named: dict[str, str] = {source.get("name", ""): source["url"] for source in sources}
    default = [source["url"] for source in sources[:1]]
    return [
        {
            "name": name,
            "version": _version(entry),
            "folder": _folder(entry),
            "commit": str(entry.get("ref", "")) if "git" in entry else None,
            "addresses": _addresses(entry, named, default),
            "files": [{"address": "", "hash": digest} for digest in entry.get("hashes", ())],
        }
        for _, name, entry in _sections(root)
    ]


def _folder(entry: Entry) -> str | None:
    """Return the folder or the file of this repository that an entry is, None where it is neither."""
    path = entry.get("path", entry.get("file", ""))
    return str(path) if path and "://" not in path else None


def _addresses(entry: Entry, named: Mapping[str, str], default: list[str]) -> list[str]:
    """Return where a package is found. One without an index comes from the first source, and from no other."""
    for kind in ("git", "file"):
        if "://" in entry.get(kind, ""):
            return [entry[kind]]
    if _folder(entry) is not None:
        return []
    return [named[entry["index"]]] if "index" in entry else default


def pages(root: Path) -> list[str]:
    """Return the pages of files of what is locked from another index than the first; raises ValueError."""
    sources: list[Entry] = _document(root)["_meta"].get("sources", [])
    others = {source.get("name"): source["url"].rstrip("/") for source in sources[1:]}
    return [f"{others[entry['index']]}/{name}/" for _, name, entry in _sections(root) if entry.get("index") in others]


def asked(root: Path) -> dict[str, Any]:
    """Return what the manifest asks for, and what the lock was made for, as pairs; raises ValueError."""
    manifest, meta = read(root, MANIFESTS[0]), _document(root)["_meta"]
    return {
        "wanted": wanted(root),
        "digest": (digest(root), meta.get("hash", {}).get("sha256", "")),
        "python": (_python(manifest.get("requires", {})), _python(meta.get("requires", {}))),
    }


def wanted(root: Path) -> dict[str, list[str]]:
    """Return what the manifest asks for, by group, as PEP 508 spells it; raises ValueError."""
    manifest = read(root, MANIFESTS[0])
    return {group: _lines(manifest.get(table, {})) for group, table in TABLES.items()}


def _categories(manifest: Entry) -> list[str]:
    return [name for name in manifest if name not in SETTINGS]


def digest(root: Path) -> str:
    """Return the digest that Pipenv gives the manifest: what it asks for, from where, for which Python.

    Where the manifest names no source, Pipenv takes that of the machine's pip settings; here it is the one that the
    lock says it was made with. https://github.com/pypa/pipenv/blob/main/pipenv/utils/pipfile.py
    """
    manifest, meta = read(root, MANIFESTS[0]), _document(root)["_meta"]
    tables = {name: {canonicalize_name(k): v for k, v in manifest[name].items()} for name in _categories(manifest)}
    whole = {
        "_meta": {
            "sources": manifest.get("source", meta.get("sources", [])),
            "requires": manifest.get("requires", {}),
        },
        "default": tables.pop("packages", {}),
        "develop": tables.pop("dev-packages", {}),
        **tables,
    }
    return sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _python(requires: Entry) -> str | None:
    """Return the version specifier of [requires], None where it names no Python."""
    if "python_full_version" in requires:
        return f"=={requires['python_full_version']}"
    return f"=={requires['python_version']}.*" if "python_version" in requires else None


def _lines(table: Entry) -> list[str]:
    """Return a table of the manifest as PEP 508 spells it."""
    return [_line(name, item if isinstance(item, dict) else {"version": item}) for name, item in table.items()]


def _line(name: str, item: Entry) -> str:
    """Return one requirement; a source stands in the place of a version, and of that only the lock can tell."""
    extras = f"[{','.join(item['extras'])}]" if item.get("extras") else ""
    version = str(item.get("version", "*")).strip()
    # Each marker may be a key of its own: sys_platform = "== 'linux'".
    named = [f"{key} {item[key]}" for key in default_environment() if key in item]
    marker = " and ".join(f"({one})" for one in [*named, *([item["markers"]] if item.get("markers") else [])])
    specifier = "" if version == "*" else f"=={version}" if version[:1].isdigit() else version
    if "git" in item:
        below = f"#subdirectory={item['subdirectory']}" if "subdirectory" in item else ""
        specifier = f" @ git+{item['git']}{'@' if 'ref' in item else ''}{item.get('ref', '')}{below}"
    return f"{name}{extras}{specifier}{f' ; {marker}' if marker else ''}"
