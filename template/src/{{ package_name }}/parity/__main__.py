"""`python -m <package>.parity COMMAND`: each command lives in the module that knows its subject."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

PACKAGE = str(__package__).partition(".")[0]
# name -> (module:function, what it does); only the module of the command that was asked for is imported.
COMMANDS = {
    "verify": ("environment_commands:run_verify", "check manifest, lock, environment, image and model"),
    "signature": ("environment_commands:run_signature", "print what this environment is, in one line"),
    "diff": ("environment_commands:run_diff", "compare two saved signatures, or one with what is here"),
    "lock": ("environment_commands:run_lock", "write the lock in the neutral form"),
    "settings": ("settings_commands:run_settings", "print the effective settings, secrets masked"),
    "env-example": ("settings_commands:run_env_example", "write .env.example from the Settings class"),
    "seeds": ("seeding:run_seeds", "print what is seeded and what cannot be"),
}
# Programs that only developers have: they stand in .tools/ and are in no image.
PROGRAMS = {"rebuild": ("reproduce.py", "make the environment of an old model anew and serve it")}


def usage() -> str:
    """Return the list of commands."""
    told = {name: about for name, (_, about) in (COMMANDS | PROGRAMS).items()}
    lines = [f"usage: python -m {__package__} COMMAND [--help]", "", *(f"  {n:12} {a}" for n, a in told.items())]
    return "\n".join(lines)


def run_program(file: str, arguments: Sequence[str]) -> int:
    """Run a program of .tools/ with this interpreter and return its exit status."""
    import subprocess  # noqa: PLC0415

    from .lock import find_root  # noqa: PLC0415

    program = (find_root() or Path()) / ".tools" / file
    if not program.is_file():
        print(f"{file} is for developers: run it in the repository, there is no .tools/{file} here.", file=sys.stderr)
        return 2
    return subprocess.run([sys.executable, str(program), *arguments], check=False).returncode  # noqa: S603


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status: 0 holds, 1 does not, 2 was asked wrongly."""
    name, rest = (arguments[0], list(arguments[1:])) if arguments else ("--help", [])
    if name in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    if name in PROGRAMS:
        return run_program(PROGRAMS[name][0], ["--package", PACKAGE, name, *rest])
    if name not in COMMANDS:
        print(f"{name} is no command: choose from {', '.join(COMMANDS | PROGRAMS)}.", file=sys.stderr)
        return 2
    module, function = COMMANDS[name][0].split(":")
    return int(getattr(import_module(f".{module}", __package__), function)(rest))


def main() -> int:
    """Run the command of this process; what ends it is one sentence, not a traceback."""
    try:
        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", PACKAGE):
            raise
        print(f"{missing} is not installed here: run `make sync`, or rebuild the image.", file=sys.stderr)
    except BrokenPipeError:
        # Who read the output has seen enough (`| head`); what is still buffered has nowhere to go.
        sys.stderr.close()
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as shells have it
    return 1


if __name__ == "__main__":
    sys.exit(main())
