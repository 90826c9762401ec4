"""The lock in one form, whatever tool made it: which packages, which versions, which hashes, for whom.

`make sync` and the image's builder check the tool's own lock and write it into the environment in a neutral form,
parity-lock.json. While the files of lock and manifest are those that were checked, that is all that is read: it takes
a tenth of the time. An image holds no other. What else a tool's lock says is judged by .tools/check_lock.py.
"""

import hashlib
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

NEUTRAL = "parity-lock.json"
NEUTRAL_VERSION = 1
TOOLS = ".tools"


class LockError(RuntimeError):
    """The lock is missing or cannot be read; the message is one sentence that names the repair."""


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """One package of the lock, as it applies to one platform and one Python."""

    name: str  # canonical
    version: str  # "" where the lock records none: code of this repository, installed from its folder
    hashes: frozenset[str]  # hex sha256 of every artifact: wheels of all platforms and the source
    groups: frozenset[str]  # of "main" and "dev", those that reach it; none: allowed and not demanded
    direct: bool  # the manifest names it itself


@dataclass(frozen=True, slots=True)
class Lock:
    """All packages that apply to one platform and one Python, and where they were read."""

    packages: tuple[LockedPackage, ...]
    source: str  # the file that the dependency tool wrote
    digest: str  # hex sha256 of its bytes
    manifest_digest: str
    project: str = ""  # canonical name of the project itself, which is in no lock
    target: Mapping[str, str] = field(default_factory=dict)  # name -> version, for the platform that serves

    @property
    def named(self) -> dict[str, LockedPackage]:
        """Return the packages by name."""
        return {package.name: package for package in self.packages}

    @property
    def runtime(self) -> dict[str, LockedPackage]:
        """Return the packages that the project needs to run, by name."""
        return {package.name: package for package in self.packages if "main" in package.groups}


def canonical(name: str) -> str:
    """Return a distribution's name in its one spelling.

    https://packaging.python.org/en/latest/specifications/name-normalization/
    """
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def pins() -> dict[str, Any]:
    """Return what the template pinned: interpreter, dependency tool and its files, the model's name, the platform."""
    return tomllib.loads(Path(__file__).with_name("pins.toml").read_text(encoding="utf-8"))


def default_model() -> Path:
    """Return where a model lies that MODEL_PATH does not name; the file's name says how the framework saves it."""
    return Path("models", pins()["model"]["file"])


def find_root() -> Path | None:
    """Return the repository that this package stands in, None where it is installed in an image."""
    root = Path(__file__).absolute().parents[3]
    # Any of them: a repository that has lost its manifest is broken, and not an image.
    signs = (*pins()["tool"]["manifests"], *pins()["tool"]["locks"], TOOLS)
    return root if any((root / name).exists() for name in signs) else None


def target_environment() -> dict[str, str]:
    """Return the marker environment of the image, the same on every machine that asks.

    https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers
    """
    python = pins()["python"]
    versions = {
        "python_version": python["version"],
        "python_full_version": python["patch"],
        "implementation_version": python["patch"],
    }
    # Nothing should depend on the machine's kernel; empty, such a marker is the same everywhere.
    return {"platform_release": "", "platform_version": "", **pins()["target"], **versions}


def here_environment() -> dict[str, str]:
    """Return the marker environment of the interpreter that runs this."""
    from packaging.markers import default_environment  # noqa: PLC0415 - as slow as all the rest of `verify`

    return {name: str(value) for name, value in default_environment().items()}


def digest(root: Path, names: Iterable[str]) -> str:
    """Return the hex sha256 of these files; of one file it is what `sha256sum` prints.

    Raises LockError where one is missing.
    """
    contents = []
    for name in names:
        try:
            contents.append((root / name).read_bytes())
        except FileNotFoundError:
            repair = "make lock" if name in pins()["tool"]["locks"] else f"git checkout -- {name}"
            raise LockError(f"{name} is missing: run `{repair}`.") from None
    # A byte that no text file holds keeps a line from moving between two files unnoticed.
    return hashlib.sha256(b"\0".join(contents)).hexdigest()


def load() -> Lock:
    """Return the lock as it applies here; raises LockError where there is none, or one that cannot be read."""
    root = find_root()
    if root is None:
        return read_neutral(neutral_path())
    return checked(root) or read_native(root)


def checked(root: Path) -> Lock | None:
    """Return the lock that `make sync` checked, None where lock or manifest are other files now."""
    tool = pins()["tool"]
    try:
        lock = read_neutral(neutral_path())
        now = (digest(root, tool["locks"]), digest(root, tool["manifests"]))
    except LockError:
        return None
    return lock if (lock.digest, lock.manifest_digest) == now else None


def read_native(root: Path) -> Lock:
    """Return the lock from the files of its dependency tool, as it applies here; raises LockError."""
    tool, check_lock = pins()["tool"], developers("check_lock", root)
    manifest_digest, lock_digest = digest(root, tool["manifests"]), digest(root, tool["locks"])
    try:
        here, target = (check_lock.locked(root, where) for where in (here_environment(), target_environment()))
        return Lock(
            packages=tuple(map(_package, here)),
            source=", ".join(tool["locks"]),
            digest=lock_digest,
            manifest_digest=manifest_digest,
            project=check_lock.project_name(root),
            target={entry["name"]: entry["version"] for entry in target if "main" in entry["groups"]},
        )
    except ValueError as error:
        raise LockError(str(error)) from None


def developers(name: str, root: Path) -> Any:  # noqa: ANN401 - a module
    """Return a module of .tools/, which is in no image; raises LockError where it cannot be imported."""
    sys.path.insert(0, str(root / TOOLS))
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        ours = error.name in (name, "lock_reader")
        what, repair = (f"{TOOLS}/{error.name}.py", f"git checkout -- {TOOLS}") if ours else (error.name, "make sync")
        raise LockError(f"{what} is missing, and the lock is read with it: run `{repair}`.") from None
    finally:
        sys.path.remove(str(root / TOOLS))


def neutral_path() -> Path:
    """Return where an environment keeps the lock that it was installed from."""
    return Path(sys.prefix, NEUTRAL)


def write_neutral(lock: Lock, path: Path, groups: Iterable[str] | None = None) -> None:
    """Write the packages that one of `groups` reaches (None: all) in the neutral form; atomic."""
    wanted = None if groups is None else frozenset(groups)
    packages = [p for p in lock.packages if wanted is None or p.groups & wanted]
    python = pins()["python"]["version"]
    document = {
        "version": NEUTRAL_VERSION,
        "source": lock.source,
        "digest": lock.digest,
        "manifest_digest": lock.manifest_digest,
        "project": lock.project,
        "python": python,
        "signature": signature(lock.target, python),
        "target": dict(sorted(lock.target.items())),
        "packages": [
            {
                "name": package.name,
                "version": package.version,
                "hashes": sorted(package.hashes),
                "groups": sorted(package.groups if wanted is None else package.groups & wanted),
                "direct": package.direct,
            }
            for package in sorted(packages, key=lambda package: package.name)
        ],
    }
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def read_neutral(path: Path) -> Lock:
    """Return the lock from its neutral form; raises LockError where it is missing or something else."""
    try:
        document = json.loads(path.read_bytes())
        if document["version"] != NEUTRAL_VERSION:
            raise LockError(f"{path} has a version that this code does not know: run `make clean sync`.")
        return Lock(
            packages=tuple(_package(entry) for entry in document["packages"]),
            source=document["source"],
            digest=document["digest"],
            manifest_digest=document["manifest_digest"],
            project=document["project"],
            target=dict(document["target"]),
        )
    except FileNotFoundError:
        raise LockError(f"{path} is missing, so nothing says what belongs here: rebuild with `make image`.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LockError(
            f"{path} is not the neutral form of a lock: run `make clean sync`, or rebuild the image."
        ) from None


def _package(entry: Mapping[str, Any]) -> LockedPackage:
    """Return a package from its entry in the neutral form, which is also what .tools/lock_reader.py makes."""
    hashes, groups = frozenset(entry["hashes"]), frozenset(entry["groups"])
    return LockedPackage(entry["name"], entry["version"], hashes, groups, direct=entry["direct"])


def signature(versions: Mapping[str, str], python: str) -> str:
    """Return `sha256:…` over canonical names with versions and Python X.Y, whatever their order.

    Names and versions stand apart in JSON: joined as text, a==1 with 1b==2 would equal a==11 with b==2.
    """
    document = {"python": python, "packages": dict(versions)}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
