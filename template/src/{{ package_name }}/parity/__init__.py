"""Parity: one chain from the manifest to the model, each link checked against the one before it.

    manifest -> lock -> environment -> image -> model

Owned by the template: `copier update` replaces this folder. `python -m <package>.parity` lists the commands.
"""

from importlib import import_module
from typing import Any

# Importing the kit imports nothing: each name is fetched from its module when it is first asked for.
_HOMES = {
    "EnvironmentDriftError": "environment",
    "LockError": "lock",
    "ModelRefused": "provenance",
    "ParitySettings": "settings",
    "check": "environment",
    "create_app": "service",
    "generate_env_signature": "environment",
    "load_model": "provenance",
    "rng": "seeding",
    "scoped_seed": "seeding",
    "seed_worker": "seeding",
    "set_global_determinism": "seeding",
    "validate_environment": "environment",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
