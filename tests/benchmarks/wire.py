"""AMQP as a load needs it: with as little of the processor as Python can, since the load shares it with the consumer.

Pika writes and reads what happens once; requests are put together from parts that were encoded before, and of a reply
only the correlation id and the body are read. Plain TCP, one channel, replies without acks.
"""

import select
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import pika
from pika import frame, spec

_FRAME = struct.Struct(">BHI")  # kind, channel, size of the payload; after the payload comes one byte more
_METHOD, _HEADER, _BODY = 1, 2, 3
_DELIVER = struct.pack(">I", spec.Basic.Deliver.INDEX)  # class and method
_FLAGS = struct.Struct(">H")
_LENGTH = struct.Struct(">I")
_CHANNEL = 1
_RECEIVE_BYTES = 1 << 18


class WireError(Exception):
    """The broker closed the connection, or said what a load doesn't understand."""


class Reader:
    """Frames from pieces of a stream.

    Attributes:
        methods: what the broker said beside deliveries.
    """

    def __init__(self) -> None:
        self.methods: list[Any] = []
        self._rest = b""
        self._correlation_id = b""

    def take(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(correlation id, body) of each reply that ``data`` completes; what else the broker says is kept."""
        buffer = self._rest + data
        offset, end = 0, len(buffer)
        while end - offset >= _FRAME.size:
            kind, _, size = _FRAME.unpack_from(buffer, offset)
            payload, after = offset + _FRAME.size, offset + _FRAME.size + size + 1
            if after > end:
                break
            if kind == _BODY:
                yield self._correlation_id, buffer[payload : after - 1]
            elif kind == _HEADER:
                self._correlation_id = _correlation_id(buffer, payload)
            elif kind == _METHOD and buffer[payload : payload + 4] != _DELIVER:
                self._other(frame.decode_frame(buffer[offset:after])[1].method)
            offset = after
        self._rest = buffer[offset:]

    def _other(self, method: Any) -> None:
        if method.NAME in {"Connection.Close", "Channel.Close"}:
            raise WireError(f"The broker closed it: {method.reply_code} {method.reply_text}")
        self.methods.append(method)


class Wire:
    """A connection with one channel, an exclusive reply queue, and a consumer on it.

    Attributes:
        server: what the broker says about itself.
    """

    def __init__(self, url: str) -> None:
        parameters = pika.URLParameters(url)
        if parameters.ssl_options is not None:
            raise WireError("The load speaks plain AMQP only: give it an amqp:// URL.")
        user = parameters.credentials
        self._reader = Reader()
        self.socket = socket.create_connection((parameters.host, parameters.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(frame.ProtocolHeader().marshal())
        self.server: dict[str, Any] = self._wait_for(spec.Connection.Start).server_properties
        response = f"\0{user.username}\0{user.password}"
        start = spec.Connection.StartOk({"connection_name": "dragoman benchmark"}, response=response)
        self._call(start, spec.Connection.Tune, channel=0)
        self._cast(spec.Connection.TuneOk(channel_max=_CHANNEL, frame_max=131_072, heartbeat=0), channel=0)
        self._call(spec.Connection.Open(parameters.virtual_host), spec.Connection.OpenOk, channel=0)
        self._call(spec.Channel.Open(), spec.Channel.OpenOk)
        declared = self._call(spec.Queue.Declare(queue="", exclusive=True), spec.Queue.DeclareOk)
        self.reply_queue = str(declared.queue)
        self._call(spec.Basic.Consume(queue=self.reply_queue, no_ack=True), spec.Basic.ConsumeOk)

    def declare(self, queue: str, queue_type: str) -> None:
        """A durable queue."""
        arguments = {"x-queue-type": queue_type}
        self._call(spec.Queue.Declare(queue=queue, durable=True, arguments=arguments), spec.Queue.DeclareOk)

    def consumers(self, queue: str) -> int:
        """How many consumers a queue has."""
        declared = self._call(spec.Queue.Declare(queue=queue, passive=True), spec.Queue.DeclareOk)
        return int(declared.consumer_count)

    def delete(self, queue: str) -> None:
        """Removes a queue with all that is in it."""
        self._call(spec.Queue.Delete(queue=queue), spec.Queue.DeleteOk)

    def purge(self, queue: str) -> None:
        """Empties a queue; ``purged`` says how many messages that were, as soon as the broker does."""
        self._cast(spec.Queue.Purge(queue=queue))

    @property
    def purged(self) -> int | None:
        """How many messages the last purge took away, None as long as it isn't known."""
        return next(
            (int(method.message_count) for method in self._reader.methods if method.NAME == "Queue.PurgeOk"), None
        )

    def replies(self, wait_seconds: float) -> Iterator[tuple[bytes, bytes]]:
        """(correlation id, body) of each reply that has come; of the first within so many seconds, if any."""
        if select.select([self.socket], [], [], max(wait_seconds, 0))[0]:
            data = self.socket.recv(_RECEIVE_BYTES)
            if not data:
                raise WireError("The broker closed the connection.")
            yield from self._reader.take(data)

    def _cast(self, method: Any, channel: int = _CHANNEL) -> None:
        self._reader.methods.clear()
        self.socket.sendall(frame.Method(channel, method).marshal())

    def _call(self, method: Any, answer: type, channel: int = _CHANNEL) -> Any:
        self._cast(method, channel)
        return self._wait_for(answer)

    def _wait_for(self, answer: type) -> Any:
        """The next method that isn't a delivery, before any load."""
        while not self._reader.methods:
            if next(self.replies(30), None) is not None:
                raise WireError("A reply came that nobody waits for.")
        method = self._reader.methods.pop()
        if not isinstance(method, answer):
            raise WireError(f"The broker answered {method.NAME}, expected {answer.__name__}.")
        return method


class Requests:
    """Requests, encoded as far as they can be: all but the correlation id, which has a fixed length.

    Args:
        texts: what is asked, over and over.
    """

    def __init__(self, queue: str, reply_queue: str, texts: Sequence[str]) -> None:
        self._parts = [_parts(queue, reply_queue, text.encode()) for text in texts]

    def __getitem__(self, number: int) -> bytes:
        """The frames of a request; its number is its correlation id."""
        before, after = self._parts[number % len(self._parts)]
        return b"%b%08x%b" % (before, number, after)


def _parts(queue: str, reply_queue: str, body: bytes) -> tuple[bytes, bytes]:
    marker = "correlat"  # as long as a number
    method = frame.Method(_CHANNEL, spec.Basic.Publish(exchange="", routing_key=queue)).marshal()
    properties = spec.BasicProperties(delivery_mode=2, correlation_id=marker, reply_to=reply_queue)
    before, _, after = frame.Header(_CHANNEL, len(body), properties).marshal().partition(marker.encode())
    return method + before, after + (frame.Body(_CHANNEL, body).marshal() if body else b"")


def _correlation_id(buffer: bytes, payload: int) -> bytes:
    """The correlation id in a content header; properties come in the order of their flags, the highest first."""
    (flags,) = _FLAGS.unpack_from(buffer, payload + 12)
    at = payload + 14
    for short_string in (0x8000, 0x4000):  # content type, content encoding
        if flags & short_string:
            at += 1 + buffer[at]
    if flags & 0x2000:  # headers
        at += 4 + _LENGTH.unpack_from(buffer, at)[0]
    at += bool(flags & 0x1000) + bool(flags & 0x0800)  # delivery mode, priority
    return buffer[at + 1 : at + 1 + buffer[at]] if flags & 0x0400 else b""
