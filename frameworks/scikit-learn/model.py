"""The model: what it learns from, how it is fitted, saved, loaded and asked.

Replace this module by your own data and model; training, contract, API and tests need only the names that
are public here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

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

# One thread: with more, the sum over the trees is taken in another order on every call and differs in the
# last bits. https://github.com/scikit-learn/scikit-learn/issues/22303
PARAMETERS: dict[str, int | float | str] = {"n_estimators": 200, "min_samples_leaf": 2, "n_jobs": 1}
TREES_PER_STEP = 20


@dataclass(frozen=True)
class Dataset:
    """A table to learn from: `features` has the shape (rows, len(FEATURES)), `target` (rows,) with 0 or 1."""

    name: str
    features: NDArray[np.float64]
    target: NDArray[np.float64]


def load_data() -> Dataset:
    """Return the 569 biopsies that scikit-learn carries; target 1 is a malignant tumour."""
    bunch = load_breast_cancer()
    # scikit-learn codes malignant as 0: turned round, a prediction is the probability of the bad case.
    return Dataset("Breast Cancer Wisconsin (Diagnostic)", bunch.data, 1.0 - bunch.target)


def fit(
    features: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    seed: int | None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> RandomForestClassifier:
    """Fit a forest on rows of `features` (rows, len(FEATURES)) and `target` (rows,).

    `seed` None draws from NumPy's global state; `progress` is told (trees so far, trees in all).
    """
    total = int(PARAMETERS["n_estimators"])
    model = RandomForestClassifier(**PARAMETERS, random_state=seed, warm_start=True)
    for trees in range(TREES_PER_STEP, total + 1, TREES_PER_STEP):
        model.set_params(n_estimators=trees).fit(features, target)
        progress(trees, total)
    return model


def predict(model: RandomForestClassifier, rows: Sequence[Sequence[float]] | NDArray[np.float64]) -> list[float]:
    """Return the TARGET, from 0 to 1, of each row of len(FEATURES) numbers."""
    features = np.asarray(rows, dtype=np.float64).reshape(-1, len(FEATURES))
    return [float(probability) for probability in model.predict_proba(features)[:, 1]]


def save(model: RandomForestClassifier, path: Path) -> None:
    """Write the model to `path`.

    joblib is pickle with room for arrays: https://scikit-learn.org/stable/model_persistence.html
    """
    joblib.dump(model, path)


def load(path: Path) -> RandomForestClassifier:
    """Read a model that `save` wrote. Unpickling runs code: the contract is checked before this is called."""
    model = joblib.load(path)
    if not isinstance(model, RandomForestClassifier):
        msg = f"{path} holds a {type(model).__name__}, not the RandomForestClassifier that this code serves"
        raise TypeError(msg)
    return model
