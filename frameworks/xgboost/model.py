"""The model: how it is fitted, saved, loaded and asked.

Replace this module by your own model; training, contract, API and tests need only the names that are public here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import randbits
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from .data import FEATURES

# https://xgboost.readthedocs.io/en/stable/parameter.html
BOOSTING: dict[str, int | float | str] = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "learning_rate": 0.1,
    "max_depth": 4,
    # Each tree learns from other rows and columns: this is what the seed decides.
    "subsample": 0.8,
    "colsample_bytree": 0.8,
}
ROUNDS = 100
PARAMETERS = {**BOOSTING, "num_boost_round": ROUNDS}


class Progress(xgb.callback.TrainingCallback):
    """Tells how far the training is."""

    def __init__(self, show: Callable[[int, int], None]) -> None:
        self._show = show

    def after_iteration(self, _model: Any, epoch: int, _evals_log: Any) -> bool:  # noqa: ANN401 - as XGBoost has it
        """Tell (trees so far, trees in all); False: go on."""
        self._show(epoch + 1, ROUNDS)
        return False


def fit(
    features: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    seed: int | None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> xgb.Booster:
    """Fit boosted trees on rows of `features` (rows, len(FEATURES)) and `target` (rows,).

    `seed` None takes another one each time; `progress` is told (trees so far, trees in all).
    """
    # Without a seed XGBoost takes 0 each time; it knows 31 bits.
    chosen = randbits(31) if seed is None else seed % 2**31
    table = xgb.DMatrix(features, target, feature_names=FEATURES)
    return xgb.train({**BOOSTING, "seed": chosen}, table, num_boost_round=ROUNDS, callbacks=[Progress(progress)])


def predict(model: xgb.Booster, rows: Sequence[Sequence[float]] | NDArray[np.float64]) -> list[float]:
    """Return the TARGET, from 0 to 1, of each row of len(FEATURES) numbers."""
    features = np.asarray(rows, dtype=np.float64).reshape(-1, len(FEATURES))
    # Several threads may ask at once. https://xgboost.readthedocs.io/en/stable/prediction.html#thread-safety
    margins = model.inplace_predict(features, predict_type="margin", validate_features=False)
    # The margin, a sum of leaves in the order of the trees, is the same on every machine. XGBoost's own logistic
    # function is in single precision, whose last bits depend on the CPU; in double they are below any tolerance.
    return [float(probability) for probability in 1 / (1 + np.exp(-margins.astype(np.float64)))]


def save(model: xgb.Booster, path: Path) -> None:
    """Write the model to `path` as UBJSON: other versions and languages read it, and it runs no code.

    https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
    """
    path.write_bytes(model.save_raw("ubj"))


def load(path: Path) -> xgb.Booster:
    """Read a model that `save` wrote; raises XGBoostError where the file is none."""
    return xgb.Booster(model_file=bytearray(path.read_bytes()))
