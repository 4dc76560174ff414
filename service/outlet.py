"""The RabbitMQ side of the service: connections, deliveries, confirms, acks, quarantine, drain.

The only module that knows pika; its exceptions end here. Two connections on one loop: requests come in and acks go out
on the first, replies go out on the second, so that an alarm, which stops the broker reading what publishes, stops no
ack. What to do is decided by the ledger and by `message`; the classes here carry it out:

    Link       a connection that is opened again, for ever
    Intake     declares the queues, consumes, acks
    Outlet     publishes in confirm mode
    Consumer   the states: serve, then drain or panic, then close
"""

import os
import random
import re
import ssl
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pika
import pika.channel
import pika.data
from pika.adapters.select_connection import IOLoop
from pika.exceptions import (
    AMQPError,
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
)

from model.errors import DragomanError
from service import log
from service.batcher import Batcher, Job, Outcome, Translation
from service.health import Vitals
from service.ledger import Ack, Entry, Ledger, Publication, Purpose
from service.message import Delivery, Erroneous, Message, Replies, Request, Retry, again, examine, has_usable_reply_to
from service.metrics import Metrics
from service.settings import Settings, SettingsError

EXIT_DRAINED, EXIT_ERRONEOUS_INPUT, EXIT_DRAIN_DEADLINE = 0, 65, 75

HEARTBEAT_SECONDS = 20
TCP_USER_TIMEOUT_MS = 20_000
BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 30.0
BEAT_SECONDS = 5.0
ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, CONNECTION_FORCED, NOT_ALLOWED = 403, 404, 406, 320, 530
MOST_DECLARATIONS = 4  # of one queue in a row, against others who create and delete it


class BrokerUnreachable(DragomanError):
    """The broker couldn't be reached for longer than the settings allow."""

    exit_code: ClassVar[int] = 69


class AccessRefused(DragomanError):
    """The broker doesn't let this user in, or not at what the service needs."""

    exit_code: ClassVar[int] = 77


def connection_parameters(settings: Settings, name: str) -> Any:
    """What pika needs to connect; ``name`` is shown among the broker's connections.

    Raises:
        SettingsError: the URL can't be used, or asks for a connection to a broker that isn't verified.
    """
    try:
        parameters = pika.URLParameters(settings.amqp_url)
    except (ValueError, TypeError, SyntaxError, AttributeError, OSError) as error:
        # Only files and certificates are worth repeating; what else there is to say may hold the password.
        detail = f" ({error})" if isinstance(error, OSError) else ""
        raise SettingsError(
            f"AMQP_URL can't be used{detail}. Expected amqp[s]://user:password@host:port/vhost with pika's URL options."
        ) from None
    if parameters.ssl_options is not None:
        context = parameters.ssl_options.context
        if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
            raise SettingsError("AMQP_URL's ssl_options don't verify the broker. Leave `protocol` out of them.")
    if parameters.heartbeat is None:
        parameters.heartbeat = HEARTBEAT_SECONDS
    if parameters.tcp_options is None:
        parameters.tcp_options = {"TCP_USER_TIMEOUT": TCP_USER_TIMEOUT_MS}
    parameters.client_properties = {"connection_name": name}
    return parameters


def guard_decoder() -> None:
    """Makes pika survive header values that Python can't hold.

    pika 1.4.4 raises inside its decoder on a timestamp past the year 9999 (pika issue 1698) and on tables nested
    hundreds deep. The connection is lost, the message comes again, and so for ever. To be removed with the first
    release that decodes both.
    """
    decode = pika.data.decode_value

    def decode_value(encoded: bytes, offset: int) -> tuple[Any, int]:
        try:
            value: tuple[Any, int] = decode(encoded, offset)
            return value
        except (ValueError, OverflowError, OSError, RecursionError):
            return _decode_oddity(encoded, offset)

    pika.data.decode_value = decode_value


def _decode_oddity(encoded: bytes, offset: int) -> tuple[Any, int]:
    """A header value that pika can't decode, and where it ends: the bare number, or a note in place of a table."""
    match encoded[offset : offset + 1]:
        case b"T":
            return struct.unpack_from(">Q", encoded, offset + 1)[0], offset + 9
        case b"A" | b"F":
            (length,) = struct.unpack_from(">I", encoded, offset + 1)
            return "dropped, nested too deep", offset + 5 + length
    raise  # noqa: PLE0704 - called while the exception is handled


def _causes(error: BaseException) -> Iterable[BaseException]:
    """An exception of pika's and those it wraps, the innermost first."""
    inner = [*getattr(error, "exceptions", ())[-1:], getattr(error, "exception", None), *error.args[:1]]
    for cause in inner:
        if isinstance(cause, BaseException):
            yield from _causes(cause)
    yield error


def _reason(error: BaseException) -> str:
    """Why a connection or channel ended, in a few words."""
    cause = next(iter(_causes(error)))
    return f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__


def _reply_code(error: BaseException) -> int | None:
    """The code with which the broker closed a connection or channel, None where it wasn't the broker.

    While a connection is being opened, pika keeps the code only in the text of an exception of its own.
    """
    for cause in _causes(error):
        if isinstance(cause, ChannelClosedByBroker | ConnectionClosedByBroker):
            return int(cause.reply_code)
        if found := re.match(r"ConnectionClosedByBroker: \((\d+)\)", str(cause)):
            return int(found[1])
    return None


class Channel(pika.channel.Channel):  # type: ignore[misc]
    """A channel that leaves alone what is delivered after a cancel: it returns to the queue when the channel closes.

    Pika rejects each of these messages: so many commands to a quorum queue that the last acks may be held back and
    forgotten, as the ledger explains.
    """

    def _on_deliver(self, method_frame: Any, header_frame: Any, body: bytes) -> None:
        if method_frame.method.consumer_tag not in self._cancelled:
            super()._on_deliver(method_frame, header_frame, body)


class Connection(pika.SelectConnection):  # type: ignore[misc]
    """A connection that sends a burst of messages as one, where pika makes a system call of each frame, three a
    message (43 % of the service's processor time beside the model, by a profile); and that doesn't take an exception in
    a callback of ours for a broken link."""

    raised: Callable[[BaseException], None]
    _burst: list[bytes] | None = None

    @contextmanager
    def burst(self) -> Iterator[None]:
        """Holds frames back until the end of the block."""
        self._burst = []
        try:
            yield
        finally:
            frames, self._burst = self._burst, None
            if frames:
                self._output_marshaled_frames(frames)

    def _create_channel(self, channel_number: int, on_open_callback: Callable[[Any], None] | None) -> Channel:
        return Channel(self, channel_number, on_open_callback)

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        if self._burst is None:
            super()._output_marshaled_frames([b"".join(marshaled_frames)])
        else:
            self._burst.extend(marshaled_frames)

    def _proto_data_received(self, data: bytes) -> None:
        try:
            super()._proto_data_received(data)
        except AMQPError:
            raise
        except Exception as error:
            self.raised(error)
            raise


class Link:
    """A connection that is opened again, with full jitter, for as long as the service runs.

    Args:
        opened: called with each new connection.
        lost: called when an open connection is gone, after its channels were told.
        failed: called with the reason of each failure to connect and of each loss, before the next attempt is made.
        raised: called with an exception of our own callbacks.
    """

    def __init__(
        self,
        loop: Any,
        parameters: Any,
        *,
        opened: Callable[[Any], None],
        lost: Callable[[], None],
        failed: Callable[[BaseException], None],
        raised: Callable[[BaseException], None],
    ) -> None:
        self._loop = loop
        self._parameters = parameters
        self._opened = opened
        self._lost = lost
        self._failed = failed
        self._raised = raised
        self._connection: Any = None
        self._attempts = 0
        self._retry: Any = None
        self._closed: Callable[[], None] | None = None
        self._abandoned = False

    def open(self) -> None:
        """Starts connecting."""
        self._retry = None
        self._connection = Connection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=lambda _, error: self._again(error),
            on_close_callback=lambda _, error: self._on_close(error),
            custom_ioloop=self._loop,
        )
        self._connection.raised = self._raised

    def works(self) -> None:
        """The connection does what it is for: the next failure is the first."""
        self._attempts = 0

    def hasten(self) -> None:
        """Makes the next attempt now, if one is waited for: the broker was reached by another link."""
        if self._retry is not None and self._closed is None:
            self._loop.remove_timeout(self._retry)
            self._retry = self._loop.call_later(0, self.open)

    def restart(self) -> None:
        """Gives the connection up for a new one."""
        if self._connection is not None and self._connection.is_open:
            self._connection.close()

    def close(self, closed: Callable[[], None]) -> None:
        """Ends the connection in order, and calls ``closed`` when it is gone."""
        self._closed = closed
        if self._retry is not None:
            self._loop.remove_timeout(self._retry)
        connection = self._connection
        if connection is not None and connection.is_open:
            connection.close()
        elif connection is None or not (connection.is_closing or connection.is_closed):
            # One that is being opened is left to the end of the process: pika 1.4.4 can't abort it (it asserts).
            self._abandoned = True
            closed()
        # else its last callback is to come

    def _on_open(self, connection: Any) -> None:
        if not self._abandoned:
            self._opened(connection)

    def _on_close(self, error: BaseException) -> None:
        self._lost()
        self._again(error)

    def _again(self, error: BaseException) -> None:
        self._connection = None
        if self._closed is not None:
            if not self._abandoned:
                self._closed()
            return
        self._failed(error)
        bound_seconds = min(LONGEST_BACKOFF_SECONDS, BACKOFF_SECONDS * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 16)
        self._retry = self._loop.call_later(random.uniform(0, bound_seconds), self.open)


class Declaration:
    """Finds or declares queues, each on channels that are thrown away: the broker closes a channel with every "no"."""

    def __init__(
        self,
        connection: Any,
        queues: Iterable[tuple[str, str]],
        done: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._connection = connection
        self._queues = list(queues)
        self._done = done
        self._failed = failed
        self._tries = 0

    def start(self) -> None:
        """Takes the next queue, if there is one."""
        if not self._queues:
            self._done()
            return
        self._tries = 0
        self._declare(passive=True)

    def _declare(self, passive: bool) -> None:
        self._tries += 1
        queue, kind = self._queues[0]
        options: dict[str, Any] = {"passive": True}
        if not passive:
            queue_type = "quorum" if kind == "quorum" else "classic"
            options = {"durable": kind != "transient", "arguments": {"x-queue-type": queue_type}}

        def opened(channel: Any) -> None:
            channel.queue_declare(queue, callback=lambda _: self._is_there(channel), **options)

        channel = self._connection.channel(on_open_callback=opened)
        channel.add_on_close_callback(lambda _, reason: self._closed(reason, passive))

    def _is_there(self, channel: Any) -> None:
        channel.close()
        self._queues.pop(0)
        self.start()

    def _closed(self, reason: BaseException, passive: bool) -> None:
        if not isinstance(reason, ChannelClosedByBroker):
            return  # by us, or with its connection, and the link says so
        if passive and reason.reply_code == NOT_FOUND and self._tries < MOST_DECLARATIONS:
            self._declare(passive=False)
        elif not passive and reason.reply_code == PRECONDITION_FAILED:
            self._declare(passive=True)  # somebody was quicker, and declared it their way
        else:
            self._failed(reason)


class Intake:
    """The consuming side. It takes one message at a time until one comes that was never delivered before: an instance
    that starts doesn't know what the last one died of, and nothing else must be at risk with that.

    Args:
        delivered: called with each delivery.
        changed: called when ``consuming`` changed.
        closed: called when the channel is gone, and with it all its tags.
    """

    def __init__(
        self,
        link: Callable[..., Link],
        settings: Settings,
        *,
        delivered: Callable[[Delivery], None],
        changed: Callable[[], None],
        closed: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.link = link(opened=self._connected, lost=self._disconnected, failed=failed)
        self._settings = settings
        self._delivered = delivered
        self._changed = changed
        self._closed = closed
        self._failed = failed
        self._connection: Any = None
        self._channel: Any = None
        self._consumer_tag: str | None = None
        self._ending = False
        self.cautious = True
        self.consuming = False

    def widen(self) -> None:
        """Takes as many messages at a time as the settings allow."""
        self.cautious = False
        if not self._ending:
            # The message in hand is unacked, so the narrow consumer gets no other before it is cancelled.
            self._channel.basic_cancel(self._consumer_tag, callback=lambda _: None)
            self._consume()

    def end(self) -> None:
        """Takes no more messages."""
        self._ending = True
        self.consuming = False
        if self._consumer_tag is not None and self._channel.is_open:
            self._channel.basic_cancel(self._consumer_tag, callback=lambda _: None)

    def ack(self, acks: Iterable[Ack]) -> None:
        """Acks on the channel that delivered; a channel that is closing takes its tags with it."""
        if self._channel is not None and self._channel.is_open:
            with self._connection.burst():
                for ack in acks:
                    self._channel.basic_ack(ack.tag, ack.multiple)

    def _connected(self, connection: Any) -> None:
        self._connection = connection
        self._declare()

    def _disconnected(self) -> None:
        self._connection = None

    def _declare(self) -> None:
        settings = self._settings
        quarantine_type = "quorum" if settings.rpc_queue_type == "quorum" else "classic"
        queues = [(settings.quarantine_queue, quarantine_type), (settings.rpc_queue, settings.rpc_queue_type)]
        Declaration(self._connection, queues, self._declared, self._refused).start()

    def _declared(self) -> None:
        if self._channel is not None:  # the queue was deleted, and what is in hand is still answered
            self._start()
            return
        self._channel = self._connection.channel(on_open_callback=lambda _: self._start())
        self._channel.add_on_close_callback(lambda _, reason: self._channel_closed(reason))
        self._channel.add_on_cancel_callback(self._cancelled)

    def _start(self) -> None:
        if not self._ending:
            self.cautious = True
            self._consume()

    def _consume(self) -> None:
        self._channel.basic_qos(prefetch_count=1 if self.cautious else self._settings.prefetch)
        self._consumer_tag = self._channel.basic_consume(
            self._settings.rpc_queue, on_message_callback=self._on_message, callback=lambda _: self._on_consuming()
        )

    def _on_consuming(self) -> None:
        if not self._ending:
            self.link.works()
            self.consuming = True
            self._changed()

    def _on_message(self, _: Any, method: Any, properties: Any, body: bytes) -> None:
        self._delivered(
            Delivery(method.delivery_tag, method.redelivered, method.routing_key, properties, body, time.monotonic())
        )

    def _cancelled(self, frame: Any) -> None:
        if frame.method.consumer_tag == self._consumer_tag and not self._ending:
            log.warning("the request queue was deleted; declaring it again", queue=self._settings.rpc_queue)
            self._consumer_tag = None
            self.consuming = False
            self._changed()
            self._declare()

    def _channel_closed(self, reason: BaseException) -> None:
        self._channel = self._consumer_tag = None
        self.consuming = False
        self._closed()
        self._changed()
        if isinstance(reason, ChannelClosedByBroker):
            self._refused(reason)

    def _refused(self, reason: BaseException) -> None:
        self._failed(reason)
        self.link.restart()


class Outlet:
    """The publishing side, in confirm mode.

    Args:
        opened: called when a channel is there; its messages count from 1.
        changed: called when ``ready`` or ``blocked`` changed.
        closed: called when the channel is gone, with the reason, and whether the broker objected to a message.
        confirmed: called with a sequence number, whether it means all up to it, and whether the broker took them.
        returned: called with the routing key of a message that was returned.
    """

    def __init__(
        self,
        link: Callable[..., Link],
        *,
        opened: Callable[[], None],
        changed: Callable[[], None],
        closed: Callable[[BaseException, bool], None],
        confirmed: Callable[[int, bool, bool], None],
        returned: Callable[[str | bytes], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.link = link(opened=self._connected, lost=self._disconnected, failed=failed)
        self._opened = opened
        self._changed = changed
        self._closed = closed
        self._confirmed = confirmed
        self._returned = returned
        self._connection: Any = None
        self._channel: Any = None
        self.ready = False
        self.blocked = False

    def publish(self, messages: Iterable[Message]) -> None:
        """Publishes to the default exchange, in this order; only while ``ready``."""
        with self._connection.burst():
            for message in messages:
                properties = pika.BasicProperties(**message.properties)
                self._channel.basic_publish("", message.routing_key, message.body, properties, message.mandatory)

    def _connected(self, connection: Any) -> None:
        self._connection = connection
        connection.add_on_connection_blocked_callback(lambda *_: self._block(True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._block(False))
        self._open_channel()

    def _disconnected(self) -> None:
        self._connection = None
        self._block(False)

    def _block(self, blocked: bool) -> None:
        if blocked != self.blocked:
            self.blocked = blocked
            self._changed()

    def _open_channel(self) -> None:
        self._channel = self._connection.channel(on_open_callback=self._select)
        self._channel.add_on_close_callback(lambda _, reason: self._channel_closed(reason))
        self._channel.add_on_return_callback(lambda _, method, *__: self._returned(method.routing_key))

    def _select(self, channel: Any) -> None:
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._selected())

    def _selected(self) -> None:
        self.link.works()
        self.ready = True
        self._opened()
        self._changed()

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        self._confirmed(method.delivery_tag, method.multiple, isinstance(method, pika.spec.Basic.Ack))

    def _channel_closed(self, reason: BaseException) -> None:
        # By the broker, with the channel or with the whole connection: some messages cost even that.
        code = _reply_code(reason)
        self.ready = False
        self._closed(reason, code not in {None, CONNECTION_FORCED})
        self._changed()
        if isinstance(reason, ChannelClosedByBroker):
            self._open_channel()


class State(Enum):
    """What the consumer is doing."""

    SERVE = "serve"  # connected, or connecting again
    DRAIN = "drain"  # asked to stop: finish the batch in progress
    PANIC = "panic"  # erroneous input: finish the batch in progress, then put what is erroneous into quarantine
    CLOSE = "close"


class Consumer:
    """Serves until it is asked to stop, or erroneous input or a failure ends it.

    Args:
        translate: texts to translations, in order; called in the inference thread.
        version, architecture: of the model; every reply names them.
        stop_file: a file descriptor that becomes readable when the service is to stop.

    Raises:
        SettingsError: the broker's URL can't be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        translate: Callable[[list[str]], Sequence[Translation]],
        version: str,
        architecture: str,
        vitals: Vitals,
        metrics: Metrics,
        stop_file: int,
    ) -> None:
        self._settings = settings
        self._replies = Replies(version, architecture)
        self._vitals = vitals
        self._metrics = metrics
        self._ledger = Ledger(most_scattered=settings.prefetch // 2)
        self._loop = IOLoop()
        self._loop.add_handler(stop_file, lambda *_: self._stop_asked(stop_file), IOLoop.READ)
        self._batcher = Batcher(
            translate,
            settings.max_batch,
            hand_back=lambda outcomes: self._loop.add_callback_threadsafe(partial(self._outcomes, outcomes)),
            crashed=lambda error: self._loop.add_callback_threadsafe(partial(self._fail, error)),
            beat=vitals.inference.beat,
        )
        self._intake = Intake(
            self._link(f"dragoman {version} requests"),
            settings,
            delivered=self._delivered,
            changed=self._changed,
            closed=self._consuming_closed,
            failed=partial(self._link_failed, "requests"),
        )
        self._outlet = Outlet(
            self._link(f"dragoman {version} replies"),
            opened=self._publishing_opened,
            changed=self._changed,
            closed=self._publishing_closed,
            confirmed=self._confirmed,
            returned=self._reply_returned,
            failed=partial(self._link_failed, "replies"),
        )
        self._state = State.SERVE
        self._exit_code = EXIT_DRAINED
        self._failure: BaseException | None = None
        self._erroneous: list[tuple[Entry, Erroneous]] = []  # in hand, while in panic
        self._acks_are_due = False
        self._returned_replies = 0  # since the last beat
        self._connect_deadline: Any = None  # a timer, while the broker is unreachable
        self._open_links = 2

    def run(self) -> int:
        """Connects and serves; the exit code: 0 drained, 65 erroneous input, 75 the drain deadline passed.

        Raises:
            BrokerUnreachable: for longer than the settings allow.
            AccessRefused: the broker refused the user.
            Exception: a bug.
        """
        self._batcher.start()
        self._beat()
        self._outlet.link.open()
        self._intake.link.open()
        self._loop.start()
        self._vitals.ready = False
        if self._failure is not None:
            raise self._failure
        return self._exit_code

    def _link(self, name: str) -> Callable[..., Link]:
        parameters = connection_parameters(self._settings, name)
        return partial(Link, self._loop, parameters, raised=self._fail)

    # From the broker

    def _delivered(self, delivery: Delivery) -> None:
        entry = self._ledger.deliver(delivery)
        self._metrics.received(delivery.redelivered)
        item = examine(delivery, self._settings.rpc_queue)
        if isinstance(item, Retry):
            self._ledger.publish(entry, Purpose.RETRY, again(item, self._settings.rpc_queue))
            self._send_publications()
        elif isinstance(item, Request) and len(item.text) > self._settings.max_characters:
            # At once, so that no long text waits in memory.
            self._answer(entry, self._replies.fallback(delivery, "too-long"), "too-long")
            self._send_publications()
        else:
            self._batcher.submit(Job(entry, item))
        if self._intake.cautious and not delivery.redelivered and not (isinstance(item, Request) and item.suspect):
            self._intake.widen()

    def _consuming_closed(self) -> None:
        """Every tag in hand is dead: the broker delivers these messages again, here or elsewhere."""
        self._ledger.consuming_closed()
        self._erroneous.clear()
        self._batcher.withdraw()
        self._advance()

    def _publishing_opened(self) -> None:
        self._ledger.publishing_opened()
        self._send_publications()

    def _publishing_closed(self, reason: BaseException, by_broker: bool) -> None:
        if by_broker and _reply_code(reason) == ACCESS_REFUSED:
            self._link_failed("replies", reason)
        elif by_broker and self._state is not State.CLOSE:
            log.warning("the broker closed the publishing channel; publishing once more", reason=_reason(reason))
        self._failed_publications(self._ledger.publishing_closed(by_broker))

    def _confirmed(self, sequence: int, multiple: bool, taken: bool) -> None:
        decide = self._ledger.confirmed if taken else self._ledger.refused
        quarantined = self._ledger.quarantined
        self._failed_publications(decide(sequence, multiple))
        if self._ledger.quarantined != quarantined:
            self._metrics.quarantined(self._ledger.quarantined - quarantined)
        self._send_publications()
        if not self._acks_are_due:
            # Confirms come in swarms; the acks they make due go out together.
            self._acks_are_due = True
            self._loop.add_callback(self._send_acks)

    def _reply_returned(self, routing_key: str | bytes) -> None:
        self._ledger.returned(routing_key)
        if routing_key not in {self._settings.quarantine_queue, self._settings.rpc_queue}:
            self._returned_replies += 1
            self._metrics.returned()

    def _link_failed(self, connection: str, error: BaseException) -> None:
        """A connection couldn't be opened, was lost, or is of no use; ``connection`` says which."""
        reason = _reason(error)
        if _reply_code(error) in {ACCESS_REFUSED, NOT_ALLOWED}:
            self._fail(
                AccessRefused(f"The broker refused access ({reason}). Check user, virtual host and permissions.")
            )
            return
        broker = urlsplit(self._settings.amqp_url)
        log.warning(
            "no connection to the broker; trying again, check AMQP_URL if it stays so",
            connection=connection,
            broker=f"{broker.hostname}:{broker.port}" if broker.port else str(broker.hostname),
            reason=reason,
        )
        deadline_seconds = self._settings.connect_deadline_seconds
        if deadline_seconds and self._connect_deadline is None:
            unreachable = BrokerUnreachable(
                f"The broker couldn't be reached for {deadline_seconds:g} s ({reason}). Check AMQP_URL and the broker."
            )
            self._connect_deadline = self._loop.call_later(deadline_seconds, partial(self._fail, unreachable))

    def _changed(self) -> None:
        """A side is up or down, blocked or not, or the state is another."""
        # After an outage the two links wait for different times, and each is of no use without the other.
        if self._intake.consuming:
            self._outlet.link.hasten()
        if self._outlet.ready:
            self._intake.link.hasten()
        connected = self._intake.consuming and self._outlet.ready
        if connected and self._connect_deadline is not None:
            self._loop.remove_timeout(self._connect_deadline)
            self._connect_deadline = None
        self._metrics.blocked(self._outlet.blocked)
        ready = connected and not self._outlet.blocked and self._state is State.SERVE
        if ready != self._vitals.ready:
            self._vitals.ready = ready
            if ready:
                log.info("serving", queue=self._settings.rpc_queue)
            elif self._outlet.blocked:
                log.warning("blocked by an alarm of the broker; waiting", queue=self._settings.rpc_queue)

    # From the inference thread

    def _outcomes(self, outcomes: list[Outcome]) -> None:
        self._metrics.batch(len(outcomes))
        for outcome in outcomes:
            entry, result = outcome.entry, outcome.result
            if entry.kept:
                continue  # stale: its channel is gone
            if isinstance(result, Erroneous):
                self._found_erroneous(entry, result)
            elif result.error:
                self._answer(entry, self._replies.fallback(entry.delivery, result.error), result.error)
            else:
                self._answer(entry, self._replies.translation(entry.delivery, result.text), "ok")
        self._send_publications()
        self._advance()

    # To the broker

    def _answer(self, entry: Entry, reply: Message, status: str) -> None:
        self._ledger.publish(entry, Purpose.REPLY, reply)
        self._metrics.processed(status, time.monotonic() - entry.delivery.received_at)

    def _send_publications(self) -> None:
        if self._outlet.ready:
            self._outlet.publish(self._ledger.publications())

    def _send_acks(self) -> None:
        self._acks_are_due = False
        self._intake.ack(self._ledger.acks(patient=self._state is not State.SERVE))
        self._advance()

    def _failed_publications(self, failed: Sequence[Publication]) -> None:
        for publication in failed:
            entry = publication.entry
            match publication.purpose:
                case Purpose.REPLY:
                    self._found_erroneous(entry, Erroneous(entry.delivery, "reply-to"))
                case Purpose.RETRY:
                    text = entry.delivery.body.decode()
                    self._batcher.submit(Job(entry, Request(entry.delivery, text, suspect=True)))
                case Purpose.QUARANTINE:
                    queue = self._settings.quarantine_queue
                    log.error("a copy didn't reach the quarantine; its message stays in the queue", queue=queue)
                    if self._state is State.SERVE:
                        self._end(State.PANIC, EXIT_ERRONEOUS_INPUT)
        if failed:
            self._send_publications()
            self._advance()

    # Erroneous input

    def _found_erroneous(self, entry: Entry, erroneous: Erroneous) -> None:
        if self._state is State.SERVE and self._settings.on_erroneous_input == "exit":
            log.error("erroneous input; ending once it is in quarantine", reason=erroneous.reason)
            self._end(State.PANIC, EXIT_ERRONEOUS_INPUT)
        if self._state is State.PANIC:
            self._erroneous.append((entry, erroneous))
        else:
            self._put_away(entry, erroneous)

    def _put_away(self, entry: Entry, erroneous: Erroneous) -> None:
        """Answers an erroneous message where that is possible, and puts it into quarantine."""
        delivery = entry.delivery
        if erroneous.reason != "reply-to" and has_usable_reply_to(delivery, self._settings.rpc_queue):
            self._ledger.publish(entry, Purpose.FALLBACK, self._replies.fallback(delivery, erroneous.reason))
        received_at = datetime.now(UTC) - timedelta(seconds=time.monotonic() - delivery.received_at)
        copy = self._replies.quarantined(erroneous, self._settings.quarantine_queue, received_at)
        self._ledger.publish(entry, Purpose.QUARANTINE, copy)
        self._metrics.processed(erroneous.reason, time.monotonic() - delivery.received_at)
        log.warning(
            "putting a message into quarantine",
            reason=erroneous.reason,
            queue=self._settings.quarantine_queue,
            correlation_id=delivery.properties.correlation_id,
            bytes=len(delivery.body),
        )

    # The end

    def _stop_asked(self, stop_file: int) -> None:
        os.read(stop_file, 64)
        if self._state is State.SERVE:
            log.info("asked to stop; finishing the batch in progress")
            self._end(State.DRAIN, EXIT_DRAINED)

    def _end(self, state: State, exit_code: int) -> None:
        """Takes nothing more and gives back what waits; the batch in progress is finished."""
        self._state, self._exit_code = state, exit_code
        self._intake.end()
        for job in self._batcher.withdraw():
            if state is State.PANIC and isinstance(job.item, Erroneous):
                self._erroneous.append((job.entry, job.item))
            else:
                self._ledger.give_back(job.entry)
        self._loop.call_later(self._settings.drain_seconds, self._deadline_passed)
        self._changed()
        self._advance()

    def _advance(self) -> None:
        """Takes the next step towards the end, if what it waits for is done."""
        if self._state is State.PANIC and self._erroneous and self._ledger.unsettled == len(self._erroneous):
            self._put_all_away()
        if self._state in {State.DRAIN, State.PANIC} and not self._ledger.unfinished:
            self._state = State.CLOSE
            self._intake.link.close(self._link_closed)
            self._outlet.link.close(self._link_closed)

    def _put_all_away(self) -> None:
        erroneous, self._erroneous = self._erroneous, []
        for entry, item in erroneous:
            self._put_away(entry, item)
        self._send_publications()

    def _link_closed(self) -> None:
        self._open_links -= 1
        if not self._open_links:
            log.info("closed", exit_code=self._exit_code)
            self._loop.stop()

    def _deadline_passed(self) -> None:
        if self._state is State.PANIC and self._erroneous:
            # The batch in progress takes too long, but what is erroneous must be out of the queue before the exit.
            self._put_all_away()
            self._loop.call_later(self._settings.drain_seconds, self._deadline_passed)
            return
        if self._exit_code == EXIT_DRAINED:
            self._exit_code = EXIT_DRAIN_DEADLINE
        log.error(
            "not done by the deadline; closing hard, the broker keeps what isn't acked",
            unfinished=self._ledger.unfinished,
            exit_code=self._exit_code,
        )
        self._loop.stop()

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self._loop.stop()

    def _beat(self) -> None:
        self._vitals.loop.beat()
        if self._returned_replies:
            log.info("replies were returned, their clients are gone", replies=self._returned_replies)
            self._returned_replies = 0
        self._loop.call_later(BEAT_SECONDS, self._beat)
