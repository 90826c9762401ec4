"""Level static: what the pages on ECS and Lambda send to AWS keeps to AWS's model of its API, and fits the image."""

from collections.abc import Callable, Iterator
from typing import Any

import botocore.session  # type: ignore[import-untyped]
import botocore.validate  # type: ignore[import-untyped]
import pytest

from deploy import pages
from deploy.pages import DIGEST, Image

pytestmark = pytest.mark.static

API = "containerDefinitions.0"
CALLS = {
    "task-definition.json": ("ecs.md", "ecs", "RegisterTaskDefinition"),
    "service.json": ("ecs.md", "ecs", "CreateService"),
    "target-group.json": ("ecs.md", "elbv2", "CreateTargetGroup"),
    "function.json": ("aws-lambda.md", "lambda", "CreateFunction"),
}


def faults(file: str, document: object) -> list[str]:
    """Return what AWS's model has against a document: names, types, lengths, and values that are no choice."""
    _, service, operation = CALLS[file]
    shape = botocore.session.Session().get_service_model(service).operation_model(operation).input_shape
    report = botocore.validate.ParamValidator().validate(document, shape)
    # botocore leaves the choices to the server: https://github.com/boto/botocore/blob/develop/botocore/validate.py
    return [*report.generate_report().splitlines(), *unknown_choices(shape, document)]


def unknown_choices(shape: Any, value: Any) -> Iterator[str]:  # noqa: ANN401 - botocore's, and JSON
    """Yield a sentence for each text that is none of the choices that the model has for it."""
    if isinstance(value, dict):
        members = getattr(shape, "members", {})
        for key, inner in value.items():
            yield from unknown_choices(members.get(key, getattr(shape, "value", None)), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from unknown_choices(getattr(shape, "member", None), inner)
    elif (choices := getattr(shape, "enum", None)) and value not in choices:
        yield f"{value} is none of {', '.join(choices)}"


@pytest.fixture
def task() -> dict[str, Any]:
    return pages.table("ecs.md", "task-definition.json")


@pytest.mark.parametrize("file", CALLS)
def test_a_call_keeps_to_the_model(file: str) -> None:
    assert faults(file, pages.table(CALLS[file][0], file)) == []


BREAKS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda broken: broken.update(familly="my-model"), 'Unknown parameter in input: "familly"'),
    (lambda broken: broken.pop("family"), 'Missing required parameter in input: "family"'),
    (lambda broken: broken.update(cpu=512), "Invalid type for parameter cpu"),
    (lambda broken: broken.update(networkMode="vpc"), "vpc is none of"),
    (lambda broken: broken["requiresCompatibilities"].append("FARGAT"), "FARGAT is none of"),
    (lambda broken: pages.at(broken, API).update(readOnlyRootFilesystem=True), "Unknown parameter in container"),
    (lambda broken: pages.at(broken, f"{API}.healthCheck").update(command="true"), "Invalid type for parameter"),
]


@pytest.mark.parametrize(("damage", "told"), BREAKS)
def test_the_model_refuses(task: dict[str, Any], damage: Callable[[dict[str, Any]], object], told: str) -> None:
    damage(task)
    assert [fault for fault in faults("task-definition.json", task) if told in fault]


def hardened(image: Image) -> dict[str, object]:
    """Return what a task of this image must say, by its path in the task definition."""
    return {
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "runtimePlatform.operatingSystemFamily": "LINUX",
        "runtimePlatform.cpuArchitecture": "X86_64",
        f"{API}.user": f"{image.user}:{image.group}",
        f"{API}.readonlyRootFilesystem": True,
        f"{API}.linuxParameters.initProcessEnabled": True,
        f"{API}.linuxParameters.capabilities.drop": ["ALL"],
        f"{API}.linuxParameters.tmpfs.0.containerPath": "/tmp",  # noqa: S108 - the one place to write
        f"{API}.portMappings.0.containerPort": image.port,
        f"{API}.environment": [{"name": "APP_ENV", "value": "prod"}],
        f"{API}.healthCheck.command.0": "CMD",
        f"{API}.logConfiguration.logDriver": "awslogs",
    }


def test_the_task_is_the_images_and_locked_down(task: dict[str, Any], image: Image) -> None:
    assert pages.wrong(task, hardened(image)) == []
    for path, broken in pages.weakened(task, hardened(image)):
        assert pages.wrong(broken, hardened(image)) == [path]
    assert "taskRoleArn" not in task


def test_secrets_are_there_and_by_reference(task: dict[str, Any], image: Image) -> None:
    secrets = {secret["name"]: secret["valueFrom"] for secret in pages.at(task, f"{API}.secrets")}
    assert secrets.keys() == image.required
    assert all(value.startswith("arn:") and value.endswith(f":{name}::") for name, value in secrets.items())


def test_load_balancer_and_service_meet_the_container(task: dict[str, Any], image: Image) -> None:
    service, group = pages.table("ecs.md", "service.json"), pages.table("ecs.md", "target-group.json")
    [balancer] = service["loadBalancers"]
    assert (balancer["containerName"], balancer["containerPort"]) == (pages.at(task, f"{API}.name"), image.port)
    assert (group["Port"], group["TargetType"]) == (image.port, "ip")  # awsvpc: each task has an address of its own
    assert service["taskDefinition"] == task["family"]
    assert service["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}


def test_fargate_takes_what_the_task_asks(task: dict[str, Any]) -> None:
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
    sizes = {"256": (512, 2048), "512": (1024, 4096), "1024": (2048, 8192)}
    least, most = sizes[task["cpu"]]
    assert least <= int(task["memory"]) <= most
    assert pages.at(task, f"{API}.stopTimeout") <= 120


def test_images_are_by_digest_and_the_function_holds_no_secret(task: dict[str, Any], image: Image) -> None:
    function = pages.table("aws-lambda.md", "function.json")
    assert DIGEST.fullmatch(pages.at(task, f"{API}.image"))
    assert DIGEST.fullmatch(function["Code"]["ImageUri"])
    assert not DIGEST.fullmatch("123456789012.dkr.ecr.eu-central-1.amazonaws.com/my-model:latest")
    assert function["Environment"]["Variables"] == dict.fromkeys(image.required, "…")
