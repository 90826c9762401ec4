"""Level docs: the pages that begin with nothing, apart from the others, so that both run at once."""

import pytest

from docs.conftest import Start
from docs.following import follow, followed

pytestmark = pytest.mark.docs


@pytest.mark.parametrize(("name", "tool"), followed("empty", "template"))
def test_a_page_that_begins_with_nothing_does_what_it_says(name: str, tool: str, start: dict[str, Start]) -> None:
    follow(name, tool, start)
