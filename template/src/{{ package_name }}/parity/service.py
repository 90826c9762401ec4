"""The service's frame: what every service that serves a model needs, whatever the model and its schemas.

A model that its contract refuses is not served. At the start the process then ends with code 78 and all
reasons: nothing listens, so a rollout stops, the last good version goes on serving, and the restarts raise an
alarm. A process that stayed up without ever being ready would wait for somebody to look. What breaks later
turns /readyz to 503 instead: a database that was away comes back by itself, and a restart would only lose the
requests in flight.
"""

import hmac
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader

from . import lock, provenance
from .readiness import BackingService, Frame, Served, UnavailableError, open_model
from .server_log import configure_logging
from .settings import EX_CONFIG

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ..settings import Settings  # noqa: TID252 - the kit does not know the package's name

MAX_BODY = 8 * 2**20  # bytes: more than any batch; the rest would fill the memory before a key is asked for
MAX_FAULTS = 20  # in one 422: a batch of bad rows has a fault in every field of each
API_KEY = APIKeyHeader(name="X-API-Key", description="API_KEY of the service's settings", auto_error=False)

log = logging.getLogger(__name__)


async def require_key(request: Request, sent: Annotated[str | None, Security(API_KEY)]) -> None:
    """Let pass who sends the key. 401 for no key and for a wrong one, in the same words."""
    key = request.app.state.frame.settings.api_key.get_secret_value()
    # In constant time: how long == takes tells how much of a guess is right. Headers arrive as latin-1.
    if not hmac.compare_digest((sent or "").encode("latin-1"), key.encode()):
        challenge = {"WWW-Authenticate": "APIKey"}
        raise HTTPException(401, "Send the service's key in the header X-API-Key.", challenge)


async def serving(request: Request) -> Served:
    """Return the model that answers; for endpoints, as `Annotated[Served, Depends(serving)]`."""
    served: Served | None = request.app.state.frame.served
    if served is None:
        raise UnavailableError("The model is not loaded yet.")
    return served


async def refuse_input(_request: Request, error: Exception) -> JSONResponse:
    """Answer 422, naming each field at fault and not repeating the input: it may be personal, or NaN."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [{key: fault[key] for key in ("loc", "msg", "type")} for fault in faults[:MAX_FAULTS]]
    return JSONResponse({"detail": detail, "faults": len(faults)}, 422)


async def refuse_for_now(_request: Request, error: Exception) -> JSONResponse:
    """Answer 503 where something does not answer that the service needs."""
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "5"})


operation = APIRouter(tags=["operation"])


@operation.get("/healthz")
async def healthz() -> dict[str, str]:
    """Tell that the process answers (liveness).

    It asks nothing else: a database that is away would have every process restarted.
    """
    return {"status": "alive"}


@operation.get("/readyz")
def readyz(request: Request) -> JSONResponse:
    """Tell whether to send requests here (readiness): 200, or 503 with every reason against it."""
    reasons = request.app.state.frame.reasons()
    return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)


# Behind the key: a list of versions is what an attacker looks for first.
@operation.get("/environment", dependencies=[Depends(require_key)])
async def environment_of(served: Annotated[Served, Depends(serving)]) -> dict[str, Any]:
    """Tell what answers here: model, environment, lock, and what the policy let pass."""
    return served.facts


class BodyLimit:
    """Answers 413 once a body is larger than MAX_BODY, whatever length its header told."""

    def __init__(self, app: "ASGIApp") -> None:
        self.app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on and count what of its body is read."""
        left = MAX_BODY

        async def counted() -> "Message":
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"The body is larger than {MAX_BODY} bytes: send fewer rows at a time.")
            return message

        await self.app(scope, counted, send)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the model before the first request, and close the backing services after the last."""
    frame: Frame = app.state.frame
    frame.start()
    for reason in frame.reasons():
        log.warning("Not ready yet: %s", reason)
    yield
    frame.close()


def create_app(  # noqa: PLR0913 - each is a part of the app
    *,
    settings: "Settings",
    title: str,
    version: str,
    load: provenance.Load,
    predict: provenance.Predict,
    routers: Sequence[APIRouter] = (),
    services: Sequence[BackingService] = (),
) -> FastAPI:
    """Return the app: /healthz, /readyz, /environment, and `routers`, whose endpoints all ask for the key.

    The model is loaded when the app starts, not here. `load` and `predict` are those of the model's module.
    Of the settings it reads app_env, model_path, model_policy, api_key, seed, determinism and server.
    """
    # In production nobody reads the pages, and they show every field to whoever finds them.
    pages = None if settings.app_env == "prod" else "/openapi.json"
    app = FastAPI(title=title, version=version, lifespan=lifespan, openapi_url=pages)
    app.state.frame = Frame(settings, partial(open_model, settings, load, predict), services)
    app.add_exception_handler(RequestValidationError, refuse_input)
    app.add_exception_handler(UnavailableError, refuse_for_now)
    app.add_middleware(BodyLimit)
    for router in routers:
        app.include_router(router, dependencies=[Depends(require_key)])
    app.include_router(operation)
    return app


def run(factory: Callable[[], FastAPI]) -> int:
    """Serve the app that `factory` returns until SIGTERM or Ctrl-C; requests in flight are answered first.

    Returns the exit code: 0 after a signal, 78 where settings or model are refused; uvicorn itself ends the
    process where the port is taken. For more load run more processes, and let the platform watch each.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again when it has shut down; an end that was asked for is no failure.
        signal.signal(number, lambda *_: sys.exit(0))
    configure_logging("INFO")
    try:
        app = factory()
        frame: Frame = app.state.frame
        server = frame.settings.server
        configure_logging(server.log_level)
        frame.start()
    except (ValueError, lock.LockError, provenance.ModelRefused) as refused:
        for reason in getattr(refused, "reasons", [refused]):
            log.critical("Not started: %s", reason)
        return EX_CONFIG
    uvicorn.run(app, host=server.host, port=server.port, log_config=None, server_header=False)
    return 0
