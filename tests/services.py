"""Asks a running service over loopback, as a client does."""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

START_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """A response: its status and its JSON body."""

    status: int
    body: Any


def free_port() -> int:
    """Return a port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def ask(port: int, method: str, path: str, body: object = None, *, key: str | None = None) -> Answer:
    """Send one request, with `key` as the API key; return the answer."""
    headers = {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})}
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return Answer(response.status, json.loads(response.read() or b"null"))
    finally:
        connection.close()


def wait_until_ready(port: int, is_running: Callable[[], bool]) -> None:
    """Wait until /readyz answers 200; fail when the service ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert is_running(), "the service ended"
        try:
            if ask(port, "GET", "/readyz").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("the service did not become ready")
