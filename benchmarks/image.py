"""What the image weighs and how soon it answers, on stand-in base images: `build/venv/bin/python benchmarks/image.py`.

Against its own base and what the lock asks for (what is beyond is waste), and against the images of one stage that
guides show: with the compilers and the developers' packages that a builder is there to leave behind; and of wheels
alone, which weighs about the same (uv links its cache, and ours carries bytecode). Then a change of code alone, and the
time until the first prediction. Sizes are sums of the files of all layers, as `docker save` gives them: what a later
layer hides is shipped all the same. Exit 1 above a limit.
"""

import io
import json
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "image")]

from built import Built, built  # type: ignore[import-not-found]  # noqa: E402 - tests/image/ is hidden by this name

import rendering  # noqa: E402 - tests/ is on the path only now
import repositories  # noqa: E402
import services  # noqa: E402

WASTE, CODE = 0.01, 2**20
AGAINST = {"one stage with compilers": 0.60, "one stage of wheels alone": 1.15}
KEY = "benchmark"
# As in the guides that this project began with, on the same base: what their builder stage is for, in the only stage,
# and the shortest one, which installs wheels alone.
ONE_STAGE = {
    "one stage with compilers": """\
FROM {base} AS base
RUN apt-get update && apt-get install -y build-essential
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN pip install uv && uv sync --frozen --no-install-project
COPY src/ ./src/
CMD ["python", "-m", "src.serve"]
""",
    "one stage of wheels alone": """\
FROM {base} AS base
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN pip install uv && uv sync --frozen --no-dev --no-install-project
COPY src/ ./src/
CMD ["python", "-m", "src.serve"]
""",
}


def layers(made: Built, image: str) -> list[int]:
    """Return the bytes of the files in each layer of an image."""
    archive = made.folder.parent / "saved.tar"
    made.docker("save", "--output", str(archive), image)
    with tarfile.open(archive) as saved:
        manifest = json.load(saved.extractfile("manifest.json") or io.BytesIO(b"[]"))[0]
        return [sum(sizes(saved, name)) for name in manifest["Layers"]]


def sizes(saved: tarfile.TarFile, layer: str) -> Iterator[int]:
    """Yield the size of each file in a layer."""
    with tarfile.open(fileobj=saved.extractfile(layer)) as files:
        yield from (file.size for file in files if file.isfile())


def first_answer(made: Built) -> float:
    """Return the seconds from `docker run` until a prediction is there."""
    port = services.free_port()
    example = json.loads((made.folder / "tests/example.json").read_text(encoding="utf-8"))
    start = time.perf_counter()
    name = made.docker(
        "run", "--detach", "--read-only", "--tmpfs", "/tmp", "--publish", f"127.0.0.1:{port}:8000",  # noqa: S108
        "--volume", f"{made.folder}/models:/app/models:ro", "--env", f"API_KEY={KEY}",
        "--env", "DATABASE_URL=sqlite:////tmp/predictions.db", made.image,
    ).strip()  # fmt: skip
    try:
        services.wait_until_ready(port, lambda: True)
        assert services.ask(port, "POST", "/predict", example, key=KEY).status == 200  # noqa: PLR2004, S101
        return time.perf_counter() - start
    finally:
        made.docker("rm", "--force", name)


def one_stage(made: Built, name: str, base: str) -> int:
    """Build an image of one stage; return its size."""
    file = made.folder.parent / "Dockerfile.one-stage"
    file.write_text(ONE_STAGE[name].format(base=base), encoding="utf-8")
    made.docker("build", "--quiet", "--file", str(file), "--tag", "one-stage", ".")
    return sum(layers(made, "one-stage"))


def changed(made: Built) -> list[int]:
    """Return the sizes of the layers that a change of code alone makes anew."""
    before = layers_by_digest(made, made.image)
    path = made.folder / "src/my_model/training.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n# Another line.\n", encoding="utf-8")
    made.docker("build", "--quiet", "--tag", "changed", ".")
    return [size for digest, size in layers_by_digest(made, "changed").items() if digest not in before]


def layers_by_digest(made: Built, image: str) -> dict[str, int]:
    """Return the size of each layer, by its digest."""
    return dict(zip(json.loads(made.inspect("{{json .RootFS.Layers}}", image)), layers(made, image), strict=True))


def within(what: str, value: float, limit: float, told: str) -> bool:
    """Print a figure beside its limit; tell whether it is within."""
    sys.stdout.write(f"  {what}: {told}{'' if value <= limit else '  over the limit'}\n")
    return value <= limit


def measure(made: Built) -> bool:
    """Print the figures of one image; tell whether all are within their limits."""
    base = f"python:{os.environ['STAND_IN_PYTHONS'].split()[-1].replace(':', '-slim-')}"
    ours, below = sum(layers(made, made.image)), sum(layers(made, base))
    closure = int(made.inside("find /opt/venv -type f -printf '%s\\n' | awk '{ sum += $1 } END { print sum }'"))
    theirs = {name: one_stage(made, name, base) for name in ONE_STAGE}
    waste, moved = (ours - below - closure) / ours, changed(made)
    good = [
        within("waste", waste, WASTE, f"{waste:.2%} of {ours / 1e6:.0f} MB (base {below / 1e6:.0f} MB)"),
        *(
            within(f"against {name}", ours / size, AGAINST[name], f"{ours / size:.0%} of {size / 1e6:.0f} MB")
            for name, size in theirs.items()
        ),
        within("a change of code", sum(moved), CODE, f"{len(moved)} layer, {sum(moved) / 1e3:.0f} kB"),
    ]
    answers = sorted(first_answer(made) for _ in range(3))
    sys.stdout.write(f"  start to first answer: {answers[1]:.1f} s\n")
    return all(good)


def main() -> int:
    """Measure the default tool's image, in an engine of its own where there is none; return 1 above a limit."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if "STAND_IN_PYTHONS" not in os.environ:
            cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "parity-engine")
            engine = ROOT / "tests" / "engine" / "with-engine"
            os.execv(engine, [str(engine), f"{folder}-engine", str(cache), "--", sys.executable, __file__])  # noqa: S606
        template = rendering.checkout(place / "parity")
        with built(template, place, repositories.DEFAULT) as made:
            return 0 if measure(made) else 1


if __name__ == "__main__":
    sys.exit(main())
