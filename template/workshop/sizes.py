"""What the production part of the lock weighs where it is installed: `make sizes`."""

import json
import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

from .repository import INSTALLED, ROOT

MEGABYTE = 1024 * 1024  # as AWS counts: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html


def shipped(root: Path = ROOT) -> set[str]:
    """Return the names of what the project needs to run, as the lock that was installed says; empty without one."""
    file = root / INSTALLED
    packages = json.loads(file.read_text(encoding="utf-8"))["packages"] if file.is_file() else []
    return {package["name"] for package in packages if "main" in package["groups"]}


def weight(distribution: Distribution) -> int:
    """Return the bytes of a package's files that are there, without bytecode."""
    paths = [Path(str(file.locate())) for file in distribution.files or () if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file())


def sizes() -> dict[str, int]:
    """Return the bytes of each package that is shipped, the largest first."""
    folders = [str(folder) for folder in ROOT.glob(".venv/lib/python*/site-packages")]
    names = shipped()
    found = {re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(): one for one in distributions(path=folders)}
    weights = {name: weight(one) for name, one in found.items() if name in names}
    return dict(sorted(weights.items(), key=lambda item: -item[1]))


def together() -> int:
    """Return the megabytes of all that is shipped, begun ones counted."""
    return -(-sum(sizes().values()) // MEGABYTE)


def main() -> int:
    """Print what weighs a megabyte or more, and the sum of all."""
    for name, size in sizes().items():
        if size >= MEGABYTE:
            print(f"{name:<24} {size / MEGABYTE:6.0f}")
    print(f"together {together()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
