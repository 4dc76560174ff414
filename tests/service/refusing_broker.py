"""A broker of one mind: it lets in whoever comes, knows no queue, and closes the connection on whoever declares one.

What RabbitMQ does with a kind of queue that it was set to refuse, here without a RabbitMQ that can be set so.
"""

import socket
import threading
from typing import Any, Self

from pika import frame, spec

REASON = "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated. Its use is not permitted"


class RefusingBroker:
    """Listens on a port of its own while the block lasts."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        with connection:
            while received := connection.recv(65_536):
                data += received
                while True:
                    read, found = frame.decode_frame(data)
                    if found is None:
                        break
                    data = data[read:]
                    for channel, method in self._answers(found):
                        connection.sendall(frame.Method(channel, method).marshal())

    @staticmethod
    def _answers(found: Any) -> list[tuple[int, Any]]:  # noqa: PLR0911 - an answer a method
        channel = getattr(found, "channel_number", 0)
        match getattr(found, "method", found):
            case frame.ProtocolHeader():
                return [(0, spec.Connection.Start(0, 9, {}, "PLAIN", "en_US"))]
            case spec.Connection.StartOk():
                return [(0, spec.Connection.Tune(2047, 131_072, 0))]
            case spec.Connection.Open():
                return [(0, spec.Connection.OpenOk())]
            case spec.Channel.Open():
                return [(channel, spec.Channel.OpenOk())]
            case spec.Confirm.Select():
                return [(channel, spec.Confirm.SelectOk())]
            case spec.Channel.Close():
                return [(channel, spec.Channel.CloseOk())]
            case spec.Queue.Declare() as declare if declare.passive:
                return [(channel, spec.Channel.Close(404, "NOT_FOUND - no queue", 50, 10))]
            case spec.Queue.Declare():
                return [(0, spec.Connection.Close(541, REASON, 50, 10))]
        return []
