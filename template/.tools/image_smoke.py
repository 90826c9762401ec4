"""Does the image serve? Trains a model in it, starts its service locked down, and asks it. Owned by the template.

    image_smoke.py --package NAME --image IMAGE [--path /predict] [--body tests/example.json] [--seconds 600]

All of it happens in one container, asked by `docker exec`: no port, no network and no file of this machine, so it is
the same where the engine is another machine, as in CI that runs Docker in Docker.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

# As a platform runs it. The model is in memory, in a folder of the image's user, and goes with the container.
LOCKED_DOWN = ("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
WRITABLE = ("--tmpfs", "/tmp", "--tmpfs", "/app/models:uid=10001,gid=10001,mode=0700")  # noqa: S108 - the container's own
SETTINGS = {"DATABASE_URL": "sqlite:////tmp/predictions.db", "PYTHONHASHSEED": "0"}
SERVE = "python -m {package}.training --quiet && exec python -m {package}.api"
PORT = 8000
# Runs in the container: sends what comes on stdin, prints the answer's body, and fails where the answer is no 200.
ASK = """
import os, sys, urllib.error, urllib.request
headers = {"Content-Type": "application/json", "X-API-Key": os.environ["API_KEY"]}
request = urllib.request.Request(sys.argv[1], sys.stdin.buffer.read() or None, headers)
try:
    with urllib.request.urlopen(request, timeout=20) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code} {error.read().decode(errors='replace')}")
except OSError as error:
    sys.exit(str(error))
"""


class SmokeError(RuntimeError):
    """The image does not serve; the message says what happened."""


def docker(*words: str, body: bytes = b"", more: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run docker with variables of its own; return its status and what it said. Raises SmokeError without docker."""
    variables = {**os.environ, **(more or {})}
    try:
        result = subprocess.run(
            ["docker", *words],
            input=body,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except FileNotFoundError:
        raise SmokeError("docker is not on PATH: install it, then repeat the command.") from None
    return result.returncode, result.stdout.decode(errors="replace").strip()


def started(image: str, package: str) -> str:
    """Start the container; return its id. Raises SmokeError."""
    # The key reaches docker as a variable, so that no list of processes shows it.
    settings = {**SETTINGS, "API_KEY": secrets.token_urlsafe()}
    named = [word for name in settings for word in ("--env", name)]
    command = ("sh", "-c", SERVE.format(package=package))
    status, said = docker("run", "--detach", *LOCKED_DOWN, *WRITABLE, *named, image, *command, more=settings)
    if status:
        raise SmokeError(f"The container does not start: {said}")
    return said.splitlines()[-1]


def asked(container: str, path: str, body: bytes = b"") -> tuple[int, str]:
    """Ask the service from within; return the status, 0 where it answered 200, and what was said."""
    return docker("exec", "--interactive", container, "python", "-c", ASK, f"http://127.0.0.1:{PORT}{path}", body=body)


def wait_until_ready(container: str, seconds: float) -> None:
    """Wait until the model is trained and the service ready; raises SmokeError where it ends or takes too long."""
    deadline = time.monotonic() + seconds
    said = ""
    while time.monotonic() < deadline:
        status, said = asked(container, "/readyz")
        if not status:
            return
        if not docker("ps", "--quiet", "--filter", f"id={container}")[1]:
            raise SmokeError("The container ended before its service was ready; its last lines stand above.")
        time.sleep(0.5)
    raise SmokeError(f"The service was not ready after {seconds:g} seconds ({said}); its last lines stand above.")


def predicted(container: str, path: str, body: bytes) -> str:
    """Return what the service answers; raises SmokeError where that is no prediction."""
    status, said = asked(container, path, body)
    if status:
        raise SmokeError(f"{path} did not answer as it should: {said}")
    try:
        json.loads(said)
    except ValueError:
        raise SmokeError(f"{path} answered something that is no JSON: {said}") from None
    return said


def smoke(options: argparse.Namespace) -> None:
    """Start, ask and remove a container; raises SmokeError, OSError where there is no example."""
    body = options.body.read_bytes()
    container = started(options.image, options.package)
    try:
        wait_until_ready(container, options.seconds)
        print(f"{options.image} answers: {predicted(container, options.path, body)}")
    except SmokeError:
        print(docker("logs", "--tail", "30", container)[1], file=sys.stderr)
        raise
    finally:
        docker("rm", "--force", "--volumes", container)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Exit with 0 where the image serves; with 1 and one sentence where it does not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--path", default="/predict", help="what is asked (default: %(default)s)")
    parser.add_argument("--body", type=Path, default=Path("tests", "example.json"), help="what is sent (%(default)s)")
    parser.add_argument("--seconds", type=float, default=600, help="how long training and start may take")
    try:
        smoke(parser.parse_args(arguments))
    except OSError as error:
        sys.exit(f"{error.filename} cannot be read ({error.strerror}): name an example, as in ARGS='--body FILE'.")
    except SmokeError as error:
        sys.exit(str(error))
    sys.exit()


if __name__ == "__main__":
    main()
