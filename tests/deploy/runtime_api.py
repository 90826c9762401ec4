"""Stands in for Lambda: hands events to the real runtime interface client, and collects what it says.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import commands
from loopback import Loopback

RUNTIME = "/2018-06-01/runtime/"
START_SECONDS = 60


class Lambda(Loopback):
    """The Runtime API of one function on loopback: `events` go out, `said` comes in as (path, body)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.said: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.started = threading.Event()  # the client has asked for its first event: the init phase is over

    def wait_until_started(self, is_running: Callable[[], bool]) -> None:
        """Wait until the client asks for an event; fail when the function ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not self.started.wait(0.1):
            assert is_running(), list(self.said.queue)
            assert time.monotonic() < deadline, "the function did not start"

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Send an event; return the answer. Fails where the function failed."""
        self.events.put(event)
        path, body = self.said.get(timeout=START_SECONDS)
        assert path.endswith("/response"), (path, body)
        answer: dict[str, Any] = body
        return answer


class Handler(BaseHTTPRequestHandler):
    """Answers the client as Lambda does."""

    server: Lambda

    def do_GET(self) -> None:
        """Hand out the next event, as soon as there is one."""
        assert self.path == f"{RUNTIME}invocation/next"
        self.server.started.set()
        body = json.dumps(self.server.events.get()).encode()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", str(uuid.uuid4()))
        self.send_header("Lambda-Runtime-Deadline-Ms", "4102444800000")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:f")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Keep what the client says: an answer, or an error of the start or of an event."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.said.put((self.path.removeprefix(RUNTIME), body))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def function(
    folder: Path, command: Sequence[str], **variables: str
) -> Iterator[tuple[Lambda, "subprocess.Popen[bytes]"]]:
    """Start a function's command as Lambda starts it; give the stand-in and the process, and kill it at the end."""
    with Lambda() as api:
        address = f"127.0.0.1:{api.server_port}"
        environment = commands.environment(AWS_LAMBDA_RUNTIME_API=address, APP_ENV="prod", **variables)
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=sys.stderr, stderr=sys.stderr)
        try:
            yield api, process
        finally:
            process.kill()  # Lambda gives no warning either
            process.wait()
