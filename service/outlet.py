"""The publishing side, in confirm mode."""

from collections.abc import Callable, Iterable
from typing import Any

import pika

from service.connection import CONNECTION_FORCED, Loss
from service.link import Link
from service.message import Message


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
        closed: Callable[[Loss, bool], None],
        confirmed: Callable[[int, bool, bool], None],
        returned: Callable[[str | bytes], None],
        failed: Callable[[Loss], None],
    ) -> None:
        self.link = link(opened=self._connected, lost=self._disconnected, failed=failed)
        self._opened = opened
        self._changed = changed
        self._closed = closed
        self._confirmed = confirmed
        self._returned = returned
        self._connection: Any = None
        self._channel: Any = None
        self._renewing = False
        self.ready = False
        self.blocked = False

    def renew(self) -> None:
        """Goes on with another channel. What this one hasn't confirmed is published once more there."""
        if self.ready and self._channel.is_open:
            self.ready = False
            self._renewing = True
            self._channel.close()

    def publish(self, messages: Iterable[Message]) -> None:
        """Publishes to the default exchange, in this order; only while ``ready``."""
        with self._connection.burst():
            for message in messages:
                properties = pika.BasicProperties(**message.properties)
                self._channel.basic_publish("", message.routing_key, message.body, properties, message.mandatory)

    def _connected(self, connection: Any) -> None:
        self._connection = connection
        self._renewing = False
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
        self._channel.add_on_close_callback(lambda _, reason: self._channel_closed(Loss.of(reason)))
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

    def _channel_closed(self, loss: Loss) -> None:
        # By the broker, with the channel or with the whole connection: some messages cost even that.
        self.ready = False
        self._closed(loss, loss.code not in {None, CONNECTION_FORCED})
        if self._renewing and self._connection.is_open:
            self._renewing = False
            self._open_channel()
            return  # too short for anybody to be told
        self._changed()
        if loss.channel_only:
            self._open_channel()
