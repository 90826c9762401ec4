"""Level image: the rendered Dockerfile is really built, run and asked, on stand-in base images.

The stand-ins (tests/engine/README.md) are Debian's packages and this machine's CPython; every digest pin resolves
to the stand-in of the same name and tag, so the rendered files stay as a user gets them.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import commands
import rendering
import services

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif("STAND_IN_PYTHONS" not in os.environ, reason="runs under tests/engine/with-engine"),
]

TAG = "my-model"
SECRET = "s3cret-that-was-planted"  # noqa: S105
LOCKED_DOWN = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")  # noqa: S108


def stand_in_patch() -> str:
    """Return the patch version of the stand-in for Python 3.13."""
    pythons = os.environ["STAND_IN_PYTHONS"].split()
    return next(python.partition(":")[0] for python in pythons if python.startswith("3.13."))


@pytest.fixture(scope="module")
def repository(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a lock, an environment, a trained model, and secrets where users leave them."""
    folder = rendering.render(template, tmp_path_factory.mktemp("image") / "demo", python_patch=stand_in_patch())
    rendering.commit(folder, "Start")
    commands.succeed(folder, "make", "setup")
    rendering.commit(folder, "Lock")
    commands.succeed(folder, "make", "train")
    for name in (".env", ".env.prod", "src/.env", "secret.pem", "data/table.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(f"\n# {SECRET}\n")
    return folder


@pytest.fixture(scope="module")
def image(repository: Path) -> str:
    commands.succeed(repository, "make", "image")
    return TAG


@pytest.fixture
def service(repository: Path, image: str) -> Iterator[tuple[str, int]]:
    """A container as a platform runs it, and its port."""
    port = services.free_port()
    name = commands.succeed(
        repository, "docker", "run", "--detach", *LOCKED_DOWN, "--publish", f"127.0.0.1:{port}:8000",
        "--volume", f"{repository}/models:/app/models:ro",
        "--env", "API_KEY=key-of-the-test", "--env", "DATABASE_URL=sqlite:////tmp/predictions.db", image,
    ).strip()  # fmt: skip
    try:
        yield name, port
    finally:
        sys.stdout.write(commands.run(repository, "docker", "logs", name).output)  # shown where the test fails
        commands.run(repository, "docker", "rm", "--force", name)


def inspect(repository: Path, name: str, template: str) -> str:
    return commands.succeed(repository, "docker", "inspect", "--format", template, name).strip()


def test_the_image_is_the_production_part_of_the_lock(repository: Path, image: str) -> None:
    printed = commands.succeed(repository, "make", "image-verify")
    assert "uv.lock" in printed
    inside = commands.succeed(
        repository, "docker", "run", "--rm", "--network", "none", image,
        "python", "-m", "my_model.parity", "verify", "--json",
    )  # fmt: skip
    outside = commands.succeed(repository, ".venv/bin/python", "-m", "my_model.parity", "signature")
    assert json.loads(inside)["signature"] == outside.strip()


def test_it_serves_a_prediction_locked_down(repository: Path, service: tuple[str, int]) -> None:
    name, port = service
    services.wait_until_ready(port, lambda: inspect(repository, name, "{{.State.Running}}") == "true")
    example = json.loads((repository / "tests/example.json").read_text(encoding="utf-8"))
    answer = services.ask(port, "POST", "/predict", example, key="key-of-the-test")
    assert answer.status == 200, answer
    assert answer.body["predictions"][0] > 0.9
    commands.succeed(repository, "docker", "stop", "--time", "20", name)
    assert inspect(repository, name, "{{.State.ExitCode}}") == "0"


def test_it_refuses_to_start_without_its_settings(repository: Path, image: str) -> None:
    outcome = commands.run(repository, "docker", "run", "--rm", image)
    assert outcome.status == 78, outcome.output
    assert "API_KEY" in outcome.output
    assert "DATABASE_URL" in outcome.output


def test_no_tool_no_developer_package_no_secret(repository: Path, image: str) -> None:
    def inside(script: str) -> str:
        return commands.succeed(repository, "docker", "run", "--rm", "--user", "0", image, "sh", "-c", script)

    assert inside("command -v uv pip gcc git ruff pytest || true").strip() == ""
    assert inside("python -c 'import pytest' 2>&1 || true").strip().endswith("No module named 'pytest'")
    assert inside(f"grep -rl {SECRET} / --exclude-dir=proc --exclude-dir=sys 2>/dev/null || true").strip() == ""
    assert inside("find /app /opt -user 10001 -o -perm -o+w ! -type l | head").strip() == ""
    assert inspect(repository, image, "{{.Config.User}}") == "10001:10001"


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Path:
    """A clone whose lock may be broken."""
    rendering.git(tmp_path, "clone", "--quiet", str(repository), "clone")
    return tmp_path / "clone"


def test_a_stale_lock_fails_the_build(copy: Path) -> None:
    manifest = copy / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace('"tqdm>=4.67,<5"', '"tqdm>=4.67,<5", "six"'), encoding="utf-8")
    assert "run `make lock`" in commands.refuse(copy, "make", "image")


def test_a_missing_lock_fails_the_build(copy: Path) -> None:
    (copy / "uv.lock").unlink()
    assert "uv.lock" in commands.refuse(copy, "make", "image")
