"""One connection to the broker in an event loop: requests go out, answers come back by direct reply-to, many at once.

The one module here, beside ``address``, that knows pika. What pika raises becomes ours here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from typing import Any

import pika
import pika.exceptions
from pika.adapters.asyncio_connection import AsyncioConnection

from dragoman.address import Address
from dragoman.answer import Answer
from dragoman.errors import AccessRefused, BrokerUnreachable, ClientError, PublishRefused, QueueMissing

DIRECT_REPLY_TO = "amq.rabbitmq.reply-to"
CLOSE_SECONDS = 5
NOT_ALLOWED = frozenset({403, 530})  # AMQP's access-refused and not-allowed

# Without a handler, Python prints pika's own account of a failed connection, traceback and all.
logging.getLogger("pika").addHandler(logging.NullHandler())


class Link:
    """A connection with one channel, on which answers are awaited and requests published, with confirms.

    Nothing is repeated here: when the connection breaks, all that wait get ``BrokerUnreachable``.
    """

    def __init__(self, address: Address, queue: str) -> None:
        self._address = address
        self._queue = queue
        self._connection: Any = None
        self._channel: Any = None
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._unconfirmed: dict[int, str] = {}  # delivery tag to correlation id
        self._published = 0
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.blocked = False

    @classmethod
    async def open(cls, address: Address, queue: str) -> Link:
        """A link that is ready to ask.

        Raises:
            BrokerUnreachable: or ``AccessRefused``, when no node lets us in.
        """
        link = cls(address, queue)
        link._connection = await _connected(address)
        link._connection.add_on_close_callback(lambda _, reason: link._on_lost(reason))
        link._connection.add_on_connection_blocked_callback(lambda *_: setattr(link, "blocked", True))
        link._connection.add_on_connection_unblocked_callback(lambda *_: setattr(link, "blocked", False))
        link._connection.channel(on_open_callback=link._on_channel)
        try:
            await link._opened
        except BaseException:
            await link.close()
            raise
        return link

    @property
    def usable(self) -> bool:
        """Whether a request can go out."""
        return bool(self._channel is not None and self._channel.is_open and self._opened.done())

    async def exchange(self, body: bytes, headers: dict[str, Any]) -> Answer:
        """Sends one request and waits for its answer, for as long as the caller does.

        Raises:
            QueueMissing, PublishRefused: the broker gave the request back, or didn't take it.
            BrokerUnreachable: the connection broke; whether the request was served is not known.
        """
        identifier = uuid.uuid4().hex
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        properties = pika.BasicProperties(
            reply_to=DIRECT_REPLY_TO,
            correlation_id=identifier,
            content_type="text/plain",
            content_encoding="utf-8",
            headers=headers,
        )
        self._waiting[identifier] = answered
        try:
            self._channel.basic_publish("", self._queue, body, properties, mandatory=True)
            self._published += 1
            self._unconfirmed[self._published] = identifier
            return await answered
        except pika.exceptions.AMQPError as error:
            raise translated(error, self._address) from None
        finally:
            self._waiting.pop(identifier, None)

    async def consumers(self) -> int | None:
        """How many consumers the queue has; None where it can't be seen."""
        counted: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        def on_declared(frame: Any) -> None:
            _settle(counted, int(frame.method.consumer_count))

        def on_channel(channel: Any) -> None:
            channel.add_on_close_callback(lambda *_: _settle(counted, None))
            channel.queue_declare(self._queue, passive=True, callback=on_declared)

        try:
            self._connection.channel(on_open_callback=on_channel)
        except pika.exceptions.AMQPError:
            return None
        return await counted

    async def close(self) -> None:
        """Ends the connection. Who still waits gets ``BrokerUnreachable``."""
        if self._connection is None or self._connection.is_closed:
            return
        if self._connection.is_open:
            self._connection.close()
        with contextlib.suppress(TimeoutError):  # a broker that doesn't answer: the heartbeat ends it
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.shield(self._closed)

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(lambda _, reason: self._on_channel_closed(reason))
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm)
        # Listen before asking: the broker refuses a direct reply-to that nobody consumes from.
        channel.basic_consume(
            DIRECT_REPLY_TO, self._on_reply, auto_ack=True, callback=lambda _: _settle(self._opened, None)
        )

    def _on_reply(self, _: Any, __: Any, properties: Any, body: bytes) -> None:
        waiting = self._waiting.get(properties.correlation_id)
        if waiting is not None:  # else it was given up
            _settle(waiting, Answer.decode(body, properties.headers))

    def _on_return(self, _: Any, __: Any, properties: Any, ___: bytes) -> None:
        missing = QueueMissing(
            f"The broker at {self._address.shown} has no queue {self._queue!r}. "
            "Deploy a version: build-model deploy VERSION."
        )
        self._fail(properties.correlation_id, missing)

    def _on_confirm(self, frame: Any) -> None:
        """An ack, or a nack, of one message or of all up to it."""
        method = frame.method
        tags = (
            [tag for tag in self._unconfirmed if tag <= method.delivery_tag]
            if method.multiple
            else [method.delivery_tag]
        )
        refused = isinstance(method, pika.spec.Basic.Nack)
        for tag in tags:
            identifier = self._unconfirmed.pop(tag, None)
            if refused and identifier is not None:
                queue = f"The queue {self._queue!r} at {self._address.shown}"
                self._fail(identifier, PublishRefused(f"{queue} takes no more messages. Wait, or raise its limits."))

    def _on_channel_closed(self, reason: BaseException) -> None:
        self._on_lost(reason, ended=False)
        if self._connection.is_open:
            self._connection.close()

    def _on_lost(self, reason: BaseException, *, ended: bool = True) -> None:
        error = translated(reason, self._address)
        if not self._opened.done():
            self._opened.set_exception(error)
        for identifier in list(self._waiting):
            self._fail(identifier, error)
        if ended:
            _settle(self._closed, None)

    def _fail(self, identifier: str, error: ClientError) -> None:
        waiting = self._waiting.get(identifier)
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)


async def _connected(address: Address) -> Any:
    """An open connection to the first node that lets us in."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def on_done(result: Any) -> None:
        if not done.done():
            done.set_result(result)
        elif not isinstance(result, BaseException):
            result.close()  # nobody waits for it any more

    for parameters in address.parameters:
        parameters.client_properties = {"connection_name": "dragoman.client"}
    workflow = AsyncioConnection.create_connection(address.parameters, on_done, custom_ioloop=loop)
    try:
        result = await done
    except asyncio.CancelledError:
        workflow.abort()
        raise
    if isinstance(result, BaseException):
        raise translated(result, address)
    return result


def translated(error: BaseException, address: Address) -> ClientError:
    """What pika or the system said, as ours."""
    seen = list(_layers(error))
    for layer in seen:
        if isinstance(
            layer,
            pika.exceptions.ProbableAuthenticationError
            | pika.exceptions.AuthenticationError
            | pika.exceptions.ProbableAccessDeniedError,
        ):
            return AccessRefused(
                f"The broker at {address.shown} refuses this user, password or virtual host. "
                "(RabbitMQ lets guest in from loopback only.) Check the AMQP URL."
            )
        if isinstance(layer, pika.exceptions.ConnectionClosedByBroker | pika.exceptions.ChannelClosedByBroker):
            text = f"The broker at {address.shown} refused: {layer.reply_text}."
            if layer.reply_code in NOT_ALLOWED:
                return AccessRefused(f"{text} Check the user's permissions.")
            if layer.reply_code == 404:
                return QueueMissing(f"The broker at {address.shown} answered: {layer.reply_text}.")
            if isinstance(layer, pika.exceptions.ChannelClosedByBroker):
                return PublishRefused(text)
    cause = next((layer.strerror for layer in seen if isinstance(layer, OSError) and layer.strerror), None)
    return BrokerUnreachable(
        f"No broker answers at {address.shown} ({cause or type(seen[-1]).__name__}). "
        "Check the AMQP URL; `deploy/local up` starts a broker."
    )


def _layers(error: BaseException) -> list[BaseException]:
    """pika hides why a connection failed a few levels down: the error and all that it holds, outermost first."""
    found, waiting = [], [error]
    while waiting:
        layer = waiting.pop(0)
        found.append(layer)
        waiting += [
            *getattr(layer, "exceptions", ()),
            *(part for part in layer.args if isinstance(part, BaseException)),
        ]
        inner = getattr(layer, "exception", None)
        waiting += [inner] if isinstance(inner, BaseException) else []
    return found


def _settle(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)
