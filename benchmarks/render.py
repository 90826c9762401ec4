"""What a render costs: `copier copy` of Parity against a template of one file, CPU seconds, as a ratio.

Both are run in turn, each in a fresh process, and compared by their medians. Most of either is Python's and Copier's
start, which no template can avoid; the rest is the questions, the files and Copier's `git config` for each file.

    build/venv/bin/python benchmarks/render.py [RUNS]
"""

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1.8
RUNS = 9


def cpu_of(template: Path, target: Path) -> float:
    """Render `template` into `target` in a fresh process; return its CPU seconds, children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults", str(template), str(target)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def one_file_template(folder: Path) -> Path:
    """Write a template with one question and one file."""
    folder.mkdir()
    (folder / "copier.yml").write_text("name:\n  type: str\n  default: demo\n", encoding="utf-8")
    (folder / "README.md.jinja").write_text("# {{ name }}\n", encoding="utf-8")
    return folder


def plain_copy(folder: Path) -> Path:
    """Export the last commit without .git: Copier clones a repository first, which is git's time and not ours."""
    folder.mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder


def main() -> int:
    """Print the medians and their ratio; return 1 where it is above the limit."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        templates = {"one file": one_file_template(folder / "one"), "Parity": plain_copy(folder / "parity")}
        seconds: dict[str, list[float]] = {label: [] for label in templates}
        for run in range(runs):
            for label, template in templates.items():
                seconds[label].append(cpu_of(template, folder / f"{label}-{run}"))
    medians = {label: statistics.median(values) for label, values in seconds.items()}
    for label, median in medians.items():
        print(f"{label:10} {median:.2f} s CPU, median of {runs}")
    ratio = medians["Parity"] / medians["one file"]
    print(f"ratio      {ratio:.2f} (at most {LIMIT})")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
