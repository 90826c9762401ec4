"""PyTorch on a machine that reaches no index of PyTorch's: the one wheel that its pip knows, on an index of our own.

That wheel is for the CPU and for Python 3.11, which the template does not offer; a copy of the template does.
"""

import email
import functools
import shutil
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
from index import Bare, Planted

VERSION, PYTHON = "2.13.0+cpu", "3.11"
# Where the copy of the template differs: one more Python, as the others have it.
OFFERED = {
    "copier.yml": ("    3.12 - when", f'    {PYTHON} - when a test has no newer wheel than this: "{PYTHON}"\n'),
    "pins.yml": (
        '      "3.12":',
        f'      "{PYTHON}":\n        patch: {{patch}}\n        digest: sha256:{"0" * 64}\n        seen: 0\n',
    ),
}


@dataclass(frozen=True)
class Wheel(Planted):
    """A wheel that exists, as an index has it."""

    path: Path = field(default_factory=Path)

    def files(self) -> dict[str, bytes]:
        """Return the wheel and its metadata by their file names."""
        return read(self.path)


@functools.cache
def read(wheel: Path) -> dict[str, bytes]:
    """Return the wheel and what it says of itself, by their file names."""
    with zipfile.ZipFile(wheel) as archive:
        (said,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return {wheel.name: wheel.read_bytes(), f"{wheel.name}.metadata": archive.read(said)}


def found(folder: Path) -> Wheel:
    """Return the wheel that this machine's pip finds; skips the test where it finds none."""
    options = ("--quiet", "--no-deps", "--only-binary=:all:", "--python-version", PYTHON, "--dest", str(folder))
    # Not by `commands`: these tests alone ask this machine's own settings of pip.
    command = [sys.executable, "-m", "pip", "download", *options, f"torch=={VERSION}"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"pip finds no wheel of torch {VERSION} for Python {PYTHON} on this machine")
    (path,) = folder.glob("torch-*.whl")
    said = email.message_from_bytes(read(path)[f"{path.name}.metadata"])
    return Wheel("torch", VERSION, requires=tuple(said.get_all("Requires-Dist") or ()), path=path)


def offering(template: Path, folder: Path) -> tuple[Path, str]:
    """Return a copy of the template that offers the wheel's Python, and that Python's patch version."""
    copied = shutil.copytree(template, folder / "template-with-another-python")
    python = commands.succeed(copied, "sh", "template/.tools/bootstrap.sh", "find", PYTHON).strip()
    patch = commands.succeed(copied, python, "-c", "import platform; print(platform.python_version())").strip()
    for name, (before, lines) in OFFERED.items():
        text = (copied / name).read_text(encoding="utf-8")
        assert text.count(before) == 1, name
        (copied / name).write_text(text.replace(before, lines.format(patch=patch) + before), encoding="utf-8")
    return copied, patch


@contextmanager
def served(template: Path, folder: Path, host: str = "127.0.0.1") -> Iterator[tuple[Path, dict[str, Any]]]:
    """Serve the wheel in the place of PyTorch's index; give a template and the answers that lead there."""
    wheel = found(folder)
    copied, patch = offering(template, folder)
    framework = links.framework_data("pytorch")
    with Bare([wheel], host=host) as index:
        cpu = framework["accelerators"]["cpu"]
        cpu |= {"runtime": [f"torch=={VERSION}"], "index": {**cpu["index"], "url": index.url.rstrip("/")}}
        yield copied, {"python_version": PYTHON, "python_patch": patch, "framework": framework}
