"""A stand-in for micromamba, on py-rattler: the commands that the rendered files and conda-lock give it, no others.

No package registry carries micromamba. Whatever this program does not know it refuses (exit 64), so that a misspelled
option in a rendered file is found. `conda-forge` is looked for at CONDA_CHANNEL_ALIAS, which micromamba honours too.
"""

# ruff: noqa: T201 - a program, which prints

import argparse
import asyncio
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import urllib.parse
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import yaml
from rattler import (  # type: ignore[import-not-found]
    BuildString,
    Gateway,
    GenericVirtualPackage,
    MatchSpec,
    PackageName,
    PackageRecord,
    RepoDataRecord,
    SourceConfig,
    Version,
    VirtualPackage,
    install,
    solve,
)

VERSION = "2.9.0"
ALIAS = os.environ.get("CONDA_CHANNEL_ALIAS", "https://conda.anaconda.org")
CACHE = Path(os.environ.get("CONDA_PKGS_DIRS", Path.home() / ".cache" / "parity-stand-in"))
VIRTUAL = ("archspec", "cuda", "glibc", "linux", "osx", "unix", "win")


class Parser(argparse.ArgumentParser):
    """Refuses what it does not know, as micromamba does."""

    def error(self, message: str) -> NoReturn:
        """Say it and leave."""
        leave(f"The following argument was not expected: {message}", 64)


def leave(sentence: str, status: int = 1) -> NoReturn:
    """Say it and leave without tearing down: py-rattler 0.28 may crash there after an error."""
    print(f"critical libmamba {sentence}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(status)


def platform() -> str:
    """Return the platform that is asked for, or this machine's."""
    here = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}
    return os.environ.get("CONDA_SUBDIR") or here[os.uname().machine]


def virtual_packages() -> list[GenericVirtualPackage]:
    """Return what the overrides say of a platform, or what this machine has."""
    said = {name: os.environ.get(f"CONDA_OVERRIDE_{name.upper()}", "") for name in VIRTUAL}
    if not any(said.values()):
        return [one.into_generic() for one in VirtualPackage.detect()]
    said |= {"unix": "" if platform().startswith("win") else "0"}
    return [
        GenericVirtualPackage(
            PackageName(f"__{name}"), Version("1" if name == "archspec" else version), BuildString("0")
        )
        for name, version in said.items()
        if version
    ]


async def solved(channels: Iterable[str], specs: Iterable[str], cache: str) -> list[RepoDataRecord]:
    """Return the packages that answer; MAMBA_PINNED_PACKAGES allows of its packages only what it says."""
    pins = json.loads(f"[{os.environ.get('MAMBA_PINNED_PACKAGES', '')}]")
    sources = [one if "://" in one else f"{ALIAS}/{one}" for one in channels]
    records = await solve(
        sources,
        [MatchSpec(spec) for spec in specs],  # `six 1.16.0` is one, as for micromamba
        gateway=Gateway(cache_dir=Path(cache), default_config=SourceConfig(sharded_enabled=False)),
        platforms=[platform(), "noarch"],
        virtual_packages=virtual_packages(),
        constraints=[MatchSpec(pin) for pin in pins],
    )
    return list(records)


def told(record: RepoDataRecord) -> dict[str, Any]:
    """Return a package as `--dry-run --json` tells of it."""
    return {
        "name": record.name.normalized,
        "version": str(record.version),
        "build": str(record.build),
        "build_string": str(record.build),
        "build_number": record.build_number,
        "channel": str(record.channel),
        "subdir": str(record.subdir),
        "fn": record.file_name,
        "url": str(record.url),
        "md5": record.md5.hex() if record.md5 else "",
        "sha256": record.sha256.hex() if record.sha256 else None,
        "depends": [*map(str, record.depends)],
        "constrains": [*map(str, record.constrains)],
        "timestamp": 0,
        "size": record.size,
    }


def locked(path: Path, categories: Iterable[str]) -> list[RepoDataRecord]:
    """Return the packages of a conda-lock.yml for this platform, and refuse what libmamba refuses."""
    document = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    if document.get("version", 1) != 1:
        leave(f"unsupported lockfile version {document['version']}")
    entries = [e for e in document["package"] if e["platform"] == platform() and e["category"] in categories]
    if not entries:
        leave(f"Selected packages for categories {categories} are empty. The lockfile might not be resolved for your"
              f" platform ({platform()}).")  # fmt: skip
    return [record(entry) for entry in entries]


def record(entry: dict[str, Any]) -> RepoDataRecord:
    """Return one locked package, named by its file as libmamba reads it."""
    hashes = {kind: digest for kind, digest in entry["hash"].items() if digest}
    if not hashes:
        leave("either md5 or sha256 must be specified, found none")
    channel, subdir, file = entry["url"].rsplit("/", 2)
    file = urllib.parse.unquote(file)
    name, version, build = re.sub(r"\.(conda|tar\.bz2)$", "", file).rsplit("-", 2)
    depends = [f"{name} {spec}".strip() for name, spec in entry["dependencies"].items()]
    number = re.search(r"_(\d+)$", build)
    package = PackageRecord(
        PackageName(name), version, BuildString(build), int(number[1]) if number else 0, subdir, depends=depends
    )
    for kind in ("sha256", "md5"):
        if kind in hashes:
            setattr(package, kind, bytes.fromhex(hashes[kind]))
    return RepoDataRecord(package, file, entry["url"], channel)


def arguments() -> argparse.Namespace:
    """Return what is asked for."""
    if sys.argv[1:] == ["--version"]:
        print(VERSION)
        sys.exit()
    parser = Parser(prog="micromamba")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    create = commands.add_parser("create", allow_abbrev=False)
    create.add_argument("--prefix", type=Path, required=True)
    create.add_argument("--file", type=Path)
    create.add_argument("--category", action="append")
    create.add_argument("--channel", action="append", default=[])
    for flag in ("--yes", "--quiet", "--always-copy", "--override-channels", "--dry-run", "--json"):
        create.add_argument(flag, action="store_true")
    create.add_argument("specs", nargs="*")
    clean = commands.add_parser("clean", allow_abbrev=False)
    for flag in ("--yes", "--all"):
        clean.add_argument(flag, action="store_true")
    return parser.parse_args()


def dry_run(options: argparse.Namespace) -> None:
    """Solve and print the answer, as conda-lock asks."""
    try:
        with tempfile.TemporaryDirectory() as cache:
            actions = [*map(told, asyncio.run(solved(options.channel, options.specs, cache)))]
    except Exception as error:  # noqa: BLE001 - whatever it was, conda-lock reads it in this form
        print(json.dumps({"success": False, "message": str(error)}))
        leave("Could not solve for environment specs")
    print(json.dumps({"success": True, "dry_run": True, "actions": {"FETCH": actions, "LINK": actions}}))


def create(options: argparse.Namespace) -> None:
    """Install what a lock says into a new environment; an old one is replaced, as `micromamba create` does."""
    if not options.file or not re.search(r"-lock\.ya?ml$", str(options.file)):
        leave("this stand-in creates environments from a …-lock.yml only")
    records = locked(options.file, options.category or ["main"])
    if (options.prefix / "conda-meta").exists():
        shutil.rmtree(options.prefix)
    elif options.prefix.exists() and any(options.prefix.iterdir()):
        leave("Non-conda folder exists at prefix - aborting.")
    for one in records:
        unpacked = urllib.parse.urlsplit(str(one.url))
        # py-rattler takes a package from its cache without a look at the hash; micromamba compares that too.
        if unpacked.scheme == "file" and hashlib.sha256(Path(unpacked.path).read_bytes()).digest() != one.sha256:
            leave(f"File not valid: SHA256 sum doesn't match expectation {one.url}")
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(install(records, target_prefix=options.prefix, cache_dir=CACHE, show_progress=False))
    except Exception as error:  # noqa: BLE001 - a download, a hash, a disk: all end the same way
        leave(str(error))
    for path in (options.prefix / "conda-meta").glob("*.json"):
        path.chmod(0o644)  # as micromamba writes it; py-rattler keeps it from other users
    if options.always_copy:
        separate(options.prefix)


def separate(prefix: Path) -> None:
    """Make a file of its own of each link into the cache."""
    for path in prefix.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink > 1:
            copy = path.with_name(f"{path.name}.copy")
            shutil.copy2(path, copy)
            copy.replace(path)


def main() -> None:
    """Do what is asked for."""
    options = arguments()
    if options.command == "clean":
        shutil.rmtree(CACHE, ignore_errors=True)
    elif options.dry_run:
        dry_run(options)
    else:
        create(options)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
