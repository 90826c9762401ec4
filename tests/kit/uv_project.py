"""A repository with a small uv.lock and an environment that holds what it says: files only, nothing runs."""

import base64
import hashlib
from pathlib import Path

PYPROJECT = """\
[project]
name = "Demo_App"
version = "0.1.0"
requires-python = "==3.13.*"
dependencies = ["alpha[fast]>=1,<2", "beta>=2; sys_platform == 'linux'", "torch>=2"]
[project.optional-dependencies]
plot = ["plotter"]
[dependency-groups]
lint = ["checker>=3"]
dev = ["tester>=9", { include-group = "lint" }]
docs = ["writer"]
"""

HEAD = """\
version = 1
revision = 5
requires-python = "==3.13.*"

[[package]]
name = "demo-app"
version = "0.1.0"
source = { editable = "." }
dependencies = [
    { name = "alpha", extra = ["fast"] },
    { name = "beta", marker = "sys_platform == 'linux'" },
    { name = "torch", version = "2.0", source = { registry = "https://index.example/simple" }, marker = "sys_platform == 'darwin'" },
    { name = "torch", version = "2.0+cpu", source = { registry = "https://torch.example/cpu" }, marker = "sys_platform != 'darwin'" },
]

[package.optional-dependencies]
plot = [
    { name = "plotter" },
]

[package.dev-dependencies]
dev = [
    { name = "checker" },
    { name = "tester" },
]
docs = [
    { name = "writer" },
]
lint = [
    { name = "checker" },
]

[package.metadata]
requires-dist = [
    { name = "alpha", extras = ["fast"], specifier = ">=1,<2" },
    { name = "beta", marker = "sys_platform == 'linux'", specifier = ">=2" },
    { name = "plotter", marker = "extra == 'plot'" },
    { name = "torch", specifier = ">=2" },
]
provides-extras = ["plot"]

[package.metadata.requires-dev]
dev = [
    { name = "checker", specifier = ">=3" },
    { name = "tester", specifier = ">=9" },
]
docs = [{ name = "writer" }]
lint = [{ name = "checker", specifier = ">=3" }]
"""  # noqa: E501 - as uv writes it

ALPHA = """\
dependencies = [
    { name = "colour", marker = "sys_platform == 'win32'" },
]
optional-dependencies = { fast = [{ name = "quick-lib" }] }
"""
# name, version, what follows the source: the edges
PACKAGES = (
    ("alpha", "1.5", ALPHA),
    ("beta", "2.1", ""),
    ("checker", "3.0", ""),
    ("colour", "0.4", ""),
    ("plotter", "5.0", 'dependencies = [{ name = "alpha" }]\n'),
    ("quick-lib", "0.2", 'dependencies = [{ name = "alpha", extra = ["fast"] }]\n'),
    ("tester", "9.0", 'dependencies = [{ name = "quick-lib" }]\n'),
    ("torch", "2.0", ""),
    ("torch", "2.0+cpu", ""),
    ("writer", "7.0", ""),
)
ORIGINS = ("https://files.example", "https://index.example", "https://torch.example torch")
RUNTIME = {"alpha": "1.5", "beta": "2.1", "quick-lib": "0.2", "torch": "2.0+cpu"}
INSTALLED = RUNTIME | {"checker": "3.0", "tester": "9.0"}
LINUX = {
    "implementation_name": "cpython",
    "implementation_version": "3.13.0",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}
MAC = LINUX | {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"}
WINDOWS = LINUX | {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"}


def digest(text: str) -> str:
    """Return the sha256 that the lock has for the file of this name."""
    return hashlib.sha256(text.encode()).hexdigest()


def entry(name: str, version: str, rest: str = "") -> str:
    """Return one [[package]] of a lock, with one wheel, as uv spells it."""
    host = "torch.example/cpu" if "+" in version else "index.example/simple"
    wheel = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "https://{host}" }}\n'
        f'{rest}wheels = [\n    {{ url = "https://files.example/{wheel.replace("+", "%2B")}",'
        f' hash = "sha256:{digest(wheel)}", size = 1000, upload-time = "2026-11-01T11:20:07Z" }},\n]\n'
    )


def lock_text() -> str:
    """Return the whole uv.lock."""
    return "\n".join([HEAD, *(entry(*package) for package in PACKAGES)])


def write(root: Path) -> Path:
    """Write manifest, lock and the origins that `make lock` notes into `root`; return it."""
    (root / ".tools").mkdir(parents=True, exist_ok=True)
    (root / ".tools" / "origins.txt").write_text("\n".join(ORIGINS), encoding="utf-8")
    (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (root / "uv.lock").write_text(lock_text(), encoding="utf-8")
    return root


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first `old` in a file, which must hold it."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def install(site: Path, name: str, version: str, *, url: str = "") -> Path:
    """Write a distribution with one module into `site`, as an installer does; return its metadata folder."""
    stem = name.replace("-", "_")
    files = {f"{stem}/__init__.py": f"# {name}\n", f"{stem}-{version}.dist-info/METADATA": f"Name: {name}\n"}
    if url:
        direct = f'{{"url": "{url}", "dir_info": {{"editable": true}}}}'
        files[f"{stem}-{version}.dist-info/direct_url.json"] = direct
    rows = [f"{stem}/__pycache__/__init__.cpython-313.pyc,,", f"{stem}-{version}.dist-info/RECORD,,"]
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text, encoding="utf-8")
        hashed = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={hashed},{len(text)}")
    metadata = site / f"{stem}-{version}.dist-info"
    (metadata / "RECORD").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return metadata
