"""What the service needs in order to answer: a model, the environment it is loaded in, backing services.

No HTTP here: `service` turns this into answers.
"""

import logging
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from . import environment, lock, provenance, seeding

if TYPE_CHECKING:
    from ..settings import Settings  # noqa: TID252 - the kit does not know the package's name

log = logging.getLogger(__name__)


class UnavailableError(RuntimeError):
    """Something that the service needs does not answer. Clients read the message, so it names no address."""


class BackingService(Protocol):
    """What the service needs while it runs, such as a database.

    https://12factor.net/backing-services
    """

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


class Frame:
    """What one app holds from its start to its end."""

    def __init__(
        self, settings: "Settings", open_model: Callable[[], Served], services: Sequence[BackingService]
    ) -> None:
        self.settings = settings
        self.services = services
        self.served: Served | None = None
        self._open_model = open_model
        self._installed = installed_at()

    def start(self) -> None:
        """Load the model, once; raises what `open_model` raises."""
        if self.served is None:
            self.served = self._open_model()

    def close(self) -> None:
        for service in self.services:
            service.close()

    def reasons(self) -> list[str]:
        """Return a sentence for each reason not to send requests here: none when it is ready."""
        if self.served is None:
            return ["The model is not loaded yet."]
        checks = [self._check_environment, *(service.check for service in self.services)]
        return [reason for check in checks for reason in failure(check)]

    def _check_environment(self) -> None:
        """Raise UnavailableError where packages were changed under the running process.

        What is loaded already stays as it was, what is imported later does not: a mixture would answer.
        Signatures are compared only after something was installed or removed, as that takes milliseconds.
        """
        now = installed_at()
        if now == self._installed:
            return
        if self.served and environment.generate_env_signature() != self.served.signature:
            raise UnavailableError("The environment changed while the service ran: verify it, then restart.")
        self._installed = now


def installed_at() -> int:
    """Return when something was last installed or removed, in ns: both change the folder of the packages."""
    return Path(sysconfig.get_path("purelib")).stat().st_mtime_ns


def failure(check: Callable[[], None]) -> list[str]:
    """Return why a check fails, or nothing; an error nobody foresaw is told in the log only."""
    try:
        check()
    except UnavailableError as error:
        return [str(error)]
    except Exception:
        log.exception("A readiness check failed")
        return ["A check failed: the log says why."]
    return []


def open_model(settings: "Settings", load: provenance.Load, predict: provenance.Predict) -> Served:
    """Load the model at `settings.model_path` through its contract.

    Raises ModelRefused with all reasons, LockError where the environment cannot be named.
    """
    seeds = seeding.set_global_determinism(settings.seed, level=settings.determinism)
    model, contract = provenance.load_model(
        settings.model_path, load=load, predict=predict, policy=settings.model_policy
    )
    locked = lock.load()
    signature = environment.generate_env_signature()
    facts = {
        "signature": signature,
        "python": sys.version.split()[0],
        "lock": {"name": locked.source, "sha256": locked.digest},
        "template": lock.pins()["template"],
        "model": {"sha256": contract.sha256, "trained_in": contract.at("environment.signature")},
        "policy": {"name": settings.model_policy, "overrides": list(contract.overrides)},
        "determinism": seeds.level,
    }
    return Served(contract.sha256, signature, partial(predict, model), facts)
