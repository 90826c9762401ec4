"""How much CPU `copier update` takes across one version, beside the same of a template of one file.

    build/venv/bin/python benchmarks/update.py [ROUNDS]

Both are updated in turns, in one run, each from an address as teams have it: of a folder Copier makes five clones, of
an address one mirror. What is measured is the CPU of the whole process tree: Copier asks git for much.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import rendering

LIMIT = 2.0  # times
ROUNDS = 7
COPIER = str(Path(sys.executable).with_name("copier"))
ONE_FILE = {
    "copier.yml": "name:\n  type: str\n  default: demo\n_subdirectory: template\n",
    "template/README.md.jinja": "# {{ name }}\n",
    "template/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers | to_nice_yaml -}}\n",
}


def one_file(folder: Path) -> Path:
    """Make a template of one file, and the answers that an update needs."""
    for name, text in ONE_FILE.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def release(template: Path, readme: str) -> None:
    """Make two versions of a template, which differ in one file."""
    rendering.commit(template, "First", tag="v1.0.0")
    with (template / "template" / readme).open("a", encoding="utf-8") as file:
        file.write("\nVersion 2\n")
    rendering.commit(template, "Second", tag="v2.0.0")


def cpu(folder: Path) -> float:
    """Return the seconds of CPU, of all processes, that an update of this repository takes; it is undone."""
    before = os.times()
    subprocess.run([COPIER, "update", "--defaults", "--quiet"], cwd=folder, check=True, capture_output=True)
    after = os.times()
    rendering.git(folder, "reset", "--quiet", "--hard")
    rendering.git(folder, "clean", "--quiet", "--force", "-d")
    return (after.children_user - before.children_user) + (after.children_system - before.children_system)


def main() -> int:
    """Print both medians and their ratio; return 1 where it is over the limit."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = place  # for the mirrors
        templates = {
            "one file": (one_file(Path(place, "one")), "README.md.jinja"),
            "parity": (rendering.checkout(Path(place, "parity")), "Makefile.jinja"),
        }
        folders = {}
        for name, (template, changed) in templates.items():
            release(template, changed)
            folders[name] = Path(place, f"{name} rendered")
            first = [COPIER, "copy", "--defaults", "--quiet", "--vcs-ref", "v1.0.0", f"git+{template.as_uri()}"]
            subprocess.run([*first, folders[name]], check=True, capture_output=True)
            rendering.commit(folders[name], "Start")
        took = [[cpu(folder) for folder in folders.values()] for _ in range(rounds)]
        one, ours = (statistics.median(column) for column in zip(*took, strict=True))
    print(f"  update: one file {one:.2f} s CPU, parity {ours:.2f} s CPU, {ours / one:.2f} times (limit {LIMIT})")
    return 0 if ours <= one * LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
