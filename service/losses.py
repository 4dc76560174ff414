"""Replies that didn't reach their clients: counted at once, logged every few seconds, so that one client that is gone
or slow fills no log."""

from service import log
from service.metrics import Metrics


class Losses:
    """Replies that were returned or refused since the last report."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._returned = 0
        self._refused = 0
        self._returned_to: str | bytes = ""
        self._refused_by: str | bytes = ""

    def returned(self, reply_to: str | bytes) -> None:
        """The broker has no queue ``reply_to``: its client is gone, or it never was a queue's name."""
        self._returned += 1
        self._returned_to = reply_to
        self._metrics.returned()

    def refused(self, reply_to: str | bytes) -> None:
        """The queue ``reply_to`` takes no more: its client is too slow."""
        self._refused += 1
        self._refused_by = reply_to
        self._metrics.refused()

    def report(self) -> None:
        """Logs what came together, with one queue as an example."""
        if self._returned:
            log.info("replies were returned: no such queue", replies=self._returned, reply_to=self._returned_to)
        if self._refused:
            log.warning("replies were refused: their queue is full", replies=self._refused, reply_to=self._refused_by)
        self._returned = self._refused = 0
