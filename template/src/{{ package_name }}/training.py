"""Train the model, measure it on rows it has not seen, and publish it with its contract."""

import argparse
import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from . import model
from .parity import provenance, seeding
from .settings import get_settings

log = logging.getLogger(__name__)

HELD_OUT = 0.25  # of all rows: enough to measure on, few enough to learn from the rest
GOLDEN_ROWS = 20  # predictions that travel with the model and are repeated wherever it is served


def split(rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row numbers to learn from and those held out, drawn once for a seed."""
    order = seeding.rng("split").permutation(rows)
    cut = round(rows * HELD_OUT)
    return order[cut:], order[:cut]


def measure(target: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float]:
    """Return accuracy (higher is better) and Brier score (lower is better), both from 0 to 1.

    Brier, Verification of forecasts expressed in terms of probability, 1950.
    """
    return {
        "accuracy": float(np.mean((predicted >= 0.5) == (target >= 0.5))),
        "brier": float(np.mean((predicted - target) ** 2)),
    }


def digest(dataset: model.Dataset) -> str:
    """Return the sha256 of what is learned from: every number of the table, in its order."""
    content = hashlib.sha256()
    for table in (dataset.features, dataset.target):
        content.update(np.ascontiguousarray(table, dtype="<f8").tobytes())
    return content.hexdigest()


def progress_bar(*, quiet: bool) -> Callable[[int, int], None]:
    """Return what shows (done, total) as a bar on a terminal, and nothing in a log file."""
    bar = tqdm(desc="training", unit="step", leave=False, disable=True if quiet else None)

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return show
