"""The rendered devcontainer: one base with the image, by its one pin; and what it says, done as an editor does it.

VS Code and Codespaces do these steps themselves; here they are docker's words, on the stand-in for Python's image.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

import commands
import rendering
from image.built import stand_in_patch

# What of https://containers.dev/implementors/json_reference/ is used, and the type that its schema asks for. No copy of
# the schema is at hand: check-jsonschema brings none.
KEYS = {"name": str, "build": dict, "remoteUser": str, "postCreateCommand": str, "forwardPorts": list}
BUILD = {"dockerfile", "context", "target"}


def said(folder: Path) -> dict[str, Any]:
    """Return what devcontainer.json says."""
    document: dict[str, Any] = json.loads((folder / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    return document


@pytest.mark.static
def test_it_has_known_keys_and_the_base_of_the_image(template: Path, tmp_path: Path) -> None:
    folder = rendering.render(template, tmp_path / "demo", project_name='An "odd" name')
    document = said(folder)
    assert {key: type(value) for key, value in document.items()} == KEYS
    assert document["name"] == 'An "odd" name'
    assert set(document["build"]) == BUILD
    place = folder / ".devcontainer"
    dockerfile = (place / document["build"]["dockerfile"]).resolve()
    assert dockerfile == folder / "Dockerfile"
    assert (place / document["build"]["context"]).resolve() == folder
    text = dockerfile.read_text(encoding="utf-8")
    stages = {stage: base for base, stage in re.findall(r"^FROM (\S+) AS (\S+)", text, re.MULTILINE)}
    assert stages[document["build"]["target"]] == stages["runtime"] == "${PYTHON_IMAGE}"
    assert list(stages)[-1] == "runtime", "`docker build .` makes the last stage"


@pytest.mark.image
@pytest.mark.skipif("STAND_IN_PYTHONS" not in os.environ, reason="runs under tests/engine/with-engine")
def test_the_chain_holds_in_it(template: Path, tmp_path: Path) -> None:
    patch = stand_in_patch()
    folder = rendering.render(template, tmp_path / "demo", python_patch=patch)
    rendering.commit(folder, "Start")
    # As after work outside of it: an environment whose interpreter is not in the container.
    commands.succeed(folder, "make", "setup")
    document, place = said(folder), folder / ".devcontainer"
    build = document["build"]
    dockerfile, context = place / build["dockerfile"], place / build["context"]
    commands.succeed(
        place, "docker", "build", "--tag", "devcontainer", "--target", build["target"], "--file", dockerfile, context
    )

    def inside(script: str) -> str:
        mount = f"{folder}:/workspaces/demo"
        options = ("--user", document["remoteUser"], "--volume", mount, "--workdir", "/workspaces/demo")
        return commands.succeed(folder, "docker", "run", "--rm", *options, "devcontainer", "bash", "-lc", script)

    uid = inside("id -u").strip()
    assert uid != "0"
    # An editor on Linux gives this user the number of the one outside: `updateRemoteUserUID`.
    commands.succeed(folder, "chown", "--recursive", uid, ".")
    printed = inside(f"python --version && git status --short && {document['postCreateCommand']} verify ARGS=--strict")
    assert printed.startswith(f"Python {patch}\n")
    assert f"environment  Python {patch}" in printed
    assert "Every link that is here holds" in printed
