"""The service's frame: what it refuses, what turns it unready, what it logs, how it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from standing.parity import environment, lock, provenance, service
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
def kit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """Stand in for the model, the lock and the environment; the attributes are what they answer."""
    answers = SimpleNamespace(loaded=0, refused=None, signature=SIGNATURE, site=tmp_path)
    contract = SimpleNamespace(sha256="1" * 64, overrides=("one",), at=lambda _field: SIGNATURE)

    def load_model(*_: object, **__: object) -> tuple[object, SimpleNamespace]:
        answers.loaded += 1
        if answers.refused:
            raise answers.refused
        return object(), contract

    monkeypatch.setattr(provenance, "load_model", load_model)
    monkeypatch.setattr(environment, "generate_env_signature", lambda: answers.signature)
    monkeypatch.setattr(lock, "load", lambda: SimpleNamespace(source="uv.lock", digest="2" * 64))
    monkeypatch.setattr("standing.parity.service.sysconfig.get_path", lambda _name: str(answers.site))
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
        database.error = service.UnavailableError("The database is away.")
        kit.signature = "sha256:other"
        os.utime(kit.site, ns=(2, 2))
        answer = services.ask(port, "GET", "/readyz")
        assert answer.status == 503
        assert answer.body["reasons"][0].startswith("The environment changed")
        assert answer.body["reasons"][1] == "The database is away."
        assert services.ask(port, "GET", "/healthz").status == 200
        database.error, kit.signature = None, SIGNATURE
        assert services.ask(port, "GET", "/readyz").status == 200


def test_signatures_are_compared_only_after_an_installation(app: FastAPI, kit: SimpleNamespace) -> None:
    with running(app) as port:
        os.utime(kit.site, ns=(1, 1))  # something that does not count: looked at once
        assert services.ask(port, "GET", "/readyz").status == 200
        kit.signature = "sha256:other"
        assert services.ask(port, "GET", "/readyz").status == 200
        os.utime(kit.site, ns=(2, 2))
        assert services.ask(port, "GET", "/readyz").status == 503


def test_what_the_policy_lets_pass_is_told(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    with running(app) as port:
        told = services.ask(port, "GET", "/environment", key=KEY).body
    assert "MODEL_POLICY=strict lets pass: one" in caplog.messages
    assert told["policy"] == {"name": "strict", "overrides": ["one"]}


def test_wrong_input_is_named_and_not_repeated(app: FastAPI) -> None:
    with running(app) as port:
        answer = services.ask(port, "POST", "/sum", {"numbers": [1, "hunter2"]}, key=KEY)
    assert answer.status == 422
    assert [fault["loc"] for fault in answer.body["detail"]] == [["body", "numbers", 1]]
    assert "hunter2" not in json.dumps(answer.body)


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
from standing.parity import service
from standing.settings import Settings

contract = SimpleNamespace(sha256="", overrides=(), at=lambda field: "")
service.provenance.load_model = lambda *_, **__: (None, contract)
service.environment.generate_env_signature = lambda: ""
service.lock.load = lambda: SimpleNamespace(source="", digest="")
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
        client = threading.Thread(
            target=lambda: answers.append(services.ask(port, "GET", "/slow?token=hunter2", key=KEY))
        )
        client.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "working\n":
                process.send_signal(number)
        client.join()
    assert [(answer.status, answer.body) for answer in answers] == [(200, "done")]
    assert process.returncode == 0
    assert any(line.endswith('"GET /slow HTTP/1.1" 200\n') for line in lines)
    assert not [line for line in lines if KEY in line or "hunter2" in line]
