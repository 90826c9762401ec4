"""A package index on loopback: upload times, wheels made on the fly, a password, and a list of what was asked.

`python tests/index.py [--port N] [--cache DIR]` serves this machine's default index until Ctrl-C.
"""

import argparse
import base64
import contextlib
import hashlib
import html
import io
import json
import re
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import VERSION_PATTERN, Version
from pip._internal.models.index import PyPI  # pip knows the default index: no host stands in this repository

from loopback import Loopback

Json = dict[str, Any]  # a release is what /pypi/<name>/<version>/json answers: its info and its files as urls


@dataclass(frozen=True)
class Planted:
    """A package that is made up: one wheel, whose module says its version and no more."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    uploaded: datetime = datetime(2024, 1, 1, tzinfo=UTC)  # older than any cooldown
    requires_python: str = ""
    yanked: str = ""
    tag: str = "py3-none-any"  # the platform

    def files(self) -> dict[str, bytes]:
        """Return the wheel and its metadata by their file names, the same bytes each time."""
        module = canonicalize_name(self.name).replace("-", "_")
        folder, wheel = f"{module}-{self.version}.dist-info", f"{module}-{self.version}-{self.tag}.whl"
        lines = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}"]
        lines += [f"Requires-Python: {self.requires_python}"] if self.requires_python else []
        metadata = "\n".join([*lines, *(f"Requires-Dist: {line}" for line in self.requires), ""])
        inside = {f"{module}.py": f'__version__ = "{self.version}"\n', f"{folder}/METADATA": metadata}
        inside[f"{folder}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {self.tag}\n"
        digests = {path: hashlib.sha256(text.encode()).digest() for path, text in inside.items()}
        words = {path: base64.urlsafe_b64encode(digest).decode().rstrip("=") for path, digest in digests.items()}
        record = [f"{path},sha256={words[path]},{len(text.encode())}\n" for path, text in inside.items()]
        inside[f"{folder}/RECORD"] = "".join([*record, f"{folder}/RECORD,,\n"])
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for path, text in inside.items():
                archive.writestr(zipfile.ZipInfo(path), text)  # dated 1980, whatever the clock says
        return {wheel: made.getvalue(), f"{wheel}.metadata": metadata.encode()}

    def release(self, folder: str) -> Json:
        """Return what the index says of this version, whose files lie at `folder`."""
        (filename, wheel), (_, metadata) = self.files().items()
        asked = {"requires_dist": list(self.requires), "requires_python": self.requires_python or None}
        info = {"name": self.name, "version": self.version, "summary": "", "platform": None, **asked}
        withdrawn = {"yanked": bool(self.yanked), "yanked_reason": self.yanked or None}
        file = {"filename": filename, "url": folder + quote(filename), "size": len(wheel), "packagetype": "bdist_wheel"}
        digests = {"digests": {"sha256": hashlib.sha256(wheel).hexdigest()}, "requires_python": info["requires_python"]}
        dated = {"upload_time_iso_8601": self.uploaded.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        core = {"core-metadata": {"sha256": hashlib.sha256(metadata).hexdigest()}}
        return {"info": info | withdrawn, "urls": [file | digests | dated | core | withdrawn]}


class Index(Loopback):
    """A package index on loopback, open as long as its `with` block; `requests` are the paths that were asked of it.

    `host` is another address of this machine's own, for containers.

    It has what is planted and, with `upstream`, all that this machine's default index has; where there is a folder
    `cache`, that one is asked once a day for each package.
    """

    json = True  # where it is asked for
    request_queue_size = 128  # uv opens dozens of connections at once

    def __init__(  # noqa: PLR0913 - what a test says of its index
        self,
        planted: tuple[Planted, ...] | list[Planted] = (),
        *,
        upstream: bool = False,
        cache: Path | None = None,
        credentials: tuple[str, str] | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        super().__init__((host, port), _Handler)
        self.url = f"http://{host}:{self.server_port}/simple/"
        self.requests: list[str] = []
        self.key = "Basic " + base64.b64encode(":".join(credentials).encode()).decode() if credentials else None
        self._upstream, self._cache = upstream, cache
        self._known: dict[str, dict[str, Json]] = {}  # what the default index said
        self._changed: dict[tuple[str, str], Planted | None] = {}  # None: removed
        self.plant(*planted)

    def plant(self, *packages: Planted) -> None:
        """Add made-up packages; one hides what the default index has in that version."""
        self._changed |= {(canonicalize_name(package.name), package.version): package for package in packages}

    def remove(self, name: str, version: str) -> None:
        """Let a version be gone, planted or not."""
        self._changed[canonicalize_name(name), version] = None

    def answer(self, path: str) -> Json | bytes | None:
        """Return the file or the JSON that stands at `path`, a page of /simple with its "meta"; None for nothing."""
        planted = [package for package in list(self._changed.values()) if package]
        match re.findall(r"[^/]+", unquote(urlsplit(path).path)):  # Pipenv doubles a slash
            case ["simple"]:  # those of the default index are too many to tell
                names = sorted({canonicalize_name(package.name) for package in planted})
                return {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in names], "files": []}
            case ["files", filename]:
                return {name: body for package in planted for name, body in package.files().items()}.get(filename)
            case ["simple", name]:
                releases = self._releases(name)
                page = {"meta": {"api-version": "1.1"}, "name": canonicalize_name(name), "versions": list(releases)}
                files = [_entry(file) for release in releases.values() for file in release["urls"]]
                return {**page, "files": files} if releases else None
            case ["pypi", name, "json"] | [name, "json"]:  # pip-tools asks beside /simple, without /pypi
                releases = self._releases(name)
                of_all = {"releases": {version: release["urls"] for version, release in releases.items()}}
                return releases[max(releases, key=Version)] | of_all if releases else None
            case ["pypi", name, version, "json"] | [name, version, "json"]:
                return self._releases(name).get(version)
        return None

    def _releases(self, name: str) -> dict[str, Json]:
        name = canonicalize_name(name)
        if self._upstream and name not in self._known:
            self._known[name] = _asked_upstream(name, self._cache)
        mine = {version: package for (of, version), package in list(self._changed.items()) if of == name}
        theirs = {version: release for version, release in self._known.get(name, {}).items() if version not in mine}
        folder = self.url.replace("/simple/", "/files/")
        return theirs | {version: package.release(folder) for version, package in mine.items() if package}


class Bare(Index):
    """An index that is pages of HTML and no more: no JSON, no upload times, as PyTorch's own."""

    json = False

    def answer(self, path: str) -> Json | bytes | None:
        """Return what the other one does, without what these pages do not tell."""
        page = super().answer(path)
        return page if isinstance(page, bytes) or "meta" in (page or {}) else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Index

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if self.server.key and self.headers["Authorization"] != self.server.key:
            return self._send(HTTPStatus.UNAUTHORIZED)
        try:
            answer = self.server.answer(self.path)
        except OSError as error:  # never 404, which would say that there is no such package
            return self._send(HTTPStatus.BAD_GATEWAY, body=str(error).encode())
        if answer is None:
            return self._send(HTTPStatus.NOT_FOUND)
        if isinstance(answer, bytes):
            return self._send(HTTPStatus.OK, "application/octet-stream", answer)
        accepted = self.headers["Accept"] or ""
        if "meta" in answer and not (self.server.json and ("json" in accepted or "html" not in accepted)):
            return self._send(HTTPStatus.OK, "text/html", _html(answer).encode())
        kind = "application/vnd.pypi.simple.v1+json" if "meta" in answer else "application/json"
        return self._send(HTTPStatus.OK, kind, json.dumps(answer).encode())

    def _send(self, status: HTTPStatus, kind: str = "text/plain", body: bytes = b"") -> None:
        self.send_response(status)
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")  # tests plant and remove while a tool's cache lives on
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: `requests` tells."""


def _asked_upstream(name: str, cache: Path | None) -> dict[str, Json]:
    """Return what the default index says of a package, {} where it has none; what it said today lies in `cache`."""
    kept = cache and cache / datetime.now(UTC).date().isoformat() / f"{name}.json"
    if kept and kept.exists():
        project = json.loads(kept.read_bytes())
    else:
        try:
            with urllib.request.urlopen(f"{PyPI.pypi_url}/{name}/json", timeout=60) as said:  # noqa: S310 - pip's own
                project = json.load(said)
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return {}
            raise
        if kept:  # whole or not at all: other test processes read it
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=kept.parent, delete=False) as scratch:
                json.dump(project, scratch)
            Path(scratch.name).replace(kept)
    # The requirements of older versions are not told here: clients read them from the files.
    newest, older = project["info"], project["info"] | {"requires_dist": None}
    info = {version: older | {"version": version} for version in project["releases"]} | {newest["version"]: newest}
    files = {version: [_mended(file) for file in found] for version, found in project["releases"].items()}
    takes = re.compile(VERSION_PATTERN, re.VERBOSE | re.IGNORECASE).fullmatch  # what no client takes is left out
    return {version: {"info": info[version], "urls": files[version]} for version in files if takes(version)}


def _mended(file: Json) -> Json:
    """Make a file's address absolute, and take back the promise of metadata: a mirror may not have it."""
    below = re.sub(r"^.*packages/(?=[0-9a-f]{2}/)", "", file["url"])
    return {**file, "url": f"https://{PyPI.file_storage_domain}/packages/{below}", "core-metadata": False}


def _entry(file: Json) -> Json:
    """Return a file as a page of /simple tells it: PEP 691 and 700."""
    hashes = {"sha256": file["digests"]["sha256"]}  # pip refuses a page with a kind of hash that it does not know
    told = {"upload-time": file["upload_time_iso_8601"], "yanked": file["yanked_reason"] or file["yanked"]}
    maybe = {"requires-python": file["requires_python"], "core-metadata": file["core-metadata"]}
    same = {key: file[key] for key in ("filename", "url", "size")}
    return same | {"hashes": hashes} | told | {key: value for key, value in maybe.items() if value}


def _html(page: Json) -> str:
    """Return a page of /simple as HTML: PEP 503, 592 and 714; no upload times, as in most indexes."""
    lines = [f'<a href="{project["name"]}/">{project["name"]}</a>' for project in page.get("projects", ())]
    for file in page["files"]:
        words = {"href": f"{file['url']}#sha256={file['hashes']['sha256']}"}
        words |= {f"data-{key}": str(file[key]) for key in ("requires-python", "yanked") if file.get(key)}
        if "core-metadata" in file:
            words["data-core-metadata"] = f"sha256={file['core-metadata']['sha256']}"
        attributes = " ".join(f'{word}="{html.escape(value)}"' for word, value in words.items())
        lines.append(f"<a {attributes}>{file['filename']}</a>")
    return "\n".join(["<!DOCTYPE html><html><body>", *lines, "</body></html>"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve this machine's default index, with upload times, until Ctrl-C.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder that keeps what the default index said today")
    options = parser.parse_args()
    with Index(upstream=True, cache=options.cache, port=options.port) as index, contextlib.suppress(KeyboardInterrupt):
        sys.stderr.write(f"{index.url}\n")
        threading.Event().wait()


if __name__ == "__main__":
    main()
