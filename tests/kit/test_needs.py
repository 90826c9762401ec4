"""Which shared libraries an image lacks: what ldd says of each file, and what packages bring themselves."""

from pathlib import Path

import pytest
from standing.parity import needs

pytestmark = pytest.mark.static

LDD = """\
#!/bin/sh
# A stand-in for ldd: it says of each file what stands in it.
for file; do echo "$file:"; cat "$file"; done
exit 1
"""


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "ldd"
    program.parent.mkdir()
    program.write_text(LDD, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    folder = tmp_path / "venv"
    for name, told in {
        "a/_a.so": "\tlibc.so.6 => /lib/libc.so.6 (0x0)\n\tlibgomp.so.1 => not found\n",
        "b/_b.cpython-313.so": "\tlibown.so.2 => not found\n\tlinux-vdso.so.1 (0x0)\n",
        "b.libs/libown.so.2": "\tstatically linked\n",
        "c/notes.so.txt": "\tlibnever.so => not found\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(told, encoding="utf-8")
    return folder


def test_a_library_that_nobody_brings_is_named_with_the_file_that_needs_it(prefix: Path) -> None:
    (finding,) = needs.missing_libraries(prefix)
    assert finding.name == "libgomp.so.1"
    assert finding.message.startswith("a/_a.so needs libgomp.so.1, which is not in the image")
    assert ".tools/system-packages.txt" in finding.message
    assert not finding.warning


def test_without_ldd_nothing_is_said(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert [*needs.missing_libraries(prefix)] == []


def test_what_the_machine_or_a_plugin_brings_may_be_missing(prefix: Path) -> None:
    (prefix / "a" / "_a.so").write_text("\tlibcuda.so.1 => not found\n\tlibtbb.so.12 => not found\n", encoding="utf-8")
    (finding,) = needs.missing_libraries(prefix)
    assert finding.name == "libtbb.so.12"
    (prefix / "optional-libraries.txt").write_text("# of numba\nlibtbb.so.12  # threads\n", encoding="utf-8")
    assert [*needs.missing_libraries(prefix)] == []


def test_without_libraries_ldd_is_not_asked(prefix: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    (tmp_path / "bin" / "ldd").write_text(f"#!/bin/sh\ntouch {asked}\n", encoding="utf-8")
    assert [*needs.missing_libraries(tmp_path / "bin")] == []
    assert not asked.exists()
    assert [*needs.missing_libraries(prefix)] == []
    assert asked.exists()
