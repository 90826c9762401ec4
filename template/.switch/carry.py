"""What one tool's manifest asks for, as another tool can have it. Owned by the template; switch.py writes it."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import check_lock
import lock_reader
import tied
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT, OLD, PROJECT = check_lock.ROOT, lock_reader.NAME, check_lock.PROJECT
WHY = "  # "  # the templates of the manifests part a requirement from its comment here
COMMIT = re.compile(r"[0-9a-f]{40,64}")
GIT = re.compile(r"(git\+\w+://[^@/]*@?[^@#]*)(?:@([^#]*))?(#.*)?")
EXACT = re.compile(r"==[^*,]+")
BUILD = re.compile(r"(?<=[\w.]) +[\w*]+$")
ITEM = re.compile(r"""(?:- *)?["']?(?P<name>[A-Za-z0-9][\w.-]*)""")
INCLUDED = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]*(\S+)")
Groups = dict[str, list[str]]


class Repository:
    """A folder that the template was rendered into, and what the folder of its tool says of the tool."""

    def __init__(self, root: Path, tool: Mapping[str, Any] | None = None) -> None:
        """Take a folder; without `tool` one that was rendered for a switch, which holds it."""
        told: Mapping[str, Any] = tool or json.loads((root / ".switch" / "tool.json").read_text(encoding="utf-8"))
        self.root, self.tool, self.name = root, told, str(told["name"])
        self.manifests: list[str] = told["manifests"]
        self.locks: list[str] = told["locks"]
        # What its packages are called otherwise than in a package index: name there -> name here.
        self.names: dict[str, str] = told.get("names", {})
        self.constraints = str(told.get("constraints", ""))
        # The index of one's own for some packages, {} for none.
        self.source: Mapping[str, Any] = told.get("source") or {}
        # What the template asks for because of the answers' framework and accelerator.
        self.of_framework: list[str] = told.get("of_framework", [])

    def text(self, name: str) -> str:
        """Return a file, "" where there is none."""
        path = self.root / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def files(self) -> set[str]:
        """Return the names of all its files."""
        return {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}

    def carries(self, kind: str) -> bool:
        """Tell whether its manifest can say markers, extras or git."""
        return kind in self.tool["carries"]


class Carried(NamedTuple):
    """What the old manifest asks for, as the new tool can have it."""

    groups: Groups  # runtime and dev
    whys: Mapping[str, str]  # the comments of requirements, by name
    constraints: Sequence[str]
    left: Sequence[str]  # what cannot be carried, one line each
    same: bool  # every requirement as it was
    own: Sequence[str]  # of the framework, as the template says it to the new tool: not in groups


class Scanned(NamedTuple):
    """What stands in a manifest beside requirements."""

    whys: Mapping[str, str]  # the comments of requirements, by name
    rest: Sequence[str]  # lines that are neither requirements nor the template's
    elsewhere: Sequence[str]  # names of what comes from another place


def answers(text: str) -> dict[str, str]:
    """Return what Copier's file of answers says, as text; of a value on several lines the first."""
    found = re.findall(r"^(\w+): *(?:(['\"])(.*)\2|(.*))$", text, re.MULTILINE)
    return {key: quoted or plain for key, _, quoted, plain in found}


def trailing(line: str) -> str:
    """Return the comment at the end of a line, "" where it has none: a # in quotes begins none."""
    for found in re.finditer(r"\s#\s*", line):
        before = line[: found.start()]
        if before.count('"') % 2 == 0 and before.count("'") % 2 == 0:
            return line[found.end() :].strip()
    return ""


def scan(text: str, stock: str, names: Mapping[str, str], tool: Mapping[str, Any], *, quoted: bool = False) -> Scanned:
    """Read what stands beside the requirements in a file of the manifest.

    `stock` is the file as the template renders it, `names` maps a requirement's name here to the one it is carried by,
    `tool` has the patterns `aside` and `elsewhere`. `quoted`: requirements stand in quotes, as in pyproject.toml. A
    comment belongs to the requirement in its line or directly below.
    """
    aside, away = (re.compile(str(tool.get(key) or "(?!)")) for key in ("aside", "elsewhere"))
    own = {*map(str.strip, stock.splitlines())}
    whys: dict[str, str] = {}
    rest, elsewhere, above = list[str](), list[str](), list[str]()
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#"):
            above += [] if line in own else [line]
            continue
        item = ITEM.match(line)
        one = not quoted or line.startswith(("'", '"'))
        if item and one and (name := names.get(canonicalize_name(item["name"]))):
            notes = [*(note.lstrip("# ") for note in above), trailing(line)]
            whys.setdefault(name, " ".join(filter(None, notes)))
            said = tied.without_tie(line, tool)
            rest += [line] if aside.search(said) else []
            elsewhere += [name] if away.search(said) else []
        else:
            known = not line or line in own or INCLUDED.match(line)
            rest += [*above, *([] if known else [line])]
        above = []
    return Scanned({name: why for name, why in whys.items() if why}, [*rest, *above], elsewhere)


def explained(line: str, whys: Mapping[str, str]) -> str:
    """Return a requirement with its comment, as the templates of the manifests take it."""
    why = whys.get(name_of(line))
    return f"{line}{WHY}{why}" if why else line


def name_of(line: str) -> str:
    """Return the canonical name of what a requirement asks for; one of conda's may end with a build, as in `cuda*`."""
    return canonicalize_name(Requirement(without_build(line)).name)


def without_build(line: str) -> str:
    """Return a requirement without the build that conda's may ask for: what PEP 508 can say of it."""
    return BUILD.sub("", line)


def head(requirement: Requirement) -> str:
    """Return name and extras."""
    return requirement.name + (f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else "")


def condition(requirement: Requirement) -> str:
    """Return the marker with what parts it from what stands before, "" where there is none."""
    return f" ; {str(requirement.marker).replace(chr(34), chr(39))}" if requirement.marker else ""


def tidy(line: str) -> str:
    """Return a requirement as people write it: the lower bound first, the marker without parentheses around it."""
    requirement = Requirement(line)
    return line if requirement.url else f"{head(requirement)}{bounds(requirement)}{condition(requirement)}"


def bounds(requirement: Requirement) -> str:
    """Return the specifier, the lower bound first."""
    return ",".join(sorted(map(str, requirement.specifier), key=lambda one: (one[0] != ">", one)))


def at_commit(line: str, commits: Mapping[str, str]) -> str:
    """Return a requirement from git with the commit that is locked, where it names none itself."""
    requirement = Requirement(line)
    found, commit = GIT.fullmatch(requirement.url or ""), commits.get(canonicalize_name(requirement.name))
    if not found or not commit or COMMIT.fullmatch(found[2] or ""):
        return line
    return f"{head(requirement)} @ {found[1]}@{commit}{found[3] or ''}{condition(requirement)}"


def from_source(line: str, source: Any) -> str:  # noqa: ANN401 - as TOML has it
    """Return a requirement whose source stands in a table as one line, "" where that is no repository of git."""
    if not isinstance(source, dict) or "git" not in source:
        return ""
    requirement = Requirement(line)
    ref = next((f"@{source[key]}" for key in ("rev", "tag", "branch") if key in source), "")
    below = f"#subdirectory={source['subdirectory']}" if "subdirectory" in source else ""
    return f"{head(requirement)} @ git+{source['git']}{ref}{below}{condition(requirement)}"


def fitted(line: str, new: Repository) -> tuple[str, str]:
    """Return what a tool can have of a requirement ("" for nothing), and a sentence on what it cannot."""
    requirement = Requirement(line)
    if requirement.url and not new.carries("git"):
        return "", f"{line}: {new.name} cannot check what is from git or an address; take a release of it."
    lost = [kind for kind in ("marker", "extra") if _has(requirement, kind) and not new.carries(f"{kind}s")]
    lockable = new.carries("platforms") or EXACT.fullmatch(str(requirement.specifier))
    if not on_linux(requirement) and ("marker" in lost or not lockable):
        return "", not_for_linux(line, new)
    if not lost:
        return line, ""
    requirement.extras = set() if "extra" in lost else requirement.extras
    requirement.marker = None if "marker" in lost else requirement.marker
    return tidy(str(requirement)), f"{line}: {new.name} has it without its {' and '.join(lost)}."


def on_linux(requirement: Requirement) -> bool:
    """Tell whether a requirement's marker holds for this Python on Linux."""
    linux = {"os_name": "posix", "platform_system": "Linux", "sys_platform": "linux"}
    here = {key: str(value) for key, value in default_environment().items()} | linux
    return not requirement.marker or requirement.marker.evaluate(here)


def not_for_linux(line: str, new: Repository) -> str:
    """Return why a requirement is left out of a lock that is for Linux first."""
    return f"{line}: not for Linux, where {new.name}'s lock is needed."


def once(lines: Sequence[str], new: Repository, left: list[str]) -> Iterator[str]:
    """Yield the requirements; where a name may stand once and has several, those for Linux: the rest is in `left`."""
    times = Counter[str]() if new.carries("repeats") else Counter(map(name_of, lines))
    for line in lines:
        if times[name_of(line)] <= 1 or on_linux(Requirement(line)):
            yield line
        else:
            left.append(not_for_linux(line, new))


def _has(requirement: Requirement, kind: str) -> bool:
    return bool(requirement.marker if kind == "marker" else requirement.extras)


def pinned(groups: Mapping[str, Sequence[str]], packages: Iterable[Mapping[str, Any]]) -> Groups:
    """Return the requirements with the locked version of each, and of all that they need."""
    versions = {package["name"]: package for package in packages if package["version"]}
    direct = {name_of(line) for lines in groups.values() for line in lines}
    found: Groups = {group: [_pin(line, versions) for line in lines] for group, lines in groups.items()}
    for name in sorted(versions.keys() - direct):
        found["runtime" if "main" in versions[name]["groups"] else "dev"].append(f"{name}=={versions[name]['version']}")
    return found


def _pin(line: str, versions: Mapping[str, Mapping[str, Any]]) -> str:
    requirement = Requirement(line)
    locked = versions.get(canonicalize_name(requirement.name))
    if locked is None or requirement.url or (requirement.marker and not requirement.marker.evaluate()):
        return line
    return f"{head(requirement)}=={locked['version']}{condition(requirement)}"


def only_here() -> frozenset[str]:
    """Return the locked packages that no package index has: conda's that are no Python."""
    return frozenset(getattr(lock_reader, "only_here", lambda _: ())(ROOT))


def locked(old: Repository) -> list[dict[str, Any]]:
    """Return the locked packages that another tool may have, by the names that it knows them by; raises ValueError."""
    names, others = {here: there for there, here in old.names.items()}, only_here()
    packages = [one for one in check_lock.locked(ROOT) if one["name"] not in others]
    return [{**one, "name": names.get(one["name"], one["name"])} for one in packages]


def carried(old: Repository, stock: Repository, new: Repository) -> Carried:
    """Return what the old manifest asks for, as the new tool can have it; `stock` is the old tool's render."""
    document = tomllib.loads(old.text(PROJECT))
    table = document.get("tool", {}).get(OLD, {}) if PROJECT in old.manifests else {}
    left = [*_of_project(document, table, stock, new)]
    keeping = old.carries("git") and new.carries("git")
    asked, known = _asked(old, left)
    plain = {group: [tied.free(line, stock.source) for line in lines] for group, lines in asked.items()}
    plain["runtime"], own, gone = _exchanged(plain["runtime"], stock, new, left)
    sources = _elsewhere(table, stock)
    whys: dict[str, str] = {}
    for manifest in old.manifests:
        found = scan(old.text(manifest), stock.text(manifest), known, old.tool, quoted=manifest == PROJECT)
        whys = {**found.whys, **whys}
        rest = [line for line in found.rest if "".join(line.split()) not in gone]
        left += [] if manifest == PROJECT else [f"{manifest}: {line}" for line in rest]
        # A package of another index, asked for without it, would be somebody else's package of that name.
        sources |= dict.fromkeys(found.elsewhere, "another place")
    versions = {package["name"]: package["version"] for package in locked(old)}
    single = {group: [*once(lines, new, left)] for group, lines in plain.items()}
    fitting = {group: [*_fitted(lines, new, sources, left, keeping=keeping)] for group, lines in single.items()}
    groups: Groups = {group: [tied.tied(one, new.tool, versions) for one in lines] for group, lines in fitting.items()}
    limits = _constraints(old, document)
    if not new.constraints:
        left += [f"{line}: a constraint, which {new.name} does not know." for line in limits]
    same = old.manifests == new.manifests and groups == asked and not own and "dev-dependencies" not in table
    return Carried(groups, whys, limits if new.constraints else [], left, same, own)


def _exchanged(
    lines: list[str], stock: Repository, new: Repository, left: list[str]
) -> tuple[list[str], list[str], set[str]]:
    """Return the requirements without the template's own that it has otherwise now, what it has, and what was listed.

    Where you have changed one of its own, all are carried as yours, and what it has now goes into `left`.
    """
    gone = {tidy(without_build(line)): line for line in stock.of_framework if line not in new.of_framework}
    come = [line for line in new.of_framework if line not in stock.of_framework]
    if gone.keys() <= {*lines}:
        listed = {_as_listed(line, stock.names) for line in gone.values()}
        return [line for line in lines if line not in gone], come, listed
    left += [f"{line}: what the template asks for now; it is left out, since you ask otherwise." for line in come]
    return lines, [], set()


def _as_listed(line: str, names: Mapping[str, str]) -> str:
    """Return a requirement as an item of a list has it, by the name that is known there and without spaces."""
    name = Requirement(without_build(line)).name
    return "".join(f"-{names.get(name, name)}{line[len(name) :]}".split())


def _elsewhere(own: Mapping[str, Any], stock: Repository) -> dict[str, Any]:
    """Return where packages come from that the tool's own table names, by name; not what the template wrote there."""
    before = tomllib.loads(stock.text(PROJECT)).get("tool", {}).get(OLD, {})
    return {
        canonicalize_name(name): one
        for key in stock.tool.get("sources", ())
        for name, one in own.get(key, {}).items()
        if before.get(key, {}).get(name) != one
    }


def _asked(old: Repository, left: list[str]) -> tuple[Groups, dict[str, str]]:
    """Return the requirements by group, and by the name of each here the one that it is carried by."""
    asked: Mapping[str, Any] = lock_reader.asked(ROOT)
    every: Groups = asked["wanted"] if "wanted" in asked else asked["requirements"][0]
    names, others = {here: there for there, here in old.names.items()}, only_here()
    lines, known = Groups(runtime=[], dev=[]), dict[str, str]()
    for group, line in ((one, line) for one in ("", "dev") for line in every.get(one, ())):
        name = name_of(line)
        if name in others:
            left += [] if name == "python" else [f"{line}: no Python package, so no index has it."]
        elif not re.search(r"\bextra *==", line.partition(";")[2]):
            known[name] = names.get(name, name)
            own = names[name] + line[len(name) :] if name in names else line
            lines[group or "runtime"].append(tidy(own))
    return lines, known


def _fitted(
    lines: Iterable[str], new: Repository, sources: Mapping[str, Any], left: list[str], *, keeping: bool
) -> Iterator[str]:
    """Yield the requirements as a tool can have them, and put what it cannot into `left`.

    `keeping`: both tools lock what is from git, so that it need not name a commit.
    """
    commits: dict[str, str] = {
        canonicalize_name(one["name"]): one["commit"] for one in lock_reader.entries(ROOT) if one["commit"]
    }
    for line in lines:
        name, placed = name_of(line), line
        if name in sources and not Requirement(line).url:
            placed = from_source(line, sources[name])
        if placed != line or not keeping:
            placed = at_commit(placed, commits) if placed else ""
        fitting, sentence = fitted(placed, new) if placed else ("", _left_out(line, sources[name], new))
        yield from [fitting] if fitting else []
        left += [sentence] if sentence else []


def _left_out(line: str, source: Any, new: Repository) -> str:  # noqa: ANN401 - as TOML has it
    where = source.items() if isinstance(source, dict) else [("another", "place")]
    named = ", ".join(f"{key} {value}" for key, value in where)
    return f"{line} is left out: it comes from {named}, which {new.name} is not told of; add it by hand."


def _of_project(
    document: Mapping[str, Any], own: Mapping[str, Any], stock: Repository, new: Repository
) -> Iterator[str]:
    """Yield what stands in pyproject.toml and is not for the new tool."""
    before = tomllib.loads(stock.text(PROJECT))
    if document["build-system"] != before["build-system"]:
        yield f"{PROJECT}: [build-system] is the new tool's now, and was yours: {document['build-system']}."
    known = {stock.constraints.rpartition(".")[2], *stock.tool.get("reads", ()), *stock.tool.get("sources", ())}
    for key, value in own.items():
        if key not in known and value != before.get("tool", {}).get(OLD, {}).get(key):
            yield f"{PROJECT}: [tool.{OLD}] {key} stays there, and only {OLD} reads it."
    if PROJECT in new.manifests:
        return
    for extra, lines in document.get("project", {}).get("optional-dependencies", {}).items():
        yield from (f"{line}: of the extra {extra}, stays in {PROJECT} and in no lock." for line in lines)
    for group, lines in document.get("dependency-groups", {}).items():
        yield from (f"{line}: of the group {group}." for line in lines if group != "dev")


def _constraints(old: Repository, document: Mapping[str, Any]) -> list[str]:
    """Return what limits versions without asking for a package."""
    own: Any = document if PROJECT in old.manifests and old.constraints else {}
    for key in old.constraints.split("."):
        own = own.get(key, {}) if isinstance(own, dict) else {}
    texts = [old.text(name) for name in old.manifests if name != PROJECT]
    files = [file for text in texts for file in re.findall(r"^(?:-c|--constraint)[ =]*(\S+)", text, re.MULTILINE)]
    lines = [one for file in dict.fromkeys(files) if file not in old.locks for one in old.text(file).splitlines()]
    bare = [line.partition(" #")[0].strip() for line in lines]
    return [*own, *(line for line in bare if line and line[0] not in "#-")]
