"""A server of the tests' own on loopback, open as long as its `with` block."""

import threading
from http.server import ThreadingHTTPServer
from typing import Self


class Loopback(ThreadingHTTPServer):
    """Serves in a thread from the start of the block to its end."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
