"""Which pages are followed, with which tools, and how."""

import pytest

import repositories
from docs import reading
from docs.conftest import Start


def followed(*starts: str) -> list[pytest.ParameterSet]:
    """Return each page that begins at one of these starts and has commands to type, with each of its tools."""
    rows = []
    for name, page in reading.pages().items():
        typed = [block for block in reading.blocks(name, reading.text_of(name)) if block.is_typed]
        tools = page.tools or (repositories.DEFAULT,)
        for tool in tools if typed and not page.run_by and page.start in starts else ():
            late = page.thorough or tool != tools[0]
            marks = [pytest.mark.thorough] if late else []
            rows.append(pytest.param(name, tool, id=f"{name} {tool}", marks=marks))
    return rows


def follow(name: str, tool: str, start: dict[str, Start]) -> None:
    """Type a page's commands in their order; AssertionError where one does not do what the page says."""
    folder, variables = start[reading.pages()[name].start](tool)
    text = (folder / "README.md").read_text(encoding="utf-8") if name == reading.RENDERED else reading.text_of(name)
    with reading.Reader(folder, variables) as reader:
        for block in reading.blocks(name, text):
            if block.is_typed and tool in block.marks.get("for", tool).split():
                reader.follow(block)
