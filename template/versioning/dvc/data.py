"""The data: a table of numbers to learn from, in a file that DVC keeps, and what its columns are called.

Replace this module by your own data; model, training, API and tests need only the names that are public here.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# The stage `data` of dvc.yaml writes it, and dvc.lock says which version it is.
FILE = Path("data/biopsies.csv")
LABEL = "malignant"  # the last column, 0 or 1

# Nuclear measurements of a biopsy image, in the order of the columns. Lengths are in pixels of that image.
# https://archive.ics.uci.edu/dataset/17/breast+cancer+wisconsin+diagnostic
MEASUREMENTS = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
)
FEATURES = tuple(f"{statistic}_{name}" for statistic in ("mean", "error", "worst") for name in MEASUREMENTS)
TARGET = "probability that the tumour is malignant"


class DataError(OSError):
    """There is nothing to learn from; the message is one sentence, with the repair."""


@dataclass(frozen=True)
class Dataset:
    """A table to learn from: `features` has the shape (rows, len(FEATURES)), `target` (rows,) with 0 or 1.

    `files` are those that it was read from: the contract names them by digest.
    """

    name: str
    features: NDArray[np.float64]
    target: NDArray[np.float64]
    files: tuple[Path, ...] = ()


def load_data() -> Dataset:
    """Return the biopsies in FILE; raises DataError where it is missing or another table."""
    try:
        header, *lines = FILE.read_text(encoding="utf-8").splitlines()
        table = np.array([line.split(",") for line in lines], dtype=np.float64)
    except FileNotFoundError:
        raise DataError(f"{FILE} is missing: `make data` brings it.") from None
    except ValueError as error:
        raise DataError(f"{FILE} is no table of numbers ({error}): `dvc checkout {FILE}` restores it.") from None
    if header.split(",") != [*FEATURES, LABEL] or not len(table):
        raise DataError(f"{FILE} has no rows or other columns than FEATURES: restore it, or correct data.py.")
    return Dataset("Breast Cancer Wisconsin (Diagnostic)", table[:, :-1], table[:, -1], (FILE,))
