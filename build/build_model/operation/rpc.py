"""What the command line does at a broker: any bytes out and their answers back, queues looked at, emptied, deleted.

Who only wants translations takes `dragoman.client`. The one place here that imports pika.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel

from dragoman.address import Address
from dragoman.answer import Answer
from dragoman.errors import NoAnswer, PublishRefused, QueueMissing
from dragoman.link import DIRECT_REPLY_TO, translated


@dataclass(frozen=True)
class Parcel:
    """A message as it is sent: any bytes, so that erroneous ones can be sent too."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """A message as it lies in a queue.

    ``properties`` are AMQP's basic properties by name, those that are set, without the headers.
    """

    body: bytes
    headers: Mapping[str, Any]
    properties: Mapping[str, Any]


MOST_RETURNS = 5
"""So often a message is given back to a queue; then a copy takes its place. RabbitMQ 4 deletes what was given back more
than 20 times from a queue that was declared without another limit, however it was read."""
_RETURNS = ("x-delivery-count", "x-acquired-count")


class Held:
    """The messages of a queue, held without being removed: they come one by one, oldest first, and what wasn't removed
    or moved is back in the queue when the block ends.

    The broker counts that as a delivery that failed, and may have a limit for these. A message that has been given back
    ``MOST_RETURNS`` times is therefore put at the end of the queue as a new one, before the next one comes.

    Attributes:
        total: how many there were when it began; no more than that many come.
    """

    def __init__(self, channel: BlockingChannel, queue: str, total: int) -> None:
        self._channel = channel
        self._queue = queue
        self._tag = 0
        self._last: Message | None = None  # that came, where it is still held
        self.total = total

    def __iter__(self) -> Iterator[Message]:
        for _ in range(self.total):
            method, properties, body = self._channel.basic_get(self._queue)
            if method is None:
                return
            self._tag = method.delivery_tag
            given = {name: value for name, value in vars(properties).items() if value is not None and name != "headers"}
            self._last = Message(body, properties.headers or {}, given)
            yield self._last
            self.give_back()

    def give_back(self) -> None:
        """Done with the message that came last, if it is still held."""
        if self._last is not None and _returns(self._last) >= MOST_RETURNS:
            self.move(renewed(self._last), self._queue)

    def remove(self) -> None:
        """Take the message that came last off the queue."""
        self._channel.basic_ack(self._tag)
        self._last = None

    def move(self, copy: Message, queue: str) -> None:
        """Put ``copy`` on ``queue``; once the broker has confirmed that, take the message that came last off its own.

        Raises:
            QueueMissing: there is no such queue; the message stays.
            PublishRefused: the broker couldn't take the copy; the message stays.
        """
        properties = pika.BasicProperties(headers=dict(copy.headers), **copy.properties)
        try:
            self._channel.basic_publish("", queue, copy.body, properties, mandatory=True)
        except pika.exceptions.UnroutableError as error:
            raise QueueMissing(f"The broker has no queue {queue!r}; nothing more was moved.") from error
        except pika.exceptions.NackError as error:
            raise PublishRefused(
                f"{queue!r} takes no more messages; see its limits. Nothing more was moved."
            ) from error
        self.remove()


def renewed(message: Message) -> Message:
    """A copy that takes a message's place, with nothing in it that the broker would act upon or refuse."""
    headers = {
        (f"x-original-{name.lower()}" if name in {"CC", "BCC"} else name): encodable(value)
        for name, value in message.headers.items()
        if name not in _RETURNS
    }
    properties = dict(message.properties)
    for name in ("user_id", "expiration"):
        if name in properties:
            headers[f"x-original-{name.replace('_', '-')}"] = properties.pop(name)
    return Message(message.body, headers, properties)


def encodable(value: Any) -> Any:
    """A header's value as the library can write it: of what it can read, floating-point numbers are left out."""
    match value:
        case float():
            return str(value)
        case list():
            return [encodable(item) for item in value]
        case dict():
            return {name: encodable(item) for name, item in value.items()}
    return value


def _returns(message: Message) -> int:
    count = message.headers.get("x-delivery-count", 0)
    return count if isinstance(count, int) else 0


class Broker:
    """One connection to a broker. A context manager; its errors are ours."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._address = Address.parse(url)
        for parameters in self._address.parameters:
            parameters.blocked_connection_timeout = 60
        with self._translated():
            self._connection = pika.BlockingConnection(self._address.parameters)

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection.is_open:
            with self._translated():
                self._connection.close()

    @property
    def product(self) -> str:
        """What the broker says that it is: ``RabbitMQ 3.10.8``."""
        told = self._connection._impl.server_properties or {}  # which has no name that others may use
        return f"{told.get('product', 'a broker')} {told.get('version', '')}".strip()

    def consumers(self, queue: str) -> int | None:
        """How many consumers ``queue`` has; None when there is no such queue."""
        try:
            with self._channel() as channel:
                return int(channel.queue_declare(queue, passive=True).method.consumer_count)
        except QueueMissing:
            return None

    def ask(self, queue: str, texts: Sequence[str], seconds: float) -> list[Answer]:
        """Send ``texts`` and wait for their answers, in order; NoAnswer when one is missing after ``seconds``."""
        return self.exchange(queue, [Parcel(text.encode()) for text in texts], seconds)

    def exchange(self, queue: str, parcels: Sequence[Parcel], seconds: float) -> list[Answer]:
        """As ``ask``, with the bodies as they are."""
        answers: dict[str, Answer] = {}
        returned: list[str] = []
        correlation_ids = [uuid.uuid4().hex for _ in parcels]

        def take(_: Any, __: Any, properties: pika.BasicProperties, body: bytes) -> None:
            answers[properties.correlation_id] = Answer.decode(body, properties.headers)

        with self._channel() as channel:
            channel.add_on_return_callback(lambda _, __, ___, ____: returned.append(queue))
            channel.basic_consume(DIRECT_REPLY_TO, take, auto_ack=True)
            for correlation_id, parcel in zip(correlation_ids, parcels, strict=True):
                properties = pika.BasicProperties(
                    reply_to=DIRECT_REPLY_TO,
                    correlation_id=correlation_id,
                    headers=dict(parcel.headers),
                    delivery_mode=pika.DeliveryMode.Persistent,
                )
                channel.basic_publish("", queue, parcel.body, properties, mandatory=True)
            deadline = time.monotonic() + seconds
            while len(answers) < len(parcels) and not returned and time.monotonic() < deadline:
                self._connection.process_data_events(time_limit=min(0.2, seconds))
        if returned:
            raise QueueMissing(
                f"The broker at {self._address.shown} has no queue {queue!r}. "
                "Deploy a version: build-model deploy VERSION."
            )
        if len(answers) < len(parcels):
            raise NoAnswer(self._silence(queue, len(answers), len(parcels), seconds))
        return [answers[correlation_id] for correlation_id in correlation_ids]

    def send(self, queue: str, parcel: Parcel, *, reply_to: str | None = None) -> None:
        """Send one message and wait for no answer."""
        properties = pika.BasicProperties(reply_to=reply_to, delivery_mode=pika.DeliveryMode.Persistent)
        with self._channel() as channel:
            channel.basic_publish("", queue, parcel.body, properties)

    def take_one(self, queue: str, seconds: float) -> Parcel | None:
        """The oldest message of ``queue``, taken off it; None when none comes within ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self._channel() as channel:
                    method, properties, body = channel.basic_get(queue, auto_ack=True)
            except QueueMissing:
                method = None
            if method is not None:
                headers = {name: str(value) for name, value in (properties.headers or {}).items()}
                return Parcel(body, headers)
            if time.monotonic() >= deadline:
                return None
            self._connection.sleep(0.1)

    def glimpse(self, queue: str, seconds: float) -> Message | None:
        """A copy of a message on its way through ``queue``, which goes on at once; None when none comes in ``seconds``.

        It is taken and given back, and comes to the service as delivered again; one that already was is let pass.
        """
        with self._channel() as channel:
            channel.basic_qos(prefetch_count=1)
            for method, properties, body in channel.consume(queue, inactivity_timeout=seconds):
                channel.cancel()
                if method is None:
                    return None
                channel.basic_nack(method.delivery_tag, requeue=True)
                given = {name: value for name, value in vars(properties).items() if value is not None}
                return None if method.redelivered else Message(body, given.pop("headers", {}), given)
        return None

    @contextmanager
    def holding(self, queue: str) -> Iterator[Held]:
        """Look at what is in ``queue``, and move or remove some of it."""
        with self._channel() as channel:
            channel.confirm_delivery()
            held = Held(channel, queue, int(channel.queue_declare(queue, passive=True).method.message_count))
            yield held
            held.give_back()

    def purge(self, queue: str) -> int:
        """Remove everything from ``queue``; how many messages that was."""
        with self._channel() as channel:
            return int(channel.queue_purge(queue).method.message_count)

    def depth(self, queue: str) -> int:
        """How many messages wait in ``queue``."""
        with self._channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)

    def delete(self, queue: str) -> None:
        """Delete ``queue`` with all that is in it. Only for queues of our own making."""
        with self._channel() as channel:
            channel.queue_delete(queue)

    def _silence(self, queue: str, got: int, wanted: int, seconds: float) -> str:
        consumers = self.consumers(queue)
        cause = (
            "no service consumes from it; see build-model status"
            if not consumers
            else f"{consumers} consume from it, too slowly"
        )
        broker = self._address.shown
        return f"{got} of {wanted} requests to {queue!r} at {broker} were answered within {seconds:.0f} s: {cause}."

    @contextmanager
    def _channel(self) -> Iterator[BlockingChannel]:
        with self._translated():
            channel = self._connection.channel()
            try:
                yield channel
            finally:
                if channel.is_open:
                    channel.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (pika.exceptions.AMQPError, OSError) as error:
            raise translated(error, self._address) from error
