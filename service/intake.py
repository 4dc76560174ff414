"""The consuming side: finds or declares the queues, takes requests, acks them."""

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from pika.spec import Basic

from service import log
from service.connection import (
    ACCESS_REFUSED,
    INTERNAL_ERROR,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    PRECONDITION_FAILED,
    Loss,
)
from service.ledger import Ack
from service.link import Link
from service.message import Delivery
from service.settings import Settings

MOST_RETURNS = 1_000_000
"""Of a message to the quarantine, by who looks at it. RabbitMQ 4 deletes what was given back more than 20 times where
nothing else is said; it knows -1 for "never", which RabbitMQ 3 takes for 0."""
MOST_DECLARATIONS = 4  # of one queue in a row, against others who create and delete it


class Declaration:
    """Finds or declares queues, each on channels that are thrown away: the broker closes a channel with every "no"."""

    def __init__(
        self,
        connection: Any,
        queues: Iterable[tuple[str, str, dict[str, int]]],
        done: Callable[[], None],
        failed: Callable[[Loss], None],
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
        queue, kind, arguments = self._queues[0]
        options: dict[str, Any] = {"passive": True}
        if not passive:
            queue_type = "quorum" if kind == "quorum" else "classic"
            options = {"durable": kind != "transient", "arguments": {"x-queue-type": queue_type} | arguments}

        def opened(channel: Any) -> None:
            channel.queue_declare(queue, callback=lambda _: self._is_there(channel), **options)

        channel = self._connection.channel(on_open_callback=opened)
        channel.add_on_close_callback(lambda _, reason: self._closed(Loss.of(reason), passive))

    def _is_there(self, channel: Any) -> None:
        channel.close()
        self._queues.pop(0)
        self.start()

    def _closed(self, loss: Loss, passive: bool) -> None:
        if not passive and loss.code in {NOT_IMPLEMENTED, INTERNAL_ERROR}:
            self._failed(replace(loss, undeclarable=True))
            return
        if not loss.channel_only:
            return  # by us, or with its connection, and the link says so
        if passive and loss.code == NOT_FOUND and self._tries < MOST_DECLARATIONS:
            self._declare(passive=False)
        elif not passive and loss.code == PRECONDITION_FAILED:
            self._declare(passive=True)  # somebody was quicker, and declared it their way
        else:
            self._failed(loss)


class Intake:
    """The consuming side. It fetches one message at a time until one comes that was never delivered before, or none: an
    instance that starts doesn't know what the last one died of, and nothing else must be at risk with that.

    Then it has one consumer, for as long as the channel lives. One that was cancelled for a wider one would hand a
    single active consumer's part to another instance, and RabbitMQ 3.10 then loses a classic queue.

    Args:
        name: what the consumer is called at the broker.
        delivered: called with each delivery.
        changed: called when ``consuming`` changed.
        closed: called when the channel is gone, and with it all its tags.
    """

    def __init__(
        self,
        link: Callable[..., Link],
        settings: Settings,
        name: str,
        *,
        delivered: Callable[[Delivery], None],
        changed: Callable[[], None],
        closed: Callable[[], None],
        failed: Callable[[Loss], None],
    ) -> None:
        self.link = link(opened=self._connected, lost=self._disconnected, failed=failed)
        self._settings = settings
        self._name = name
        self._delivered = delivered
        self._changed = changed
        self._closed = closed
        self._failed = failed
        self._connection: Any = None
        self._channel: Any = None
        self._consumer_tag: str | None = None
        self._ending = False
        self._may_fetch = True  # not so from a quorum queue with a single active consumer, or one that somebody holds
        self._fetching = False  # a message was asked for
        self.cautious = True
        self.consuming = False

    def widen(self) -> None:
        """Takes as many messages at a time as the settings allow."""
        self.cautious = False
        if not self._ending:
            self._channel.basic_qos(prefetch_count=self._settings.in_hand)
            self._consumer_tag = self._channel.basic_consume(
                self._settings.rpc_queue,
                on_message_callback=self._on_message,
                consumer_tag=f"{self._name} {uuid.uuid4().hex[:8]}",
                callback=lambda _: self._on_consuming(),
            )

    def end(self) -> None:
        """Takes no more messages."""
        self._ending = True
        self.consuming = False
        if self._consumer_tag is not None and self._channel.is_open:
            self._channel.basic_cancel(self._consumer_tag, callback=lambda _: None)

    def ack(self, acks: Iterable[Ack]) -> None:
        """Acks on the channel that delivered; a channel that is closing takes its tags with it."""
        if self._channel is not None and self._channel.is_open:
            settled = False
            with self._connection.burst():
                for ack in acks:
                    self._channel.basic_ack(ack.tag, ack.multiple)
                    settled = True
            if settled and self.cautious and not self._ending:
                self._fetch()

    def _connected(self, connection: Any) -> None:
        self._connection = connection
        self._declare()

    def _disconnected(self) -> None:
        self._connection = None

    def _declare(self) -> None:
        settings = self._settings
        quarantine_type = "quorum" if settings.rpc_queue_type == "quorum" else "classic"
        limit = {"x-delivery-limit": MOST_RETURNS} if quarantine_type == "quorum" else {}
        queues = [
            (settings.quarantine_queue, quarantine_type, limit),
            (settings.rpc_queue, settings.rpc_queue_type, {}),
        ]
        Declaration(self._connection, queues, self._declared, self._refused).start()

    def _declared(self) -> None:
        if self._channel is not None:  # the queue was deleted, and what is in hand is still answered
            self.widen()
            return
        self._channel = self._connection.channel(on_open_callback=lambda _: self._start())
        self._channel.add_on_close_callback(lambda _, reason: self._channel_closed(Loss.of(reason)))
        self._channel.add_on_cancel_callback(self._cancelled)
        self._channel.add_callback(lambda _: self._on_nothing(), [Basic.GetEmpty], one_shot=False)

    def _start(self) -> None:
        if self._ending:
            return
        self.cautious = self._may_fetch
        if self.cautious:
            self._fetch()
        else:
            self.widen()

    def _fetch(self) -> None:
        if not self._fetching:
            self._fetching = True
            self._channel.basic_get(self._settings.rpc_queue, self._on_fetched)

    def _on_fetched(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._fetching = False
        self._on_consuming()
        if not self._ending:
            self._on_message(channel, method, properties, body)

    def _on_nothing(self) -> None:
        self._fetching = False
        self.widen()

    def _on_consuming(self) -> None:
        if not self._ending and not self.consuming:
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

    def _channel_closed(self, loss: Loss) -> None:
        fetching, self._fetching = self._fetching, False
        self._channel = self._consumer_tag = None
        self.consuming = False
        self._closed()
        self._changed()
        if loss.channel_only and fetching and loss.code not in {ACCESS_REFUSED, NOT_FOUND}:
            self._may_fetch = False
            self._declared()
        elif loss.channel_only:
            self._refused(loss)

    def _refused(self, loss: Loss) -> None:
        self._may_fetch = self._may_fetch and not loss.is_held
        self._failed(loss)
        self.link.restart()
