"""How tests handle Poetry: what this machine needs beside the rendered files, and how a user edits them by hand."""

import re
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import commands
import rendering

NAME = "poetry"
LOCKED = "poetry.lock"
ENVIRONMENT: dict[str, str] = {}

# Poetry asks the default index for a JSON page that not every mirror has; this plugin lets it ask another address for
# the same packages, and the lock is the one that Poetry writes without it.
PLUGIN = (
    "poetry-plugin-pypi-mirror==0.6.5 --hash=sha256:a361e170f3189d3ea8e87a27932920a7934a72f6185d983d9643133c689dbd82\n"
)
# A worktree has a Poetry of its own, which is to see it as well; git names no commit of before where one is made.
HOOK = """#!/bin/sh
case $1 in *[1-9a-f]*) exit 0 ;; esac
sh .tools/bootstrap.sh
for site in .tools/venv/lib/python3.*/site-packages; do echo '{plugins}' >"$site/tests-plugin.pth"; done
"""
PLUGINS = rendering.ROOT / "build" / "poetry-plugins"


def prepare(root: Path, index: str) -> dict[str, str]:
    """Let the Poetry of .tools/venv see the plugin; return the variable that it takes the index from."""
    commands.succeed(root, "make", "--no-print-directory", "tools")
    (site,) = (root / ".tools" / "venv").glob("lib/python3.*/site-packages")
    (site / "tests-plugin.pth").write_text(f"{_plugins(root)}\n", encoding="utf-8")
    if (hooks := root / ".git" / "hooks").is_dir():
        (hooks / "post-checkout").write_text(HOOK.format(plugins=_plugins(root)), encoding="utf-8")
        (hooks / "post-checkout").chmod(0o755)
    return {"POETRY_PYPI_MIRROR_URL": index}


def _plugins(root: Path) -> Path:
    """Return the folder that holds the plugin and nothing else: all of what it needs, Poetry has."""
    if not PLUGINS.exists():
        PLUGINS.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=PLUGINS.parent) as folder:
            requirements, partial = Path(folder, "requirements.txt"), Path(folder, "plugins")
            requirements.write_text(PLUGIN, encoding="utf-8")
            hashed = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", requirements)
            pip = (root / ".tools" / "venv" / "bin" / "python", "-m", "pip")
            commands.succeed(root, *pip, "install", "--quiet", *hashed, "--target", partial)
            try:
                partial.rename(PLUGINS)
            except OSError:  # another process of the tests was first
                assert PLUGINS.is_dir()
    return PLUGINS


def _edit(path: Path, pattern: str, replacement: str) -> None:
    """Replace what matches, which the file must hold."""
    text, times = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert times, f"{path} has no {pattern}"
    path.write_text(text, encoding="utf-8")


def demand(root: Path, line: str, *, dev: bool = False) -> None:
    """Write one more requirement into the manifest by hand."""
    head = "dev" if dev else "dependencies"
    _edit(root / "pyproject.toml", rf"^{head} = \[\n", f"{head} = [\n    '{line}',\n")


def withdraw(root: Path, name: str) -> None:
    """Remove a direct requirement by hand."""
    lines = (root / "pyproject.toml").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not _requires(line, name)]
    assert kept != lines
    (root / "pyproject.toml").write_text("".join(kept), encoding="utf-8")


def _requires(line: str, name: str) -> bool:
    quoted = re.fullmatch(r"""\s+(["'])(.*)\1,\n""", line)
    return quoted is not None and canonicalize_name(Requirement(quoted[2]).name) == canonicalize_name(name)


def _entry(root: Path, name: str) -> str:
    """Return the text of a package's entry; the next one, or the end of the packages, follows."""
    text = (root / LOCKED).read_text(encoding="utf-8")
    pattern = rf'^\[\[package\]\]\nname = "{re.escape(name)}"\n.*?(?=^\[\[package|^\[extras|^\[metadata)'
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    assert found, f"{LOCKED} has no {name}"
    return found[0]


def _rewrite(root: Path, entry: str, new: str) -> None:
    text = (root / LOCKED).read_text(encoding="utf-8")
    assert entry != new
    (root / LOCKED).write_text(text.replace(entry, new), encoding="utf-8")


def flip_hash(root: Path, name: str) -> None:
    """Change one digit of the hash of every wheel of a locked package.

    The source archive keeps its own: Poetry builds that one, without a word, where it may.
    """
    entry = _entry(root, name)
    _rewrite(root, entry, re.sub(r'(?<=\.whl", hash = "sha256:).', lambda digit: f"{int(digit[0], 16) ^ 1:x}", entry))


def drop_hashes(root: Path, name: str) -> None:
    """Leave the entry in its place, without its files."""
    entry = _entry(root, name)
    _rewrite(root, entry, re.sub(r"^files = \[.*?^\]", "files = []", entry, flags=re.MULTILINE | re.DOTALL))


def edit_version(root: Path, name: str, version: str) -> None:
    """Change the locked version and nothing else."""
    entry = _entry(root, name)
    _rewrite(root, entry, re.sub('^version = ".*"', f'version = "{version}"', entry, flags=re.MULTILINE))


def drop_entry(root: Path, name: str) -> None:
    """Remove a locked package."""
    _rewrite(root, _entry(root, name), "")


def foreign(root: Path, name: str) -> str | None:
    """Let a locked package come from another index, as [package.source] says it; return that origin."""
    entry, origin = _entry(root, name), "https://evil.example"
    source = f'[package.source]\ntype = "legacy"\nurl = "{origin}/simple"\nreference = "evil"\n\n'
    _rewrite(root, entry, re.sub(r"^\[package.source\]\n.*", "", entry, flags=re.MULTILINE | re.DOTALL) + source)
    return origin


def versions(root: Path) -> dict[str, str]:
    """Return name and version of the runtime part that applies here, by Poetry's own words."""
    environment = {"VIRTUAL_ENV": str(root / ".tools" / "venv")}  # or it would make .venv to answer
    show = (".tools/venv/bin/poetry", "--no-ansi", "show", "--only", "main", "--no-truncate")
    return dict(re.findall(r"^(\S+) +(?:\(!\) )?(\S+)", commands.succeed(root, *show, **environment), re.MULTILINE))
