"""Takes the examples out of the how-to pages: what readers copy is what is tested."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rendering import ROOT

DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")  # an image by digest


def example(page: str, file: str) -> str:
    """Return the block below "Write `file` …:" on a page of docs/how-to; fails unless there is exactly one."""
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    found = re.findall(rf"Write `{re.escape(file)}`[^:\n]*:\n\n```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(found) == 1, f"{page} has {len(found)} blocks for {file}"
    return str(found[0])


def table(page: str, file: str) -> dict[str, Any]:
    """Return a JSON example."""
    content: dict[str, Any] = json.loads(example(page, file))
    return content


def instruction(dockerfile: str, name: str) -> str:
    """Return the arguments of the last such instruction, which is the one that counts."""
    found: list[str] = re.findall(rf"^{name} +(.*)$", dockerfile, re.MULTILINE)
    return found[-1]


@dataclass(frozen=True)
class Image:
    """What the rendered Dockerfile says of the image, and .env.example of its settings."""

    user: int
    group: int
    port: int
    required: frozenset[str]  # settings without a default

    @classmethod
    def of(cls, repository: Path) -> "Image":
        """Read the files of a rendered repository."""
        dockerfile = (repository / "Dockerfile").read_text(encoding="utf-8")
        user, group = instruction(dockerfile, "USER").split(":")
        settings = (repository / ".env.example").read_text(encoding="utf-8")
        required = frozenset(re.findall(r"^([A-Z_]+)=", settings, re.MULTILINE))
        return cls(int(user), int(group), int(instruction(dockerfile, "EXPOSE")), required)


def at(document: Any, path: str) -> Any:  # noqa: ANN401 - JSON
    """Return the value at a path such as `spec.containers.0.image`; None where there is none."""
    for step in path.split("."):
        try:
            document = document[int(step) if step.isdecimal() else step]
        except (KeyError, IndexError):
            return None
    return document


def wrong(document: Any, wanted: Mapping[str, object]) -> list[str]:  # noqa: ANN401 - JSON
    """Return each path whose value is another than the one wanted."""
    return [path for path, value in wanted.items() if at(document, path) != value]


def weakened(document: Any, paths: Mapping[str, object]) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """Yield a copy for each path without the value there."""
    for path in paths:
        broken = copy.deepcopy(document)
        parent, _, last = path.rpartition(".")
        place = at(broken, parent) if parent else broken
        del place[int(last) if last.isdecimal() else last]
        yield path, broken
