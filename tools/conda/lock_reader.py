"""What environment.yml, environment-dev.yml and conda-lock.yml say, as data: offline, without conda.

Owned by the template; what is wrong with them is said by check_lock.py. Python brings no reader of YAML, and the
project's environment need not hold one, so the part of YAML that conda-lock writes is read here, which also takes a
tenth of the time; anything else is refused in a sentence. https://conda.github.io/conda-lock/
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

NAME = "conda"
MANIFESTS = ("environment.yml", "environment-dev.yml")
LOCKS = ("conda-lock.yml",)
VIRTUAL = "virtual-packages.yml"
SCHEMA = "1"
# conda-forge builds one version again and again, with other hashes: a lock that has others than before was not
# therefore edited. `make sync` installs everything anew, and micromamba checks every hash then.
REBUILDS = True
# What advisories for Python packages call otherwise than conda-forge does; more of them can stand in audit.toml.
INDEX_NAMES = {"pytorch": "torch", "py-xgboost": "xgboost", "py-xgboost-cpu": "xgboost-cpu"}
RESTORE = f"restore the lock, `git checkout -- {LOCKS[0]}`."
Entry = dict[str, Any]

KEY = re.compile(r"(?P<key>\"[^\"\\]+\"|'[^']+'|[A-Za-z_][\w.-]*):(?: +(?P<value>.*))?")
COMMENT = re.compile(r"\s+#.*")
# What a platform is called in a comment such as `# [osx]`, which conda-lock reads as a condition.
# https://conda.github.io/conda-lock/src_environment_yml/#preprocessing-selectors
SELECTOR = re.compile(r"#[^\[]*\[([^\[\]]+)\]")
SELECTORS = {
    "linux-64": {"linux64", "unix", "linux"},
    "linux-aarch64": {"aarch64", "unix", "linux"},
    "linux-ppc64le": {"ppc64le", "unix", "linux"},
    "osx-64": {"osx64", "osx", "unix"},
    "osx-arm64": {"arm64", "osx", "unix"},
    "win-64": {"win", "win64"},
}
SYSTEMS = {"linux": "linux", "darwin": "osx", "win32": "win"}
MACHINES = {"x86_64": "64", "amd64": "64", "arm64": "arm64", "aarch64": "aarch64", "ppc64le": "ppc64le"}
# name, name version, name version build; `=` may stand in the place of the spaces.
# https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-specs.html#package-match-specifications
SPEC = re.compile(
    r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?:\s+|(?=[=<>!~])|$)"
    r"(?P<version>=?(?:[<>!~=]=|[^\s=()\[\]:])+)?(?:[\s=](?P<build>[\w.*]+))?"
)


class _Lines:
    """The lines of a file in the part of YAML that is read here: mappings, lists, and text on one line."""

    def __init__(self, text: str) -> None:
        numbered = [(line.rstrip(), number) for number, line in enumerate(text.splitlines(), 1)]
        if tabs := [number for line, number in numbered if "\t" in line[: len(line) - len(line.lstrip())]]:
            raise ValueError(f"line {tabs[0]} says its margin in tabs, where YAML wants spaces")
        kept = [(line, number) for line, number in numbered if line and not line.lstrip().startswith("#")]
        # (columns before it, what it says, its number)
        self.lines = [(len(line) - len(line.lstrip()), line.lstrip(), number) for line, number in kept]
        self.at = 0

    def block(self, margin: int) -> Any:  # noqa: ANN401 - text, a list or a mapping
        """Return the mapping or the list that stands at this margin."""
        return self.sequence(margin) if self.lines[self.at][1].startswith("- ") else self.mapping(margin)

    def here(self, margin: int) -> bool:
        return self.at < len(self.lines) and self.lines[self.at][0] == margin

    def sequence(self, margin: int) -> list[Any]:
        found: list[Any] = []
        while self.here(margin) and self.lines[self.at][1].startswith("- "):
            _, text, number = self.lines[self.at]
            item = text[2:].lstrip()
            if KEY.fullmatch(item):
                inner = margin + len(text) - len(item)
                self.lines[self.at] = (inner, item, number)
                found.append(self.mapping(inner))
            else:
                self.at += 1
                found.append(_scalar(item, number))
        return found

    def mapping(self, margin: int) -> Entry:
        found: Entry = {}
        while self.here(margin) and (match := KEY.fullmatch(self.lines[self.at][1])):
            key, number = match["key"].strip("'\""), self.lines[self.at][2]
            if key in found:
                raise ValueError(f"line {number} has {key} for the second time")
            self.at += 1
            if match["value"] and not match["value"].startswith("#"):
                found[key] = _scalar(match["value"], number)
            else:
                found[key] = self.below(margin)
        return found

    def below(self, margin: int) -> Any:  # noqa: ANN401 - text, a list or a mapping
        if self.at == len(self.lines):
            return ""
        inner, text, _ = self.lines[self.at]
        # A list may stand at the margin of the key that it belongs to.
        return self.block(inner) if inner > margin or (inner == margin and text.startswith("- ")) else ""


def _scalar(text: str, number: int) -> Any:  # noqa: ANN401 - text, or an empty list or mapping
    """Return what stands on one line; every number and truth value is the text that it is written as."""
    if quoted := re.fullmatch(r"'((?:[^']|'')*)'(?:\s+#.*)?", text):
        return quoted[1].replace("''", "'")
    if quoted := re.fullmatch(r'"([^"\\]*)"(?:\s+#.*)?', text):
        return quoted[1]
    plain = COMMENT.sub("", text)
    if plain in ("[]", "{}"):
        return [] if plain == "[]" else {}
    if plain[:1] in "&*!|>%@`[{\"'?," or ": " in plain or plain.endswith(":"):
        raise ValueError(f"line {number} says {text}, where one name or one text is expected")
    return plain


@lru_cache
def _parse(text: str) -> Entry:
    lines = _Lines(text)
    document = lines.mapping(0)
    if lines.at < len(lines.lines):
        _, line, number = lines.lines[lines.at]
        raise ValueError(f"line {number} says {line}, where a key such as `name:` is expected")
    return document


def read(root: Path, name: str) -> Entry:
    """Return one of the files above, parsed; raises ValueError with one sentence."""
    try:
        return _parse((root / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{name} is missing: run `git checkout -- {name}`.") from None
    except ValueError as error:
        raise ValueError(f"{name} cannot be read ({error}): correct it, or run `git checkout -- {name}`.") from None


@lru_cache
def _document(text: str) -> Entry:
    """Return the lock, proved to be whole."""
    document = _parse(text)
    if document.get("version") != SCHEMA:
        raise ValueError(
            f"{LOCKS[0]} has version {document.get('version')} and this reader knows {SCHEMA}: make it anew with the"
            " conda-lock that this repository pins, `make lock`."
        )
    there = {(entry["platform"], entry["name"]) for entry in document["package"]}
    for entry in document["package"]:
        _same_file(entry)
        for name in entry["dependencies"] or ():
            if not name.startswith("__") and (entry["platform"], name) not in there:
                raise ValueError(
                    f"{LOCKS[0]} lacks {name} for {entry['platform']}, which {entry['name']} needs: {RESTORE}"
                )
    return document


def _same_file(entry: Entry) -> None:
    """Raise ValueError where the file is of another package or version than the entry says."""
    file = unquote(entry["url"].rpartition("/")[2])
    name, version, *_ = [*file.rsplit("-", 2), "", ""]
    if entry["manager"] != "conda":
        raise ValueError(
            f"{LOCKS[0]} has {entry['name']} from {entry['manager']}: name conda packages only, then `make lock`."
        )
    if (name, version) != (entry["name"], entry["version"]):
        said = f"{entry['name']} {entry['version']}"
        raise ValueError(f"{LOCKS[0]}: {said} was edited by hand, for its file is {file}: {RESTORE}")


def _lock(root: Path) -> Entry:
    read(root, LOCKS[0])  # says in a sentence what is wrong with the file itself
    return _document((root / LOCKS[0]).read_text(encoding="utf-8"))


def canonical(name: str) -> str:
    """Return a package's name in the one spelling of the kit: conda's names may start with an underscore."""
    return canonicalize_name(name).strip("-")


def platform_of(environment: Mapping[str, str]) -> str:
    """Return what conda calls a platform, as linux-64."""
    system = SYSTEMS.get(environment["sys_platform"], environment["sys_platform"])
    machine = environment["platform_machine"].lower()
    return f"{system}-{MACHINES.get(machine, machine)}"


def locked(root: Path, environment: Mapping[str, str]) -> list[Entry]:
    """Return the packages that apply in this marker environment, those that are no Python among them.

    Each has name, version, hashes (hex sha256), direct (the manifest names it) and groups: conda-lock's categories, of
    which main and dev are installed. Raises ValueError.
    """
    platform, document = platform_of(environment), _lock(root)
    if platform not in document["metadata"]["platforms"]:
        raise ValueError(
            f"{LOCKS[0]} has nothing for {platform}: add that line to `platforms:` in {MANIFESTS[0]}, then `make lock`."
        )
    direct = {canonical(spec["name"]) for spec in specs(root, platform)}
    packages: dict[str, Entry] = {}
    for entry in document["package"]:
        if entry["platform"] != platform:
            continue
        name, digest = canonical(entry["name"]), entry["hash"].get("sha256", "")
        package = {
            "name": name,
            "version": entry["version"],
            "hashes": [digest],
            "groups": [],
            "direct": name in direct,
        }
        package = packages.setdefault(name, package)
        package["groups"] += {entry["category"]} & {"main", "dev"}
    return [*packages.values()]


def entries(root: Path) -> list[Entry]:
    """Return every entry of the lock, for all platforms; raises ValueError.

    Each has name, version, folder and commit (None: conda packages are archives), addresses (none beside the files')
    and files, each with address and hash ("sha256:…"), "" where there is none. An md5 is no proof, and is left out.
    """
    return [
        {
            "name": canonical(entry["name"]),
            "version": entry["version"],
            "folder": None,
            "commit": None,
            "addresses": [],
            "files": [{"address": entry["url"], "hash": f"sha256:{entry['hash'].get('sha256', '')}"}],
        }
        for entry in _lock(root)["package"]
    ]


def only_here(root: Path) -> set[str]:
    """Return the locked packages that are no Python, so that no package index has them; raises ValueError.

    What runs by Python depends on it.
    """
    return {
        canonical(entry["name"]) for entry in _lock(root)["package"] if "python" not in (entry["dependencies"] or ())
    }


def asked(root: Path) -> dict[str, tuple[Any, Any] | dict[str, list[str]]]:
    """Return what the manifest asks for, and the digest of it beside the one that the lock was made for.

    `wanted` has lines by group ("" is the runtime) as PEP 508 spells them; what it cannot spell counts by name only,
    and is compared by the digest: conda-lock's content hash, which holds channels and virtual packages too.
    """
    wanted: dict[str, list[str]] = {"": [], "dev": []}
    for spec in specs(root, platforms(root)[0]):
        wanted.setdefault(spec["category"].replace("main", ""), []).append(_requirement(spec))
    now = {platform: content_hash(root, platform) for platform in platforms(root)}
    recorded = _lock(root)["metadata"]["content_hash"]
    return {"wanted": wanted, "digest": (json.dumps(now, sort_keys=True), json.dumps(recorded, sort_keys=True))}


def platforms(root: Path) -> list[str]:
    """Return the platforms that the manifest asks a lock for; raises ValueError."""
    found = read(root, MANIFESTS[0]).get("platforms")
    if not found or not isinstance(found, list) or {*found} - {*SELECTORS}:
        raise ValueError(
            f"{MANIFESTS[0]} has no list `platforms:` of {', '.join(SELECTORS)}: write one, then `make lock`."
        )
    return [*dict.fromkeys(found)]


def specs(root: Path, platform: str) -> list[Entry]:
    """Return what both files ask for on a platform: name, version, build and category; raises ValueError."""
    found: dict[str, Entry] = {}
    for file in MANIFESTS:
        read(root, file)
        text = "\n".join(_selected((root / file).read_text(encoding="utf-8"), platform))
        document = _parse(text)
        for line in document.get("dependencies") or ():
            spec = parsed(line, file) | {"category": document.get("category") or "main"}
            if spec["name"] in found:
                first = found[spec["name"]]["file"]
                where = file if first == file else f"{first} and {file}"
                raise ValueError(f"{spec['name']} stands twice in {where}: remove one of the lines, then `make lock`.")
            found[spec["name"]] = spec
    return [*found.values()]


def _selected(text: str, platform: str) -> Iterator[str]:
    for line in text.splitlines():
        selector = SELECTOR.search(line)
        if line.lstrip().startswith("#") or selector is None or selector[1] in SELECTORS[platform]:
            yield line


def parsed(line: object, file: str) -> Entry:
    """Return one line of a manifest as conda-lock reads it: `=1.2` is 1.2.*, `==1.2` is 1.2; raises ValueError."""
    tight = re.sub(r"\s*([=<>!~,|]+)\s*", r"\1", line) if isinstance(line, str) else ""
    match = SPEC.fullmatch(tight)
    version, build = (match["version"] or "", match["build"]) if match else ("", None)
    single = not re.search(r"[,|]", version)
    if not match or (version.startswith("=") and not single) or version == "=":
        raise ValueError(
            f"{file} asks for {line!r}, and this repository locks conda packages by name, version and build only: write"
            " it as `numpy >=2.3,<3`."
        )
    if version.startswith("==") and single:
        version = version[2:]
    elif version.startswith("="):
        version = version[1:] if build or version.endswith("*") else f"{version[1:]}.*"
    return {"name": match["name"].lower(), "version": version, "build": build, "file": file}


def _requirement(spec: Entry) -> str:
    """Return a spec as PEP 508 has it, its name alone where conda's words have no equal there."""
    parts = [part for part in spec["version"].split(",") if part not in ("", "*")]
    line = canonical(spec["name"]) + ",".join(part if part[0] in "<>!~" else f"=={part}" for part in parts)
    try:
        return str(Requirement(line))
    except InvalidRequirement:
        return canonical(spec["name"])


def content_hash(root: Path, platform: str) -> str:
    """Return the hash that conda-lock records of what it was asked for, as its content_hash.py computes it."""
    asked_for = [
        {"name": s["name"], "manager": "conda", "category": s["category"], "extras": [], "version": s["version"],
         "build": s["build"], "conda_channel": None, "hash": None}
        for s in sorted(specs(root, platform), key=lambda spec: str(spec["name"]))
    ]  # fmt: skip
    content = {
        "channels": [json.dumps({"url": one, "used_env_vars": []}, separators=(",", ":")) for one in channels(root)],
        "specs": asked_for,
        "virtual_package_hash": {
            "noarch": _virtual({}, "noarch"),
            platform: _virtual(_assumed(root, platform), platform),
        },
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def channels(root: Path) -> list[str]:
    """Return where packages are looked for: the longer list, which must end as the other does; raises ValueError."""
    lists = [[one for one in read(root, file).get("channels") or () if one != "nodefaults"] for file in MANIFESTS]
    if secret := [one for found in lists for one in found if re.search(r"[@$]|/t/", one)]:
        raise ValueError(
            f"{MANIFESTS[0]} has a channel with a password or token in its address ({secret[0].split('://')[0]}://…):"
            " put that into ~/.netrc, then `make lock`."
        )
    found = max(lists, key=len)
    if not found or any(one and found[-len(one) :] != one for one in lists):
        raise ValueError(f"{' and '.join(MANIFESTS)} have no common `channels:`: write conda-forge, then `make lock`.")
    return found


def _assumed(root: Path, platform: str) -> dict[str, str]:
    found: dict[str, str] = read(root, VIRTUAL)["subdirs"].get(platform, {}).get("packages", {})
    return found


def _virtual(assumed: Mapping[str, str], subdir: str) -> Entry:
    """Return the index of packages that stand for what a machine has, such as its C library."""
    packages = {}
    for name, text in assumed.items():
        version, _, label = text.partition(" ")
        build = f"{label}_0" if label else "0"
        packages[f"{name}-{version}-{build}.tar.bz2"] = {
            "name": name, "version": version, "build_string": label, "build_number": 0, "noarch": "", "depends": [],
            "timestamp": 1577854800000, "package_type": "virtual_system", "build": build, "subdir": subdir,
        }  # fmt: skip
    return {"info": {"subdir": subdir}, "packages": packages}
