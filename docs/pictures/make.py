"""Draws the pictures of the pages, as text in SVG: `make docs` draws those that follow from the template.

    PYTHONPATH=tests build/venv/bin/python -m docs.pictures.make [REPOSITORY]

With a repository that is set up and has a model, it also runs `make verify` there, breaks the environment, runs it
again and mends it: the pictures of `verify` are what it printed.
"""

import html
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

import commands
import interrogation
import rendering

FOLDER = rendering.ROOT / "docs" / "pictures"
LINE, CHARACTER, MARGIN = 20, 8.4, 16  # pixels: a line's height, a character's width at 14 px, and around it all
# Legible on paper and at night: the reader's system says which, and the card brings its own ground.
STYLE = """
.card { fill: #f7f8fa; stroke: #d0d5dd; } .box { fill: #ffffff; stroke: #98a2b3; }
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #1d2939; white-space: pre; }
.good { fill: #067647; } .bad { fill: #b42318; } .dim { fill: #667085; } .strong { font-weight: bold; }
.arrow { stroke: #667085; stroke-width: 2; fill: none; } .mine { stroke: #175cd3; } .theirs { stroke: #b54708; }
@media (prefers-color-scheme: dark) {
.card { fill: #161b22; stroke: #30363d; } .box { fill: #0d1117; stroke: #57606a; } text { fill: #e6edf3; }
.good { fill: #3fb950; } .bad { fill: #ff7b72; } .dim { fill: #9198a1; } .arrow { stroke: #9198a1; }
.mine { stroke: #58a6ff; } .theirs { stroke: #d29922; }
}"""
KINDS = {"✓": "good", "✗": "bad", "·": "dim"}
BROKEN = "idna==3.6"


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Return a line of text at a place."""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" xml:space="preserve"{named}>{html.escape(words, quote=False)}</text>'


def box(x: float, y: float, width: float, height: float, kind: str = "box") -> str:
    """Return a rectangle with round corners."""
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8"/>'


def arrow(x: float, y: float, end: float) -> str:
    """Return an arrow to the right."""
    return f'<path class="arrow" d="M{x:g} {y:g} H{end:g} m-7 -5 l7 5 l-7 5"/>'


def picture(title: str, width: float, height: float, body: Sequence[str]) -> str:
    """Return an SVG on a card of its own; the title is read aloud where it cannot be seen."""
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>\n<title>{html.escape(title)}</title>'
    card = box(0.5, 0.5, width - 1, height - 1, "card")
    return "\n".join([head, f"<style>{STYLE}\n</style>", card, *body, "</svg>"]) + "\n"


def lines(found: Sequence[tuple[str, str]], x: float, y: float) -> list[str]:
    """Return lines of text below one another, each with its kind."""
    return [text(x, y + LINE * number, words, kind) for number, (words, kind) in enumerate(found)]


def terminal(title: str, command: str, printed: str) -> str:
    """Return what a command printed, in the colours that a terminal shows it in."""
    shown = [(f"$ {command}", "strong"), ("", "")]
    for line in printed.rstrip().splitlines():
        mark = line.strip()[:1]
        shown.append((line, "strong" if line.startswith("  Repair") else KINDS.get(mark, "")))
    width = max(len(line) for line, _ in shown) * CHARACTER + 2 * MARGIN
    return picture(title, width, len(shown) * LINE + 2 * MARGIN, lines(shown, MARGIN, MARGIN + 14))


def chain() -> str:
    """Return the five links, each with what is compared with the one before it."""
    links = {
        "manifest": ("wanted", "pyproject.toml"),
        "lock": ("chosen", "answers the manifest,", "a hash for each file"),
        "environment": ("installed", "exactly the lock,", "to the byte if asked"),
        "image": ("shipped", "its production part,", "and nothing else"),
        "model": ("trained in it", "refused elsewhere,", "before it is loaded"),
    }
    width, gap, height = 200.0, 26.0, 96.0
    body = []
    for number, (name, (what, *checked)) in enumerate(links.items()):
        x = MARGIN + number * (width + gap)
        body += [box(x, MARGIN, width, height), text(x + 10, MARGIN + 24, name, "strong")]
        body += lines([(what, "dim"), *((line, "") for line in checked)], x + 10, MARGIN + 24 + LINE)
        if number:
            body.append(arrow(x - gap + 3, MARGIN + height / 2, x - 4))
    return picture("The chain", 2 * MARGIN + 5 * width + 4 * gap, height + 2 * MARGIN, body)


def interview(template: Path) -> str:
    """Return the questions as Copier asks them, with the answers that it takes by default."""
    with tempfile.TemporaryDirectory() as folder:
        answers = interrogation.Interrogation(template, Path(folder)).ask()
    every = interrogation.questions(template).items()
    asked = {name: said for name, said in every if is_asked(said.get("ask", "True"), answers)}
    shown = [(f"$ copier copy {'…/parity'} my-model", "strong"), ("", "")]
    for name, said in asked.items():
        shown += [(said["help"].splitlines()[0], ""), (f"   {answered(answers[name])}", "good")]
    width = max(len(line) for line, _ in shown) * CHARACTER + 2 * MARGIN
    return picture("The interview", width, len(shown) * LINE + 2 * MARGIN, lines(shown, MARGIN, MARGIN + 14))


def is_asked(when: str, answers: Mapping[str, object]) -> bool:
    """Tell whether a question is asked of somebody who takes every default: `when` is its condition in Jinja."""
    said: str = jinja2.Template(when, undefined=jinja2.StrictUndefined).render(answers)
    return said == "True"


def answered(answer: object) -> str:
    """Return an answer as Copier shows it once it is given."""
    return {"True": "Yes", "False": "No", "": "(none)"}.get(str(answer), str(answer))


def owners(table: str) -> str:
    """Return who owns which file, from the table of docs/reference/files.md."""
    found = re.findall(r"^\| `([^`]+)` \| (yours|the template's) \|", table, re.MULTILINE)
    kinds = {
        "yours": ("mine", "never touched again"),
        "the template's": ("theirs", "brought up to date by copier update"),
    }
    width, body, height = 400.0, [], 0.0
    for column, (owner, (kind, what)) in enumerate(kinds.items()):
        paths = [path for path, whose in found if whose == owner]
        x = MARGIN + column * (width + MARGIN)
        tall = (len(paths) + 2) * LINE + 24
        body += [box(x, MARGIN, width, tall, f"box {kind}"), text(x + 12, MARGIN + 24, owner, "strong")]
        body += lines([(what, "dim"), *((path, "") for path in paths)], x + 12, MARGIN + 24 + LINE)
        height = max(height, tall)
    return picture("The two owners", 2 * width + 3 * MARGIN, height + 2 * MARGIN, body)


def layers(dockerfile: str) -> str:
    """Return the stages of a Dockerfile that end in the image, and the layers of its last one."""
    stages = dict(re.findall(r"^FROM \S+ AS (\w+)\n(.*?)(?=^FROM |\Z)", dockerfile, re.MULTILINE | re.DOTALL))
    copied = re.findall(r"^COPY (?:--chown=\S+ )?--from=(\w+) (\S+)", stages["runtime"], re.MULTILINE)
    told = {"builder": "the lock's packages, installed with hashes", "project": "your package, by its pinned backend"}
    when = {"builder": "changes with the lock", "project": "changes with your code"}
    width, gap, tall, body = 400.0, 72.0, 64, list[str]()
    right = MARGIN + width + gap
    for number, (stage, path) in enumerate(reversed(copied)):
        y = MARGIN + number * tall
        body += [box(MARGIN, y, width, tall - 4), text(MARGIN + 12, y + 25, f"{stage}: {path}", "strong")]
        body += [text(MARGIN + 12, y + 25 + LINE, told[stage], "dim"), arrow(right - gap + 4, y + tall / 2, right - 4)]
        body += [box(right, y, width, tall - 4), text(right + 12, y + 25, f"a layer: {path} of {stage}", "strong")]
        body.append(text(right + 12, y + 25 + LINE, when[stage], "dim"))
    y = MARGIN + len(copied) * tall
    body += [box(right, y, width, tall - 4), text(right + 12, y + 25, "Python on Debian slim, by digest", "strong")]
    body.append(text(right + 12, y + 25 + LINE, "changes with the pin", "dim"))
    body += lines([("stays behind: tool, pip,", "dim"), ("compilers, caches", "dim")], MARGIN + 12, y + 25)
    below = y + tall + 18
    body.append(text(right + 12, below, "verified inside, as the last step of the build", "good"))
    return picture("The image's layers", right + width + MARGIN, below + MARGIN, body)


def from_the_template(template: Path) -> dict[str, str]:
    """Return each picture that needs no environment, by its file's name."""
    with tempfile.TemporaryDirectory() as folder:
        rendered = rendering.render(template, Path(folder) / "my-model")
        dockerfile = (rendered / "Dockerfile").read_text(encoding="utf-8")
    table = (rendering.ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
    return {
        "chain.svg": chain(),
        "interview.svg": interview(template),
        "layers.svg": layers(dockerfile),
        "owners.svg": owners(table),
    }


def from_a_run(repository: Path) -> dict[str, str]:
    """Return what `verify` prints in a repository, whole and with another package in it, and mend it."""
    command = (repository / ".venv/bin/python", "-m", "my_model.parity", "verify")
    uv = repository / ".tools/venv/bin/uv"
    green = commands.succeed(repository, *command)
    commands.succeed(repository, uv, "pip", "install", "--quiet", "--python", ".venv", BROKEN)
    red = commands.run(repository, *command).output
    commands.succeed(repository, "make", "sync")
    titles = {"verify-green.svg": green, "verify-red.svg": red}
    return {name: terminal("make verify", "make verify", printed) for name, printed in titles.items()}


def words(drawn: str) -> str:
    """Return the text of a picture, line by line."""
    return "\n".join(html.unescape(line) for line in re.findall(r"<text[^>]*>(.*?)</text>", drawn))


def write(pictures: Mapping[str, str]) -> None:
    """Write pictures into their folder."""
    for name, drawn in pictures.items():
        (FOLDER / name).write_text(drawn, encoding="utf-8")


def main() -> None:
    """Draw what follows from the template, and with a repository what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        write(from_the_template(rendering.checkout(Path(folder))))
    for repository in sys.argv[1:]:
        write(from_a_run(Path(repository).resolve()))


if __name__ == "__main__":
    main()
