"""Puts the kit and .tools, as they stand in the template, on the import path.

`from standing.parity import lock`, `import check_lock`
"""

import os
import shutil
import sys

import links

# A folder for each process: pytest-xdist's workers start at the same time.
_FOLDER = links.ROOT / "build" / "standing" / str(os.getpid())
links.build(_FOLDER)
sys.path[:0] = [str(_FOLDER), str(_FOLDER / "tools")]


def pytest_unconfigure() -> None:
    """Remove the links."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
