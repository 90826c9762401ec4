"""The service: what it is asked, what it answers, and the app that does it."""

import sys
import uuid
from importlib import metadata
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, create_model

from . import data, model
from .parity import service
from .records import PredictionLog
from .settings import Settings, get_settings

MAX_ROWS = 1000  # in one request: more would keep the others waiting

# One field for each of the data's features: required, a number, and finite, as Python reads NaN in JSON.
# What the model does not know is refused: it may be a feature that is misspelt.
FIELDS: dict[str, Any] = dict.fromkeys(data.FEATURES, (FiniteFloat, ...))
Row = create_model("Row", __config__=ConfigDict(extra="forbid", strict=True), **FIELDS)


class Batch(BaseModel):
    """What is asked: one row for each prediction."""

    model_config = ConfigDict(extra="forbid")

    rows: list[Row] = Field(min_length=1, max_length=MAX_ROWS)


class Answer(BaseModel):
    """What is answered, in the order of the rows."""

    predictions: list[float] = Field(description=f"The {data.TARGET}")
    ids: list[uuid.UUID] = Field(description="Each prediction's id in the prediction log")
    model: str = Field(description="Digest (sha256) of the model that answered")


async def prediction_log(request: Request) -> PredictionLog:
    """Return the log that `create_app` made."""
    decisions: PredictionLog = request.app.state.decisions
    return decisions


router = APIRouter(tags=["prediction"])


# `def` and not `async def`: FastAPI then runs it in a thread, so that neither the model's arithmetic nor the
# database holds up other requests. https://fastapi.tiangolo.com/async/
@router.post("/predict")
def predict(
    batch: Batch,
    request: Request,
    served: Annotated[service.Served, Depends(service.serving)],
    decisions: Annotated[PredictionLog, Depends(prediction_log)],
) -> Answer:
    """Predict each row, and record it before it is answered: no decision leaves that cannot be traced."""
    inputs = [row.model_dump() for row in batch.rows]
    outputs = list(served.predict([[row[name] for name in data.FEATURES] for row in inputs]))
    ids = decisions.record(
        inputs, outputs, model=served.sha256, environment=served.signature, version=request.app.version
    )
    return Answer(predictions=outputs, ids=ids, model=served.sha256)


def version() -> str:
    """Return the version of this package as the manifest has it; "0" where it is not installed."""
    try:
        return metadata.version(__package__)
    except metadata.PackageNotFoundError:
        return "0"


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the app; `uvicorn --factory <package>.api:create_app` serves it as `make serve` does.

    ValueError, in one sentence, where DATABASE_URL cannot be used.
    """
    settings = settings or get_settings()
    decisions = PredictionLog(settings.database_url.get_secret_value())
    app = service.create_app(
        settings=settings,
        title=__package__,
        version=version(),
        load=model.load,
        predict=model.predict,
        routers=[router],
        services=[decisions],
    )
    app.state.decisions = decisions
    return app


if __name__ == "__main__":
    sys.exit(service.run(create_app))
