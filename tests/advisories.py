"""A database of advisories on loopback, which speaks what OSV documents: batches, pages, records by id.

https://google.github.io/osv.dev/post-v1-querybatch/, https://google.github.io/osv.dev/get-v1-vulns/,
https://ossf.github.io/osv-schema/
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from loopback import Loopback

Json = dict[str, Any]
MOST = 1000  # questions in one request
Instead = Callable[[int], tuple[int, bytes] | None]


@dataclass(frozen=True)
class Advisory:
    """One record of OSV, of a package in certain versions."""

    id: str
    package: str
    versions: tuple[str, ...]
    fixed: str = ""  # the first release without it, of each line of releases, with spaces between
    aliases: tuple[str, ...] = ()
    withdrawn: bool = False
    published: str = "2020-01-01T00:00:00Z"
    ecosystem: str = "PyPI"

    def record(self) -> Json:
        """Return the whole record."""
        events = [{"introduced": "0"}, *({"fixed": release} for release in self.fixed.split())]
        ranges = [{"type": "ECOSYSTEM", "events": events}, {"type": "GIT", "events": [{"fixed": "7" * 40}]}]
        package = {"name": self.package, "ecosystem": self.ecosystem}
        # A record may tell of a package of the same name elsewhere, whose fix is none of ours.
        another: Json = {"package": {"name": self.package, "ecosystem": "Debian:13"}, "versions": [*self.versions]}
        another["ranges"] = [{"type": "ECOSYSTEM", "events": [{"fixed": f"{self.versions[-1]}.0.0.1"}]}]
        record = {
            "schema_version": "1.7.3",
            "id": self.id,
            "aliases": [*self.aliases],
            "summary": f"{self.package} is\nvulnerable",
            "published": self.published,
            "modified": "2026-01-01T00:00:00.123456Z",
            "affected": [{"package": package, "ranges": ranges, "versions": [*self.versions]}, another],
        }
        return record | ({"withdrawn": "2026-02-01T00:00:00Z"} if self.withdrawn else {})


class Advisories(Loopback):
    """The database, open as long as its `with` block; `asked` are the questions of the batches, in their order.

    `page` is how many advisories one answer holds for a package. `answer`, where set, says status and body in place
    of it, from how many requests came before.
    """

    def __init__(self, *planted: Advisory, page: int = 100) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.planted, self.page = [*planted], page
        self.asked: list[Json] = []
        self.requests: list[str] = []
        self.answer: Instead = lambda _: None

    def batch(self, body: Json) -> tuple[int, object]:
        """Return what the batch of questions is answered with."""
        if len(body["queries"]) > MOST:
            return HTTPStatus.BAD_REQUEST, {"code": 3, "message": "Too many queries."}
        self.asked += body["queries"]
        return HTTPStatus.OK, {"results": [self._result(query) for query in body["queries"]]}

    def _result(self, query: Json) -> Json:
        hits = [one for one in self.planted if self._applies(one, query)]
        start = int(query.get("page_token", "page 0").removeprefix("page "))
        ids = [{"id": one.id, "modified": "2026-01-01T00:00:00.123456Z"} for one in hits[start : start + self.page]]
        rest = {"next_page_token": f"page {start + self.page}"} if len(hits) > start + self.page else {}
        return ({"vulns": ids} if ids else {}) | rest

    @staticmethod
    def _applies(one: Advisory, query: Json) -> bool:
        # Ecosystems are told apart by case, and a package is one name and one ecosystem.
        package = {"name": one.package, "ecosystem": one.ecosystem}
        return query["package"] == package and query["version"] in one.versions

    def one(self, name: str) -> tuple[int, object]:
        """Return what a question for one advisory is answered with."""
        for found in self.planted:
            if found.id == name:
                return HTTPStatus.OK, found.record()
        return HTTPStatus.NOT_FOUND, {"code": 5, "message": "Bug not found."}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Advisories

    def do_GET(self) -> None:
        self._send(*self.server.one(self.path.removeprefix("/v1/vulns/")))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/querybatch":
            return self._send(HTTPStatus.NOT_FOUND, {})
        return self._send(*self.server.batch(json.loads(body)))

    def _send(self, status: int, answer: object) -> None:
        instead = self.server.answer(len(self.server.requests))
        self.server.requests.append(self.path)
        status, body = instead or (status, json.dumps(answer).encode())
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: `asked` and `requests` tell."""
