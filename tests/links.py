"""The rendered package as it stands in the template: links, no render.

Modules that are rendered hold no Jinja, so they can be imported, linted and type-checked where they are.
Python and mypy take no folder called `{{ package_name }}`, so both see it through links in build/standing.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template"
PACKAGE = TEMPLATE / "src" / "{{ package_name }}"
NAME = "standing"
FRAMEWORKS = sorted(path.parent.name for path in ROOT.glob("frameworks/*/framework.yml"))
FRAMEWORK = "scikit-learn"  # for what does not depend on the framework


def data(tool: str) -> dict[str, Any]:
    """Return what the tool's folder says of itself."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "tools" / tool / "tool.yml").read_text(encoding="utf-8"))
    return content


def framework_data(name: str) -> dict[str, Any]:
    """Return what the framework's folder says of itself."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "frameworks" / name / "framework.yml").read_text(encoding="utf-8"))
    return content


def sources(framework: str, tool: str, versioning: str = "none") -> dict[str, Path]:
    """Return each module of the rendered package, by its path in it, and where its text stands."""
    modules = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    return {
        **modules,
        "model.py": ROOT / "frameworks" / framework / "model.py",
        **{path.name: path for path in (ROOT / "template" / "versioning" / versioning).glob("*.py")},
        **{f"parity/{name}": ROOT / "tools" / tool / name for name in data(tool)["kit"]},
    }


def programs(tool: str) -> dict[str, Path]:
    """Return each program of .tools/, by its name, and where its text stands."""
    chosen, folder = data(tool), ROOT / "tools" / tool
    shared = {path.name: path for path in (TEMPLATE / ".tools").glob("*.py")}
    if chosen["installs_project"]:
        del shared["install.py"]
    return {**shared, **{name: folder / name for name in ("lock_reader.py", *chosen["programs"])}}


def build(folder: Path, tool: str = "uv", framework: str = FRAMEWORK) -> Path:
    """Link the package for one tool and one framework as `folder`/standing, .tools as `folder`/tools.

    Returns the path of the package.
    """
    package, tools = folder / NAME, folder / "tools"
    files = {package / name: source for name, source in sources(framework, tool).items()}
    files |= {tools / name: source for name, source in programs(tool).items()}
    files |= {tools / source.name: source for source in (TEMPLATE / ".switch").glob("*.py")}
    for place in (package, tools):
        shutil.rmtree(place, ignore_errors=True)
    for link, source in files.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source)
    (package / "__init__.py").touch()
    (package / "parity" / "pins.toml").write_text(pins(tool, framework), encoding="utf-8")
    return package


def pins(tool: str = "uv", framework: str = FRAMEWORK) -> str:
    """Return the kit's pins.toml, as it is rendered for these."""
    said = {key: json.dumps(data(tool)[key]) for key in ("version", "manifests", "locks")}
    return PINS.format(tool=tool, model=framework_data(framework)["model_file"], **said)


# What the template renders for the interpreter that runs the tests.
PINS = f"""\
template = "v0.0.0"
[python]
version = "{sys.version_info.major}.{sys.version_info.minor}"
patch = "{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
[tool]
name = "{{tool}}"
version = {{version}}
manifests = {{manifests}}
locks = {{locks}}
[model]
file = "{{model}}"
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
    build(Path(sys.argv[1]), *sys.argv[2:])
