"""The model: how it is fitted, saved, loaded and asked.

Replace this module by your own model; training, contract, API and tests need only the names that are public here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from .data import FEATURES

# One thread: with more, the sum over the trees is taken in another order on every call and differs in the
# last bits. https://github.com/scikit-learn/scikit-learn/issues/22303
PARAMETERS: dict[str, int | float | str] = {"n_estimators": 200, "min_samples_leaf": 2, "n_jobs": 1}
TREES_PER_STEP = 20


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
