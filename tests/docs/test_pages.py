"""Level docs: every page is followed from its first command to its last, and prints what it says.

A page of several tools is followed with each; the first stands for all in `make test`.
"""

import pytest

from docs.conftest import Start
from docs.following import follow, followed

pytestmark = pytest.mark.docs


@pytest.mark.parametrize(("name", "tool"), followed("trained", "uncommitted"))
def test_a_page_does_and_prints_what_it_says(name: str, tool: str, start: dict[str, Start]) -> None:
    follow(name, tool, start)
