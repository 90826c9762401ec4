"""Level static: the tests' own package index says what pip, uv, Poetry and Pipenv ask, and tells what was asked."""

import base64
import hashlib
import html.parser
import io
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pip._internal.models.index import PyPI

from index import Index, Planted

pytestmark = pytest.mark.static

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OTHER = Planted("other", "1.5")
DEMO = Planted(
    "Demo_Lib", "1.0", requires=("other>=1",), uploaded=NOON, requires_python=">=3.8", yanked='"broken" & gone'
)
SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def index() -> Iterator[Index]:
    """An index of two made-up packages, one of which asks for the other."""
    with Index([DEMO, OTHER]) as opened:
        yield opened


class Links(html.parser.HTMLParser):
    """The attributes of a page's links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))


def ask(url: str, **headers: str) -> tuple[str, bytes]:
    """Return the type and the body of a page."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:  # noqa: S310 - loopback
        return answer.headers["Content-Type"], answer.read()


def ask_json(url: str) -> dict[str, Any]:
    """Return a page that is JSON, asked for as pip asks."""
    page: dict[str, Any] = json.loads(ask(url, Accept=f"{SIMPLE_JSON}, text/html; q=0.01")[1])
    return page


def refused(url: str, **headers: str) -> urllib.error.HTTPError:
    """Return the refusal of a page that must be refused."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(url, **headers)
    caught.value.close()
    return caught.value


def install(index: Index, folder: Path, *lines: str, credentials: str = "") -> subprocess.CompletedProcess[str]:
    """Install locked lines into `folder` by this environment's pip, without this machine's settings."""
    (folder / "requirements.txt").write_text("\n".join(lines), encoding="utf-8")
    options = ["--no-cache-dir", "--require-hashes", "--target", "installed", "-r", "requirements.txt"]
    url = index.url.replace("http://", f"http://{credentials}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [sys.executable, "-m", "pip", "install", *options],
        cwd=folder,
        env=kept | {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": url, "PIP_NO_INPUT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def locked(package: Planted) -> str:
    """Return the line of a lock that pins a package."""
    wheel, _ = package.files().values()
    return f"{package.name}=={package.version} --hash=sha256:{hashlib.sha256(wheel).hexdigest()}"


def test_json_page_tells_what_pep_691_and_700_ask(index: Index) -> None:
    kind, body = ask(f"{index.url}demo-lib/", Accept=f"{SIMPLE_JSON}, text/html; q=0.01")
    wheel, metadata = DEMO.files().values()
    assert kind == SIMPLE_JSON
    assert json.loads(body) == {
        "meta": {"api-version": "1.1"},
        "name": "demo-lib",
        "versions": ["1.0"],
        "files": [
            {
                "filename": "demo_lib-1.0-py3-none-any.whl",
                "url": index.url.replace("/simple/", "/files/demo_lib-1.0-py3-none-any.whl"),
                "size": len(wheel),
                "hashes": {"sha256": hashlib.sha256(wheel).hexdigest()},
                "upload-time": "2026-11-20T12:00:00.000000Z",
                "yanked": '"broken" & gone',
                "requires-python": ">=3.8",
                "core-metadata": {"sha256": hashlib.sha256(metadata).hexdigest()},
            }
        ],
    }
    assert ask_json(index.url)["projects"] == [{"name": "demo-lib"}, {"name": "other"}]


def test_html_page_parses_and_leads_to_the_same_files(index: Index) -> None:
    kind, body = ask(f"{index.url}Demo.Lib/", Accept="text/html")
    (file,) = ask_json(f"{index.url}demo-lib/")["files"]
    assert kind == "text/html"
    assert Links(body.decode()).found == [
        {
            "href": f"{file['url']}#sha256={file['hashes']['sha256']}",
            "data-requires-python": ">=3.8",
            "data-yanked": '"broken" & gone',
            "data-core-metadata": f"sha256={file['core-metadata']['sha256']}",
        }
    ]
    assert [link["href"] for link in Links(ask(index.url, Accept="text/html")[1].decode()).found] == [
        "demo-lib/",
        "other/",
    ]


def test_project_json_tells_a_release_and_all_of_them(index: Index) -> None:
    index.plant(Planted("other", "1.10", requires=("demo-lib",)))
    root = index.url.replace("/simple/", "")
    of_all, of_one = ask_json(f"{root}/pypi/other/json"), ask_json(f"{root}/pypi/other/1.5/json")
    assert list(of_all["releases"]) == ["1.5", "1.10"]
    assert of_all["info"]["version"] == "1.10"
    assert of_all["info"]["requires_dist"] == ["demo-lib"]
    assert of_one["info"]["requires_dist"] == []
    assert [file["url"] for file in of_one["urls"]] == [f"{root}/files/other-1.5-py3-none-any.whl"]
    assert of_one["urls"] == of_all["releases"]["1.5"]


def test_two_slashes_are_one_as_pipenv_asks(index: Index) -> None:
    assert ask_json(f"{index.url}/other/")["name"] == "other"


def test_upstream_is_served_from_what_it_said_today(tmp_path: Path) -> None:
    file = {"filename": "lib-1.0.tar.gz", "url": "../../packages/packages/ab/cd/lib-1.0.tar.gz", "core-metadata": True}
    file |= {"size": 7, "yanked": False, "yanked_reason": None, "requires_python": None}
    file |= {"digests": {"md5": "0", "sha256": "1"}, "upload_time_iso_8601": "2026-11-20T12:00:00.000000Z"}
    releases = {"1.0": [file], "2.0": [], "0.1dev-r7-ancient": []}
    said = {"info": {"name": "lib", "version": "2.0", "requires_dist": ["other"]}, "releases": releases}
    for day in (datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)):  # midnight may pass
        kept = tmp_path / day.date().isoformat() / "lib.json"
        kept.parent.mkdir()
        kept.write_text(json.dumps(said), encoding="utf-8")
    with Index([Planted("lib", "3.0")], upstream=True, cache=tmp_path) as index:
        page = ask_json(f"{index.url}lib/")
        older = ask_json(index.url.replace("simple/", "pypi/lib/1.0/json"))
        newest = ask_json(index.url.replace("simple/", "pypi/lib/2.0/json"))
        index.remove("lib", "1.0")
        assert ask_json(f"{index.url}lib/")["versions"] == ["2.0", "3.0"]
    assert page["versions"] == ["1.0", "2.0", "3.0"]
    assert page["files"][0] == {
        "filename": "lib-1.0.tar.gz",
        "url": f"https://{PyPI.file_storage_domain}/packages/ab/cd/lib-1.0.tar.gz",
        "size": 7,
        "hashes": {"sha256": "1"},
        "upload-time": "2026-11-20T12:00:00.000000Z",
        "yanked": False,
    }
    assert (older["info"]["version"], older["info"]["requires_dist"]) == ("1.0", None)
    assert newest["info"]["requires_dist"] == ["other"]


def test_upstream_is_asked_once_by_all_who_share_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Index([OTHER]) as upstream:
        monkeypatch.setattr(PyPI, "pypi_url", upstream.url.replace("/simple/", "/pypi"))
        for _ in range(2):
            with Index(upstream=True, cache=tmp_path) as index:
                assert [ask_json(f"{index.url}{name}/")["versions"] for name in ("other", "Other")] == [["1.5"]] * 2
                assert refused(f"{index.url}nobody/").code == 404
        assert upstream.requests.count("/pypi/other/json") == 1
        with Index(upstream=True) as index:  # without a folder: once by each index
            assert [ask_json(f"{index.url}{name}/")["versions"] for name in ("other", "Other")] == [["1.5"]] * 2
        assert upstream.requests.count("/pypi/other/json") == 2


def test_upstream_that_fails_is_not_taken_for_one_that_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Index([OTHER], credentials=("user", "secret")) as upstream, Index(upstream=True) as index:
        monkeypatch.setattr(PyPI, "pypi_url", upstream.url.replace("/simple/", "/pypi"))
        assert refused(f"{index.url}other/").code == 502


def test_what_is_not_there_is_404_and_what_is_removed_is_gone(index: Index) -> None:
    assert refused(f"{index.url}nobody/").code == 404
    assert refused(index.url.replace("simple/", "files/nobody-1.0-py3-none-any.whl")).code == 404
    (file,) = ask_json(f"{index.url}other/")["files"]
    index.remove("Other", "1.5")
    assert refused(f"{index.url}other/").code == 404
    assert refused(file["url"]).code == 404
    index.plant(OTHER)
    assert ask(file["url"])[1] == OTHER.files()[file["filename"]]


def test_wheel_has_the_same_bytes_twice_and_a_right_record() -> None:
    wheel, metadata = DEMO.files().values()
    assert Planted(**vars(DEMO)).files() == DEMO.files()
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
        recorded = [line.split(",") for line in archive.read("demo_lib-1.0.dist-info/RECORD").decode().splitlines()]
        bodies = {name: archive.read(name) for name in archive.namelist()}
    assert {path for path, _, _ in recorded} == set(bodies)
    assert bodies["demo_lib-1.0.dist-info/METADATA"] == metadata
    assert b"Requires-Dist: other>=1\n" in metadata
    for path, digest, size in recorded[:-1]:
        right = base64.urlsafe_b64encode(hashlib.sha256(bodies[path]).digest()).decode().rstrip("=")
        assert (digest, size) == (f"sha256={right}", str(len(bodies[path])))


def test_real_pip_installs_planted_wheels_by_their_hashes(index: Index, tmp_path: Path) -> None:
    result = install(index, tmp_path, locked(DEMO), locked(OTHER))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "installed" / "demo_lib.py").read_text() == '__version__ = "1.0"\n'
    assert {"/simple/demo-lib/", "/simple/other/", "/files/demo_lib-1.0-py3-none-any.whl"} <= set(index.requests)


def test_real_pip_refuses_a_wheel_that_is_not_the_locked_one(index: Index, tmp_path: Path) -> None:
    line = locked(OTHER)
    index.plant(Planted("other", "1.5", requires=("demo-lib",)))
    result = install(index, tmp_path, line)
    assert result.returncode != 0
    assert "DO NOT MATCH THE HASHES" in result.stderr


def test_requests_tell_what_was_asked_in_order(index: Index) -> None:
    assert index.requests == []
    ask_json(f"{index.url}demo-lib/")
    refused(f"{index.url}nobody/")
    assert index.requests == ["/simple/demo-lib/", "/simple/nobody/"]


def test_password_is_asked_for_pages_and_files(tmp_path: Path) -> None:
    with Index([OTHER], credentials=("user", "secret")) as index:
        page, file = f"{index.url}other/", index.url.replace("simple/", "files/other-1.5-py3-none-any.whl")
        for url in (page, file, f"{file}.metadata", index.url.replace("simple/", "pypi/other/json")):
            refusal = refused(url)
            assert refusal.code == 401
            assert refusal.headers["WWW-Authenticate"] == 'Basic realm="index"'
        assert refused(page, Authorization="Basic " + base64.b64encode(b"user:wrong").decode()).code == 401
        assert install(index, tmp_path, locked(OTHER)).returncode != 0
        result = install(index, tmp_path, locked(OTHER), credentials="user:secret@")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "installed" / "other.py").exists()
