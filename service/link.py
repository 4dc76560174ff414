"""A connection that is opened again, for as long as the service runs."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from pika.adapters.select_connection import IOLoop

from service.connection import Connection, Endpoint, Loss

BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 30.0


def event_loop() -> Any:
    """The loop that both links run on, in the main thread."""
    return IOLoop()


class Link:
    """A connection that is opened again, with full jitter, for as long as the service runs.

    Each attempt is made at the next of its endpoints. The wait doubles when all of them were tried in vain.

    Args:
        opened: called with each new connection.
        lost: called when an open connection is gone, after its channels were told.
        failed: called with the reason of each failure to connect and of each loss, before the next attempt is made.
        raised: called with an exception of our own callbacks.
    """

    def __init__(
        self,
        loop: Any,
        endpoints: Sequence[Endpoint],
        *,
        opened: Callable[[Any], None],
        lost: Callable[[], None],
        failed: Callable[[Loss], None],
        raised: Callable[[BaseException], None],
    ) -> None:
        self._loop = loop
        self._endpoints = endpoints
        self._place = 0  # in endpoints, of the attempt in progress
        self._opened = opened
        self._lost = lost
        self._failed = failed
        self._raised = raised
        self._connection: Any = None
        self._attempts = 0
        self._retry: Any = None
        self._closed: Callable[[], None] | None = None
        self._abandoned = False
        self._restarting = False

    @property
    def broker(self) -> str:
        """The broker that it is connected to, or tries to be, fit for a log."""
        return self._endpoints[self._place].shown

    def open(self) -> None:
        """Starts connecting."""
        self._retry = None
        self._connection = Connection(
            self._endpoints[self._place].parameters,
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
        """Gives the connection up for a new one; why was said already."""
        if self._connection is not None and self._connection.is_open:
            self._restarting = True
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
        if not self._restarting:
            self._failed(Loss.of(error))
        self._restarting = False
        self._place = (self._place + 1) % len(self._endpoints)
        rounds = min(self._attempts // len(self._endpoints), 16)
        bound_seconds = min(LONGEST_BACKOFF_SECONDS, BACKOFF_SECONDS * 2**rounds)
        self._attempts += 1
        self._retry = self._loop.call_later(random.uniform(0, bound_seconds), self.open)
