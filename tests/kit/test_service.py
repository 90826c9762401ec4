"""The service's frame: what it refuses, what turns it unready, what it logs, how it ends."""

import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from standing.parity import environment, lock, provenance, readiness, server_log, service
from standing.settings import Settings

import services

pytestmark = pytest.mark.static

KEY = "a key for this test"
SIGNATURE = "sha256:" + "0" * 64


class Database:
    """A backing service that fails as it is told."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.closed = False

    def check(self) -> None:
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed = True


class Numbers(BaseModel):
    """Any body."""

    numbers: list[float]


router = APIRouter()


@router.post("/sum")
def add(body: Numbers) -> float:
    return sum(body.numbers)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this process's own logging and signals as they are."""
    monkeypatch.setattr(service, "configure_logging", lambda _level: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand in for the model, the lock and the environment; the attributes are what they answer."""
    answers = SimpleNamespace(loaded=0, refused=None, signature=SIGNATURE, installed_at=1)
    contract = SimpleNamespace(sha256="1" * 64, overrides=("one",), at=lambda _field: SIGNATURE)

    def load_model(*_: object, **__: object) -> tuple[object, SimpleNamespace]:
        answers.loaded += 1
        if answers.refused:
            raise answers.refused
        return object(), contract

    monkeypatch.setattr(provenance, "load_model", load_model)
    monkeypatch.setattr(environment, "generate_env_signature", lambda: answers.signature)
    monkeypatch.setattr(lock, "load", lambda: SimpleNamespace(source="uv.lock", digest="2" * 64))
    monkeypatch.setattr(readiness, "installed_at", lambda: answers.installed_at)
    return answers


@pytest.fixture
def app(kit: SimpleNamespace, database: Database) -> FastAPI:
    assert kit.loaded == 0
    return service.create_app(
        settings=Settings.read(app_env="test", database_url="sqlite:///x", api_key=KEY, determinism="off"),
        title="test",
        version="1",
        load=lambda _path: object(),
        predict=lambda _model, _rows: [],
        routers=[router],
        services=[database],
    )


@contextmanager
def running(app: FastAPI) -> Iterator[int]:
    """Serve `app` in a thread; give its port."""
    port = services.free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.01)
        yield port
    finally:
        server.should_exit = True
        thread.join()


def test_the_model_is_loaded_once_and_services_are_closed(
    app: FastAPI, kit: SimpleNamespace, database: Database
) -> None:
    app.state.frame.start()  # as `run` does, before uvicorn starts the app
    with running(app) as port:
        assert services.ask(port, "GET", "/readyz").body == {"ready": True, "reasons": []}
        assert services.ask(port, "POST", "/sum", {"numbers": [1, 2]}, key=KEY).body == 3
        assert (kit.loaded, database.closed) == (1, False)
    assert (kit.loaded, database.closed) == (1, True)


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("wrong", 401), ("é", 401), (KEY, 200)])
def test_every_router_asks_for_the_key(app: FastAPI, key: str | None, status: int) -> None:
    with running(app) as port:
        assert services.ask(port, "POST", "/sum", {"numbers": []}, key=key).status == status
        assert services.ask(port, "GET", "/environment", key=key).status == status


def test_readiness_tells_every_reason_and_comes_back(app: FastAPI, kit: SimpleNamespace, database: Database) -> None:
    with running(app) as port:
        database.error = readiness.UnavailableError("The database is away.")
        kit.signature, kit.installed_at = "sha256:other", 2
        answer = services.ask(port, "GET", "/readyz")
        assert answer.status == 503
        assert answer.body["reasons"][0].startswith("The environment changed")
        assert answer.body["reasons"][1] == "The database is away."
        assert services.ask(port, "GET", "/healthz").status == 200
        database.error, kit.signature = None, SIGNATURE
        assert services.ask(port, "GET", "/readyz").status == 200


def test_signatures_are_compared_only_after_an_installation(app: FastAPI, kit: SimpleNamespace) -> None:
    with running(app) as port:
        kit.installed_at = 1.5  # something that does not count: looked at once
        assert services.ask(port, "GET", "/readyz").status == 200
        kit.signature = "sha256:other"
        assert services.ask(port, "GET", "/readyz").status == 200
        kit.installed_at = 2
        assert services.ask(port, "GET", "/readyz").status == 503


def test_an_unforeseen_error_is_logged_and_not_told(
    app: FastAPI, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with running(app) as port:
        database.error = RuntimeError("password hunter2")
        answer = services.ask(port, "GET", "/readyz")
    assert answer.status == 503
    assert "hunter2" not in json.dumps(answer.body)
    assert "hunter2" in caplog.text


def test_wrong_input_is_named_in_few_words_and_not_repeated(app: FastAPI) -> None:
    with running(app) as port:
        answer = services.ask(port, "POST", "/sum", {"numbers": ["hunter2"] * 100}, key=KEY)
    assert answer.status == 422
    assert answer.body["faults"] == 100
    assert len(answer.body["detail"]) == service.MAX_FAULTS
    assert answer.body["detail"][0]["loc"] == ["body", "numbers", 0]
    assert "hunter2" not in json.dumps(answer.body)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_too_large_is_refused(app: FastAPI, monkeypatch: pytest.MonkeyPatch, *, chunked: bool) -> None:
    monkeypatch.setattr(service, "MAX_BODY", 1000)
    body = b" " * 1001
    with running(app) as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"Content-Type": "application/json", "X-API-Key": KEY}
        connection.request("POST", "/sum", iter([body]) if chunked else body, headers, encode_chunked=chunked)
        assert connection.getresponse().status == 413
        connection.close()


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            provenance.ModelRefused(Path("model"), ["First reason.", "Second reason."]),
            ["First reason.", "Second reason."],
        ),
        (lock.LockError("No lock."), ["No lock."]),
    ],
)
def test_a_refusal_at_the_start_ends_the_process_with_all_reasons(
    app: FastAPI, kit: SimpleNamespace, caplog: pytest.LogCaptureFixture, error: Exception, told: list[str]
) -> None:
    kit.refused = error
    assert service.run(lambda: app) == 78
    assert caplog.messages == [f"Not started: {reason}" for reason in told]


SERVE = """
import sys, time
from types import SimpleNamespace
sys.path.insert(0, sys.argv[1])
from fastapi import APIRouter
from standing.parity import readiness, service
from standing.settings import Settings

contract = SimpleNamespace(sha256="", overrides=(), at=lambda field: "")
readiness.provenance.load_model = lambda *_, **__: (None, contract)
readiness.environment.generate_env_signature = lambda: ""
readiness.lock.load = lambda: SimpleNamespace(source="", digest="")
router = APIRouter()

@router.get("/slow")
def slow() -> str:
    print("working", flush=True)
    time.sleep(1)
    return "done"

settings = Settings.read(app_env="test", database_url="sqlite:///x", api_key=sys.argv[3], determinism="off",
                         server={"port": int(sys.argv[2])})
sys.exit(service.run(lambda: service.create_app(
    settings=settings, title="t", version="1", load=max, predict=max, routers=[router])))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_in_flight_finish_and_ends_with_0(number: signal.Signals) -> None:
    folder = str(Path(service.__file__).parent.parent.parent)
    port = services.free_port()
    command = [sys.executable, "-c", SERVE, folder, str(port), KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        services.wait_until_ready(port, lambda: process.poll() is None)
        answers: list[services.Answer] = []
        client = threading.Thread(target=lambda: answers.append(services.ask(port, "GET", "/slow", key=KEY)))
        client.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "working\n":
                process.send_signal(number)
        client.join()
    assert [(answer.status, answer.body) for answer in answers] == [(200, "done")]
    assert process.returncode == 0
    requests = [json.loads(line) for line in lines if '"path"' in line]
    assert [(line["path"], line["status"]) for line in requests if line["status"] == 200] == [("/slow", 200)]
    assert KEY not in "".join(lines)


def access(path: str, status: int) -> logging.LogRecord:
    """Return the record that uvicorn makes of a request."""
    arguments = ("127.0.0.1:5", "GET", path, "1.1", status)
    return logging.LogRecord("uvicorn.access", logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', arguments, None)


def test_a_request_is_one_line_without_its_query() -> None:
    line = server_log.JsonLines().format(access("/predict?key=hunter2", 200))
    told: dict[str, Any] = json.loads(line)
    assert (told["method"], told["path"], told["status"]) == ("GET", "/predict", 200)
    assert "hunter2" not in line


def test_an_error_is_one_line_with_its_traceback() -> None:
    error = RuntimeError("first\nsecond")
    record = logging.LogRecord("x", logging.ERROR, "", 0, "a\nb", (), (RuntimeError, error, None))
    line = server_log.JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["traceback"].endswith("RuntimeError: first\nsecond")


@pytest.mark.parametrize(
    ("path", "status", "written"), [("/readyz", 200, False), ("/readyz", 503, True), ("/predict", 200, True)]
)
def test_a_probe_is_written_only_when_it_fails(path: str, status: int, *, written: bool) -> None:
    assert server_log.worth_a_line(access(path, status)) is written
