"""What a render costs: `copier copy` of Parity against two templates that ask nothing, CPU seconds, as ratios.

    build/venv/bin/python benchmarks/render.py [RUNS]

One template has one file, the other the files that Parity renders, as they are. All are run in turn, each in a fresh
process, and compared by their medians. Most of each is Python's and Copier's start, which no template can avoid; so
many files alone take 1.5 times one file, for Copier renders each part of each path and asks git once for each. The
limit that counts is therefore the one on the second: what the questions and the templates add.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import templates  # noqa: E402 - needs what is beside the tests

LIMITS = {"one file": 2.25, "as many files": 1.6}  # times
RUNS = 9


def cpu_of(template: Path, target: Path) -> float:
    """Render `template` into `target` in a fresh process; return its CPU seconds, children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults", str(template), str(target)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def plain_copy(folder: Path) -> Path:
    """Export the last commit without .git: Copier clones a repository first, which is git's time and not ours."""
    folder.mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder


def main() -> int:
    """Print the medians and their ratios; return 1 where one is over its limit."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parity = plain_copy(folder / "parity")
        compared = (
            templates.one_file(folder / "one file"),
            templates.as_many_files(folder / "as many files", parity),
            parity,
        )
        seconds: dict[str, list[float]] = {template.name: [] for template in compared}
        for run in range(runs):
            for template in compared:
                seconds[template.name].append(cpu_of(template, folder / f"{template.name}-{run}"))
    return templates.compare({label: statistics.median(values) for label, values in seconds.items()}, LIMITS)


if __name__ == "__main__":
    sys.exit(main())
