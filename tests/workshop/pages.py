"""The pages of docs/workshop as they are rendered: their parts, and their command blocks, typed into a shell."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import commands
from rendering import ROOT

SOURCE = ROOT / "docs" / "workshop"
EXERCISES: list[dict[str, Any]] = json.loads((ROOT / "template/workshop/exercises.json").read_text(encoding="utf-8"))
PARTS = ["The story", "Break it", "See it", "Why", "What does not help", "Fix it", "Check it", "Put it back"]
# What is typed, whether it fails, and what is printed below it where the page says so.
BLOCK = re.compile(r"^```sh( fails)?\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """What is typed; whether it must fail; what it must print, with `…` for what varies, None where nothing is said."""

    typed: str
    fails: bool
    printed: str | None

    def type(self, folder: Path) -> None:
        """Type it into a shell in `folder`; fails where it ends or prints otherwise than the page says."""
        done = commands.run(folder, "sh", "-ec", self.typed)
        assert bool(done.status) == self.fails, f"{self.typed}{done.output}"
        if self.printed is not None:
            assert matches(self.printed, done.output), f"{self.typed}{done.output}"


def matches(page: str, printed: str) -> bool:
    """Tell whether this was printed; `…` stands for what varies, alone on a line for any lines or none."""
    lines = (r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n" for line in page.splitlines())
    return bool(re.fullmatch("".join(lines), f"{printed.rstrip()}\n"))


def parts(text: str) -> dict[str, str]:
    """Return a page's sections by their headings."""
    return dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))


def blocks(section: str) -> list[Block]:
    """Return the command blocks of a section."""
    return [Block(typed, bool(fails), printed or None) for fails, typed, printed in BLOCK.findall(section)]
