"""A way to the broker that can be shut between any two things that the broker says."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

FRAME_HEADER, FRAME_END = 7, 1  # bytes: type, channel, size; a byte after the payload


class Gate:
    """Hands everything on between clients and a broker, in threads of its own. Before it hands on the broker's
    ``number``-th frame, of all connections together, it calls ``shut``, and nothing passes until that returns.
    """

    def __init__(self, host: str, port: int, number: int, shut: Callable[[], None]) -> None:
        self._target = (host, port)
        self._number = number
        self._shut = shut
        self._frames = 0
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # until it is closed
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(self._target)
                for pump in (self._up, self._down):
                    threading.Thread(target=pump, args=(near, far), daemon=True).start()

    @staticmethod
    def _up(near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(65_536):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def _down(self, near: socket.socket, far: socket.socket) -> None:
        said = b""
        with contextlib.suppress(OSError):
            while data := far.recv(65_536):
                said += data
                while len(said) >= FRAME_HEADER:
                    size = FRAME_HEADER + int(struct.unpack_from(">I", said, 3)[0]) + FRAME_END
                    if len(said) < size:
                        break
                    self._pass(near, said[:size])
                    said = said[size:]
            near.shutdown(socket.SHUT_WR)

    def _pass(self, near: socket.socket, frame: bytes) -> None:
        with self._lock:
            self._frames += 1
            if self._frames == self._number:
                self._shut()
            near.sendall(frame)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
