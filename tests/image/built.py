"""An image for each tool: a repository whose image is built as a user builds it, and questions to both.

uv takes this machine's default index, conda a channel; the others an index of one's own that asks for a password.
"""

import functools
import os
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import commands
import links
import rendering
import repositories
import services
from by_hand import conda
from index import Index
from loopback import Loopback

USER, PASSWORD = "reader", "s3cret-of-the-index"
PLANTED = "s3cret-that-was-planted"
KEY = "key-of-the-test"
LOCKED_DOWN = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")  # noqa: S108
# Where a container finds what a test serves; tests/engine/inside says it.
HOST = os.environ.get("STAND_IN_HOST", "127.0.0.1")
MICROMAMBA = """\
#!/bin/sh
# A stand-in for micromamba, in one file as micromamba is: what follows is its code, and what that imports.
folder=/tmp/stand-in-for-micromamba
test -d $folder || { mkdir $folder && tail -n +7 "$0" | tar -x -C $folder; }
PYTHONPATH=$folder/site-packages exec python3 $folder/solver.py "$@"

"""


@dataclass(frozen=True)
class Built:
    """A repository with lock, environment and model, and its image."""

    folder: Path
    tool: ModuleType
    image: str

    def docker(self, *words: str) -> str:
        """Return what docker says; fail where it does."""
        return commands.succeed(self.folder, "docker", *words)

    def inspect(self, template: str, name: str = "") -> str:
        """Return what the engine knows of the image or a container, as a template of Go's tells it."""
        return self.docker("inspect", "--format", template, name or self.image).strip()

    def discard(self) -> None:
        """Let go of its images and of the layers that their builds have kept: all images together take 20 GB."""
        for command in (
            ("image", "rm", "--force", self.image),
            ("image", "prune", "--force"),
            # Not what pip and uv have downloaded: the next build takes it from there.
            ("builder", "prune", "--all", "--force", "--filter", "type=regular"),
        ):
            commands.run(self.folder, "docker", *command)

    def inside(self, script: str, *options: str) -> str:
        """Return what a shell line says in a container, as root, without a network."""
        words = ("run", "--rm", "--user", "0", "--network", "none", *options, self.image, "sh", "-c", script)
        return self.docker(*words).strip()


def stand_in_patch(version: str = "3.13") -> str:
    """Return the patch version of the stand-in for this Python."""
    pythons = os.environ["STAND_IN_PYTHONS"].split()
    return next(python.partition(":")[0] for python in pythons if python.startswith(f"{version}."))


@contextmanager
def an_index(tool: str) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Serve what the tool installs from; give the answers and the variables that lead there."""
    if tool == repositories.DEFAULT:
        yield {}, {}
    elif tool == conda.NAME:
        with a_channel() as variables:
            yield {}, variables
    else:
        cache = rendering.ROOT / "build" / "index"
        with Index(upstream=True, cache=cache, credentials=(USER, PASSWORD), host=HOST) as index:
            yield (
                {"package_index": index.url},
                {
                    "PIP_INDEX_URL": index.url.replace("://", f"://{USER}:{PASSWORD}@"),
                    "PIP_TRUSTED_HOST": HOST,
                    "POETRY_HTTP_BASIC_DEFAULT_USERNAME": USER,
                    "POETRY_HTTP_BASIC_DEFAULT_PASSWORD": PASSWORD,
                },
            )


@contextmanager
def a_channel() -> Iterator[dict[str, str]]:
    """Serve the channel of the stand-ins to containers, and make the image that micromamba comes from."""
    variables = conda.prepare(Path(), "")
    channels = Path(variables["CONDA_CHANNEL_ALIAS"].removeprefix("file://"))
    handler = functools.partial(Quiet, directory=str(channels))
    with Loopback((HOST, 0), handler) as server:
        make_micromamba(channels.parent)
        yield variables | {"CONDA_CHANNEL_ALIAS": f"http://{HOST}:{server.server_port}"}


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def make_micromamba(made: Path) -> None:
    """Build an image of the name that the rendered Dockerfile takes micromamba from, with the stand-in in it."""
    context = made / "image"
    context.mkdir(exist_ok=True)
    (packages,) = (made / "venv").glob("lib/python3.*/site-packages")
    program = context / "micromamba"
    program.write_text(MICROMAMBA, encoding="utf-8")
    with program.open("ab") as file, tarfile.open(fileobj=file, mode="w|") as archive:
        archive.add(conda.SOURCE / "solver.py", "solver.py")
        archive.add(packages, "site-packages")
    program.chmod(0o755)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY micromamba /bin/micromamba\n", encoding="utf-8")
    name = links.data(conda.NAME)["micromamba"]["image"].partition("@")[0]
    commands.succeed(context, "docker", "build", "--quiet", "--tag", name, ".")


def plant_secrets(folder: Path) -> None:
    """Put secrets and data where users leave them."""
    for name in (".env", ".env.prod", "src/.env", "secret.pem", "data/table.csv", ".netrc"):
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(f"\n# {PLANTED}\n")


@contextmanager
def built(
    template: Path,
    place: Path,
    name: str,
    framework: str = links.FRAMEWORK,
    chosen: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Built]:
    """Render a repository, with the answers that were chosen, set it up, train, and build its image by `make image`."""
    tool = repositories.module(name)
    with an_index(name) as (answers, more), repositories.variables({**tool.ENVIRONMENT, **more}):
        folder = rendering.render(
            template, place / "demo", package_manager=name, ml_framework=framework, license="MIT",
            **{"python_patch": stand_in_patch()} | answers | dict(chosen),
        )  # fmt: skip
        rendering.commit(folder, "Start")
        commands.succeed(folder, "make", "setup")
        rendering.commit(folder, "Lock")
        commands.succeed(folder, "make", "train")
        netrc = place / "netrc"
        netrc.write_text(f"machine {HOST} login {USER} password {PASSWORD}\n", encoding="utf-8")
        plant_secrets(folder)
        made = Built(folder, tool, f"my-model:{name}-{framework}")
        with repositories.variables({"NETRC": str(netrc), "IMAGE": made.image}):
            commands.succeed(folder, "make", "image")
            try:
                yield made
            finally:
                made.discard()


@contextmanager
def running(made: Built) -> Iterator[tuple[str, int]]:
    """Run the image as a platform does; give the container's name and its port."""
    port = services.free_port()
    name = made.docker(
        "run", "--detach", *LOCKED_DOWN, "--publish", f"127.0.0.1:{port}:8000",
        "--volume", f"{made.folder}/models:/app/models:ro",
        "--env", f"API_KEY={KEY}", "--env", "DATABASE_URL=sqlite:////tmp/predictions.db", made.image,
    ).strip()  # fmt: skip
    try:
        yield name, port
    finally:
        sys.stdout.write(commands.run(made.folder, "docker", "logs", name).output)  # shown where the test fails
        commands.run(made.folder, "docker", "rm", "--force", name)
