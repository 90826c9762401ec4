"""Markers, requirements and file names: what means the same, and what does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker
from standing.parity import artifacts, lock, markers, requirements, toml

from kit import uv_project
from kit.uv_project import LINUX, MAC, WINDOWS

pytestmark = pytest.mark.static

CLAUSES = st.builds(
    "{} {} '{}'".format,
    st.sampled_from(["sys_platform", "os_name", "platform_machine", "implementation_name", "platform_system"]),
    st.sampled_from(["==", "!="]),
    st.sampled_from(["linux", "darwin", "win32", "posix", "nt", "x86_64", "arm64", "cpython", "Linux", "a1.0"]),
)
VERSIONS = st.sampled_from(["python_version < '3.14'", "python_full_version >= '3.13.1'", "(os_name == 'nt')"])
MARKERS = st.lists(st.tuples(st.one_of(CLAUSES, VERSIONS), st.sampled_from([" and ", " or "])), min_size=1, max_size=4)


@given(MARKERS, st.sampled_from([LINUX, MAC, WINDOWS]))
def test_a_marker_is_answered_as_packaging_answers(parts: list[tuple[str, str]], here: dict[str, str]) -> None:
    marker = "".join(clause + joint for clause, joint in parts).removesuffix(parts[-1][1])
    assert markers.applies(marker, here) == Marker(marker).evaluate({"extra": "", **here})


def test_no_marker_always_applies() -> None:
    assert markers.applies(None, LINUX)
    assert markers.applies("", LINUX)


def test_a_marker_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="sys_platform is"):
        markers.applies("sys_platform is 'linux'", LINUX)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("platform_system != 'Windows'", "sys_platform != 'win32'"),
        ("platform_system == 'Linux' and extra == 'gpu'", "extra == 'gpu' and sys_platform == 'linux'"),
        ("python_version >= '3.8'", ""),
        ("python_version >= '3.12' and os_name == 'nt'", "os_name == 'nt'"),
        ("python_version < '3.14'", "python_full_version < '3.14'"),
        ("sys_platform == 'emscripten' or os_name == 'nt'", "os_name == 'nt' or sys_platform == 'emscripten'"),
    ],
)
def test_markers_that_mean_the_same_are_the_same(one: str, other: str) -> None:
    assert markers.same(one, other, ">=3.12,<3.15")
    assert markers.same(other, one, ">=3.12,<3.15")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sys_platform == 'linux'", ""),
        ("sys_platform == 'linux'", "sys_platform == 'darwin'"),
        ("python_version < '3.13'", "python_version < '3.14'"),
        ("python_full_version < '3.13.4'", "python_full_version < '3.13.5'"),
        ("extra == 'gpu'", ""),
        ("extra == 'gpu'", "extra == 'cpu'"),
        ("sys_platform == 'emscripten'", "sys_platform == 'wasi'"),
        ("platform_machine == 'arm64'", "platform_machine == 'aarch64'"),
    ],
)
def test_markers_that_differ_are_told_apart(one: str, other: str) -> None:
    assert not markers.same(one, other, ">=3.12")


def test_here_is_what_packaging_says_of_this_interpreter() -> None:
    from packaging.markers import default_environment  # noqa: PLC0415 - what the kit does without

    assert lock.here_environment() == default_environment()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("==3.13.*", ">=3.13,<3.14", True),
        (">=3.12", ">=3.12.0", True),
        ("~=3.12", ">=3.12,<4", True),
        (">=3.12", ">=3.12.2", False),
        ("==3.13.*", ">=3.13", False),
        (">=3.13", ">=3.13,!=3.13.7", False),
    ],
)
def test_pythons_are_compared_by_what_they_admit(one: str, other: str, *, same: bool) -> None:
    assert requirements.same_pythons(one, other) is same


def test_groups_are_expanded_in_order() -> None:
    groups: dict[str, list[Any]] = {
        "Dev_Tools": ["a", {"include-group": "test"}],
        "test": ["b", {"include-group": "lint"}],
        "lint": ["c"],
    }
    assert requirements.expand(groups, "dev-tools") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("file", "holds"),
    [
        ("torch-2.0+cpu-cp313-cp313-linux_x86_64.whl", True),
        ("Torch-2.0.0+cpu-py3-none-any.whl", True),
        ("torch-2.0-py3-none-any.whl", False),
        ("torchvision-2.0+cpu-py3-none-any.whl", False),
        ("torch-nonsense-py3-none-any.whl", False),
        ("torch.whl", False),
        ("torch-2.0.tar.gz", True),
    ],
)
def test_a_wheel_says_what_it_is(file: str, *, holds: bool) -> None:
    assert artifacts.claims(file, "torch", "2.0+cpu") is holds


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Files.Example/a/b.whl", "https://files.example"),
        ("https://user:word@files.example:8443/a", "https://files.example:8443"),
        ("https://files.example#@evil.example/", "https://files.example"),
        ("https://files.example\\@evil.example/", "https://files.example"),
        ("https://files.example?@evil.example/", "https://files.example"),
        ("ssh://git@git.example/repo", "ssh://git.example"),
        ("../wheels/a.whl", ""),
    ],
)
def test_an_origin_is_scheme_and_host(address: str, origin: str) -> None:
    assert artifacts.origin(address) == origin


def test_files_read_by_pattern_are_those_that_tomllib_reads() -> None:
    import tomllib  # noqa: PLC0415 - what the kit goes around

    text = uv_project.lock_text()
    expected = tomllib.loads(text)
    for entry in expected["package"]:
        for file in entry.get("wheels", ()):
            del file["size"]
    assert toml.FILES.search(text)
    assert toml.parse(text) == expected


@pytest.mark.parametrize("odd", ["wheels = 0", 'wheels = [{ url = "u", hash = "h" }]', "wheels = [\n]"])
def test_another_spelling_is_left_to_tomllib(odd: str) -> None:
    import tomllib  # noqa: PLC0415

    text = f'[[package]]\nname = "a"\n{odd}\n'
    assert toml.parse(text) == tomllib.loads(text)
