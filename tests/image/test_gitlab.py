"""GitLab's jobs in the image that they name, as its runner does: a bare Debian, then before_script and script.

Stand-ins: the image (tests/engine/README.md), and for the engine of `services` that of these tests, by its socket.
"""

import os
from pathlib import Path
from typing import Any

import pytest

import commands
import providers
import rendering
from image.built import stand_in_patch
from providers import CHAIN, IMAGE

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif("STAND_IN_PYTHONS" not in os.environ, reason="runs under tests/engine/with-engine"),
]
POLICY = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"  # what leads the digests in the Dockerfile to the stand-ins


@pytest.fixture(scope="module")
def pushed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository as a user pushes it to GitLab."""
    folder = tmp_path_factory.mktemp("gitlab") / "pushed"
    rendering.render(template, folder, ci_provider="gitlab", python_patch=stand_in_patch())
    rendering.commit(folder, "Start")
    commands.succeed(folder, "make", "lock")
    rendering.commit(folder, "Lock")
    return folder


def engine() -> dict[str, str]:
    """Return the variables that lead a client in a container to the engine of the tests."""
    return {name: os.environ[name] for name in ("DOCKER_HOST", POLICY)}


@pytest.mark.parametrize("job", [IMAGE, pytest.param(CHAIN, marks=pytest.mark.thorough)])
def test_the_job_is_green_in_its_image(pushed: Path, tmp_path: Path, job: str) -> None:
    rendering.git(tmp_path, "clone", "--quiet", str(pushed), "clone")
    document: dict[str, Any] = providers.load(pushed / providers.GITLAB)
    lines = [*document["default"]["before_script"], *document[job]["script"]]
    told = {**document["variables"], **document[job]["variables"], **engine(), "IMAGE": "my-model:gitlab", "CI": "true"}
    secured = ("DOCKER_TLS_CERTDIR", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")  # of the other engine
    variables = [word for name, value in told.items() if name not in secured for word in ("--env", f"{name}={value}")]
    places = [os.environ["DOCKER_HOST"].removeprefix("unix://"), os.environ[POLICY]]
    mounts = [word for place in places for word in ("--volume", f"{place}:{place}")]
    outcome = commands.run(
        tmp_path, "docker", "run", "--rm", *variables, *mounts,
        "--volume", f"{tmp_path / 'clone'}:/builds/demo", "--workdir", "/builds/demo",
        document["default"]["image"].partition("@")[0], "bash", "-c", providers.gitlab_script(lines),
    )  # fmt: skip
    assert outcome.status == 0, outcome.output
    if job == IMAGE:
        assert 'my-model:gitlab answers: {"predictions":' in outcome.output
    else:
        assert (tmp_path / "clone" / "junit.xml").exists(), "the merge request shows no tests"
