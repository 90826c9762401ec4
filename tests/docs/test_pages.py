"""Level docs: every page is followed from its first command to its last, and prints what it says.

A page of several tools is followed with each; the first stands for all in `make test`.
"""

import pytest
from _pytest.mark import ParameterSet

import repositories
from docs import reading
from docs.conftest import Start

pytestmark = pytest.mark.docs


def followed() -> list[ParameterSet]:
    """Return each page that has commands to type, with each of its tools."""
    rows = []
    for name, page in reading.pages().items():
        typed = [block for block in reading.blocks(name, reading.text_of(name)) if block.is_typed]
        tools = page.tools or (repositories.DEFAULT,)
        for tool in tools if typed and not page.run_by else ():
            late = page.thorough or tool != tools[0]
            marks = [pytest.mark.thorough] if late else []
            rows.append(pytest.param(name, tool, id=f"{name} {tool}", marks=marks))
    return rows


@pytest.mark.parametrize(("name", "tool"), followed())
def test_a_page_does_and_prints_what_it_says(name: str, tool: str, start: dict[str, Start]) -> None:
    page = reading.pages()[name]
    folder, variables = start[page.start](tool)
    text = (folder / "README.md").read_text(encoding="utf-8") if name == reading.RENDERED else reading.text_of(name)
    with reading.Reader(folder, variables) as reader:
        for block in reading.blocks(name, text):
            if block.is_typed and tool in block.marks.get("for", tool).split():
                reader.follow(block)
