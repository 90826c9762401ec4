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

# What two trainings must agree on, as the contract has it, in the order in which a difference is told.
COMPARED = ("data", "parameters", "golden", "metrics")


def train(package: str, folder: str) -> dict[str, Any]:
    """Run the training of `package` in a fresh process; return what the contract says of it."""
    model = Path(folder) / "model"
    result = subprocess.run(
        [sys.executable, "-m", f"{package}.training", "--output", str(model), "--quiet"],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        sys.exit(f"{result.stdout}The training failed: see above.")
    contract = json.loads(Path(f"{model}.contract.json").read_text(encoding="utf-8"))
    predicate: dict[str, Any] = contract["predicate"]
    return predicate


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
        first, second = train(package, one), train(package, two)
    for name in COMPARED:
        for line in differences(first[name], second[name], name):
            print(f"Two trainings differ: {line}.")
            print("Look for a generator that rng() did not make, or a thread count that is not fixed.")
            return 1
    predictions = len(first["golden"]["outputs"])
    print(f"Reproduced: {predictions} predictions and all metrics of two fresh processes are equal, bit for bit.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
