"""The settings of this project: one field is one variable, its name in capitals.

Add a field, then `make env-example`. A field without a default is required: nothing starts without it.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from .parity.lock import default_model
from .parity.settings import ParitySettings


class ServerSettings(BaseModel):
    """How the service runs. A section: its variables are SERVER__HOST, SERVER__PORT and SERVER__LOG_LEVEL."""

    model_config = ConfigDict(frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; the image sets 0.0.0.0, all of the container's")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged")


class Settings(ParitySettings):
    """What the environment decides. Values are read and checked once, by `get_settings`."""

    # First: it picks the file that the others are read from, and the kit judges them by it.
    app_env: Literal["dev", "test", "prod"] = Field(
        "dev",
        description="Picks .env, .env.test or .env.prod, so set it in the environment and not in a file",
    )
    # SecretStr: a URL may hold a password, and a secret shows as stars in every log and traceback.
    database_url: SecretStr = Field(
        description="Where each prediction is recorded, as an SQLAlchemy URL",
        examples=["sqlite:///predictions.db"],
    )
    model_path: Path = Field(default_model(), description="Where the model is saved and served from")
    api_key: SecretStr = Field(
        description="What clients must send; outside dev, nothing that can be guessed",
        examples=["changethis"],
    )
    model_policy: Literal["strict", "model", "digest"] = Field(
        "strict", description="How closely this environment must match the one that the model was trained in"
    )
    seed: int = Field(42, ge=0, le=2**32 - 1, description="Start of every random generator, from 0 to 4294967295")
    determinism: Literal["strict", "seeded", "off"] = Field(
        "strict", description="Refuse algorithms that differ from run to run, only seed, or neither"
    )
    server: ServerSettings = Field(default_factory=ServerSettings)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings, read at the first call; `get_settings.cache_clear()` forgets them."""
    return Settings.load()
