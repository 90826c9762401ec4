"""Level real: the service answers on the paths of the pages' probes, and as the Lambda function of the page."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import commands
import rendering
from deploy import pages, runtime_api
from real import serving

pytestmark = pytest.mark.real

KEY = "key-of-the-test"
PAGE = "aws-lambda.md"


@pytest.fixture(scope="module")
def repository(template: Path, tmp_path_factory: pytest.TempPathFactory, patch: str) -> Path:
    """A repository that followed the page on Lambda as far as `make train`."""
    folder = rendering.render(template, tmp_path_factory.mktemp("deploy") / "demo", python_patch=patch)
    rendering.commit(folder, "Start")
    commands.succeed(folder, "make", "setup")
    handler = folder / "src/my_model/aws_lambda.py"
    handler.write_text(pages.example(PAGE, "src/my_model/aws_lambda.py"), encoding="utf-8")
    commands.succeed(folder, "make", "add", "PKG=mangum")
    commands.succeed(folder, "make", "add", 'PKG=awslambdaric; sys_platform == "linux"')
    commands.succeed(folder, "make", "train")
    return folder


@pytest.fixture
def models(repository: Path, tmp_path: Path) -> Path:
    """What Dockerfile.lambda copies of the folder that is its context, and no more."""
    *sources, target = pages.instruction(pages.example(PAGE, "Dockerfile.lambda"), "COPY").split()
    (tmp_path / target).mkdir()
    for name in sources:
        shutil.copy2(repository / "models" / name, tmp_path / target)
    return tmp_path / target


@pytest.fixture
def variables(models: Path) -> dict[str, str]:
    """The function's variables, as function.json names them."""
    names = pages.table(PAGE, "function.json")["Environment"]["Variables"]
    values = {"API_KEY": KEY, "DATABASE_URL": f"sqlite:///{models.parent}/predictions.db"}
    assert names.keys() == values.keys()
    return values | {"MODEL_PATH": str(models / "champion.joblib")}


def command(repository: Path) -> list[str]:
    """Return what Lambda starts: Dockerfile.lambda's ENTRYPOINT and CMD, with the repository's Python."""
    dockerfile = pages.example(PAGE, "Dockerfile.lambda")
    python, *words = (
        word for name in ("ENTRYPOINT", "CMD") for word in json.loads(pages.instruction(dockerfile, name))
    )
    assert python == "python"
    return [str(repository / ".venv/bin/python"), *words]


def prediction(repository: Path) -> dict[str, Any]:
    """Return the page's event as one that asks for a prediction."""
    event = pages.table(PAGE, "readyz.json")
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/predict"
    event["requestContext"]["http"]["method"] = "POST"
    event["headers"] |= {"content-type": "application/json", "x-api-key": KEY}
    return event | {"body": json.dumps(serving.example(repository))}


def test_the_function_answers(repository: Path, variables: dict[str, str]) -> None:
    with runtime_api.function(repository, command(repository), **variables) as (api, process):
        api.wait_until_started(lambda: process.poll() is None)
        ready = api.invoke(pages.table(PAGE, "readyz.json"))
        assert (ready["statusCode"], json.loads(ready["body"])) == (200, {"ready": True, "reasons": []})
        for _ in range(2):  # one process answers many events
            answer = api.invoke(prediction(repository))
            assert answer["statusCode"] == 200, answer
            assert json.loads(answer["body"])["predictions"][0] > 0.9
        without_key = prediction(repository)
        del without_key["headers"]["x-api-key"]
        assert api.invoke(without_key)["statusCode"] == 401


def refused(repository: Path, variables: dict[str, str]) -> tuple[str, str]:
    """Return what Lambda is told, type and message, by a start that must fail before any event is asked for."""
    with runtime_api.function(repository, command(repository), **variables) as (api, process):
        assert process.wait(runtime_api.START_SECONDS) == 1
        assert not api.started.is_set()
        [(path, error)] = api.said.queue
    assert path == "init/error"
    return error["errorType"], error["errorMessage"]


def test_a_model_that_its_contract_refuses_fails_the_start(repository: Path, variables: dict[str, str]) -> None:
    model = Path(variables["MODEL_PATH"])
    model.write_bytes(model.read_bytes()[:-100])
    kind, message = refused(repository, variables)
    assert kind == "ModelRefused"
    assert "truncated" in message


def test_a_database_that_is_away_fails_the_start(repository: Path, variables: dict[str, str]) -> None:
    kind, message = refused(repository, variables | {"DATABASE_URL": "sqlite:////no/folder/predictions.db"})
    assert (kind, message.split(" cannot")[0]) == ("UnavailableError", "The prediction log")


def test_the_handler_passes_the_repositorys_linter(repository: Path) -> None:
    commands.succeed(repository, ".venv/bin/python", "-m", "ruff", "check", "src")
    commands.succeed(repository, ".venv/bin/python", "-m", "ruff", "format", "--check", "src")


def test_the_page_tells_the_size(repository: Path, tmp_path: Path) -> None:
    said = re.search(
        r"\| (\d+) MB, (\d+) MB with bytecode; (\d+) MB zipped \|", (rendering.ROOT / "docs/how-to" / PAGE).read_text()
    )
    assert said, "the table has no size"
    commands.succeed(
        repository, ".tools/venv/bin/uv", "sync", "--locked", "--no-dev", "--no-editable",
        UV_PROJECT_ENVIRONMENT=str(tmp_path / "env"), UV_PYTHON=str((repository / ".venv/bin/python").resolve()),
    )  # fmt: skip
    files = [path for path in (tmp_path / "env/lib").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1024**2
    assert not [path for path in files if path.suffix == ".pyc"]
    assert int(said[1]) == pytest.approx(size, rel=0.1), "measure again: the verdict may be another"


@pytest.fixture(scope="module")
def port(repository: Path) -> Iterator[int]:
    with serving.served(repository) as (port, _):
        yield port


def probed() -> set[str]:
    """Return the paths that Kubernetes and the load balancer ask."""
    documents = yaml.safe_load_all(pages.example("kubernetes.md", "kubernetes.yaml"))
    [container] = next(documents)["spec"]["template"]["spec"]["containers"]
    probes = [container[kind]["httpGet"]["path"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")]
    return {*probes, pages.table("ecs.md", "target-group.json")["HealthCheckPath"]}


def test_every_image_holds_the_three_files_of_the_model() -> None:
    copied = pages.instruction(pages.example(PAGE, "Dockerfile.lambda"), "COPY")
    assert copied == pages.instruction(pages.example("kubernetes.md", "Dockerfile.model"), "COPY")
    assert len(copied.split()) == 4


def test_the_service_answers_its_probes(port: int) -> None:
    assert probed() == {"/healthz", "/readyz"}
    for path in probed():
        assert serving.ask(port, "GET", path).status == 200
    assert serving.ask(port, "GET", "/misspelt").status == 404


def test_the_health_command_tells_alive_from_dead(repository: Path, port: int) -> None:
    _, python, *words = pages.table("ecs.md", "task-definition.json")["containerDefinitions"][0]["healthCheck"][
        "command"
    ]
    assert python == "python"
    alive, dead = ([word.replace(":8000/", f":{number}/") for word in words] for number in (port, 9))
    commands.succeed(repository, ".venv/bin/python", *alive)
    assert commands.run(repository, ".venv/bin/python", *dead).status != 0
