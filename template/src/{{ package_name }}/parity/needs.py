"""What packages need: other packages, and shared libraries, which a wheel may not bring and Debian then must.

A missing library shows at the import that needs it, which may be a user's first request. Only an image is looked at:
it has `ldd`, and its packages are the lock's. https://man7.org/linux/man-pages/man1/ldd.1.html
"""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import drift, environment, lock
from .drift import Finding

NAME = re.compile(r".+\.so(\.\d+)*")
FILE = re.compile(r"(?P<path>/.*):")
# The driver brings these, from the machine that runs the image.
HOST = frozenset({"libcuda.so.1", "libnvidia-ml.so.1"})
OPTIONAL = "optional-libraries.txt"  # of .tools/: what only plugins need that nobody here uses, one a line
MISSING = re.compile(r"\t(?P<library>\S+) => not found")


def missing_libraries(prefix: Path) -> Iterator[Finding]:
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


def distributions_of(kind: type) -> set[str]:
    """Return the distributions that a class and its bases come from, this project left out."""
    modules = {base.__module__.partition(".")[0] for base in kind.__mro__} - {__name__.partition(".")[0]}
    known = importlib.metadata.packages_distributions()
    return {name for module in modules for name in known.get(module, ())}


def packages(roots: Iterable[str]) -> set[str]:
    """Return what the tool calls the distributions of these names and all that they require here.

    conda's package need not be called as the distribution in it: `pytorch` brings `torch`.
    """
    names, native = required(roots), environment.native()
    owners = native.owners(Path(sys.prefix)) if native else {}
    return {owners.get(one.metadata, one.name) for one in drift.found() if one.name in names}


def required(roots: Iterable[str]) -> set[str]:
    """Return the canonical names of installed distributions and of all that they require here."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - only training asks

    present = {lock.canonical(found.name): found for found in importlib.metadata.distributions() if found.name}
    seen: set[str] = set()
    todo = list(roots)
    while todo:
        name = lock.canonical(todo.pop())
        if name in present and name not in seen:
            seen.add(name)
            needed = [Requirement(text) for text in present[name].requires or ()]
            todo += [each.name for each in needed if not each.marker or each.marker.evaluate({"extra": ""})]
    return seen
