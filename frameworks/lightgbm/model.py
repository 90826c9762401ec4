"""The model: how it is fitted, saved, loaded and asked.

Replace this module by your own model; training, contract, API and tests need only the names that are public here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import randbits

import lightgbm as lgb
import numpy as np
from lightgbm.callback import CallbackEnv
from numpy.typing import NDArray

from .data import FEATURES

# https://lightgbm.readthedocs.io/en/stable/Parameters.html
BOOSTING: dict[str, int | float | str | bool] = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 10,
    # Each tree learns from other rows and columns: this is what the seed decides.
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    # Histograms are summed in one order, whatever the threads. The second flag keeps LightGBM from timing both of
    # its ways to build them and taking the one that is faster today.
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
ROUNDS = 100
PARAMETERS = {**BOOSTING, "num_boost_round": ROUNDS}


def fit(
    features: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    seed: int | None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> lgb.Booster:
    """Fit boosted trees on rows of `features` (rows, len(FEATURES)) and `target` (rows,).

    `seed` None takes another one each time; `progress` is told (trees so far, trees in all).
    """
    # Without a seed LightGBM takes the same one each time; it knows 31 bits.
    chosen = randbits(31) if seed is None else seed % 2**31

    def told(step: CallbackEnv) -> None:
        progress(step.iteration + 1, ROUNDS)

    table = lgb.Dataset(features, target, feature_name=list(FEATURES))
    return lgb.train({**BOOSTING, "seed": chosen}, table, num_boost_round=ROUNDS, callbacks=[told])


def predict(model: lgb.Booster, rows: Sequence[Sequence[float]] | NDArray[np.float64]) -> list[float]:
    """Return the TARGET, from 0 to 1, of each row of len(FEATURES) numbers."""
    features = np.asarray(rows, dtype=np.float64).reshape(-1, len(FEATURES))
    return [float(probability) for probability in np.asarray(model.predict(features))]


def save(model: lgb.Booster, path: Path) -> None:
    """Write the model to `path` as LightGBM's own text: other versions and languages read it, and it runs no code.

    https://lightgbm.readthedocs.io/en/stable/pythonapi/lightgbm.Booster.html#lightgbm.Booster.save_model
    """
    model.save_model(path)


def load(path: Path) -> lgb.Booster:
    """Read a model that `save` wrote; raises LightGBMError where the file is none."""
    return lgb.Booster(model_file=path)
