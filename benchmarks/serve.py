"""What the kit's frame costs per request: `build/venv/bin/python benchmarks/serve.py`.

Two servers with the same endpoint, typed and behind a key: one a plain FastAPI app under uvicorn as it comes, one
made by the kit's `create_app` and `run`. Over loopback they are asked in turn, block by block; the ratio of
neighbouring blocks is what this machine's other work disturbs least, and the median of those is printed. The
endpoint does almost nothing, so that the frame is as large a part of a request as it can be. Exit 1 above LIMIT.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import links  # noqa: E402 - tests/ is on the path only now
import services  # noqa: E402

LIMIT = 1.05
ROUNDS = 51
REQUESTS = 100  # in a block: short, so that whatever else runs here hits two neighbours alike
KEY = "benchmark"
BODY = json.dumps({"rows": [{f"feature_{number}": number / 7 for number in range(30)}]})

ENDPOINT = """
import sys
from typing import Annotated
sys.path.insert(0, sys.argv[1])
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, FiniteFloat, create_model

KEY, PORT = sys.argv[2], int(sys.argv[3])
Row = create_model("Row", **{f"feature_{number}": (FiniteFloat, ...) for number in range(30)})

class Batch(BaseModel):
    rows: list[Row]

class Answer(BaseModel):
    predictions: list[float]

router = APIRouter()

@router.post("/predict")
def predict(batch: Batch) -> Answer:
    return Answer(predictions=[row.feature_1 for row in batch.rows])
"""

PLAIN = """
async def require_key(sent: Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", auto_error=False))]) -> None:
    if sent != KEY:
        raise HTTPException(401)

app = FastAPI()
app.include_router(router, dependencies=[Depends(require_key)])
uvicorn.run(app, port=PORT)
"""

KIT = """
from types import SimpleNamespace
from standing.parity import service
from standing.settings import Settings

# The contract is checked at the start and not at a request: nothing of it is measured here.
contract = SimpleNamespace(sha256="", overrides=(), at=lambda field: "")
service.provenance.load_model = lambda *_, **__: (None, contract)
service.environment.generate_env_signature = lambda: ""
service.lock.load = lambda: SimpleNamespace(source="", digest="")
settings = Settings.read(app_env="test", database_url="sqlite:///x", api_key=KEY, determinism="off",
                         server={"port": PORT})
service.run(lambda: service.create_app(
    settings=settings, title="benchmark", version="1", load=max, predict=max, routers=[router]))
"""


@contextmanager
def serving(program: str) -> Iterator[socket.socket]:
    """Run a server in a process of its own; give a connection to it."""
    port = services.free_port()
    folder = ROOT / "build" / "benchmark"
    links.build(folder)
    command = [sys.executable, "-c", ENDPOINT + program, str(folder), KEY, str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield connect(port, process)
        finally:
            process.terminate()


def connect(port: int, process: subprocess.Popen[bytes]) -> socket.socket:
    """Connect as soon as the server listens; SystemExit where it ends instead."""
    while process.poll() is None:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            time.sleep(0.1)
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    sys.exit("A server did not start.")


def block(connection: socket.socket, requests: int) -> float:
    """Ask so many times, one after the other; return the seconds for one request."""
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
    answer = b""
    start = time.perf_counter()
    for _ in range(requests):
        connection.sendall(request)
        answer = b""
        while not answer.endswith(b"]}"):
            answer += connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200"):
        sys.exit(f"A request failed: {answer.decode()}")
    return (time.perf_counter() - start) / requests


def main() -> int:
    """Print both times and the ratio; return 1 where the ratio is above LIMIT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    with ExitStack() as stack:
        plain, kit = (stack.enter_context(serving(program)) for program in (PLAIN, KIT))
        block(plain, REQUESTS)
        block(kit, REQUESTS)
        # Each goes first and last once in a round: whoever comes second on a warmer processor gains nothing by it.
        rows = [[block(server, REQUESTS) for server in (plain, kit, kit, plain)] for _ in range(rounds)]
    pairs = [((one + four) / 2, (two + three) / 2) for one, two, three, four in rows]
    ratio = statistics.median(with_kit / without for without, with_kit in pairs)
    without, with_kit = (1e6 * statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"plain {without:.0f} us, kit {with_kit:.0f} us a request; ratio {ratio:.3f}, at most {LIMIT}")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
