"""PyTorch on a machine that reaches no index of PyTorch's: the one wheel that its pip knows, on an index of our own.

That wheel is for the CPU and for Python 3.11, which the template does not offer: a copy of the template does.
"""

import email
import functools
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import commands
import links
import rendering
from index import Index, Planted

NAME, VERSION, PYTHON = "pytorch", "2.13.0+cpu", "3.11"
OFFERED = '  choices:\n    3.12 - when'
PINNED = '      "3.12":\n'


@dataclass(frozen=True)
class Wheel(Planted):
    """A wheel that exists, as an index has it."""

    path: Path = field(default_factory=Path)

    @functools.cached_property
    def _files(self) -> dict[str, bytes]:
        return {self.path.name: self.path.read_bytes(), f"{self.path.name}.metadata": metadata(self.path)}

    def files(self) -> dict[str, bytes]:
        """Return the wheel and its metadata by their file names."""
        return self._files


def metadata(wheel: Path) -> bytes:
    """Return what a wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name)


def found(folder: Path) -> Wheel:
    """Return the wheel that this machine's pip finds; skips the test where it finds none."""
    command = ("download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version", PYTHON, "--dest", folder)
    result = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, command), f"torch=={VERSION}"], capture_output=True, check=False
    )
    if result.returncode:
        pytest.skip(f"pip finds no wheel of torch {VERSION} for Python {PYTHON} here")
    (path,) = folder.glob("torch-*.whl")
    said = email.message_from_bytes(metadata(path))
    return Wheel("torch", VERSION, tuple(said.get_all("Requires-Dist") or ()), path=path)


def offering(template: Path, folder: Path) -> Path:
    """Return a copy of the template that offers the wheel's Python."""
    copied = rendering.checkout(folder / "template")
    del template
    patch = commands.succeed(copied, "sh", copied / "template/.tools/bootstrap.sh", "find", PYTHON)
    return copied
