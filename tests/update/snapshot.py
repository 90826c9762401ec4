"""Keep what a version of the template rendered, as a fixture for the tests: `python tests/update/snapshot.py v0.1.0`.

In tests/update/versions/<version>/: `project/` has the files that a repository goes on with after an update, as the
defaults render them, and `paths/<tool>.txt` names all that is rendered, whatever the answers.
"""

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import rendering
import repositories

VERSIONS = Path(__file__).resolve().parent / "versions"
PACKAGE = "my_model"
# Of what an update leaves as it is, the files that the kit, the tests and the tool read.
PROJECT = (f"src/{PACKAGE}/*.py", "tests/**/*", "pyproject.toml", ".env.example", ".env.test")
# Behind each name: pytest, ruff, mypy and git take the files for what they are, and not for this repository's own.
KEPT = ".txt"
# What a repository has with some answer, and not with the defaults.
FULL = {"license": "MIT"}


def rendered(template: Path, tool: str, folder: Path) -> list[str]:
    """Render into `folder` what some answer asks for; return the paths."""
    full = rendering.render(template, folder, package_manager=tool, **FULL)
    return [path.as_posix() for path in rendering.files(full)]


def project_files(folder: Path) -> list[Path]:
    """Return the files of a repository that a fixture keeps."""
    return sorted(path for pattern in PROJECT for path in folder.glob(pattern) if path.is_file())


def keep(template: Path, into: Path) -> None:
    """Write the fixture of a template; `into` is made anew."""
    shutil.rmtree(into, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        project = rendering.render(template, Path(scratch, "project"))
        for path in project_files(project):
            target = into / "project" / f"{path.relative_to(project)}{KEPT}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        (into / "paths").mkdir()
        for tool in repositories.NAMES:
            text = "".join(f"{name}\n" for name in rendered(template, tool, Path(scratch, tool)))
            (into / "paths" / f"{tool}.txt").write_text(text, encoding="utf-8")


def restore(version: Path, folder: Path) -> None:
    """Put the project's files of a version into a repository, in place of those that it has."""
    for path in project_files(folder):
        path.unlink()
    for kept in sorted((version / "project").rglob(f"*{KEPT}")):
        target = folder / kept.relative_to(version / "project").as_posix().removesuffix(KEPT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, target)


def main() -> None:
    """Make one fixture from the working tree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="the tag that the working tree is about to get, such as v0.1.0")
    version = parser.parse_args().version
    if not re.fullmatch(r"v\d+\.\d+\.\d+", version):
        parser.error(f"{version} is no tag of this template: name one as v0.1.0 is.")
    with tempfile.TemporaryDirectory() as scratch:
        keep(rendering.checkout(Path(scratch, "parity")), VERSIONS / version)


if __name__ == "__main__":
    main()
