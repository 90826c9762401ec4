"""Level static: the manifests of docs/how-to/kubernetes.md keep to the schemas of Kubernetes, and fit the image."""

from collections.abc import Callable
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from deploy import pages
from deploy.pages import DIGEST, Image

pytestmark = pytest.mark.static

POD = "spec.template.spec"
API = f"{POD}.containers.0"


def manifests() -> dict[str, dict[str, Any]]:
    """Return the page's manifests by their kind."""
    documents = yaml.safe_load_all(pages.example("kubernetes.md", "kubernetes.yaml"))
    return {document["kind"]: document for document in documents}


@pytest.fixture
def deployment() -> dict[str, Any]:
    return manifests()["Deployment"]


def validate(document: dict[str, Any]) -> None:
    """Raise where a manifest breaks the newest schema, or has a key that the schema does not know."""
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def hardened(image: Image) -> dict[str, object]:
    """Return what a pod of this image must say, by its path in the Deployment."""
    return {
        f"{POD}.automountServiceAccountToken": False,
        f"{POD}.enableServiceLinks": False,
        f"{POD}.securityContext.runAsNonRoot": True,
        f"{POD}.securityContext.runAsUser": image.user,
        f"{POD}.securityContext.runAsGroup": image.group,
        f"{POD}.securityContext.seccompProfile.type": "RuntimeDefault",
        f"{POD}.volumes.0.emptyDir.medium": "Memory",
        f"{API}.securityContext.allowPrivilegeEscalation": False,
        f"{API}.securityContext.readOnlyRootFilesystem": True,
        f"{API}.securityContext.capabilities.drop": ["ALL"],
        f"{API}.volumeMounts.0.mountPath": "/tmp",  # noqa: S108 - the one place to write
        f"{API}.ports.0.containerPort": image.port,
        "spec.strategy.rollingUpdate.maxUnavailable": 0,
        f"{POD}.terminationGracePeriodSeconds": 30 + 5,  # to answer what is in flight, after the sleep
        f"{API}.lifecycle.preStop.sleep.seconds": 5,
    }


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_a_manifest_keeps_to_the_schema(kind: str) -> None:
    validate(manifests()[kind])


BREAKS: list[Callable[[dict[str, Any]], object]] = [
    lambda broken: broken["spec"].update(replicas="2"),
    lambda broken: broken["spec"].pop("selector"),
    lambda broken: pages.at(broken, API).update(readinesProbe={}),
    lambda broken: pages.at(broken, f"{API}.securityContext").update(readOnlyRootFileSystem=True),
    lambda broken: pages.at(broken, f"{API}.startupProbe.httpGet").pop("port"),
]


@pytest.mark.parametrize("damage", BREAKS)
def test_the_schema_refuses(deployment: dict[str, Any], damage: Callable[[dict[str, Any]], object]) -> None:
    damage(deployment)
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(deployment)


def test_the_pod_is_the_images_and_locked_down(deployment: dict[str, Any], image: Image) -> None:
    assert pages.wrong(deployment, hardened(image)) == []
    for path, broken in pages.weakened(deployment, hardened(image)):
        assert pages.wrong(broken, hardened(image)) == [path]


def test_the_image_is_by_digest_and_only_tmp_is_written(deployment: dict[str, Any]) -> None:
    assert DIGEST.fullmatch(pages.at(deployment, f"{API}.image"))
    mounts, volumes = pages.at(deployment, f"{API}.volumeMounts"), pages.at(deployment, f"{POD}.volumes")
    assert [mount["name"] for mount in mounts] == [volume["name"] for volume in volumes] == ["tmp"]
    resources = pages.at(deployment, f"{API}.resources")
    assert resources["requests"].keys() == resources["limits"].keys() == {"cpu", "memory"}


def test_settings_are_there_and_secrets_by_reference(deployment: dict[str, Any], image: Image) -> None:
    variables = {variable["name"]: variable for variable in pages.at(deployment, f"{API}.env")}
    assert variables.pop("APP_ENV") == {"name": "APP_ENV", "value": "prod"}
    assert variables.keys() == image.required
    assert all(list(variable) == ["name", "valueFrom"] for variable in variables.values())


def test_probes_go_to_the_port_that_the_service_forwards_to(deployment: dict[str, Any]) -> None:
    ports = {port["name"] for port in pages.at(deployment, f"{API}.ports")}
    kinds = ("startupProbe", "readinessProbe", "livenessProbe")
    assert {pages.at(deployment, f"{API}.{kind}.httpGet.port") for kind in kinds} == ports
    service = manifests()["Service"]["spec"]
    assert {port["targetPort"] for port in service["ports"]} == ports
    assert service["selector"].items() <= pages.at(deployment, "spec.template.metadata.labels").items()
