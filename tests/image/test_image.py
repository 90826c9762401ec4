"""Level image: each tool's rendered Dockerfile is really built, run and asked, on stand-in base images.

The stand-ins (tests/engine/README.md) are Debian's packages and this machine's CPython; every digest pin resolves
to the stand-in of the same name and tag, so the rendered files stay as a user gets them. conda's packages and its
installer are stand-ins too.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

import commands
import links
import rendering
import repositories
import services
from image.built import KEY, PASSWORD, PLANTED, Built, built, running

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif("STAND_IN_PYTHONS" not in os.environ, reason="runs under tests/engine/with-engine"),
]

MEBIBYTE = 2**20


@pytest.fixture(scope="module", params=repositories.NAMES)
def made(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """A repository and its image, one tool after the other."""
    with built(template, tmp_path_factory.mktemp("image"), request.param) as one:
        yield one


@pytest.fixture
def service(made: Built) -> Iterator[tuple[str, int]]:
    """A container as a platform runs it, and its port."""
    with running(made) as (name, port):
        yield name, port


def test_the_image_is_the_production_part_of_the_lock(made: Built) -> None:
    printed = commands.succeed(made.folder, "make", "image-verify")
    assert made.tool.LOCKED in printed
    assert "equal: " in printed, "the environment here was not compared"
    outside = commands.succeed(made.folder, ".venv/bin/python", "-m", "my_model.parity", "signature").strip()
    labels = json.loads(made.inspect("{{json .Config.Labels}}"))
    assert labels["parity.signature"] == outside
    assert labels["parity.lock"] == f"sha256:{digest_of_locks(made)}"
    assert labels["org.opencontainers.image.revision"] == rendering.git(made.folder, "rev-parse", "HEAD").strip()
    assert labels["org.opencontainers.image.title"] == "my-model"


def digest_of_locks(made: Built) -> str:
    """Return the sha256 of the lock, of two files with a zero byte between them."""
    locks = [made.folder / name for name in links.data(made.tool.NAME)["locks"]]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in locks)).hexdigest()


VERIFY = "python -m my_model.parity verify --deep --strict --json"
SITE = "/opt/venv/lib/python3.13/site-packages"


def found(made: Built, script: str) -> set[tuple[str, str]]:
    """Return (kind, name) of what `verify` finds in the image after a shell line as root."""
    printed = made.inside(f"{{ {script}; }} >/dev/null 2>&1; {VERIFY} || true")
    report = json.loads(printed)
    return {(finding["kind"], finding["name"]) for link in report["links"] for finding in link["findings"]}


def test_a_package_more_or_less_is_named(made: Built) -> None:
    assert found(made, "true") == set()
    assert ("missing", "threadpoolctl") in found(made, f"rm -r {SITE}/threadpoolctl-*.dist-info")
    extra = f"{SITE}/extra-1.0.dist-info"
    script = f"mkdir {extra}; printf 'Name: extra\\nVersion: 1.0\\n' >{extra}/METADATA"
    assert ("extra", "extra") in found(made, script)


def test_a_shared_library_that_is_missing_is_named(made: Built) -> None:
    removed = "find / -xdev -name 'libgcc_s.so.1*' -delete; find / -xdev -name 'libstdc++.so.6*' -delete; ldconfig"
    assert {kind for kind, _ in found(made, removed)} >= {"library"}


def test_it_serves_locked_down_and_loses_no_request(made: Built, service: tuple[str, int]) -> None:
    name, port = service
    services.wait_until_ready(port, lambda: made.inspect("{{.State.Running}}", name) == "true")
    body = (made.folder / "tests/example.json").read_bytes()
    answer = services.ask(port, "POST", "/predict", json.loads(body), key=KEY)
    assert answer.status == 200, answer
    assert answer.body["predictions"][0] > 0.9
    # Straight to the container: the engine's proxy would take connections that the service refuses.
    address = made.inspect("{{.NetworkSettings.IPAddress}}", name)
    begun = [half_asked(address, body) for _ in range(4)]
    made.docker("kill", "--signal", "TERM", name)
    time.sleep(0.5)
    for client in begun:
        client.send(body[len(body) // 2 :])
    assert [client.getresponse().status for client in begun] == [200] * 4
    for client in begun:
        client.close()
    assert made.docker("wait", name).strip() == "0"
    lines = made.docker("logs", name).splitlines()
    assert any("/predict" in line for line in lines), lines


def half_asked(address: str, body: bytes) -> HTTPConnection:
    """Send a request without the second half of its body."""
    client = HTTPConnection(address, 8000, timeout=20)
    client.putrequest("POST", "/predict")
    for header, value in {"Content-Type": "application/json", "X-API-Key": KEY, "Content-Length": len(body)}.items():
        client.putheader(header, str(value))
    client.endheaders()
    client.send(body[: len(body) // 2])
    return client


def test_it_trains_serves_and_answers_in_one_command(made: Built) -> None:
    assert f'{made.image} answers: {{"predictions":' in commands.succeed(made.folder, "make", "image-smoke")
    (made.folder / "wrong.json").write_text('{"rows": [{}]}', encoding="utf-8")
    refused = commands.refuse(made.folder, "make", "image-smoke", "ARGS=--body wrong.json")
    assert "/predict did not answer as it should: 422" in refused
    assert made.docker("ps", "--all", "--quiet", "--filter", f"ancestor={made.image}") == ""


def test_it_refuses_to_start_without_its_settings(made: Built) -> None:
    outcome = commands.run(made.folder, "docker", "run", "--rm", made.image)
    assert outcome.status == 78, outcome.output
    assert "API_KEY" in outcome.output
    assert "DATABASE_URL" in outcome.output


def test_no_tool_no_developer_package_no_secret(made: Built) -> None:
    tools = "uv poetry pipenv pip-compile micromamba conda pip gcc git ruff pytest"
    assert made.inside(f"for tool in python {tools}; do command -v $tool; done; true") == "/opt/venv/bin/python"
    assert made.inside("python -c 'import pytest' 2>&1 || true").endswith("No module named 'pytest'")
    secrets = f"-e {PLANTED} -e {PASSWORD}"
    assert made.inside(f"grep -rl {secrets} / --exclude-dir=proc --exclude-dir=sys 2>/dev/null || true") == ""
    history = made.docker("history", "--no-trunc", made.image)
    assert PASSWORD not in history
    assert made.inside("ls -A /app /root/.cache 2>/dev/null || true").strip() in ("", "/app:")
    assert made.inspect("{{.Config.User}}") == "10001:10001"


def test_nothing_of_the_application_is_writable(made: Built) -> None:
    assert made.inside("find /app /opt -user 10001 -o -perm -o+w ! -type l | head") == ""


def test_a_change_of_code_is_one_small_layer(made: Built) -> None:
    before = json.loads(made.inspect("{{json .RootFS.Layers}}"))
    changed = f"{made.image}-changed"  # of its own: another worker builds another tool's
    path = made.folder / "src/my_model/training.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\n# Another line.\n", encoding="utf-8")
    try:
        made.docker("build", "--quiet", "--tag", changed, "--secret", f"id=netrc,src={os.environ['NETRC']}", ".")
    finally:
        path.write_text(text, encoding="utf-8")
    after = json.loads(made.inspect("{{json .RootFS.Layers}}", changed))
    assert len(after) == len(before)
    moved = [number for number, layer in enumerate(after) if layer != before[number]]
    assert len(moved) == 1, "a change of code makes layers of packages anew"
    sizes = made.docker("history", "--human=false", "--format", "{{.Size}}", changed).split()
    assert next(int(size) for size in sizes if size != "0") < MEBIBYTE


@pytest.fixture
def copy(made: Built, tmp_path: Path) -> Path:
    """A clone whose lock may be broken."""
    rendering.git(tmp_path, "clone", "--quiet", str(made.folder), "clone")
    return tmp_path / "clone"


def refused(copy: Path) -> str:
    """Return what the build says without make, which looks at the lock before it."""
    return commands.refuse(copy, "docker", "build", "--secret", f"id=netrc,src={os.environ['NETRC']}", ".")


def test_a_stale_lock_fails_the_build(made: Built, copy: Path) -> None:
    made.tool.demand(copy, "six>=1")
    assert "run `make lock`" in refused(copy)
    assert "run `make lock`" in commands.refuse(copy, "make", "image")


def test_a_missing_lock_fails_the_build(made: Built, copy: Path) -> None:
    (copy / made.tool.LOCKED).unlink()
    assert f"{made.tool.LOCKED} is missing: run `make lock`" in refused(copy)


def test_a_tampered_lock_fails_the_build(made: Built, copy: Path) -> None:
    made.tool.flip_hash(copy, "threadpoolctl")
    printed = refused(copy).lower()
    assert "threadpoolctl" in printed
    assert "hash" in printed or "sha256" in printed


ONE_TOOL = pytest.mark.parametrize("made", [repositories.DEFAULT], indirect=True)
EACH_IN_TURN = pytest.mark.parametrize(
    "made",
    [
        pytest.param(name, marks=[] if name == repositories.DEFAULT else [pytest.mark.thorough])
        for name in repositories.NAMES
    ],
    indirect=True,
)


@EACH_IN_TURN
def test_two_builds_are_equal_bit_for_bit(made: Built) -> None:
    assert "equal, bit for bit: " in commands.succeed(made.folder, "make", "image-reproduce")


@ONE_TOOL
def test_it_becomes_healthy_by_itself(made: Built, service: tuple[str, int]) -> None:
    name, _ = service
    deadline = time.monotonic() + 60
    while (state := made.inspect("{{.State.Health.Status}}", name)) == "starting" and time.monotonic() < deadline:
        time.sleep(0.5)
    assert state == "healthy"


@ONE_TOOL
def test_debian_packages_of_ones_own_are_installed(made: Built, copy: Path) -> None:
    (copy / ".tools/system-packages.txt").write_text("# for a codec\nlibgomp1\n", encoding="utf-8")
    made.docker("build", "--quiet", "--tag", "more", str(copy))
    listed = made.docker("run", "--rm", "--network", "none", "more", "dpkg-query", "--show", "libgomp1")
    assert listed.startswith("libgomp1")
    assert made.docker("run", "--rm", "more", "sh", "-c", "ls /var/lib/apt/lists").strip() == ""
