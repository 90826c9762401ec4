"""Level real: the prediction log in a PostgreSQL of Debian's, on loopback: written, read back, away, back again."""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import commands
import rendering
import repositories
import services
from real import serving

pytestmark = pytest.mark.real

# conda's stand-in channel has no driver: it is made of wheels, and conda-forge's psycopg uses a libpq of its own.
WITH_DRIVER = [
    pytest.param(name, marks=[] if name == repositories.DEFAULT else pytest.mark.thorough)
    for name in repositories.NAMES
    if name != "conda"
]
USER = "postgres"  # of Debian's package; PostgreSQL refuses to run as root
AWAY = "The prediction log cannot be used now, so no prediction is made."


def programs() -> Path:
    """Return the folder of PostgreSQL's programs, after installing them where they are missing; else skip or fail."""
    if not found() and os.geteuid() == 0 and shutil.which("apt-get"):
        apt = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300")
        commands.run(rendering.ROOT, *apt, "update")
        install = ("install", "-y", "--no-install-recommends", "postgresql")
        commands.run(rendering.ROOT, *apt, *install, DEBIAN_FRONTEND="noninteractive")
    lacking = "PostgreSQL is not here, and apt-get cannot install it"
    if not found() and os.environ.get("PARITY_REQUIRE_IMAGE") != "1":
        pytest.skip(lacking)
    folder = found()
    assert folder, lacking
    return folder


def found() -> Path | None:
    """Return where Debian puts the programs of the newest version, None where there is none."""
    return next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)


class Server:
    """A PostgreSQL in a folder of its own, on a free port of loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.programs, self.port = folder, programs(), services.free_port()
        self.password = secrets.token_hex(16)
        self.url = f"postgresql://predictions:{self.password}@127.0.0.1:{self.port}/postgres"
        self.user = USER if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(folder, self.user)
        (folder / "password").write_text(self.password, encoding="utf-8")
        self.run("initdb", "--username=predictions", f"--pwfile={folder}/password", "--auth=scram-sha-256")

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs as a user who is not root; return what it prints."""
        command = [str(self.programs / program), *arguments]
        env = commands.environment(PGDATA=f"{self.folder}/data")
        done = subprocess.run(
            command, cwd=self.folder, env=env, user=self.user, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder}"
        # A log of its own: the server would keep the pipe of our own output open.
        self.run("pg_ctl", "--wait", f"--log={self.folder}/log", f"--options={options}", "start")

    def stop(self) -> None:
        if (self.folder / "data/postmaster.pid").exists():
            self.run("pg_ctl", "--wait", "--mode=fast", "stop")

    def ask(self, query: str) -> list[list[str]]:
        """Return the rows that psql prints for a query."""
        return [line.split("|") for line in self.run("psql", self.url, "-Atc", query).splitlines()]


@pytest.fixture
def postgres() -> Iterator[Server]:
    """An empty PostgreSQL that does not run yet."""
    folder = Path(tempfile.mkdtemp(prefix="parity-postgres-"))  # not pytest's, which only its owner may enter
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def use(repository: Path, url: str) -> None:
    """Write the settings that have the prediction log there."""
    (repository / ".env").write_text(f"API_KEY={serving.KEY}\nDATABASE_URL={url}\n", encoding="utf-8")


@pytest.fixture
def repository_with_driver(repository: Path, postgres: Server) -> Path:
    """A repository that is to record in this PostgreSQL."""
    commands.succeed(repository, "make", "add", "PKG=psycopg[binary]")
    commands.succeed(repository, "make", "train")  # in the environment that is to serve
    use(repository, postgres.url)
    return repository


def predict(repository: Path, port: int) -> services.Answer:
    return serving.ask(port, "POST", "/predict", serving.example(repository), key=serving.KEY)


@pytest.mark.parametrize("tool", WITH_DRIVER, indirect=True)
def test_a_missing_driver_is_one_sentence_and_its_command_brings_it(repository: Path) -> None:
    use(repository, f"postgresql://predictions:hidden@127.0.0.1:{services.free_port()}/postgres")
    outcome = commands.run(repository, *serving.COMMAND)
    command = "make add PKG='psycopg[binary]'"
    sentence = f"Not started: DATABASE_URL needs psycopg: run `{command}`, with conda `make add PKG=psycopg`.\n"
    assert (outcome.status, outcome.output.count("\n")) == (78, 1), outcome.output
    assert outcome.output.endswith(sentence)
    commands.succeed(repository, "sh", "-c", command)
    commands.succeed(repository, "make", "check-lock")
    # Now it asks the database, which is away.
    printed = commands.refuse(repository, serving.PYTHON, "-m", "my_model.records", str(uuid.uuid4()))
    assert AWAY in printed
    assert "hidden" not in printed


def wait_until_alive(port: int, is_running: Callable[[], bool]) -> None:
    """Wait until the service answers at all: without its database it is not ready."""
    for _ in range(services.START_SECONDS * 10):
        assert is_running(), "the service ended"
        try:
            serving.ask(port, "GET", "/healthz")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the service did not answer")


@pytest.mark.parametrize("tool", [repositories.DEFAULT], indirect=True)
def test_predictions_are_read_back_and_the_database_may_come_late_and_go_and_come(
    repository_with_driver: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = repository_with_driver
    monkeypatch.setattr(services, "wait_until_ready", wait_until_alive)
    with serving.served(repository) as (port, process):
        assert predict(repository, port) == services.Answer(503, {"detail": AWAY})
        postgres.start()
        answer = predict(repository, port)  # before anyone asks /readyz, which makes the table too
        assert answer.status == 200, answer
        expected = [*answer.body["ids"], answer.body["model"], str(answer.body["predictions"][0])]
        assert postgres.ask("SELECT id, model, prediction FROM predictions") == [expected]
        asked = serving.example(repository)["rows"][0]
        (told,) = postgres.ask("SELECT inputs, at > now() - interval '1 minute' FROM predictions")
        assert (json.loads(told[0]), told[1]) == (asked, "t")
        postgres.stop()
        assert predict(repository, port) == services.Answer(503, {"detail": AWAY})
        assert serving.ask(port, "GET", "/readyz").body == {"ready": False, "reasons": [AWAY]}
        assert serving.ask(port, "GET", "/healthz").status == 200
        postgres.start()
        assert predict(repository, port).status == 200
        assert serving.ask(port, "GET", "/readyz").status == 200
    assert (process.returncode, postgres.ask("SELECT count(*) FROM predictions")) == (0, [["2"]])
    logged = capsys.readouterr().out
    assert f"Not ready yet: {AWAY}" in logged
    assert postgres.password not in logged
    assert "Traceback" not in logged
