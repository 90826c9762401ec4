"""The chain as a table, for a terminal and for the summary of a CI run."""

import os
from typing import TextIO

from .drift import Finding
from .environment import Link, Report

SHOWN = 12  # findings of one link in the table; a person reads no more
# Marks of a link that holds, is broken, was not checked; the line between links; the mark of a finding.
MARKS = ({True: "✓", False: "✗", None: "·"}, "│", "•")
ASCII_MARKS = ({True: "+", False: "x", None: "-"}, "|", "*")
# https://en.wikipedia.org/wiki/ANSI_escape_code#Select_Graphic_Rendition_parameters
GREEN, RED, YELLOW, BOLD, DIM = "32", "31", "33", "1", "2"
COLOURS = {True: GREEN, False: RED, None: DIM}


class _Page:
    """Writes for the stream that it is given: colour only on a terminal, ASCII where nothing else prints."""

    def __init__(self, stream: TextIO) -> None:
        # https://no-color.org: set and not empty
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self.colour = stream.isatty() and not plain
        self.encoding = stream.encoding or "ascii"
        self.stream = stream
        printable = str(MARKS).encode(self.encoding, "replace").decode(self.encoding) == str(MARKS)
        self.marks, self.bar, self.sign = MARKS if printable else ASCII_MARKS

    def painted(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def line(self, text: str = "") -> None:
        print(text.encode(self.encoding, "replace").decode(self.encoding), file=self.stream)

    def link(self, link: Link, *, last: bool) -> None:
        mark, name = self.painted(self.marks[link.ok], COLOURS[link.ok]), self.painted(f"{link.name:11}", BOLD)
        self.line(f"  {mark} {name}  {link.detail}".rstrip())
        bar = " " if last else self.painted(self.bar, DIM)
        for line in self.findings(link):
            self.line(f"  {bar} {' ' * 13}{line}")

    def findings(self, link: Link) -> list[str]:
        more = len(link.findings) - SHOWN
        rest = [f"… and {more} more: --json holds all"] if more > 0 else []
        return [*map(self.finding, link.findings[:SHOWN]), *rest]

    def finding(self, finding: Finding) -> str:
        sign = self.painted(self.sign, YELLOW if finding.warning else RED)
        role = self.painted(f" ({finding.role})", DIM) if finding.role not in ("", "extra") else ""
        return f"{sign} {finding.message.removesuffix('.')}{role}"


def show(report: Report, stream: TextIO) -> None:
    """Write the chain as a table, and below it the one command that repairs it."""
    page = _Page(stream)
    for link in report.links:
        page.link(link, last=link is report.links[-1])
    page.line()
    if report.ok:
        page.line(f"  Every link that is here holds: {report.signature}")
    else:
        page.line(f"  Repair: {page.painted(report.repair or 'as it says above', BOLD)}")


def summarize(report: Report, stream: TextIO) -> None:
    """Write the chain as a table of Markdown, for the summary of a CI run.

    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
    """
    page = _Page(stream)
    page.line("| | link | what was found |")
    page.line("|---|---|---|")
    for link in report.links:
        cell = "<br>".join(map(_cell, (link.detail, *page.findings(link))))
        page.line(f"| {page.marks[link.ok]} | {link.name} | {cell} |")
    page.line()
    page.line(f"Every link that is here holds: {report.signature}" if report.ok else f"Repair: `{report.repair}`")


def _cell(text: str) -> str:
    """Return a text that stays in its cell, whatever names of files and packages it holds."""
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").split())
