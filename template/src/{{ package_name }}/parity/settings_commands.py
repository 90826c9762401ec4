"""What `parity settings` and `parity env-example` print: the settings that hold, and .env.example."""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from .settings import ENV_FILES, EX_CONFIG, SettingsRefusedError, leaves, near_misses, origins, picked

HEADER = """\
# One line for each setting; a line that is commented out shows the default.
# `make setup` copies this file to .env, which stays out of git. A variable of the real environment wins.
# Written by `make env-example` from the Settings class: change a description there, not here.
"""


def plain(value: object) -> str:
    """Return a value as an env file writes it: secrets as stars, also the password within a URL."""
    bare = TypeAdapter(Any).dump_python(value, mode="json", fallback=str)
    text = bare if isinstance(bare, str) else json.dumps(bare)
    return "" if value is None else re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:**********@", text)


def about(field: FieldInfo) -> str:
    """Return a setting's description in one line, with the values it may have where they are few."""
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return " ".join((field.description or "").split()) + (f" ({', '.join(map(str, choices))})" if choices else "")


def env_example(model: type[BaseModel]) -> str:
    """Return the text of .env.example: examples of what is required, the other defaults commented out."""
    blocks = [HEADER]
    for name, (_, field) in leaves(model).items():
        example = (field.examples or ["changethis"])[0]
        default = field.get_default(call_default_factory=True)
        line = f"{name}={plain(example)}" if field.is_required() else f"# {name}={plain(default)}"
        blocks.append(f"# {about(field)}\n{line}\n")
    return "\n".join(blocks)


def describe(settings: BaseSettings, app_env: str | None = None) -> list[dict[str, str]]:
    """Return name, effective value (secrets as stars) and source of every setting.

    `app_env` is the environment that was asked for on the command line, if any.
    """
    model = type(settings)
    source = origins(model, picked(model, app_env)) | ({"APP_ENV": "--env"} if app_env else {})
    return [
        {"name": name, "value": plain(reduce(getattr, path, settings)), "source": source.get(name, "default")}
        for name, (path, _) in leaves(model).items()
    ]


def table(rows: Sequence[dict[str, str]]) -> str:
    """Return rows as aligned columns."""
    lines = [("SETTING", "VALUE", "FROM"), *(tuple(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def asked(app_env: str | None) -> dict[str, str]:
    """Return what `--env` sets. Raises SettingsRefusedError without its file: nothing would be checked."""
    if app_env is None:
        return {}
    file = ENV_FILES[app_env]
    if not Path(file).exists():
        raise SettingsRefusedError({file: f"There is no {file} in {Path.cwd()}"})
    return {"app_env": app_env}


def run_settings(argv: Sequence[str]) -> int:
    """Print the settings that hold and where each came from, and start nothing.

    Returns 0, or 78 and all faults when a start would be refused.
    """
    from ..settings import Settings  # noqa: PLC0415, TID252 - only a command looks at the project's class

    parser = argparse.ArgumentParser(
        f"python -m {__package__} settings", description="Show each setting and where it came from."
    )
    parser.add_argument("--check", action="store_true", help="only say whether the settings hold")
    parser.add_argument("--env", choices=ENV_FILES, help="read as if APP_ENV were this; its file must exist")
    parser.add_argument("--json", action="store_true", help="for machines")
    args = parser.parse_args(argv)
    answer: dict[str, Any] = {"ok": True, "warnings": near_misses(Settings, os.environ)}
    try:
        answer["settings"] = describe(Settings.read(**asked(args.env)), args.env)
        text = f"The settings of {picked(Settings, args.env)} hold." if args.check else table(answer["settings"])
    except SettingsRefusedError as refused:
        answer |= {"ok": False, "problems": refused.problems}
        text = str(refused)
    if args.json:
        print(json.dumps(answer, indent=2))
    else:
        sys.stderr.writelines(f"{warning}\n" for warning in answer["warnings"])
        print(text, file=sys.stdout if answer["ok"] else sys.stderr)
    return 0 if answer["ok"] else EX_CONFIG


def run_env_example(argv: Sequence[str]) -> int:
    """Print .env.example as the Settings class gives it; 1 when the file to check differs from it."""
    from ..settings import Settings  # noqa: PLC0415, TID252 - only a command looks at the project's class

    parser = argparse.ArgumentParser(
        f"python -m {__package__} env-example", description="Write .env.example from the Settings class."
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--check", metavar="FILE", type=Path, help="exit with 1 when FILE differs")
    target.add_argument("--output", metavar="FILE", type=Path, help="write FILE instead of printing")
    args = parser.parse_args(argv)
    text = env_example(Settings)
    if args.check:
        same = args.check.is_file() and args.check.read_text(encoding="utf-8") == text
        if not same:
            print(f"{args.check} is not what the Settings class gives: run `make env-example`.", file=sys.stderr)
        return 0 if same else 1
    if args.output:
        half = args.output.with_name(f"{args.output.name}.new")  # replaced in one step: never a half file
        try:
            half.write_text(text, encoding="utf-8", newline="\n")
            half.replace(args.output)
        except OSError as error:
            print(
                f"{args.output} cannot be written ({error.strerror}): name a file in a folder of yours.",
                file=sys.stderr,
            )
            return 1
    else:
        print(text, end="")
    return 0
