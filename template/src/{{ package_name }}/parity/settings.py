"""Settings that are checked once, at the start: all faults together, and never a value in the output.

No setting stands here: yours are the fields of `Settings` in `../settings.py`. Each value comes from the real
environment, else from a file in /run/secrets, else from the env file that APP_ENV picks.
https://docs.pydantic.dev/latest/concepts/pydantic_settings/
"""

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Self

from pydantic import BaseModel, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

EX_CONFIG = 78  # sysexits.h; os.EX_CONFIG does not exist on Windows
ENV_FILES = {"dev": ".env", "test": ".env.test", "prod": ".env.prod"}
SECRETS_DIR = "/run/secrets"
PLACEHOLDERS = ("changethis", "change-me", "changeme")
# What Kubernetes adds for a service `api`: API_SERVICE_HOST, API_PORT=tcp://…, API_PORT_80_TCP_ADDR.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT\w*)$|_PORT(_\d+_[A-Z]+\w*)?$")
SENTENCES = {
    "missing": "{name} is missing: set it in the environment, in {file} or in {secret} ({about})",
    "extra_forbidden": "{name} in {file} is not a setting{hint}: correct or remove it",
    "invalid": "{name} from {origin} is not accepted: {reason}",
}
Leaf = tuple[tuple[str, ...], FieldInfo]  # a setting, and the way to it: ("server", "port")
logger = logging.getLogger(__name__)


class SettingsRefusedError(Exception):
    """The settings do not hold: `problems` has one sentence for each name, and no value."""

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems
        lines = [f"Settings refused: {', '.join(problems)}.", *(f"  {text}." for text in problems.values())]
        super().__init__("\n".join(lines))


class EnvFile(DotEnvSettingsSource):
    """One env file, in which every key must be a setting: a misspelt one would do nothing, silently."""

    def __init__(self, settings_cls: type[BaseSettings], app_env: str, file: str | None) -> None:
        super().__init__(settings_cls, env_file=file, env_ignore_empty=False)
        # Kept flat: pydantic refuses a name that is no field, while a section drops what it does not know.
        self.unknown = {key: "" for key in self.env_vars if key.upper() not in leaves(settings_cls)}
        if self.env_vars.get("app_env") not in (None, "", app_env):
            problem = f"APP_ENV in {file} contradicts the environment, which picked that file: remove it"
            raise SettingsRefusedError({"APP_ENV": problem})

    def __call__(self) -> dict[str, Any]:
        return {**super().__call__(), **self.unknown}


class ParitySettings(BaseSettings):
    """What every Settings class of this template does. It has no field of its own: all are the project's."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILES["dev"],  # stands for the one that APP_ENV picks
        env_nested_delimiter="__",  # SERVER__PORT is `port` of the section `server`
        env_ignore_empty=True,  # `API_KEY=` is not a key
        secrets_dir=SECRETS_DIR,
        secrets_dir_missing="ok",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - `sources` has its own, for all who ask
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the one that wins first."""
        app_env = picked(settings_cls, init_settings().get("app_env"))
        asked = getattr(dotenv_settings, "env_file", None)
        file = ENV_FILES.get(app_env) if asked == ENV_FILES["dev"] else asked
        return init_settings, *sources(settings_cls, app_env, file, file_secret_settings).values()

    @field_validator("*")
    @classmethod
    def _no_placeholder(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - any field
        """Refuse empty secrets and `changethis` outside dev; `app_env` must be the first field for that."""
        secrets = [(name, text.casefold()) for name, text in secrets_of(value, str(info.field_name))]
        held = [name for name, text in secrets if not text or any(word in text for word in PLACEHOLDERS)]
        if held and info.data.get("app_env") != "dev":
            raise ValueError(f"{', '.join(held)} holds a placeholder: set a real value, or APP_ENV to dev")
        return value

    @classmethod
    def read(cls, **values: Any) -> Self:  # noqa: ANN401 - any field
        """Return the checked settings; `values` win over every source.

        Raises SettingsRefusedError with one sentence for each name that is at fault.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsRefusedError(problems(cls, error, picked(cls, values.get("app_env")))) from None
        except SettingsError as error:
            field = re.search(r'field "(\w+)"', str(error))  # a list or mapping
            name = field[1].upper() if field else SECRETS_DIR
            problem = f"{name} holds several values, and is not written as JSON" if field else str(error)
            raise SettingsRefusedError({name: problem}) from None
        except (OSError, UnicodeDecodeError) as error:
            file = getattr(error, "filename", None) or f"the env file or a file in {SECRETS_DIR}"
            problem = f"{file} cannot be read: {getattr(error, 'strerror', 'it is not UTF-8 text')}"
            raise SettingsRefusedError({file: problem}) from None

    @classmethod
    def load(cls) -> Self:
        """Return the checked settings, or end the process: exit code 78 and every fault on stderr."""
        for warning in near_misses(cls, os.environ):
            logger.warning(warning)
        try:
            return cls.read()
        except SettingsRefusedError as refused:
            print(refused, file=sys.stderr)
        raise SystemExit(EX_CONFIG)


def named(path: Sequence[str | int]) -> str:
    """Return the variable's name of a setting: ("server", "port") is SERVER__PORT."""
    return "__".join(map(str, path)).upper()


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> dict[str, Leaf]:
    """Return every setting of a class by its name, those of sections included, in the order of the source."""
    found: dict[str, Leaf] = {}
    for name, field in model.model_fields.items():
        here, kind = (*path, name), field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= leaves(kind, here)
        else:
            found[named(here)] = here, field
    return found


def secrets_of(value: object, name: str) -> Iterator[tuple[str, str]]:
    """Yield each secret of a value or section, after its name."""
    if isinstance(value, SecretStr):
        yield name.upper(), value.get_secret_value()
    elif isinstance(value, BaseModel):
        for key, inner in value:
            yield from secrets_of(inner, f"{name}__{key}")


def near_misses(model: type[BaseModel], environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that looks like a misspelt setting.

    None is refused: the environment is the machine's, and holds much that is not for us.
    """
    names = leaves(model)
    sections = tuple(f"{named(path[:-1])}__" for path, _ in names.values() if path[1:])
    services = tuple(name.removesuffix("_SERVICE_HOST") for name in environ if name.endswith("_SERVICE_HOST"))
    likely: dict[str, list[str]] = {}
    for name in sorted({name.upper() for name in environ} - names.keys()):
        if not (name.startswith(services) and KUBERNETES.search(name)):
            likeness = 0.0 if name.startswith(sections) else 0.85  # APIKEY is like API_KEY, MODEL_PORT is not
            likely[name] = get_close_matches(name, names, 1, likeness)
    return [
        f"{name} in the environment is no setting (did you mean {near[0]}?)" for name, near in likely.items() if near
    ]


def picked(model: type[BaseSettings], given: str | None = None) -> str:
    """Return the name of the environment: the one given, APP_ENV's, or dev."""
    return given or EnvSettingsSource(model).env_vars.get("app_env") or "dev"


def sources(
    model: type[BaseSettings],
    app_env: str,
    file: str | None,
    secrets: Any,  # noqa: ANN401 - as pydantic has it
) -> dict[str, EnvSettingsSource]:
    """Return where values come from, the one that wins first."""
    found: dict[str, EnvSettingsSource] = {
        "the environment": EnvSettingsSource(model),
        SECRETS_DIR: NestedSecretsSettingsSource(secrets),
        str(file): EnvFile(model, app_env, file),
    }
    names = leaves(model)
    for source in found.values():
        # A variable SERVER or SERVER__ADDR is another program's, and an empty one is not set.
        source.env_vars = {key: text for key, text in source.env_vars.items() if text and key.upper() in names}
    return found


def origins(model: type[BaseSettings], app_env: str) -> dict[str, str]:
    """Return where each setting that is set got its value, by its name."""
    found = sources(model, app_env, ENV_FILES.get(app_env), model)
    return {key.upper(): source for source, data in reversed(found.items()) for key in data.env_vars}


def problems(model: type[BaseSettings], error: ValidationError, app_env: str) -> dict[str, str]:
    """Return one sentence for each name that a ValidationError is about."""
    file, origin, settings = ENV_FILES.get(app_env), origins(model, app_env), leaves(model)
    told: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        place, reason = named(fault["loc"]), fault["msg"].removeprefix("Value error, ")
        # A fault of a whole section is told of its settings: those that the reason names, or all required.
        inside = [
            name
            for name, (_, field) in settings.items()
            if name.startswith(f"{place}__")
            and (name in reason or (fault["type"] == "missing" and field.is_required()))
        ]
        for name in inside or [place]:
            guesses = get_close_matches(name, settings, 1)
            told[name] = SENTENCES.get(fault["type"], SENTENCES["invalid"]).format(
                name=name,
                file=file,
                secret=f"{SECRETS_DIR}/{name}",
                about=settings[name][1].description if name in settings else "a section",
                hint=f" (did you mean {guesses[0]}?)" if guesses else "",
                origin=origin.get(name, "its default"),
                reason=reason,
            )
    # Which file is read depends on APP_ENV: while that is wrong, every other fault is a guess.
    return {"APP_ENV": told["APP_ENV"]} if "APP_ENV" in told else told
