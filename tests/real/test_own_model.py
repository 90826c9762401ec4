"""Level real: docs/frameworks.md, done as it says: other data, another model, and everything else as it was."""

import json
import re
from pathlib import Path

import pytest

import commands
import links
import repositories
from real import serving

pytestmark = [pytest.mark.real, pytest.mark.parametrize("tool", [repositories.DEFAULT], indirect=True)]

PAGE = links.ROOT / "docs" / "frameworks.md"
REPLACED = {
    "data.py": "src/my_model/data.py",
    "model.py": "src/my_model/model.py",
    "example.json": "tests/example.json",
}


def test_data_and_model_of_ones_own_take_the_place_of_the_example(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = dict(re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```\n", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    assert blocks.keys() == REPLACED.keys()
    for name, path in REPLACED.items():
        (repository / path).write_text(blocks[name], encoding="utf-8")
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "champion.json"))  # the other tests find the example's model
    commands.succeed(repository, "make", "train", "check")
    contract = json.loads((tmp_path / "champion.json.contract.json").read_text(encoding="utf-8"))["predicate"]
    assert contract["data"]["name"] == "Iris"
    assert contract["metrics"]["accuracy"] > 0.9
    assert len(contract["golden"]["inputs"][0]) == 4
    request = json.loads(blocks["example.json"])
    with serving.served(repository) as (port, _):
        answer = serving.ask(port, "POST", "/predict", request, key=serving.KEY)
        assert (answer.status, len(answer.body["predictions"])) == (200, 1)
        assert answer.body["predictions"][0] > 0.5
        old = serving.ask(port, "POST", "/predict", {"rows": [{"mean_radius": 1.0}]}, key=serving.KEY)
        assert old.status == 422
