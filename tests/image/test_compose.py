"""Level image: what the rendered compose.yaml starts, refuses and keeps, with SQLite and with PostgreSQL.

compose.yaml is as a user gets it; compose.override.yaml names the stand-in for PostgreSQL (postgres.Dockerfile), as the
engine asks a registry for an image by digest.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import commands
import rendering
import services
from image.built import stand_in_patch

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif("STAND_IN_PYTHONS" not in os.environ, reason="runs under tests/engine/with-engine"),
]

KEY, PASSWORD = "key-of-the-test", "password-of-the-test"
COMPOSE = ("docker", "compose", "--profile", "postgres")
SQLITE = "sqlite:////data/predictions.db"
POSTGRES = f"postgresql://predictions:{PASSWORD}@postgres/predictions?connect_timeout=5"
PORT = 8000  # as compose.yaml publishes it; here it is the engine's own loopback


@pytest.fixture(scope="module")
def built(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the driver, a model and its image, and a stand-in for PostgreSQL's."""
    folder = rendering.render(template, tmp_path_factory.mktemp("compose") / "demo", python_patch=stand_in_patch())
    rendering.commit(folder, "Start")
    commands.succeed(folder, "make", "setup")
    commands.succeed(folder, "make", "add", "PKG=psycopg[binary]")
    commands.succeed(folder, "make", "train")
    (folder / "compose.override.yaml").write_text("services: {postgres: {image: postgres-stand-in}}\n")
    standing_in = Path(__file__).with_name("postgres.Dockerfile")
    python = f"PYTHON_IMAGE=python:{stand_in_patch()}-slim-trixie"
    build = ("build", "--quiet", "--build-arg", python, "--tag", "postgres-stand-in")
    commands.succeed(folder, "docker", *build, "--file", standing_in, standing_in.parent)
    (folder / ".env.prod").touch()
    commands.succeed(folder, "docker", "compose", "build", "--quiet")
    return folder


@pytest.fixture
def repository(built: Path) -> Iterator[Path]:
    """The repository, without settings and with nothing running."""
    for name in (".env.prod", ".env.postgres"):
        (built / name).unlink(missing_ok=True)
    yield built
    (built / ".env.prod").touch()
    (built / ".env.postgres").touch()
    sys.stdout.write(commands.run(built, *COMPOSE, "logs").output)  # shown where the test fails
    commands.succeed(built, *COMPOSE, "down", "--volumes")


def settle(repository: Path, url: str) -> None:
    """Write the settings that a user would."""
    (repository / ".env.prod").write_text(f"API_KEY={KEY}\nDATABASE_URL={url}\n", encoding="utf-8")
    (repository / ".env.postgres").write_text(f"POSTGRES_PASSWORD={PASSWORD}\n", encoding="utf-8")


@contextmanager
def up(repository: Path, *profile: str) -> Iterator[None]:
    """Start what compose.yaml has, until it is ready; take it down again, without its volumes."""
    compose = ("docker", "compose", *profile)
    commands.succeed(repository, *compose, "up", "--detach")
    services.wait_until_ready(PORT, lambda: "api" in commands.succeed(repository, *compose, "ps", "--services"))
    yield
    commands.succeed(repository, *compose, "down")


def predict(repository: Path) -> services.Answer:
    example = (repository / "tests/example.json").read_text(encoding="utf-8")
    return services.ask(PORT, "POST", "/predict", json.loads(example), key=KEY)


def query(repository: Path, text: str) -> list[str]:
    """Return the lines that psql prints, in the database's container."""
    psql = ("exec", "-T", "postgres", "psql", "--username", "predictions", "-Atc", text)
    return commands.succeed(repository, "docker", "compose", *psql).splitlines()


def test_a_file_that_is_missing_is_named_before_anything_runs(repository: Path) -> None:
    for file, compose in ((".env.prod", COMPOSE[:2]), (".env.postgres", COMPOSE)):
        printed = commands.refuse(repository, *compose, "config")
        assert len(printed.splitlines()) == 1
        assert f"{file} not found" in printed
        (repository / file).write_text("API_KEY=of-production\n", encoding="utf-8")
    assert {*commands.succeed(repository, *COMPOSE[:2], "config", "--services").split()} == {"settings", "api"}
    whole = commands.succeed(repository, *COMPOSE, "config")
    assert "API_KEY: of-production" in whole
    assert "changethis" not in whole, "Compose took a value from .env, where developers have theirs"


def test_up_ends_with_a_sentence_for_each_setting_at_fault(repository: Path) -> None:
    settle(repository, "")
    (repository / ".env.prod").write_text("API_KEY=changethis\n", encoding="utf-8")
    printed = commands.refuse(repository, "docker", "compose", "up")
    assert "DATABASE_URL is missing: set it in the environment, in .env.prod" in printed
    assert "API_KEY holds a placeholder" in printed
    assert "changethis" not in printed


def test_it_serves_with_sqlite_and_keeps_its_records(repository: Path) -> None:
    settle(repository, SQLITE)
    with up(repository):
        answer = predict(repository)
        assert answer.status == 200, answer
    with up(repository):
        find = ("exec", "-T", "api", "python", "-m", "my_model.records", *answer.body["ids"])
        assert answer.body["model"] in commands.succeed(repository, *COMPOSE[:2], *find)


def test_it_serves_with_postgresql_and_keeps_its_records(repository: Path) -> None:
    settle(repository, POSTGRES)
    with up(repository, *COMPOSE[2:]):
        answer = predict(repository)
        assert answer.status == 200, answer
        expected = ["|".join((*answer.body["ids"], answer.body["model"], str(answer.body["predictions"][0])))]
        assert query(repository, "SELECT id, model, prediction FROM predictions") == expected
    with up(repository, *COMPOSE[2:]):
        assert query(repository, "SELECT count(*) FROM predictions") == ["1"]
        commands.succeed(repository, *COMPOSE, "stop", "postgres")
        assert predict(repository).status == 503
        assert services.ask(PORT, "GET", "/healthz").status == 200
        commands.succeed(repository, *COMPOSE, "start", "postgres")
        services.wait_until_ready(PORT, lambda: True)
        assert predict(repository).status == 200


def test_the_database_runs_locked_down(repository: Path) -> None:
    settle(repository, POSTGRES)
    commands.succeed(repository, *COMPOSE, "up", "--detach", "--wait", "postgres")
    inside = (*COMPOSE, "exec", "-T", "postgres", "sh", "-c")
    assert commands.succeed(repository, *inside, "id -u").strip() == "999"
    assert "CapEff:\t0000000000000000" in commands.succeed(repository, *inside, "cat /proc/1/status")
    assert "Read-only file system" in commands.refuse(repository, *inside, "touch /var/tmp/file")
    model = json.loads(commands.succeed(repository, *COMPOSE, "config", "--format", "json"))
    assert "ports" not in model["services"]["postgres"]
