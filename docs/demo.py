"""Render the default repository into build/demo and run the whole way in it: `make demo`.

Render, commit, set up, check, train, serve, one prediction, verify; then it says what to look at. Each step is a
command that a user would type, and is printed as such.
"""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.client import OK, HTTPConnection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "build" / "demo"
PYTHON_VERSIONS = ("3.13", "3.12", "3.14")  # the default first
START_SECONDS = 60
GIT_USER = ("-c", "user.name=Parity demo", "-c", "user.email=demo@example.com")

LOOK_AT = """
Done. Look at:
  {demo}/README.md                what a user reads first
  {demo}/uv.lock                  every package, with the sha256 of every artifact
  {demo}/models/                  the model, and its contract beside it
  {demo}/Dockerfile               the image that is the lock
Then break something and ask again:
  cd {demo}
  .tools/venv/bin/uv pip install --python .venv idna==3.6 && make verify    # named, with both versions
  make sync verify                                                          # and mended"""


def say(text: str) -> None:
    """Print a step in bold where a person looks."""
    print(f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text, flush=True)


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a user's shell: without what the outer make leaves in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))} | more


def run(*command: str | Path, cwd: Path = DEMO) -> None:
    """Show a command and run it; end the demo where it fails."""
    words = [str(word) for word in command]
    say("\n$ " + shlex.join(words).replace(f"{ROOT}/build/demo-venv/bin/", ""))
    if subprocess.run(words, cwd=cwd, env=environment(), check=False).returncode:
        sys.exit("The demo stops here: the command above failed.")


def python_version() -> str:
    """Return the first version that a repository may have and this machine does; get the default if there is none."""
    for version in PYTHON_VERSIONS:
        if find(version).returncode == 0:
            return version
    say(f"No Python of {', '.join(PYTHON_VERSIONS)} here: uv gets {PYTHON_VERSIONS[0]} into build/.")
    uv = Path(sys.executable).with_name("uv")
    os.environ["UV_PYTHON_INSTALL_DIR"] = str(ROOT / "build" / "python")
    run(uv, "python", "install", PYTHON_VERSIONS[0], cwd=ROOT)
    return PYTHON_VERSIONS[0]


def find(version: str) -> subprocess.CompletedProcess[str]:
    """Ask the rendered repository's own bootstrap for an interpreter."""
    script = ROOT / "template" / ".tools" / "bootstrap.sh"
    return subprocess.run(["sh", str(script), "find", version], capture_output=True, text=True, check=False)


def free_port() -> int:
    """Return a port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    """Send one request to the demo's service; return its status and text."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"X-API-Key": "changethis", "Content-Type": "application/json"}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, response.read().decode()


def wait_until_ready(port: int, service: subprocess.Popen[bytes]) -> None:
    """Wait for /readyz; end the demo when the service ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and service.poll() is None:
        try:
            if ask(port, "GET", "/readyz")[0] == OK:
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("The service did not start: see above.")


def serve_one_prediction() -> None:
    """Start the service, ask it once, and stop it as a container platform would."""
    port = free_port()
    say("\n$ make serve &")
    service = subprocess.Popen(
        ["make", "serve"], cwd=DEMO, env=environment(SERVER__PORT=str(port)), start_new_session=True
    )
    try:
        wait_until_ready(port, service)
        example = (DEMO / "tests" / "example.json").read_text(encoding="utf-8")
        headers = "--header 'X-API-Key: changethis' --header 'Content-Type: application/json'"
        say(f"\n$ curl {headers} --data @tests/example.json http://127.0.0.1:{port}/predict")
        status, text = ask(port, "POST", "/predict", example)
        print(text, flush=True)
        if status != OK:
            sys.exit(f"The service answered {status}.")
        print("Served from", json.loads(ask(port, "GET", "/environment")[1])["signature"], flush=True)
    finally:
        os.killpg(service.pid, signal.SIGTERM)
        service.wait(timeout=30)


def main() -> None:
    """Run every step; the first that fails ends the demo with its own words."""
    version = python_version()
    shutil.rmtree(DEMO, ignore_errors=True)
    copier = Path(sys.executable).with_name("copier")
    # HEAD: this checkout as it is, also where a tag is older.
    data = f"python_version={version}"
    run(copier, "copy", "--defaults", "--quiet", "--vcs-ref", "HEAD", "--data", data, ROOT, DEMO, cwd=ROOT)
    run("git", "init", "--quiet", "--initial-branch=main")
    run("make", "setup")
    run("git", "add", "--all")
    run("git", *GIT_USER, "commit", "--quiet", "--message", "Start from Parity")
    run("make", "check")
    run("make", "train")
    serve_one_prediction()
    run("make", "verify")
    print(LOOK_AT.format(demo=DEMO.relative_to(Path.cwd()) if DEMO.is_relative_to(Path.cwd()) else DEMO))


if __name__ == "__main__":
    main()
