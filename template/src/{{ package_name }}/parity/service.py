"""The service's frame: what every service that serves a model needs, whatever the model and its schemas.

A model that its contract refuses is not served. At the start the process then ends with code 78 and all
reasons: nothing listens, so a rollout stops, the last good version goes on serving, and the restarts raise an
alarm. What breaks later turns /readyz to 503 instead: a database that was away comes back by itself, and a
restart would only lose the requests in flight.
"""

import hmac
import logging
import signal
import sys
import sysconfig
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader

from . import environment, lock, provenance, seeding
from .settings import EX_CONFIG

if TYPE_CHECKING:
    from ..settings import Settings  # noqa: TID252 - the kit does not know the package's name

API_KEY = APIKeyHeader(name="X-API-Key", description="API_KEY of the service's settings", auto_error=False)
log = logging.getLogger(__name__)


class UnavailableError(RuntimeError):
    """Something that the service needs does not answer. Clients read the message, so it names no address."""


class BackingService(Protocol):  # https://12factor.net/backing-services
    """What the service needs while it runs, such as a database."""

    def check(self) -> None:
        """Raise UnavailableError where it cannot be used; called at the start and by /readyz."""

    def close(self) -> None:
        """Let go of it, after the last request."""


@dataclass(frozen=True, slots=True)
class Served:
    """The model that answers: its digest, the environment's signature, and how to ask it."""

    sha256: str
    signature: str
    predict: Callable[[list[list[float]]], Sequence[float]]
    facts: dict[str, Any]  # what /environment tells


def installed_at() -> int:
    """Return when something was last installed or removed, in ns: both change the folder of the packages."""
    return Path(sysconfig.get_path("purelib")).stat().st_mtime_ns


@dataclass
class Frame:
    """What one app holds from its start to its end."""

    settings: "Settings"
    open_model: Callable[[], Served]
    services: Sequence[BackingService]
    served: Served | None = None
    installed: int = field(default_factory=installed_at)

    def start(self) -> None:
        """Load the model, once; raises what `open_model` raises."""
        self.served = self.served or self.open_model()

    def reasons(self) -> list[str]:
        """Return a sentence for each reason not to send requests here: none when it is ready."""
        found = []
        for check in (self._check_environment, *(service.check for service in self.services)):
            try:
                check()
            except (UnavailableError, lock.LockError) as error:
                found.append(str(error))
        return found

    def _check_environment(self) -> None:
        """Raise UnavailableError where packages were changed under the running process.

        What is loaded already stays as it was, what is imported later does not: a mixture would answer.
        Signatures are compared only after something was installed or removed, as that takes milliseconds.
        """
        now = installed_at()
        if now != self.installed and self.served:
            if environment.generate_env_signature() != self.served.signature:
                raise UnavailableError("The environment changed while the service ran: verify it, then restart.")
            self.installed = now


def open_model(settings: "Settings", load: provenance.Load, predict: provenance.Predict) -> Served:
    """Load the model at `settings.model_path` through its contract, and log what the policy let pass.

    Raises ModelRefused with all reasons, LockError where the environment cannot be named.
    """
    seeds = seeding.set_global_determinism(settings.seed, level=settings.determinism)
    policy = settings.model_policy
    model, contract = provenance.load_model(settings.model_path, load=load, predict=predict, policy=policy)
    for passed in contract.overrides:
        log.warning("MODEL_POLICY=%s lets pass: %s", policy, passed)
    locked, signature = lock.load(), environment.generate_env_signature()
    facts = {
        "signature": signature,
        "python": sys.version.split()[0],
        "lock": {"name": locked.source, "sha256": locked.digest},
        "template": lock.pins()["template"],
        "model": {"sha256": contract.sha256, "trained_in": contract.at("environment.signature")},
        "policy": {"name": policy, "overrides": list(contract.overrides)},
        "determinism": seeds.level,
    }
    return Served(contract.sha256, signature, partial(predict, model), facts)


async def require_key(request: Request, sent: Annotated[str | None, Security(API_KEY)]) -> None:
    """Let pass who sends the key. 401 for no key and for a wrong one, in the same words."""
    key = request.app.state.frame.settings.api_key.get_secret_value()
    # In constant time: how long == takes tells how much of a guess is right. Headers arrive as latin-1.
    if not hmac.compare_digest((sent or "").encode("latin-1"), key.encode()):
        raise HTTPException(401, "Send the service's key in the header X-API-Key.", {"WWW-Authenticate": "APIKey"})


async def serving(request: Request) -> Served:
    """Return the model that answers; for endpoints, as `Annotated[Served, Depends(serving)]`."""
    served: Served = request.app.state.frame.served  # loaded before the first request, by `lifespan`
    return served


async def refuse_input(_request: Request, error: Exception) -> JSONResponse:
    """Answer 422, naming each field at fault and not repeating the input: it may be personal, or NaN."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    return JSONResponse({"detail": [{key: fault[key] for key in ("loc", "msg", "type")} for fault in faults]}, 422)


async def refuse_for_now(_request: Request, error: Exception) -> JSONResponse:
    """Answer 503 where something does not answer that the service needs."""
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "5"})


operation = APIRouter(tags=["operation"])


@operation.get("/healthz")
async def healthz() -> dict[str, str]:
    """Tell that the process answers (liveness), and no more: a database that is away is no reason to restart it."""
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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the model before the first request, and close the backing services after the last."""
    frame: Frame = app.state.frame
    frame.start()
    for reason in frame.reasons():
        log.warning("Not ready yet: %s", reason)
    yield
    for service in frame.services:
        service.close()


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
    for router in routers:
        app.include_router(router, dependencies=[Depends(require_key)])
    app.include_router(operation)
    return app


def without_query(record: logging.LogRecord) -> bool:
    """Cut the query, where people put secrets, from uvicorn's line for a request; every record passes."""
    if record.name == "uvicorn.access" and isinstance(record.args, tuple):
        client, method, path, *rest = record.args
        record.args = (client, method, str(path).partition("?")[0], *rest)
    return True


def configure_logging(level: str) -> None:
    """Send every log of the process to stdout, from `level` on: where they go is the platform's to decide."""
    stdout = logging.StreamHandler(sys.stdout)
    stdout.addFilter(without_query)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", handlers=[stdout], force=True)


def run(factory: Callable[[], FastAPI]) -> int:
    """Serve the app that `factory` returns until SIGTERM or Ctrl-C; requests in flight are answered first.

    Returns the exit code: 0 after a signal, 78 where settings or model are refused; uvicorn itself ends the
    process where the port is taken.
    """
    # uvicorn raises the signal again when it has shut down; an end that was asked for is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
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
