"""Change an answer, and keep the work: another dependency tool, Python, CI. Rendered by `make switch` alone.

    make switch TO='TOOL | ANSWER=VALUE…' [ARGS=--lock-only]

With another tool, what the manifest asks for goes into the new one's, with comments and the locked versions; what
cannot is listed at the end. Until `copier update` nothing is changed, and after it all is still in git.
"""

import argparse
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import carry
import check_lock
import pyproject
import tied
from calls import SwitchError, copier, git, make, must, render, run, told
from carry import OLD, PROJECT, ROOT, Repository

ANSWERS = check_lock.ANSWERS
ASIDE = Path("switched", OLD)
BACK = "git restore -SWs HEAD . && git clean -fd . && make setup"
# In the place of what the framework asks for: it stands among the requirements already, but for what is exchanged.
NOTHING: list[str] = []
KINDS = {"pip": "a package index", "channel": "a channel"}  # what an index of one's own is to a tool
TOOL = "package_manager"  # the answer that a word alone changes
FIXED = ("package_name",)  # files of yours import it: rename those first
# Asked of the new tool's Python: the modules of this one read the old tool's files.
LOCKED = """
import json, sys
sys.path.insert(0, ".tools")
import check_lock
print(json.dumps({one["name"]: one["version"] for one in check_lock.locked(check_lock.ROOT)}))
"""


def wanted(words: Sequence[str]) -> dict[str, str]:
    """Return the new answers; raises SwitchError where they cannot be."""
    path = ROOT / ANSWERS
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if "\n_commit: " not in text:
        raise SwitchError(f"{ANSWERS} does not say which version of the template this is: restore it, or copy anew.")
    known = carry.answers(text)
    pairs = [word.partition("=") for word in words]
    if odd := [word for word in words[1:] if "=" not in word]:
        raise SwitchError(
            f"{odd[0]} is no answer: write NAME=VALUE, and one with spaces as in"
            " make switch TO=\"project_name='Fraud Model'\"."
        )
    new = dict((key, value) if equals else (TOOL, key) for key, equals, value in pairs)
    for key, value in new.items():
        if key not in known or key in FIXED or key.startswith("_"):
            free = ", ".join(one for one in known if one not in FIXED and not one.startswith("_"))
            raise SwitchError(f"{key} cannot be switched: it is one of {free}.")
        if value == known[key]:
            raise SwitchError(f"{key} is {value} already: nothing was changed.")
    return new


def foreign_index(new: Mapping[str, str], tools: Sequence[Repository]) -> Iterator[str]:
    """Yield why the address of one tool's index is none for the other."""
    known = carry.answers((ROOT / ANSWERS).read_text(encoding="utf-8")).get("package_index")
    old, other = (tool.tool["index"] for tool in tools)
    if old != other and known and "package_index" not in new:
        tool = new[TOOL]
        yield (
            f"package_index is {known}, {KINDS[old]}, and {tool} wants {KINDS[other]}: say both, as in make switch"
            f" TO='{tool} package_index=https://…' (nothing behind the = for the default)."
        )


def require_ready() -> None:
    """Raise SwitchError where this repository cannot be switched now."""
    if not shutil.which("git") or run("git", "rev-parse", "--is-inside-work-tree")[0]:
        raise SwitchError("This is no git repository, and git keeps what is replaced: git init, commit, then repeat.")
    if git("status", "--porcelain", "--untracked-files=normal", "."):
        raise SwitchError("There are changes that are not committed (see git status): commit them, then repeat.")
    for reason in check_lock.reasons(ROOT, ROOT / check_lock.INSTALLED):
        raise SwitchError(reason.sentence)


def in_the_way(old: Repository, new: Repository) -> Iterator[str]:
    """Yield a sentence for each file of yours that has the name of one that comes new."""
    for name in sorted({*new.files(), *new.manifests, *new.locks} - {*old.files(), *old.manifests, *old.locks}):
        if (ROOT / name).exists():
            yield f"{name} is here already, and one of its name comes with the switch: move it away, commit, repeat."


def not_here(new: Repository) -> Iterator[str]:
    """Yield why the new tool cannot lock on this machine."""
    for program in new.tool.get("needs", ()):
        if not shutil.which(program):
            yield f"{new.name} needs {program}, which is not on PATH: install it, then repeat."
    if new.tool.get("single_platform") and platform.system() != "Linux":
        yield f"{new.name} locks for one platform, and the image needs Linux's: switch on Linux (WSL, a container, CI)."


def update(answers: Mapping[str, str]) -> None:
    """Let Copier bring the template's files; raises SwitchError, also where it left conflicts."""
    copier("update", **answers)
    if torn := git("diff", "--name-only", "--relative", "--diff-filter=U"):
        raise SwitchError(
            f"{', '.join(torn)}: lines of yours stand where this change does. They belong into files of your own (see"
            " README): go back, move them there, commit, then repeat."
        )


def put_aside(before: Mapping[str, bytes], stock: Repository, replaced: Collection[str] = ()) -> bool:
    """Copy what is replaced, and what you edited of files that are gone, into a folder; tell whether there was any."""
    edited = {
        name
        for name, content in before.items()
        if not (ROOT / name).exists() and (base := stock.root / name).exists() and base.read_bytes() != content
    }
    for name, content in before.items():
        if name in {*edited, *replaced}:
            # Where a pyproject.toml is, ruff takes the folder for a project.
            kept = ROOT / ASIDE / name.replace(PROJECT, f"{PROJECT}.before")
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(content)
    return bool(edited or replaced)


def remove(old: Repository, new: Repository) -> None:
    """Remove the old tool's manifest and lock."""
    for name in {*old.manifests, *old.locks} - {PROJECT, *new.manifests, *new.locks}:
        (ROOT / name).unlink(missing_ok=True)


def merge(stock: Repository, fresh: Repository, before: Mapping[str, bytes], skipped: Sequence[str]) -> Iterator[str]:
    """Bring into files of the user's what the answer changes in them; yield those that cannot be merged."""
    for path in sorted(fresh.root.rglob("*")):
        name = path.relative_to(fresh.root).as_posix()
        base, ours = stock.root / name, ROOT / name
        if not path.is_file() or name in {ANSWERS, *skipped}:
            continue
        if base.exists() and base.read_bytes() == path.read_bytes():
            continue
        if not base.exists() and not ours.exists():
            ours.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, ours)
        elif base.exists() and ours.exists() and ours.read_bytes() == before.get(name):
            # Lines that collide come with marks, and the file stays as it was.
            merged = told("git", "merge-file", "-p", ours, base, path)
            if b"\n<<<<<<< " in b"\n" + merged:
                yield f"{name}: the template says something else where lines of yours stand: compare it by hand."
            else:
                ours.write_bytes(merged)


class Switch:
    """From one tool to another: what to write, and the versions that were locked."""

    def __init__(self, stock: Repository, fresh: Repository, answers: Mapping[str, str]) -> None:
        """Read the old tool's files; nothing is written yet. Raises SwitchError or ValueError."""
        old = Repository(ROOT, stock.tool)
        self.stock, self.fresh, self.answers, self.project = stock, fresh, answers, old.text(PROJECT)
        self.before, self.carried = carry.locked(old), carry.carried(old, stock, fresh)
        self.manifest = self.written(self.carried.groups)
        self.pinned = self.with_pins(self.before)

    def with_pins(self, packages: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Return the new manifest with the old version of these packages."""
        versions = {package["name"]: package["version"] for package in packages}
        pinned = carry.pinned(self.carried.groups, packages)
        groups = {group: [self.tied(line, versions) for line in lines] for group, lines in pinned.items()}
        return self.written(groups, keep=False)

    def tied(self, line: str, versions: Mapping[str, str]) -> str:
        """Return a requirement tied to an index of its own as the new tool ties it, and no longer as the old one."""
        return tied.tied(tied.bare(line, self.stock.source), self.fresh.tool, versions)

    def written(self, groups: carry.Groups, *, keep: bool = True) -> dict[str, str]:
        """Return the new manifest's files, as the template writes them."""
        whys, limits = self.carried.whys, self.carried.constraints
        said = {group: [carry.explained(line, whys) for line in lines] for group, lines in groups.items()}
        files: dict[str, str] = {}
        place = self.fresh.constraints if limits else ""
        if place.endswith(".txt"):
            said = {group: [f"-c {place}", *lines] for group, lines in said.items()}
            files[place] = "".join(f"{line}\n" for line in limits)
        own = [carry.explained(line, whys) for line in self.carried.own]
        new = render(self.fresh.root, **self.answers, common=said, required=own)
        files |= {name: new.text(name) for name in new.manifests}
        keep = keep and self.carried.same
        text = pyproject.exchanged(self.project, self.stock.text(PROJECT), new.text(PROJECT), keep=keep)
        in_table = place and not place.endswith(".txt")
        return files | {PROJECT: pyproject.constrained(text, place, limits) if in_table else text}

    def lock(self) -> None:
        """Lock with the old versions, or with as many of them as the new tool finds; raises SwitchError."""
        print(f"Locking by {self.fresh.name} with the versions that {OLD} had.", flush=True)
        write(self.pinned)
        if not make("lock"):
            print("Not all of them are to be had: locking anew, then with those that are.", flush=True)
            write(self.manifest)
            must("lock")
            there, direct = self.after(), self.direct()
            found = [package for package in self.before if package["name"] in there]
            for packages in (found, [package for package in found if package["name"] in direct]):
                write(self.with_pins(packages))
                if make("lock"):
                    break
        write(self.manifest)
        must("lock")

    def direct(self) -> set[str]:
        """Return the names that the manifest asks for."""
        return {carry.name_of(line) for lines in (*self.carried.groups.values(), self.carried.own) for line in lines}

    def after(self) -> dict[str, str]:
        """Return what is locked now, by the names that the old tool has."""
        status, said = run(ROOT / ".tools" / "venv" / "bin" / "python", "-c", LOCKED)
        if status:
            raise SwitchError(f"The new lock cannot be read: {said.strip()}")
        names = {here: there for there, here in self.fresh.names.items()}
        return {names.get(name, name): version for name, version in json.loads(said).items()}

    def moved(self) -> Iterator[str]:
        """Yield what has another version now, is gone or is new, one line each."""
        then, now = {package["name"]: package["version"] for package in self.before}, self.after()
        for name in sorted(then.keys() | now.keys()):
            if then.get(name) != now.get(name):
                yield f"  {name} {then.get(name, '-')} -> {now.get(name, '-')}"


def write(files: Mapping[str, str]) -> None:
    """Write files of the repository, with the line ends that they have."""
    for name, text in files.items():
        path = ROOT / name
        ends = "\r\n" if path.exists() and b"\r\n" in path.read_bytes() else "\n"
        path.write_text(text, encoding="utf-8", newline=ends)


def finish() -> None:
    """Set up and prove the whole; a model of other packages is refused by its contract, which is no failure."""
    must("tools", ".env", "sync")
    package = carry.answers((ROOT / ANSWERS).read_text(encoding="utf-8"))["package_name"]
    said = told(ROOT / ".venv" / "bin" / "python", "-m", f"{package}.parity", "verify", "--json")
    broken = [link["name"] for link in json.loads(said or b'{"links": []}')["links"] if link["ok"] is False]
    if broken == ["model"]:
        print("The environment is another, so the model of before is refused: `make train`, then `make check`.")
    else:
        must("setup", "check")


def switch(words: Sequence[str], *, lock_only: bool) -> None:
    """Change the answers; raises SwitchError or ValueError."""
    answers = wanted(words)
    require_ready()
    with tempfile.TemporaryDirectory() as scratch:
        none: dict[str, Any] = {"common": {"runtime": [], "dev": []}, "required": NOTHING}
        data = none if TOOL in answers else {}
        stock, fresh = (render(Path(scratch, name), **new, **data) for name, new in (("old", {}), ("new", answers)))
        for sentence in (*foreign_index(answers, (stock, fresh)), *in_the_way(stock, fresh), *not_here(fresh)):
            raise SwitchError(sentence)
        tracked = {*git("ls-files", "--", ".")} & {*stock.files(), *stock.manifests, *stock.locks}
        before = {name: (ROOT / name).read_bytes() for name in tracked if (ROOT / name).is_file()}
        plan = Switch(stock, fresh, answers) if data else None
        notes: list[str] = []
        try:
            update(answers)
            skipped = [PROJECT, *fresh.manifests] if data else []
            notes += listed([*(plan.carried.left if plan else ()), *merge(stock, fresh, before, skipped)])
            if put_aside(before, stock, {*stock.manifests, *stock.locks} if plan else ()):
                notes.append(f"The files of before are in {ASIDE.as_posix()}: delete it when you need them no more.")
            if plan:
                remove(stock, fresh)
                shutil.rmtree(ROOT / ".venv", ignore_errors=True)
                plan.lock()
                moved = [*plan.moved()]
                print("\n".join(["Versions that moved:", *moved] if moved else ["No version moved."]), flush=True)
            elif not make("check-lock"):
                must("lock")
            if not lock_only:
                finish()
        except (SwitchError, ValueError, OSError, KeyboardInterrupt) as error:
            why = str(error) or "It was interrupted."
            raise SwitchError(f"{why}\nTo have all as it was: {BACK}") from None
        finally:
            print("".join(f"{line}\n" for line in notes), end="", flush=True)


def listed(left: Sequence[str]) -> list[str]:
    """Return lines for what is not carried."""
    return ["Not carried, for you to see to:", *(f"  {line}" for line in left)] if left else []


def main(arguments: Sequence[str]) -> NoReturn:
    """Do what was asked for and exit with 0; what is refused is told on stderr and exits with 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+", metavar="TOOL | ANSWER=VALUE")
    parser.add_argument("--lock-only", action="store_true", help="leave out what follows: make setup check")
    options = parser.parse_args(arguments)
    try:
        switch(options.words, lock_only=options.lock_only)
    except (SwitchError, ValueError) as error:
        sys.exit(str(error))
    sys.exit()
