"""Level workflow: the shell lines of the rendered release.yml, with stand-ins for `docker` and `gh`.

An image is a file with its id in it, a machine and a registry are folders of such files. What `uses:` steps do (SBOM,
scan, attestations) does not run here.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import commands
import rendering
from repositories import NO_FRAMEWORK, variables
from workflow.hosted import SHELL, jobs, lines, run

pytestmark = pytest.mark.workflow

WORKFLOW = ".github/workflows/release.yml"
TAG, NAME, TOKEN = "v1.2.3", "ghcr.io/acme/demo", "s3cret-of-the-test"
DOCKER = """\
#!/bin/bash
# A stand-in for docker: each build makes another image, and the digest of one that was pushed is made from its id.
set -eu
echo "docker $*" >>"$LOG"
last=${!#}
file() { echo "$1/${2//\\//_}"; }
case "$1 $2" in
    "build "*) echo "sha256:$(date +%N | sha256sum | cut -c 1-64)" >"$(file "$MACHINE" my-model:latest)" ;;
    "run "*) exit "$VERIFY" ;;
    "save "*) cp "$(file "$MACHINE" "$last")" "$3" ;;
    "load "*) cp "$last" "$(file "$MACHINE" my-model:latest)" ;;
    "image inspect")
        id=$(cat "$(file "$MACHINE" "$last")")
        if [ "$4" = '{{.Id}}' ]; then echo "$id"; exit; fi
        test -e "$(file "$REGISTRY" "$last")" || exit 0
        echo "${last%:*}@sha256:$(echo "$id" | sha256sum | cut -c 1-64)" ;;
    "login ghcr.io") test "$(cat)" = "$PASSWORD" ;;
    "pull "*) cp "$(file "$REGISTRY" "$last")" "$(file "$MACHINE" "$last")" ;;
    "tag "*) cp "$(file "$MACHINE" "$2")" "$(file "$MACHINE" "$3")" ;;
    "push "*) test -z "$OFFLINE"; cp "$(file "$MACHINE" "$last")" "$(file "$REGISTRY" "$last")" ;;
    *) exit 64 ;;
esac
"""
GH = """\
#!/bin/sh
# A stand-in for gh: CI was green as often as GREEN says, and every attestation is good.
echo "gh $*" >>"$LOG"
case "$1 $2" in
    "run list") echo "$GREEN" ;;
    "attestation verify") ;;
    *) exit 64 ;;
esac
"""


@pytest.fixture(scope="module")
def repository(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small repository with a lock, whose tag is a release."""
    folder = tmp_path_factory.mktemp("release") / "demo"
    needs = {"runtime": ["six"], "dev": []}
    rendering.render(template, folder, release=True, common=needs, framework=NO_FRAMEWORK)
    commands.succeed(folder, "make", "lock")
    rendering.commit(folder, "Start", tag=TAG)
    return folder


@dataclass(frozen=True)
class Release:
    """A run of the workflow: two machines, a registry, and what was asked of docker and gh."""

    repository: Path
    root: Path

    def build(self) -> None:
        """Run the first job, and keep what it uploads."""
        with variables({"MACHINE": str(self.folder("builder"))}):
            for line in lines(self.repository / WORKFLOW, "build"):
                run(self.repository, line)
        shutil.move(self.repository / "image.tar", self.folder("artifact") / "image.tar")

    def publish(self) -> commands.Outcome:
        """Run the second job on another machine, up to what fails; return that, or the last one."""
        place, outcome = self.folder("publisher"), commands.Outcome(1, "no line")
        shutil.copy(self.root / "artifact" / "image.tar", place)
        with variables({"MACHINE": str(self.folder("other")), "IMAGE": self.outputs()["image"]}):
            for number, line in enumerate(lines(self.repository / WORKFLOW, "publish")):
                pushed = {} if number == 0 else {"IMAGE": "{name}@{digest}".format(**self.outputs())}
                outcome = commands.run(place, *SHELL, line, **pushed)
                if outcome.status:
                    break
        return outcome

    def folder(self, name: str) -> Path:
        """Return a folder of this run, empty at first."""
        (self.root / name).mkdir(exist_ok=True)
        return self.root / name

    def outputs(self) -> dict[str, str]:
        """Return what the jobs wrote for later ones."""
        said = (self.root / "outputs").read_text(encoding="utf-8")
        return dict(line.split("=", 1) for line in said.splitlines())

    def asked(self, of: str) -> list[str]:
        """Return what docker or gh was asked for."""
        return [line for line in (self.root / "log").read_text(encoding="utf-8").splitlines() if line.startswith(of)]

    def registry(self) -> dict[str, str]:
        """Return the images that were pushed, by name."""
        found = {path.name.replace("_", "/"): path for path in self.folder("registry").iterdir()}
        return {name: path.read_text(encoding="utf-8").strip() for name, path in found.items()}


@pytest.fixture
def release(repository: Path, tmp_path: Path) -> Iterator[Release]:
    for name, text in (("docker", DOCKER), ("gh", GH)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
    for name in ("log", "outputs", "summary.md"):
        (tmp_path / name).touch()
    made = Release(repository, tmp_path)
    with variables({
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "LOG": str(tmp_path / "log"),
        "REGISTRY": str(made.folder("registry")),
        "GITHUB_OUTPUT": str(tmp_path / "outputs"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_REPOSITORY": "Acme/Demo",
        "GITHUB_ACTOR": "ada",
        "GITHUB_REF_NAME": TAG,
        "GITHUB_REF": f"refs/tags/{TAG}",
        "GITHUB_SHA": rendering.git(repository, "rev-parse", "HEAD").strip(),
        "GH_TOKEN": TOKEN,
        "PASSWORD": TOKEN,
        "GREEN": "1",
        "VERIFY": "0",
        "OFFLINE": "",
    }):  # fmt: skip
        yield made


def test_what_was_built_once_and_verified_is_pushed_and_told_by_its_digest(release: Release) -> None:
    release.build()
    assert release.publish().status == 0
    told = release.outputs()
    assert release.registry() == {f"{NAME}:{TAG}": told["image"]}
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", told["digest"])
    assert told["name"] == NAME
    asked = release.asked("docker")
    assert [line for line in asked if line.startswith("docker build")] == [asked[0]]
    assert "parity.lock=sha256:" in asked[0]
    assert TOKEN not in "".join(asked)
    verified = release.asked("gh attestation verify")
    assert f"oci://{NAME}@{told['digest']} --repo Acme/Demo --source-ref refs/tags/{TAG}" in verified[0]
    assert f"    {NAME}@{told['digest']}\n" in (release.root / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("tag", ["v1", "version-2", "v1.2.3+local", "v1.2.3;touch evil", "v1.2.3-$(touch evil)"])
def test_a_tag_that_is_no_version_builds_nothing(release: Release, tag: str) -> None:
    with variables({"GITHUB_REF_NAME": tag}), pytest.raises(AssertionError) as refused:
        release.build()
    assert f"{tag} is no version: delete the tag, and push one such as v1.2.3" in str(refused.value)
    assert release.asked("docker") == []
    assert not (release.repository / "evil").exists()


def test_a_commit_that_ci_did_not_pass_builds_nothing(release: Release) -> None:
    with variables({"GREEN": "0"}), pytest.raises(AssertionError, match=r"CI was not green on main for [0-9a-f]{40}:"):
        release.build()
    assert release.asked("docker") == []


def test_an_image_that_is_not_the_lock_is_not_kept(release: Release) -> None:
    with variables({"VERIFY": "1"}), pytest.raises(AssertionError):
        release.build()
    assert not (release.repository / "image.tar").exists()


def test_another_image_than_the_verified_one_is_not_pushed(release: Release) -> None:
    release.build()
    (release.root / "artifact" / "image.tar").write_text("sha256:another\n", encoding="utf-8")
    refused = release.publish()
    assert refused.status != 0
    assert "This is not the image that was verified" in refused.output
    assert release.registry() == {}


def test_a_version_that_is_out_is_not_replaced_by_another_image(release: Release) -> None:
    release.build()
    out = release.folder("registry") / f"{NAME}:{TAG}".replace("/", "_")
    out.write_text("sha256:another\n", encoding="utf-8")
    refused = release.publish()
    assert refused.status != 0
    assert f"{TAG} is out already, with another image: push a tag of the next version." in refused.output
    assert release.registry() == {f"{NAME}:{TAG}": "sha256:another"}


def test_a_run_that_broke_off_can_be_repeated(release: Release) -> None:
    release.build()
    assert release.publish().status == 0
    before = release.registry()
    assert release.publish().status == 0
    assert release.registry() == before


def test_a_registry_that_cannot_be_reached_is_red(release: Release) -> None:
    release.build()
    with variables({"OFFLINE": "1"}):
        assert release.publish().status != 0
    assert "digest" not in release.outputs()
    assert release.asked("gh attestation") == []


def test_the_order_is_build_verify_scan_keep(repository: Path) -> None:
    steps = jobs(repository / WORKFLOW)["build"]["steps"]
    order = [step.get("run", step.get("uses", "")).split("@")[0].split("\n")[0] for step in steps]
    wanted = [
        "make image",
        "make image-verify",
        "anchore/sbom-action",
        "anchore/scan-action",
        "actions/upload-artifact",
    ]
    assert [word for word in order if word in wanted] == wanted
    scan = next(step["with"] for step in steps if "scan-action" in step.get("uses", ""))
    assert (scan["severity-cutoff"], scan["fail-build"]) == ("high", True)


def test_what_signs_and_pushes_runs_nothing_of_the_repository(repository: Path) -> None:
    build, publish = jobs(repository / WORKFLOW).values()
    assert {*build["permissions"].values()} == {"read"}
    assert not any("checkout" in step.get("uses", "") for step in publish["steps"])
    assert not any(re.search(r"\bmake\b|\bpython|docker run", step.get("run", "")) for step in publish["steps"])
    attested = [step["with"] for step in publish["steps"] if "actions/attest@" in step.get("uses", "")]
    assert [one.get("sbom-path") for one in attested] == [None, "sbom.spdx.json"]
    assert {one["subject-digest"] for one in attested} == {"${{ steps.push.outputs.digest }}"}
    assert not any("${{" in step.get("run", "") for job in (build, publish) for step in job["steps"])


def test_without_the_answer_there_is_no_such_workflow_and_a_switch_brings_it(
    tagged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = rendering.render(tagged, tmp_path / "demo")
    assert not (folder / WORKFLOW).exists()
    commands.succeed(folder, "make", "lock")
    rendering.commit(folder, "Start")
    (tmp_path / "copier").symlink_to(Path(sys.executable).with_name("copier"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    commands.succeed(folder, "make", "switch", "ARGS=--lock-only", "TO=release=true")
    assert (folder / WORKFLOW).exists()
    assert "\nrelease: true\n" in (folder / ".copier-answers.yml").read_text(encoding="utf-8")
    changed = {line[3:] for line in rendering.git(folder, "status", "--porcelain").splitlines()}
    assert changed == {".copier-answers.yml", WORKFLOW}
