"""A client that never waits for one message: pipelined, with publisher confirms, and with books."""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Self

import pika
from patience import PATIENCE_SECONDS, until
from pika.adapters.select_connection import IOLoop

from .books import Books, Key

logging.getLogger("pika").setLevel(logging.CRITICAL)  # a client of a broker that is killed has much to say

PERSISTENT = 2
RECONNECT_SECONDS = 0.2
UNROUTABLE_SECONDS = 0.2
WATCH_SECONDS = 1.0
MOST_IN_DOUBT = 1000
"""Requests that are published and not confirmed, at most."""
DIRECT_REPLY_TO = "amq.rabbitmq.reply-to"


@dataclass(frozen=True)
class Reply:
    """What came back."""

    key: Key
    body: bytes
    properties: Any

    @property
    def error(self) -> str | None:
        """Why it is no translation."""
        error: str | None = self.properties.headers.get("x-error")
        return error


@dataclass(frozen=True)
class _Request:
    key: Key
    body: bytes
    properties: Any


class Client:
    """A client in a thread of its own. What the broker hasn't confirmed when the connection is lost, has refused or has
    returned is sent again with the same correlation id, so that in the end every request is one that it accepted.

    Args:
        url: of the broker itself: faults on the service's link don't touch the client. Of a cluster, its nodes' URLs,
            separated by white space, of which the next is tried when one fails.
        queue: where requests go.
        reply_type: of the queue where replies come: a ``classic`` one is on one node, and goes when that goes.
        confirm_seconds: when the broker lets it wait for so long, it connects anew.

    Attributes:
        replies: the first reply to each request, by its key.
        answered_at: ``time.monotonic()`` of every reply.
    """

    def __init__(self, url: str, queue: str, reply_type: str = "classic", confirm_seconds: float = inf) -> None:
        self.queue = queue
        self._nodes = [pika.URLParameters(each) for each in url.split()]
        self._node = 0  # the place of the one that it is connected to
        self._reply_arguments = {"x-queue-type": reply_type}
        self._confirm_seconds = confirm_seconds
        self._confirmed_at = time.monotonic()
        self.books = Books()
        self.replies: dict[Key, Reply] = {}
        self.answered_at: list[float] = []
        self.reply_queue = f"{queue}.replies.{uuid.uuid4().hex[:8]}"
        self._copies: dict[Key, Reply] = {}
        self._outbox: deque[_Request] = deque()
        self._in_doubt: dict[int, _Request] = {}
        self._sequence = 0
        self._channel: Any = None
        self._connection: Any = None
        self._ending = False
        self._loop = IOLoop()
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        self._thread.start()

    # What a test does

    def send(
        self, body: str | bytes, key: Key = "", *, erroneous: bool = False, gone: bool = False, **properties: Any
    ) -> Key:
        """Sends a persistent request, to be answered on the client's durable queue; its correlation id.

        Args:
            erroneous: it must end in quarantine.
            gone: nobody waits for the reply.
            properties: AMQP's, in place of what they would be.
        """
        data = body.encode() if isinstance(body, str) else body
        key = uuid.uuid4().hex if key == "" else key
        self.books.attempt(key, data, erroneous=erroneous, gone=gone)
        given = {"reply_to": self.reply_queue, "correlation_id": key, "delivery_mode": PERSISTENT} | properties
        self._outbox.append(_Request(key, data, pika.BasicProperties(**given)))
        self._loop.add_callback_threadsafe(self._publish)
        return key

    @contextmanager
    def sending(self, texts: Iterator[str], rate: float) -> Iterator[None]:
        """Sends so many requests a second while the block runs."""
        done = threading.Event()

        def send() -> None:
            for text in texts:
                if done.wait(1 / rate):
                    return
                self.send(text)

        thread = threading.Thread(target=send, name="sender")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def ask(self, body: str | bytes, key: Key = "", **properties: Any) -> Reply:
        """Sends a request and waits for its reply."""
        sent = self.send(body, key, **properties)
        return self.reply(sent)

    def reply(self, key: Key, seconds: float = PATIENCE_SECONDS) -> Reply:
        """Waits for the reply to a request."""
        until(lambda: key in self.replies, f"a reply to {key!r}", seconds)
        return self.replies[key]

    def wait_confirmed(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Waits until the broker took every request."""
        until(lambda: not self.books.unconfirmed, lambda: f"confirms of {len(self.books.unconfirmed)}", seconds)

    def wait_answered(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Waits until the broker took every request and all who wait have theirs; ``seconds`` from reply to reply."""
        self.wait_confirmed(seconds)
        until(
            lambda: not self.books.waiting,
            lambda: f"{len(self.books.waiting)} replies",
            seconds,
            progress=lambda: len(self.books.waiting),
        )

    def wait_replies(self, count: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Waits until so many replies came."""
        until(lambda: len(self.answered_at) >= count, lambda: f"{count} replies: {len(self.answered_at)}", seconds)

    @property
    def longest_silence(self) -> float:
        """The longest time between two replies, in seconds."""
        return max((b - a for a, b in zip(self.answered_at, self.answered_at[1:], strict=False)), default=0.0)

    # Queues, on a connection of the moment

    def declare(self, kind: str = "quorum", arguments: dict[str, Any] | None = None) -> None:
        """Declares the request queue: ``quorum``, ``classic`` (durable) or ``transient``."""
        queue_type = {"x-queue-type": "quorum" if kind == "quorum" else "classic"}
        with self._connected() as channel:
            channel.queue_declare(self.queue, durable=kind != "transient", arguments=queue_type | (arguments or {}))

    def delete(self, queue: str) -> None:
        """Deletes a queue."""
        with self._connected() as channel:
            channel.queue_delete(queue)

    def depth(self) -> int | None:
        """Messages ready in the request queue; None where there is none."""
        with self._connected() as channel:
            try:
                return int(channel.queue_declare(self.queue, passive=True).method.message_count)
            except pika.exceptions.ChannelClosedByBroker:
                return None

    def quarantined(self, count: int = 0, seconds: float = PATIENCE_SECONDS) -> dict[Key, Reply]:
        """Waits until so many requests are in quarantine, and takes all copies there are into the books; by key."""

        def take() -> bool:
            for copy in self._take(f"{self.queue}.quarantine"):
                self.books.quarantine(copy.key, copy.body)
                self._copies[copy.key] = copy
            return len(self._copies) >= count

        until(take, lambda: f"{count} copies in quarantine: {len(self._copies)}", seconds)
        return self._copies

    def copy(self, key: Key) -> Reply:
        """Waits for the copy in quarantine of one request."""
        until(lambda: key in self.quarantined(), f"a copy of {key!r} in quarantine")
        return self._copies[key]

    def settle(self) -> None:
        """Takes what is left in the broker's queues into the books. A service that still runs has nothing in hand."""
        self.quarantined()
        for request in self._take(self.queue):
            self.books.queue(request.key)

    def close(self) -> None:
        """Ends the client; its queues go with it."""
        self._loop.add_callback_threadsafe(self._end)
        self._thread.join(10)
        with self._connected() as channel:
            # The request queue last: a service that runs looks for both again when that goes.
            for queue in (self.reply_queue, f"{self.queue}.quarantine", self.queue):
                channel.queue_delete(queue)

    def _take(self, queue: str) -> list[Reply]:
        found: list[Reply] = []
        with self._connected() as channel:
            try:
                while True:
                    method, properties, body = channel.basic_get(queue, auto_ack=True)
                    if method is None:
                        return found
                    found.append(Reply(properties.correlation_id, body, properties))
            except pika.exceptions.ChannelClosedByBroker as error:
                if error.reply_code != 404:
                    raise
                return found

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        connection = pika.BlockingConnection(self._nodes)
        try:
            yield connection.channel()
        finally:
            if connection.is_open:
                connection.close()

    # The thread

    def _run(self) -> None:
        self._connect()
        self._watch()
        self._loop.start()

    def _watch(self) -> None:
        now = time.monotonic()
        if not self._connection.is_open or (self._channel is not None and not self._in_doubt):
            self._confirmed_at = now  # it waits for nothing
        elif now - self._confirmed_at > self._confirm_seconds:
            self._confirmed_at = now
            self._channel = None
            self._connection.close()
        self._loop.call_later(WATCH_SECONDS, self._watch)

    def _connect(self) -> None:
        self._connection = pika.SelectConnection(
            self._nodes[self._node],
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
            on_open_error_callback=lambda *_: self._lost(),
            on_close_callback=lambda *_: self._lost(),
            custom_ioloop=self._loop,
        )

    def _lost(self) -> None:
        self._channel = None
        self._node = (self._node + 1) % len(self._nodes)
        self._outbox.extendleft(reversed(self._in_doubt.values()))
        self._in_doubt.clear()
        if self._ending:
            self._loop.stop()
        else:
            self._loop.call_later(RECONNECT_SECONDS, self._connect)

    def _opened(self, channel: Any) -> None:
        # A channel that the broker closes, of a queue that is being recovered for one, takes the connection with it.
        channel.add_on_close_callback(lambda *_: self._connection.is_open and self._connection.close())
        channel.add_on_return_callback(self._returned)
        channel.basic_qos(prefetch_count=500)
        channel.queue_declare(
            self.reply_queue, durable=True, arguments=self._reply_arguments, callback=lambda _: self._declared(channel)
        )

    def _declared(self, channel: Any) -> None:
        channel.basic_consume(self.reply_queue, self._replied)
        channel.confirm_delivery(self._confirmed, callback=lambda _: self._ready(channel))

    def _ready(self, channel: Any) -> None:
        self._channel = channel
        self._sequence = 0
        self._publish()

    def _publish(self) -> None:
        while self._channel is not None and self._outbox and len(self._in_doubt) < MOST_IN_DOUBT:
            request = self._outbox.popleft()
            self._sequence += 1
            self._in_doubt[self._sequence] = request
            self._channel.basic_publish("", self.queue, request.body, request.properties, mandatory=True)

    def _returned(self, _: Any, __: Any, properties: Any, ___: bytes) -> None:
        """The queue isn't there (yet): the confirm that follows means nothing."""
        for sequence, request in self._in_doubt.items():
            if request.key == properties.correlation_id:
                del self._in_doubt[sequence]
                self._loop.call_later(UNROUTABLE_SECONDS, partial(self._again, request))
                return

    def _again(self, request: _Request) -> None:
        self._outbox.append(request)
        self._publish()

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        taken = isinstance(method, pika.spec.Basic.Ack)
        if taken:
            self._confirmed_at = time.monotonic()
        for sequence in [each for each in self._in_doubt if each <= method.delivery_tag]:
            if sequence == method.delivery_tag or method.multiple:
                request = self._in_doubt.pop(sequence)
                if taken:
                    self.books.confirm(request.key)
                else:
                    self._outbox.append(request)
        self._publish()

    def _replied(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        key = properties.correlation_id
        version = str((properties.headers or {}).get("x-model-version"))
        self.books.answer(key, body, version, seen_before=method.redelivered)
        self.replies.setdefault(key, Reply(key, body, properties))
        self.answered_at.append(time.monotonic())
        channel.basic_ack(method.delivery_tag)

    def _end(self) -> None:
        self._ending = True
        if self._connection.is_open:
            self._connection.close()
        else:
            self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
