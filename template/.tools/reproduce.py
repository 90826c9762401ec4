"""Train twice in fresh processes and compare: the same code, data, seed and environment give the same model.

Owned by the template.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What two trainings must agree on, in the order in which a difference is told.
COMPARED = ("predictions", "metrics", "data", "parameters")


def train(package: str, folder: Path) -> dict[str, Any]:
    """Run the training of `package` in a fresh process; return what it published into `folder`."""
    command = [sys.executable, "-m", f"{package}.training", "--output", str(folder / "model"), "--quiet"]
    result = subprocess.run(
        command,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        sys.exit(f"{result.stdout}\nThe training failed: see above.")
    outcome: dict[str, Any] = json.loads((folder / "model.outcome.json").read_text(encoding="utf-8"))
    return outcome


def differences(first: Any, second: Any, where: str) -> Iterator[str]:  # noqa: ANN401
    """Yield a line for each leaf in which two JSON documents differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted(first.keys() | second.keys()):
            yield from differences(first.get(key), second.get(key), f"{where}.{key}")
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for number, (left, right) in enumerate(zip(first, second, strict=True)):
            yield from differences(left, right, f"{where}[{number}]")
    elif first != second:
        yield f"{where}: {first} in the first training, {second} in the second"


def main() -> int:
    """Return 0 when both trainings predict the same, bit for bit; else name the first difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", required=True)
    package = parser.parse_args().package
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        first, second = train(package, Path(one)), train(package, Path(two))
    for name in COMPARED:
        for line in differences(first[name], second[name], name):
            print(f"Two trainings differ: {line}.")
            print("Look for a seed that is drawn outside rng(), or a thread count that is not fixed.")
            return 1
    print(
        f"Reproduced: {len(first['predictions'])} predictions of two fresh processes are equal, bit for bit."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
