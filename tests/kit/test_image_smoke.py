"""`.tools/image_smoke.py` with a stand-in for docker, which asks a service of the test and none in a container."""

import json
import os
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

import commands
import rendering
from repositories import variables

pytestmark = pytest.mark.static

PROGRAM = rendering.ROOT / "template" / ".tools" / "image_smoke.py"
EXAMPLE = b'{"rows": [{"radius": 1.5}]}'
DOCKER = """\
#!/bin/sh
# A stand-in for docker: it writes down what it is asked for, and lets what is run in the container ask the test.
echo "$@" >>"$LOG"
case $1 in
    run) test -z "$NO_START" || { echo "no such image"; exit 125; }
        printf '%s' "$API_KEY" >"$LOG.key"; echo "a warning of the engine"; echo 0123abcd ;;
    ps) test -n "$ENDED" || echo 0123abcd ;;
    exec) API_KEY=$(cat "$LOG.key") "$PYTHON" -c "$6" "http://127.0.0.1:$PORT/${7#http://127.0.0.1:8000/}" ;;
    logs) echo "the last lines of the service" ;;
esac
"""


class Service(ThreadingHTTPServer):
    """What the container would serve: what it answers, and what it was asked."""

    ready, status, body = 200, 200, b'{"predictions": [0.97]}'
    asked: tuple[str | None, bytes] = (None, b"")


class Handler(BaseHTTPRequestHandler):
    """Answers as the service says."""

    server: Service

    def do_GET(self) -> None:
        self._answer(self.server.ready, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked = (self.headers["X-API-Key"], body)
        self._answer(self.server.status if self.path == "/predict" else 404, self.server.body)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER, encoding="utf-8")
    docker.chmod(0o755)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "example.json").write_bytes(EXAMPLE)
    with Service(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with variables({
            "PATH": f"{docker.parent}:{os.environ['PATH']}",
            "LOG": str(tmp_path / "log"),
            "PORT": str(server.server_port),
            "PYTHON": sys.executable,
            "ENDED": "",
            "NO_START": "",
        }):  # fmt: skip
            yield server
        server.shutdown()


def smoke(folder: Path, *options: str, **more: str) -> commands.Outcome:
    """Run the program as the Makefile does."""
    named = ("--package", "my_model", "--image", "demo", "--seconds", "20")
    outcome = commands.run(folder, sys.executable, PROGRAM, *named, *options, **more)
    assert "Traceback" not in outcome.output
    return outcome


def removed(folder: Path) -> bool:
    """Tell whether the last thing that docker was asked for is to remove the container."""
    return (folder / "log").read_text(encoding="utf-8").splitlines()[-1] == "rm --force --volumes 0123abcd"


def test_an_image_that_answers_is_green(service: Service, tmp_path: Path) -> None:
    assert smoke(tmp_path) == commands.Outcome(0, 'demo answers: {"predictions": [0.97]}\n')
    key, body = service.asked
    assert body == EXAMPLE
    assert key
    assert removed(tmp_path)
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert key not in said, "a list of processes would show the key"
    assert "--network none --read-only --cap-drop ALL" in said


def test_another_path_and_body_may_be_asked(service: Service, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[]", encoding="utf-8")
    service.body = b"[]"
    outcome = smoke(tmp_path, "--path", "/score", "--body", "other.json")
    assert (outcome.status, service.asked[1]) == (1, b"[]")
    assert "/score did not answer as it should: 404" in outcome.output


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (422, {"detail": "no radius"}, '/predict did not answer as it should: 422 {"detail": "no radius"}'),
        (200, None, "/predict answered something that is no JSON: "),
    ],
)
def test_a_wrong_answer_is_red_and_shows_the_log(
    service: Service, tmp_path: Path, status: int, body: object, sentence: str
) -> None:
    service.status, service.body = status, json.dumps(body).encode() if body else b"<html>"
    outcome = smoke(tmp_path)
    assert outcome.status == 1
    assert sentence in outcome.output
    assert "the last lines of the service" in outcome.output
    assert removed(tmp_path)


def test_a_container_that_ends_is_red_at_once(service: Service, tmp_path: Path) -> None:
    service.ready = 503
    outcome = smoke(tmp_path, ENDED="yes")
    assert outcome.status == 1
    assert "ended before its service was ready" in outcome.output
    assert removed(tmp_path)


def test_a_service_that_is_never_ready_is_red_in_time(service: Service, tmp_path: Path) -> None:
    service.ready = 503
    outcome = smoke(tmp_path, "--seconds", "0.1")
    assert outcome.status == 1
    assert "was not ready after 0.1 seconds (503 {})" in outcome.output
    assert removed(tmp_path)


@pytest.mark.usefixtures("service")
def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    outcome = smoke(tmp_path, NO_START="yes")
    assert (outcome.status, outcome.output) == (1, "The container does not start: no such image\n")


@pytest.mark.usefixtures("service")
def test_an_example_that_is_not_there_is_named(tmp_path: Path) -> None:
    outcome = smoke(tmp_path, "--body", "nowhere.json")
    assert outcome.status == 1
    assert "nowhere.json cannot be read (No such file or directory)" in outcome.output


@pytest.mark.usefixtures("service")
def test_without_docker_a_sentence_says_so(tmp_path: Path) -> None:
    outcome = smoke(tmp_path, PATH=str(tmp_path))
    assert (outcome.status, outcome.output) == (1, "docker is not on PATH: install it, then repeat the command.\n")
