"""A small TCP proxy that does damage to what goes through it."""

import contextlib
import socket
import ssl
import threading
from typing import Self


class Proxy:
    """Listens on a port of its own and hands everything on, until it is told otherwise.

    Args:
        tls: where it is given, clients speak TLS to the proxy.
    """

    def __init__(self, host: str, port: int, listen_port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._target = (host, port)
        self._tls = tls
        self._server = socket.create_server(("127.0.0.1", listen_port))
        self.port = self._server.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._dropping = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._server.accept()
                try:
                    near = self._tls.wrap_socket(near, server_side=True) if self._tls else near
                    far = socket.create_connection(self._target)
                except OSError:  # of which a TLS handshake that fails is one
                    near.close()
                    continue
                self._pairs.append((near, far))
                threading.Thread(target=self._pump, args=(near, far), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):  # cut
            while data := source.recv(65536):
                if not self._dropping.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Cuts every connection there is; new ones are taken."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._pairs.clear()

    def drop(self, dropping: bool = True) -> None:
        """Drops all traffic, on connections that stay open."""
        (self._dropping.set if dropping else self._dropping.clear)()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
