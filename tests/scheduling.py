"""Which tests run one after the other in one process: those that share a repository.

pytest-xdist's own groups write a private attribute that pytest 9.2 no longer reads, so each worker made every tool's
repository: https://pytest-xdist.readthedocs.io/en/stable/distribution.html. Its hook for a scheduler is public.
"""

import re
from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

import repositories

SLOW = {"deploy", "docs", "image", "real", "update", "workflow", "workshop"}
TOOL = re.compile(rf"\[(?:.*-)?({'|'.join(map(re.escape, repositories.NAMES))})(?:-.*)?\]$")


def group(nodeid: str) -> str:
    """Return what the tests of one group have in common: the tool, or the file; a quick test is alone."""
    path = PurePosixPath(nodeid.partition("::")[0])
    if path.parent.name not in SLOW:
        return nodeid
    tool = TOOL.search(nodeid)
    return tool[1] if tool else path.name


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a whole group to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)
