"""The shared libraries that an image's packages need: what a wheel does not bring, Debian must.

A missing one shows at the import that needs it, which may be a user's first request. Only an image is looked at: it
has `ldd`, and its packages are the lock's. https://man7.org/linux/man-pages/man1/ldd.1.html
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .drift import Finding

NAME = re.compile(r".+\.so(\.\d+)*")
FILE = re.compile(r"(?P<path>/.*):")
# The driver brings these, from the machine that runs the image.
HOST = frozenset({"libcuda.so.1", "libnvidia-ml.so.1"})
OPTIONAL = "optional-libraries.txt"  # of .tools/: what only plugins need that nobody here uses, one a line
MISSING = re.compile(r"\t(?P<library>\S+) => not found")


def missing(prefix: Path) -> Iterator[Finding]:
    """Yield a finding for each library that a file below `prefix` needs and that is nowhere in the image."""
    files = sorted(path for path in prefix.rglob("*.so*") if NAME.fullmatch(path.name) and path.is_file())
    # A package may load its own library before the module that needs it, from a folder that ldd does not look into.
    known = {path.name for path in files} | HOST | _optional(prefix)
    for file, library in _unresolved(files):
        if library not in known:
            message = (
                f"{file.relative_to(prefix)} needs {library}, which is not in the image: write its Debian package into"
                f" .tools/system-packages.txt, or {library} into .tools/{OPTIONAL} if nothing here uses that file."
            )
            yield Finding("library", library, message, "make image")


def _optional(prefix: Path) -> set[str]:
    try:
        lines = (prefix / OPTIONAL).read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return {name for line in lines if (name := line.partition("#")[0].strip())}


def _unresolved(files: list[Path]) -> Iterator[tuple[Path, str]]:
    """Yield what ldd does not find, with the file that needs it."""
    ldd = shutil.which("ldd")
    if not files or ldd is None:
        return
    # It fails for a file that is no library of this machine, and tells of the others all the same.
    told = subprocess.run([ldd, *map(str, files)], capture_output=True, text=True, check=False).stdout  # noqa: S603
    file = files[0]
    for line in told.splitlines():
        if found := FILE.fullmatch(line):
            file = Path(found["path"])
        elif found := MISSING.fullmatch(line):
            yield file, found["library"]
