"""Train the model, measure it on rows it has not seen, and publish it with its contract."""

import argparse
import hashlib
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from . import data, model
from .parity import EnvironmentDriftError, provenance, seeding, sources, validate_environment
from .settings import get_settings

log = logging.getLogger(__name__)

HELD_OUT = 0.25  # of all rows: enough to measure on, few enough to learn from the rest
GOLDEN_ROWS = 20  # held-out rows whose predictions travel with the model and are repeated wherever it is served
THRESHOLD = 0.5  # a probability of at least this counts as yes


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
        "accuracy": float(np.mean((predicted >= THRESHOLD) == (target >= THRESHOLD))),
        "brier": float(np.mean((predicted - target) ** 2)),
    }


def digest(dataset: data.Dataset) -> str:
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


def train(path: Path, *, seed: int, level: str, quiet: bool) -> provenance.Contract:
    """Train on the data's learning rows and publish model and contract at `path`; return the contract."""
    # First of all: a generator that is drawn from before it is seeded stays unseeded.
    seeding.set_global_determinism(seed, level=level)
    dataset = data.load_data()
    # Before it is learned from: what changes the files meanwhile was not in it.
    record = provenance.DataRecord(dataset.name, digest(dataset), sources.digests(dataset.files))
    learned, held_out = split(len(dataset.features))
    log.info("%s: %d rows to learn from, %d held out", dataset.name, len(learned), len(held_out))
    fitted = model.fit(
        dataset.features[learned],
        dataset.target[learned],
        seed=None if level == "off" else seed,
        progress=progress_bar(quiet=quiet),
    )
    predicted = np.array(model.predict(fitted, dataset.features[held_out]))
    return provenance.publish(
        fitted,
        path,
        save=model.save,
        load=model.load,
        predict=model.predict,
        data=record,
        # At the end, so that it names what was imported and seeded on the way.
        seed=seeding.report().as_dict(),
        metrics=measure(dataset.target[held_out], predicted),
        parameters=model.PARAMETERS,
        golden_inputs=dataset.features[held_out[:GOLDEN_ROWS]].tolist(),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the settings say; return 0, or 1 where the environment drifted or the path takes no model."""
    parser = argparse.ArgumentParser(prog="training", description=__doc__)
    parser.add_argument("--output", type=Path, help="where to publish the model (default: MODEL_PATH)")
    parser.add_argument("--quiet", action="store_true", help="no progress display, also on a terminal")
    options = parser.parse_args(arguments)
    settings = get_settings()
    logging.basicConfig(level=settings.server.log_level, format="%(levelname)s %(message)s")
    try:
        # A model from a drifted environment could not be served, nor its environment be made again.
        validate_environment()
    except EnvironmentDriftError as drift:
        log.critical("%s", drift)
        return 1
    path = options.output or settings.model_path
    try:
        contract = train(path, seed=settings.seed, level=settings.determinism, quiet=options.quiet)
    except provenance.ModelRefused as refused:
        log.critical("%s", " ".join(refused.reasons))
        return 1
    except OSError as error:
        log.critical("%s", error)
        return 1
    for name, value in contract.metrics.items():
        log.info("%s: %.4f", name, value)
    log.info("Published %s with its contract (sha256 %s)", path, contract.sha256[:12])
    return 0


if __name__ == "__main__":
    sys.exit(main())
