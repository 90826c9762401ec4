"""How much CPU `copier update` takes across one version, beside the same of two templates that ask nothing.

    build/venv/bin/python benchmarks/update.py [ROUNDS]

One template has one file, the other the files that Parity renders, as they are. All are updated in turns, in one run,
each from an address as teams have it: of a folder Copier makes five clones, of an address one mirror. What is measured
is the CPU of the whole process tree: Copier asks git for much, once for each file that it writes.

The limit is on the second: what the questions, the templates and the repository's other files add. Against one file
twice is out of reach, since those files alone take 1.6 times, without a question and without a template: Copier renders
each part of each path three times and checks the template's repository out five times. That ratio is told, and bounded.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import rendering
import templates

LIMITS = {"one file": 3.0, "as many files": 2.0}  # times
ROUNDS = 7
COPIER = str(Path(sys.executable).with_name("copier"))


def release(template: Path, readme: str) -> None:
    """Make two versions of a template, which differ in one file."""
    rendering.commit(template, "First", tag="v1.0.0")
    with (template / "template" / readme).open("a", encoding="utf-8") as file:
        file.write("\nVersion 2\n")
    rendering.commit(template, "Second", tag="v2.0.0")


def start(template: Path, folder: Path) -> Path:
    """Render the first version into `folder`, committed; return it."""
    first = [COPIER, "copy", "--defaults", "--quiet", "--vcs-ref", "v1.0.0", f"git+{template.as_uri()}"]
    subprocess.run([*first, folder], check=True, capture_output=True)
    rendering.commit(folder, "Start")
    return folder


def cpu(folder: Path) -> float:
    """Return the seconds of CPU, of all processes, that an update of this repository takes; it is undone."""
    before = os.times()
    subprocess.run([COPIER, "update", "--defaults", "--quiet"], cwd=folder, check=True, capture_output=True)
    after = os.times()
    rendering.git(folder, "reset", "--quiet", "--hard")
    rendering.git(folder, "clean", "--quiet", "--force", "-d")
    return (after.children_user - before.children_user) + (after.children_system - before.children_system)


def main() -> int:
    """Print the medians and their ratios; return 1 where one is over its limit."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        os.environ["XDG_CACHE_HOME"] = name  # for the mirrors
        parity = rendering.checkout(place / "parity")
        changed = {
            templates.one_file(place / "one file"): "README.md.jinja",
            templates.as_many_files(place / "as many files", parity): "README.md",
            parity: "Makefile.jinja",
        }
        for template, readme in changed.items():
            release(template, readme)
        folders = {template.name: start(template, place / "rendered" / template.name) for template in changed}
        took = [[cpu(folder) for folder in folders.values()] for _ in range(rounds)]
    medians = {label: statistics.median(column) for label, column in zip(folders, zip(*took, strict=True), strict=True)}
    return templates.compare(medians, LIMITS)


if __name__ == "__main__":
    sys.exit(main())
