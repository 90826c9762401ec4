"""Parses a rendered file by its name, as the program that reads it would."""

import ast
import io
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import PurePath

import dotenv
import yaml

# https://docs.docker.com/reference/dockerfile/#overview
INSTRUCTIONS = re.compile(
    r"ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR"
)


def dockerfile(text: str) -> list[str]:
    """Return the instructions of a Dockerfile; ValueError names a line that is none.

    https://docs.docker.com/reference/dockerfile/#format
    """
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    logical = re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()
    words = [line.split()[0] for line in logical if line.strip()]
    if strange := [word for word in words if not INSTRUCTIONS.fullmatch(word)]:
        raise ValueError(f"no instruction of a Dockerfile: {strange}")
    return words


def makefile(text: str) -> list[str]:
    """Return what the lines outside recipes start with; ValueError names a line that Make would not take.

    A rough stand-in for `make -n`, which a whole render gets.
    """
    lines = re.sub(r"\\\n", " ", text).splitlines()
    outside = [line for line in lines if line.strip() and not line.startswith(("\t", "#"))]
    if strange := [
        line
        for line in outside
        if not re.match(r"-?include |(un)?export |ifn?eq |endif|[\w./% -]+\s*(:|\?=|=|:=)", line)
    ]:
        raise ValueError(f"no line of a Makefile: {strange}")
    return outside


def env(text: str) -> dict[str, str | None]:
    """Return the variables of a .env file; ValueError where a line is none."""
    variables = dotenv.dotenv_values(stream=io.StringIO(text), interpolate=False)
    if any(value is None for value in variables.values()):
        raise ValueError(f"a line without `=`: {variables}")
    return variables


PARSERS: dict[str, Callable[[str], object]] = {
    ".json": json.loads,
    ".py": ast.parse,
    ".toml": tomllib.loads,
    ".yaml": yaml.safe_load,
    ".yml": yaml.safe_load,
    "Dockerfile": dockerfile,
    "Makefile": makefile,
    "Pipfile": tomllib.loads,
    ".env": env,
}


def parse(name: str, text: str) -> object:
    """Return what the file `name` with this text says, or None where no program reads it.

    Whatever its parser raises where the text is none of its language.
    """
    path = PurePath(name)
    kind = ".env" if path.name.startswith(".env") else path.suffix or path.name
    return PARSERS[kind](text) if kind in PARSERS else None
