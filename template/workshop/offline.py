"""What a room without network works from: workshop/offline, filled while the exercises are done once with one."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from .repository import HERE, RENDERED, ROOT, TOOLS, WorkshopError, data, make, must

FOLDER = HERE / "offline"
SWITCH = FOLDER / "offline.mk"
# pip then looks into a folder and asks no index: https://pip.pypa.io/en/stable/cli/pip_install/
PIP = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "file://{url}/wheels"}
# Where the folder lies, for make: as it is, and for pip, which takes a space for the end of an address.
PLACE = """\
place := $(CURDIR)/workshop/offline
nothing :=
place_url := $(subst $(nothing) ,%20,$(subst %,%25,$(place)))
"""


def placed(variables: Mapping[str, str], folder: str, url: str) -> dict[str, str]:
    """Return variables with the folder's place for {folder}, and its address for {url}."""
    return {name: value.format(folder=folder, url=url) for name, value in variables.items()}


def by_hand() -> list[str]:
    """Return the requirements that exercises install past the lock."""
    steps = [step for exercise in data("exercises.json") for step in exercise["break"]]
    return [requirement for name, requirement, *_ in (step for step in steps if len(step) > 1) if "by hand" in name]


@contextmanager
def record() -> Iterator[None]:
    """Let pip and the tool fill the folder within the block, and switch it on where the block succeeds.

    WorkshopError where the tool cannot lock without an index, or something cannot be had.
    """
    cache, switch = RENDERED["offline"].get("cache", {}), RENDERED["offline"].get("switch", {})
    if not cache:
        raise WorkshopError("This tool cannot lock without an index: workshop/README.md says what to do instead.")
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name in PIP | switch:  # of a folder that was there
        os.environ.pop(name, None)
    os.environ |= placed(cache, str(FOLDER), FOLDER.as_uri().removeprefix("file://"))
    download("--require-hashes", "--only-binary", ":all:", "--requirement", ".tools/requirements.txt")
    download("--no-deps", *by_hand())
    # Made anew, so that all of it goes through the folder's cache.
    shutil.rmtree(ROOT / ".venv")
    make("sync")
    yield
    exports = placed(PIP | cache | switch, "$(place)", "$(place_url)").items()
    lines = "".join(f"export {name} := {value}\n" for name, value in exports)
    SWITCH.write_text(PLACE + lines, encoding="utf-8")


def download(*arguments: str) -> None:
    """Put wheels into the folder."""
    must(TOOLS, "-m", "pip", "download", "--quiet", "--dest", FOLDER / "wheels", *arguments)
