"""Takes the command blocks out of the pages, and types them as a reader would.

A block ```sh is typed into a shell; a block ```text right below it is what that prints, with `…` for what varies. What
stands behind `sh` says how, and Markdown shows none of it (https://spec.commonmark.org/0.31.2/#info-string):

    not-run="reason"    nobody types it here; the reasons are a table of tests/README.md
    run-by="tests/…"    that test types the same commands, and more of them
    fails               the block ends with another status than 0
    for="uv poetry"     it is about these tools only

`make docs` lists what is not run, and why.
"""

import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

import commands
import services
from rendering import ROOT

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[^\s`]*)(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
# The README of a rendered repository comes last, as its own kind of page.
RENDERED = "template/README.md.jinja"
MARKS = {"not-run", "run-by", "fails", "for"}
STARTS_A_SERVICE = re.compile(r"make (serve|rebuild [^#]*\bSERVE=1)\b")
PORT = "8000"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, where it stands, and what is said behind its language."""

    page: str
    line: int
    language: str
    marks: dict[str, str]
    text: str
    printed: str | None = None  # what the page says that it prints

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_typed(self) -> bool:
        """Tell whether a reader's shell is to run it here."""
        return self.language == "sh" and not self.marks.keys() & {"not-run", "run-by"}


@dataclass(frozen=True)
class Page:
    """How a page is followed: where its reader starts, with which tools, or which other test follows it."""

    start: str = "trained"
    tools: tuple[str, ...] = ()
    run_by: str = ""
    thorough: bool = False


def names() -> list[str]:
    """Return the path of every page for people that may tell them to type something."""
    found = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]
    return ["README.md", *found, RENDERED]


def pages() -> dict[str, Page]:
    """Return every page, and what pages.yml says of it; one that is not named there is followed like most."""
    said: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "pages.yml").read_text(encoding="utf-8"))
    of = {name: next((said[key] for key in said if fnmatchcase(name, key)), {}) for name in names()}
    return {name: Page(**{key.replace("-", "_"): value for key, value in row.items()}) for name, row in of.items()}


def text_of(page: str) -> str:
    """Return a page's text as it stands in the repository."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, text: str) -> list[Block]:
    """Return the fenced blocks of a page, each with the output that stands right below it."""
    found = list(FENCE.finditer(text))
    return [_block(page, text, one, two) for one, two in itertools.zip_longest(found, found[1:])]


def _block(page: str, text: str, found: re.Match[str], after: re.Match[str] | None) -> Block:
    is_output = after and after["language"] == "text" and not text[found.end() : after.start()].strip()
    words = found["info"] if found["language"] == "sh" else ""  # other languages name a file there
    marks = dict(word.partition("=")[::2] for word in shlex.split(words))
    line = text.count("\n", 0, found.start()) + 1
    printed = _dedented(after) if is_output and after else None
    return Block(page, line, found["language"], marks, _dedented(found), printed)


def _dedented(found: re.Match[str]) -> str:
    return re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return FENCE.sub("", text)


def fits(printed: str, expected: str) -> bool:
    """Tell whether a page's output is what was printed: `…` is any text, alone on its line any lines."""
    lines = [r"(?:.*\n)*" if line.strip() == "…" else _line(line) + r"\s*\n" for line in expected.strip().splitlines()]
    return bool(re.fullmatch("".join(lines), f"{printed.strip()}\n"))


def _line(line: str) -> str:
    return ".*".join(map(re.escape, line.rstrip().split("…")))


@dataclass
class Reader:
    """A person who follows a page in a shell; what they start is ended when they leave."""

    folder: Path
    variables: dict[str, str]
    port: int = field(default_factory=services.free_port)
    services: list[subprocess.Popen[str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for service in self.services:
            if service.poll() is None:
                os.killpg(service.pid, signal.SIGTERM)
            sys.stdout.write(service.communicate(timeout=30)[0])

    def follow(self, block: Block) -> None:
        """Type a block and look at what it prints; AssertionError where that is not what the page says."""
        typed = block.text.replace(PORT, str(self.port))
        lines = typed.splitlines()
        waits = [line for line in lines if STARTS_A_SERVICE.match(line)]
        outcome = self._type("".join(f"{line}\n" for line in lines if line not in waits))
        assert (outcome.status != 0) == ("fails" in block.marks), f"{block}:\n{typed}\n{outcome.output}"
        for line in waits:
            self._serve(line)
        said = outcome.output.replace(str(self.port), PORT)
        assert block.printed is None or fits(said, block.printed), f"{block} says\n{block.printed}\nbut it is\n{said}"

    def _type(self, text: str) -> commands.Outcome:
        """Run commands one after the other, up to one that fails; `cd` holds for the next block."""
        here = self.folder.parent / f".{self.folder.name}.here"
        script = f"trap 'pwd >\"{here}\"' EXIT\n{text}"
        outcome = commands.run(self.folder, "sh", "-euc", script, **self.variables, SERVER__PORT=str(self.port))
        self.folder = Path(here.read_text(encoding="utf-8").strip())
        here.unlink()
        return outcome

    def _serve(self, line: str) -> None:
        """Start what a reader would start in a second terminal, and wait until it answers."""
        service = subprocess.Popen(
            ["sh", "-euc", line],
            cwd=self.folder,
            env=commands.environment(**self.variables, SERVER__PORT=str(self.port)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.services.append(service)
        services.wait_until_ready(self.port, lambda: service.poll() is None)


def main() -> None:
    """List each block that is not typed here, with its reason or the test that types it."""
    for name in pages():
        for block in blocks(name, text_of(name)):
            reason = block.marks.get("not-run") or block.marks.get("run-by")
            if reason:
                sys.stdout.write(f"{reason:45} {block}  {block.text.splitlines()[0]}\n")
    for name, page in pages().items():
        if page.run_by:
            sys.stdout.write(f"{page.run_by:45} {name}  (the whole page)\n")


if __name__ == "__main__":
    main()
