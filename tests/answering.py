"""HTTP servers of a test's own: a handler that answers on loopback while a block lasts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Quiet:
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler], **bound: Any) -> Iterator[int]:
    """The port on 127.0.0.1 where ``handler`` answers, with ``bound`` as attributes of its class."""
    with ThreadingHTTPServer(("127.0.0.1", 0), type(handler.__name__, (_Quiet, handler), bound)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
