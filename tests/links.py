"""The rendered package as it stands in the template: links, no render.

Modules that are rendered hold no Jinja, so they can be imported, linted and type-checked where they are.
Python and mypy take no folder called `{{ package_name }}`, so both see it through links in build/standing.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template"
PACKAGE = TEMPLATE / "src" / "{{ package_name }}"
NAME = "standing"


def sources(framework: str) -> dict[str, Path]:
    """Return each module of the rendered package, by its path in it, and where its text stands."""
    modules = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    return {
        **modules,
        "model.py": ROOT / "frameworks" / framework / "model.py",
    }


def programs(tool: str) -> dict[str, Path]:
    """Return each program of .tools/, by its name, and where its text stands."""
    shared = {path.name: path for path in (TEMPLATE / ".tools").glob("*.py")}
    return {**shared, "lock_reader.py": ROOT / "tools" / tool / "lock_reader.py"}


def build(folder: Path, tool: str = "uv", framework: str = "scikit-learn") -> Path:
    """Link the package for one tool and one framework as `folder`/standing, .tools as `folder`/tools.

    Returns the path of the package.
    """
    package, tools = folder / NAME, folder / "tools"
    files = {package / name: source for name, source in sources(framework).items()}
    files |= {tools / name: source for name, source in programs(tool).items()}
    for place in (package, tools):
        shutil.rmtree(place, ignore_errors=True)
    for link, source in files.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source)
    (package / "__init__.py").touch()
    (package / "parity" / "pins.toml").write_text(PINS, encoding="utf-8")
    return package


# What the template renders for the interpreter that runs the tests.
PINS = f"""\
template = "v0.0.0"
[python]
version = "{sys.version_info.major}.{sys.version_info.minor}"
patch = "{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
[tool]
name = "uv"
version = "0.13.8"
manifests = ["pyproject.toml"]
locks = ["uv.lock"]
[target]
implementation_name = "cpython"
os_name = "posix"
platform_machine = "x86_64"
platform_python_implementation = "CPython"
platform_system = "Linux"
sys_platform = "linux"
"""


if __name__ == "__main__":
    # For mypy, which wants names of packages and not of files.
    build(Path(sys.argv[1]))
