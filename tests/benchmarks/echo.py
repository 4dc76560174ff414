"""The ceiling, a process of its own: a consumer that only echoes, with what a safe one must do and no more.

SelectConnection, publisher confirms, mandatory replies, a request acked after its reply was confirmed. What came in one
piece from the socket goes out as one: replies together, acks as one for as many as are due.
"""

import os
from itertools import takewhile
from typing import Any

import pika

PREFETCH = 256


class Connection(pika.SelectConnection):  # type: ignore[misc]
    """A connection that sends once for all that one piece of data from the broker leads to."""

    piece_done: Any = None
    _frames: list[bytes] | None = None

    def _proto_data_received(self, data: bytes) -> None:
        self._frames = []
        super()._proto_data_received(data)
        if self.piece_done is not None:
            self.piece_done()
        frames, self._frames = self._frames, None
        if frames:
            super()._output_marshaled_frames([b"".join(frames)])

    def _output_marshaled_frames(self, marshaled_frames: list[bytes]) -> None:
        if self._frames is None:
            super()._output_marshaled_frames(marshaled_frames)
        else:
            self._frames += marshaled_frames


class Echo:
    """Requests and replies are numbered alike on their one channel: the first delivery leads to the first reply."""

    def __init__(self, url: str, queue: str) -> None:
        self._queue = queue
        self._unconfirmed: dict[int, None] = {}  # ascending
        self._acked = self._highest = 0
        self.connection = Connection(pika.URLParameters(url), on_open_callback=self._on_connected)

    def _on_connected(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.confirm_delivery(self._on_confirm)
        channel.basic_qos(prefetch_count=PREFETCH)
        channel.basic_consume(self._queue, self._on_request)
        self.connection.piece_done = self._ack

    def _on_request(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._unconfirmed[method.delivery_tag] = None
        self._highest = method.delivery_tag
        reply = pika.BasicProperties(correlation_id=properties.correlation_id, delivery_mode=properties.delivery_mode)
        channel.basic_publish("", properties.reply_to, body, reply, mandatory=True)

    def _on_confirm(self, frame: Any) -> None:
        number = frame.method.delivery_tag
        if frame.method.multiple:
            for confirmed in list(takewhile(lambda each: each <= number, self._unconfirmed)):
                del self._unconfirmed[confirmed]
        else:
            del self._unconfirmed[number]

    def _ack(self) -> None:
        """Acks all up to the first whose reply isn't confirmed."""
        settled = next(iter(self._unconfirmed), self._highest + 1) - 1
        if settled > self._acked:
            self._acked = settled
            self._channel.basic_ack(settled, multiple=True)


if __name__ == "__main__":
    Echo(os.environ["AMQP_URL"], os.environ["RPC_QUEUE"]).connection.ioloop.start()
