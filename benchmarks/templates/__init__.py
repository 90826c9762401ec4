"""What Parity is measured beside: templates that ask next to nothing."""

from pathlib import Path

import rendering

ANSWERS = "{{ _copier_conf.answers_file }}.jinja"
ONE_FILE = {
    "copier.yml": "name:\n  type: str\n  default: demo\n_subdirectory: template\n",
    "template/README.md.jinja": "# {{ name }}\n",
    f"template/{ANSWERS}": "{{ _copier_answers | to_nice_yaml -}}\n",
}


def one_file(folder: Path) -> Path:
    """Write a template of one question and one file into `folder`, with the answers that an update needs."""
    for name, text in ONE_FILE.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def as_many_files(folder: Path, parity: Path) -> Path:
    """Write a template of one question into `folder` that copies, as they are, the files that `parity` renders."""
    rendered = rendering.render(parity, folder / "template")
    (rendered / ".copier-answers.yml").unlink()
    return one_file(folder)


def compare(medians: dict[str, float], limits: dict[str, float]) -> int:
    """Print the CPU seconds of each template and Parity's ratio to the others; return 1 where one is over its limit."""
    ours = medians["parity"]
    ratios = {label: ours / medians[label] for label in limits}
    print(f"parity         {ours:.2f} s CPU")
    for label, ratio in ratios.items():
        print(f"{label:14} {medians[label]:.2f} s CPU, parity takes {ratio:.2f} times (at most {limits[label]})")
    return int(any(ratio > limits[label] for label, ratio in ratios.items()))
