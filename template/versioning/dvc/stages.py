"""What dvc.yaml runs beside the training: `python -m <package>.stages data` and `… metrics`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from .data import FEATURES, FILE, LABEL
from .parity import provenance

METRICS = Path("metrics.json")


def data() -> None:
    """Write the 569 biopsies that scikit-learn carries to FILE; put the source of your own data here."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text("".join(f"{line}\n" for line in table()), encoding="utf-8")


def table() -> Iterator[str]:
    """Yield the lines of the table, with every number as it is read back."""
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415 - the other stages start without it

    bunch = load_breast_cancer()
    yield ",".join([*FEATURES, LABEL])
    for row, target in zip(bunch.data.tolist(), bunch.target.tolist(), strict=True):
        # scikit-learn codes malignant as 0: turned round, a prediction is the probability of the bad case.
        yield ",".join(map(repr, [*row, 1 - target]))


def metrics() -> None:
    """Write the metrics of the trained model where `dvc metrics diff` and a review look for them."""
    found = provenance.read_contract(provenance.model_path()).metrics
    METRICS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    {"data": data, "metrics": metrics}[sys.argv[1]]()
