"""The site of these pages: `make docs`.

The pages are plain Markdown, to be read in the repository as well, so what only the site needs is made here: the list
of all pages, and text in the place of a link to a file outside docs/.
https://www.sphinx-doc.org/en/master/usage/configuration.html
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(((?!\w+:|#)[^)\s#]+)(?:#[^)\s]*)?\)")
SECTION = re.compile(r"^## (.+)\n((?:(?!## ).*\n?)*)", re.MULTILINE)
PAGE = re.compile(r"\]\(([\w/-]+)\.md\)")
# The sidebar lists what the start page does; below these, whatever else lies in their folder.
PARENTS = ("workshop/README", "decisions/0000-how-to-read")

project = "Parity"
author = "Parity"
extensions = ["myst_parser"]
root_doc = "index"
exclude_patterns = ["pictures/*.md"]
myst_heading_anchors = 4
smartquotes = False  # it makes a dash of the two in --deep
# A file's name behind the language is for the reader of the source, and .gitignore has no lexer.
suppress_warnings = ["misc.highlighting_failure"]
html_theme = "furo"
html_title = "Parity"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]


def tree(title: str, names: list[str]) -> str:
    """Return a list of pages for the sidebar, which the page itself does not show."""
    return "\n".join(
        ["", "```{toctree}", ":hidden:", f":caption: {title}", "", *(f"/{name}" for name in names), "```", ""]
    )


def contents(name: str, text: str) -> str:
    """Return what a page is the parent of: the first one of all that it links to, by heading."""
    if name == root_doc:
        return "".join(tree(title, PAGE.findall(below)) for title, below in SECTION.findall(text))
    beside = sorted((DOCS / name).parent.glob("*.md"))
    names = [path.relative_to(DOCS).with_suffix("").as_posix() for path in beside]
    return tree("Pages", [one for one in names if one != name]) if name in PARENTS else ""


def for_the_site(_: Sphinx, name: str, source: list[str]) -> None:
    """Let a link that leaves docs/ be its text, and give a page the list of those below it."""
    folder = (DOCS / name).parent

    def within(link: re.Match[str]) -> str:
        return link[0] if (folder / link[2]).resolve().is_relative_to(DOCS) else link[1]

    source[0] = LINK.sub(within, source[0]) + contents(name, source[0])


def setup(app: Sphinx) -> None:
    """Tell Sphinx of it: https://www.sphinx-doc.org/en/master/extdev/event_callbacks.html."""
    app.connect("source-read", for_the_site)
