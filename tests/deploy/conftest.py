"""What the checks of the deployments share: the rendered repository that they deploy."""

from pathlib import Path

import pytest

import rendering
from deploy.pages import Image


@pytest.fixture(scope="session")
def image(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What the image of a fresh repository says of itself."""
    return Image.of(rendering.render(template, tmp_path_factory.mktemp("deploy") / "demo"))
