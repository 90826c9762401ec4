"""The data: a table of numbers to learn from, and what its columns are called.

Replace this module by your own data; model, training, API and tests need only the names that are public here.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Dataset:
    """A table to learn from: `features` has the shape (rows, len(FEATURES)), `target` (rows,) with 0 or 1.

    `files` are those that it was read from, none where a package carries it.
    """

    name: str
    features: NDArray[np.float64]
    target: NDArray[np.float64]
    files: tuple[Path, ...] = ()


def load_data() -> Dataset:
    """Return the 569 biopsies that scikit-learn carries; target 1 is a malignant tumour."""
    # Here and not above: a service predicts without the data, and starts a second sooner without this import.
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415

    bunch = load_breast_cancer()
    # scikit-learn codes malignant as 0: turned round, a prediction is the probability of the bad case.
    return Dataset("Breast Cancer Wisconsin (Diagnostic)", bunch.data, 1.0 - bunch.target)
