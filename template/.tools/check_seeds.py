"""Find seeds set, and generators left without one, outside the kit: `.tools/check_seeds.py [PATH ...]`.

One call of `set_global_determinism` seeds a program. A second seed somewhere else makes later draws repeat
earlier ones, and a generator without a seed makes each run another. Looks at src/, tests/ and all notebooks;
a line that must do so says why: `# parity: allow-seed: <reason>`. Exit code 1 with one sentence a finding.
"""

import ast
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
KIT = "parity"  # src/<package>/parity seeds: that is what it is there for
SKIPPED = {"build", "dist", "node_modules", "site-packages", "__pycache__"}

ALLOWED = re.compile(r"#\s*parity:\s*allow-seed\b\W*(?P<reason>.*)")
# IPython's own lines, which are no Python: %time, !ls, files = !ls, sorted?
MAGIC = re.compile(r"^(?P<indent>\s*)(?:(?:\w+\s*=\s*)?(?:%{1,2}[A-Za-z]|!\S)|\?+\w|[\w.]+\?+\s*$)")

USE_KIT = "call set_global_determinism once instead, or scoped_seed for a part"
SEEDING = {
    "accelerate.utils.set_seed",
    "cupy.random.seed",
    "keras.utils.set_random_seed",
    "lightning.fabric.seed_everything",
    "lightning.pytorch.seed_everything",
    "lightning.seed_everything",
    "numpy.random.seed",
    "polars.set_random_seed",
    "pytorch_lightning.seed_everything",
    "random.seed",
    "tensorflow.compat.v1.set_random_seed",
    "tensorflow.keras.utils.set_random_seed",
    "tensorflow.random.set_seed",
    "torch.cuda.manual_seed",
    "torch.cuda.manual_seed_all",
    "torch.manual_seed",
    "torch.mps.manual_seed",
    "torch.random.manual_seed",
    "torch.random.seed",
    "torch.seed",
    "torch.xpu.manual_seed",
    "torch.xpu.manual_seed_all",
    "transformers.enable_full_determinism",
    "transformers.set_seed",
    "transformers.trainer_utils.set_seed",
}
UNSEEDED = {  # without arguments, these take their seed from the operating system
    "cupy.random.RandomState",
    "cupy.random.default_rng",
    "numpy.random.MT19937",
    "numpy.random.PCG64",
    "numpy.random.PCG64DXSM",
    "numpy.random.Philox",
    "numpy.random.RandomState",
    "numpy.random.SFC64",
    "numpy.random.SeedSequence",
    "numpy.random.default_rng",
    "random.Random",
}
ENVIRONMENT = {"os.environ.setdefault", "os.putenv"}


class Source(NamedTuple):
    """Python text, and the place of each of its lines as a person would look for it."""

    text: str
    places: list[str]


def script(path: Path, name: str) -> Source:
    """Return a Python file; raises OSError, SyntaxError or UnicodeDecodeError when it cannot be read."""
    text = path.read_text(encoding="utf-8-sig")
    return Source(text, [f"{name}:{line}" for line in range(1, text.count("\n") + 2)])


def notebook(path: Path, name: str) -> Source:
    """Return a notebook's code cells as one text, in which IPython's own lines do nothing.

    Format: https://nbformat.readthedocs.io/en/latest/format_description.html
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    lines, places = [], []
    for number, cell in enumerate(cells, 1):
        text = "".join(cell["source"]) if cell["cell_type"] == "code" else ""
        if re.match(r"\s*%%(?!time|capture|prun)", text):  # such a cell is shell, HTML, another language
            continue
        for line, code in enumerate(text.splitlines(), 1):
            magic = MAGIC.match(code)
            lines.append(f"{magic['indent']}pass" if magic else code)
            places.append(f"{name}:cell {number}:{line}")
    return Source("\n".join(lines), places or [name])


READERS = {".py": script, ".ipynb": notebook}


def imports(tree: ast.AST) -> dict[str, str]:
    """Return what each imported name stands for: {"np": "numpy", "seed": "random.seed"}."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    names[alias.asname or whole] = whole
            case ast.ImportFrom(module=str(module), level=0):
                names.update({alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names})
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(
                    func=ast.Attribute(attr="import_module" | "importorskip"),
                    args=[ast.Constant(value=str(module)), *_],
                ),
            ):
                names[name] = module
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """Return the full name of `np.random.seed` as numpy.random.seed; "" for what is not imported."""
    match node:
        case ast.Name(id=name):
            return names.get(name, "")
        case ast.Attribute(value=value, attr=attr):
            owner = dotted(value, names)
            return f"{owner}.{attr}" if owner else ""
    return ""


def fault(node: ast.AST, names: dict[str, str]) -> str:
    """Return what is wrong with one node, in words that follow its place; "" when nothing is."""
    match node:
        case ast.Call(func=func, args=args, keywords=keywords):
            name = dotted(func, names)
            values = [*args, *(keyword.value for keyword in keywords if keyword.arg in {"seed", "x", None})]
            empty = all(isinstance(value, ast.Constant) and value.value is None for value in values)
            if name in SEEDING:
                return f"{name} sets a seed outside the kit: {USE_KIT}."
            if name in UNSEEDED and empty:
                return f"{name} without a seed differs in each run: use rng(purpose) of the kit."
            if name in ENVIRONMENT and args and _is_hash_seed(args[0]):
                return _late()
        case ast.Assign(targets=[ast.Subscript(value=owner, slice=key)]):
            if dotted(owner, names) == "os.environ" and _is_hash_seed(key):
                return _late()
    return ""


def _is_hash_seed(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == "PYTHONHASHSEED"


def _late() -> str:
    return "PYTHONHASHSEED set in a running program changes nothing in it: set it before Python starts."


def findings(source: Source) -> Iterator[str]:
    """Yield a sentence for each seed set, and each generator without one, that no comment allows."""
    tree = ast.parse(source.text)
    names, lines = imports(tree), source.text.splitlines()
    faulty = ((node, fault(node, names)) for node in ast.walk(tree))
    for node, sentence in faulty:
        if not sentence or not isinstance(node, ast.stmt | ast.expr):
            continue
        own = lines[node.lineno - 1 : node.end_lineno]
        allowed = next(filter(None, map(ALLOWED.search, own)), None)
        if allowed is None:
            yield f"{source.places[node.lineno - 1]}: {sentence}"
        elif not allowed["reason"].strip():
            yield f"{source.places[node.lineno - 1]}: allow-seed needs a reason after it, on the same line."


def files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield what to look at below the paths; by default src/ and tests/, and notebooks anywhere."""
    chosen = paths or [ROOT / "src", ROOT / "tests"]
    yield from (path for root in chosen for path in walk(root) if path.suffix in READERS)
    if not paths:
        mine = (path for path in walk(ROOT) if path.suffix == ".ipynb")
        yield from (path for path in mine if path.relative_to(ROOT).parts[0] not in {"src", "tests"})


def walk(root: Path) -> Iterator[Path]:
    """Yield the files below a folder, or the one file; hidden folders, environments and the kit left out."""
    if root.is_file():
        yield root
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name for name in folders if name[0] != "." and name not in SKIPPED and not _is_kit(here / name)
        )
        yield from (here / name for name in sorted(names))


def _is_kit(folder: Path) -> bool:
    return folder.name == KIT and folder.resolve().parents[1] == ROOT / "src"


def main(arguments: Sequence[str]) -> int:
    """Print the findings below the paths given and return the exit code: 1 when there is one."""
    absent = [argument for argument in arguments if not Path(argument).exists()]
    if absent:
        print(f"check_seeds.py takes files and folders, and there is no {absent[0]}.", file=sys.stderr)
        return 2
    faulty = 0
    for path in files([Path(argument) for argument in arguments]):
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        try:
            told = list(findings(READERS[path.suffix](path, str(name))))
        except (OSError, SyntaxError, ValueError, KeyError, TypeError, AttributeError) as error:
            told = [f"{name}: this cannot be read as Python, so its seeds are not known: {error}"]
        faulty += len(told)
        for sentence in told:
            print(sentence)
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
