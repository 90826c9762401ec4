"""Make an environment what the lock says, and install the project into it. Owned by the template.

    install.py [--into FOLDER] [--production] [--packages-only | --project-only | --compile-only] [--apart FOLDER]

It never resolves: pip gets every version and every hash from the lock, as lock_reader.py reads it. The project is
built by the backend that .tools/requirements.txt pins, since pip would fetch one that nobody locked. Runs with the
Python of .tools/venv, after check_lock.py.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

import check_lock
import lock_reader

# https://pip.pypa.io/en/stable/cli/pip/#cmdoption-python
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
# The environment is one, also where pip takes it for the system because conda made it.
OWN = "--root-user-action=ignore"
# A file whose hash is not in the lock, a build from source and a package that the lock does not name: all refused.
# https://pip.pypa.io/en/stable/topics/secure-installs/
HASHED = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile")


class InstallError(RuntimeError):
    """It cannot be installed; the message says why and what to do."""


class Environment:
    """A folder made by `python -m venv`, without pip: what is served should not be able to install."""

    def __init__(self, folder: Path) -> None:
        """Take a folder, which need not exist yet."""
        self.folder = folder

    @cached_property
    def about(self) -> dict[str, Any]:
        """Return version and site-packages as its interpreter tells them, {} where there is no such interpreter."""
        script = "import json, sys, sysconfig as s; print(json.dumps([sys.version_info[:2], s.get_paths()['purelib']]))"
        try:
            told = subprocess.run([self.python, "-I", "-c", script], capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return {}
        version, packages = json.loads(told)
        return {"version": version, "packages": packages}

    @property
    def python(self) -> Path:
        """Return the path of its interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def make(self) -> None:
        """Make it by the Python that runs this, where it is missing or has another version."""
        if self.about.get("version") == [*sys.version_info[:2]]:
            return
        if self.folder.exists() and any(self.folder.iterdir()) and not (self.folder / "pyvenv.cfg").exists():
            raise InstallError(f"{self.folder} is no environment, and would be overwritten: move it away.")
        run(sys.executable, "-m", "venv", "--clear", "--without-pip", self.folder)
        del self.about

    def pip(self, command: str, *arguments: str | Path) -> None:
        """Run a command of the pinned pip on it; raises InstallError."""
        run(*PIP, "--python", self.python, command, "--quiet", OWN, *arguments)

    def versions(self) -> dict[str, str]:
        """Return the version of what is installed, by canonical name."""
        found = distributions(path=[self.about["packages"]])
        # What was removed by hand may have left a folder that says no name.
        return {canonicalize_name(one.name): one.version for one in found if one.metadata["Name"]}


def run(*command: str | Path) -> None:
    """Run a command whose output the user sees; raises InstallError where it fails."""
    status = subprocess.run([str(word) for word in command], cwd=check_lock.ROOT, check=False).returncode
    if status:
        raise InstallError("Nothing else was installed: see above.")


def requirement(package: Mapping[str, Any]) -> str:
    """Return a locked package as a line of pip's; raises InstallError where no hash proves what it is."""
    if not package["hashes"]:
        raise InstallError(
            f"{package['name']} comes from a folder or from git, which pip cannot check against a hash: take a release"
            " of it, or a tool that installs such packages itself (uv, Poetry)."
        )
    hashes = "".join(f" --hash=sha256:{digest}" for digest in package["hashes"])
    return f"{package['name']}=={package['version']}{hashes}"


def wanted(*, production: bool) -> list[dict[str, Any]]:
    """Return the locked packages of an environment: all that somebody needs, or what the project needs to run."""
    groups = {"main"} if production else {"main", "dev"}
    return [package for package in check_lock.locked(check_lock.ROOT) if groups & {*package["groups"]}]


def install_packages(environment: Environment, *, production: bool) -> None:
    """Remove what is not locked, and install what is."""
    packages, installed = wanted(production=production), environment.versions()
    project = check_lock.project_name(check_lock.ROOT)
    if extras := sorted({*installed} - {package["name"] for package in packages} - {project}):
        environment.pip("uninstall", "--yes", *extras)
    lines = [f"{requirement(one)}\n" for one in packages]
    # pip would find out the same, in half a second.
    if all(installed.get(one["name"]) == one["version"] for one in packages):
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "requirements.txt")
        file.write_text("".join(lines), encoding="utf-8")
        environment.pip("install", *HASHED, *pages(), "--requirement", file)


def pages() -> list[str]:
    """Return pip's options for the pages of files that a lock names beside the index: hashes say what to take."""
    found = getattr(lock_reader, "pages", lambda _: ())(check_lock.ROOT)
    return [word for page in found for word in ("--find-links", page)]


@contextmanager
def wheel_of_project(environment: Environment, *, editable: bool) -> Iterator[Path]:
    """Build the project (editable: a wheel that points to src/) and give the file; raises InstallError."""
    system = tomllib.loads((check_lock.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    try:
        backend = import_module(system["build-backend"])
    except ModuleNotFoundError as error:
        raise InstallError(
            f"pyproject.toml is built by {system['build-backend']}, and .tools/venv has no {error.name}: pin it in"
            " .tools/requirements.txt with its hashes, or take the template's backend again."
        ) from None
    # pip writes the wheel's path into the environment, so it is the same one each time.
    folder = environment.folder / "project"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    build = backend.build_editable if editable else backend.build_wheel
    try:
        # https://peps.python.org/pep-0660/: the backend works in the project's folder.
        os.chdir(check_lock.ROOT)
        yield folder / build(str(folder))
    finally:
        shutil.rmtree(folder)


def install_project(environment: Environment, *, production: bool, apart: Path | None = None) -> None:
    """Install the project itself: in production a copy, otherwise a pointer to src/.

    `apart` is a folder that takes the place of the environment's own, to be laid over it later.
    """
    place = ("--prefix", apart, "--ignore-installed") if apart else ("--force-reinstall",)
    with wheel_of_project(environment, editable=not production) as wheel:
        environment.pip("install", "--no-deps", "--no-index", "--no-compile", *place, wheel)


def compile_all(environment: Environment, apart: Path | None = None) -> None:
    """Compile all modules, so that the first request need not, nor a file system that cannot be written.

    By hash, unchecked and one after the other: the .pyc are the same bytes in each build, which they are not where
    several processes share the work. https://peps.python.org/pep-0552/, https://github.com/python/cpython/issues/78274
    """
    quick = ("-q", "-f", "--invalidation-mode", "unchecked-hash")
    packages = Path(environment.about["packages"])
    # Where it is laid over the environment later, the paths in the .pyc are those that it will have.
    folder = apart / packages.relative_to(environment.folder.resolve()) if apart else packages
    places = ("-s", apart, "-p", environment.folder) if apart else ()
    # A package may carry a file that is no Python of this version, such as a template: that is no fault of the lock.
    command = [environment.python, "-m", "compileall", *quick, *places, folder]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


def install(options: argparse.Namespace) -> None:
    """Do what was asked for, in its order; raises InstallError or ValueError, each with one sentence."""
    environment = Environment(check_lock.ROOT / options.into)
    if not (options.project_only or options.compile_only):
        environment.make()
        install_packages(environment, production=options.production)
    if not (options.packages_only or options.compile_only):
        install_project(environment, production=options.production, apart=options.apart)
    if options.production:
        compile_all(environment, options.apart)


def main(arguments: Sequence[str] | None = None) -> int:
    """Install and return 0; what is refused is told on stderr and returns 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=Path(".venv"), help="the environment's folder")
    parser.add_argument("--production", action="store_true", help="only what the project needs to run, compiled")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--packages-only", action="store_true", help="leave the project itself out")
    parts.add_argument("--project-only", action="store_true", help="install nothing but the project itself")
    parts.add_argument("--compile-only", action="store_true", help="install nothing, and compile what is there")
    parser.add_argument("--apart", type=Path, help="put the project there, to be laid over the environment later")
    try:
        install(parser.parse_args(arguments))
    except (InstallError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
