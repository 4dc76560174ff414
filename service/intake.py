"""The consuming side: finds or declares the queues, takes requests, acks them."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from service import log
from service.connection import NOT_FOUND, PRECONDITION_FAILED, Loss
from service.ledger import Ack
from service.link import Link
from service.message import Delivery
from service.settings import Settings

MOST_DECLARATIONS = 4  # of one queue in a row, against others who create and delete it


class Declaration:
    """Finds or declares queues, each on channels that are thrown away: the broker closes a channel with every "no"."""

    def __init__(
        self,
        connection: Any,
        queues: Iterable[tuple[str, str]],
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
        queue, kind = self._queues[0]
        options: dict[str, Any] = {"passive": True}
        if not passive:
            queue_type = "quorum" if kind == "quorum" else "classic"
            options = {"durable": kind != "transient", "arguments": {"x-queue-type": queue_type}}

        def opened(channel: Any) -> None:
            channel.queue_declare(queue, callback=lambda _: self._is_there(channel), **options)

        channel = self._connection.channel(on_open_callback=opened)
        channel.add_on_close_callback(lambda _, reason: self._closed(Loss.of(reason), passive))

    def _is_there(self, channel: Any) -> None:
        channel.close()
        self._queues.pop(0)
        self.start()

    def _closed(self, loss: Loss, passive: bool) -> None:
        if not loss.channel_only:
            return  # by us, or with its connection, and the link says so
        if passive and loss.code == NOT_FOUND and self._tries < MOST_DECLARATIONS:
            self._declare(passive=False)
        elif not passive and loss.code == PRECONDITION_FAILED:
            self._declare(passive=True)  # somebody was quicker, and declared it their way
        else:
            self._failed(loss)


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
        failed: Callable[[Loss], None],
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
        self._channel.add_on_close_callback(lambda _, reason: self._channel_closed(Loss.of(reason)))
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

    def _channel_closed(self, loss: Loss) -> None:
        self._channel = self._consumer_tag = None
        self.consuming = False
        self._closed()
        self._changed()
        if loss.channel_only:
            self._refused(loss)

    def _refused(self, loss: Loss) -> None:
        self._failed(loss)
        self.link.restart()
