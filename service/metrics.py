"""What Prometheus may ask. Off unless a port is given: then nothing is counted and the library isn't imported."""

import errno
from collections.abc import Iterable
from typing import Any, Protocol

from service.settings import SettingsError

NAMESPACE = "dragoman"
WITHOUT_PREFIX = {
    *("received_messages", "redelivered_messages", "received_processed_messages", "processing_duration_seconds"),
    *("batch_size", "replies_returned", "quarantined_messages", "connection_blocked", "model"),
}
"""The names that metrics had in 1.0, without prefix. Deprecated: served beside the new ones in all of 2.x."""


NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class Metrics(Protocol):
    """What the consumer reports."""

    def received(self, redelivered: bool) -> None:
        """A message was delivered."""

    def processed(self, status: str, seconds: float) -> None:
        """A message got its reply or its place in quarantine after so long in hand; ``ok`` or an ``x-error``."""

    def batch(self, size: int) -> None:
        """A batch was worked on."""

    def returned(self) -> None:
        """A reply came back because its client is gone."""

    def refused(self) -> None:
        """A reply was lost because its client's queue is full."""

    def translated(self, corrected: bool, score: float | None) -> None:
        """A text was translated, as it came or corrected, with a score where the model gives one."""

    def quarantined(self, messages: int) -> None:
        """The broker confirmed the copies of so many messages in quarantine."""

    def blocked(self, blocked: bool) -> None:
        """The broker stopped reading from us, or reads again."""


class NoMetrics:
    """Counts nothing."""

    def received(self, redelivered: bool) -> None: ...
    def processed(self, status: str, seconds: float) -> None: ...
    def batch(self, size: int) -> None: ...
    def returned(self) -> None: ...
    def refused(self) -> None: ...
    def translated(self, corrected: bool, score: float | None) -> None: ...
    def quarantined(self, messages: int) -> None: ...
    def blocked(self, blocked: bool) -> None: ...


class Prometheus:
    """Counts, and answers on a port in a thread of its own.

    Raises:
        SettingsError: the port can't be listened on.
    """

    def __init__(self, port: int, version: str, architecture: str, source: str, target: str) -> None:
        # 0.1 s, which a service without a port doesn't pay
        from prometheus_client import (  # noqa: PLC0415
            REGISTRY,
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            Info,
            start_http_server,
        )

        registry = CollectorRegistry()
        ours: dict[str, Any] = {"namespace": NAMESPACE, "registry": registry}
        self._received = Counter("received_messages", "Messages delivered", **ours)
        self._redelivered = Counter("redelivered_messages", "Messages delivered that had been delivered before", **ours)
        self._processed = Counter("received_processed_messages", "Messages answered or quarantined", ["status"], **ours)
        self._seconds = Histogram(
            "processing_duration_seconds",
            "From the delivery to the reply",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
            **ours,
        )
        self._batch = Histogram(
            "batch_size", "Messages worked on together", buckets=(1, 2, 4, 8, 16, 32, 64, 128), **ours
        )
        self._returned = Counter("replies_returned", "Replies whose client was gone", **ours)
        self._refused = Counter("replies_refused", "Replies whose queue was full", **ours)
        self._corrected = Counter(
            "corrected_messages", "Messages translated after a correction", ["version"], **ours
        ).labels(version)
        self._score = Histogram(
            "reply_score",
            "How likely a translation is good, as the model says",
            ["version"],
            buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1),
            **ours,
        ).labels(version)
        self._quarantined = Counter("quarantined_messages", "Messages put into quarantine", **ours)
        self._blocked = Gauge("connection_blocked", "1 while the broker doesn't read from us", **ours)
        Info("model", "Which model answers", **ours).info(
            {"version": version, "architecture": architecture, "source": source, "target": target}
        )
        REGISTRY.register(registry)
        REGISTRY.register(_WithoutPrefix(registry))
        try:
            try:
                start_http_server(port, "::")  # IPv4 comes in there too
            except OSError as error:
                if error.errno not in NO_IPV6:
                    raise
                start_http_server(port)
        except OSError as error:
            raise SettingsError(
                f"METRICS_PORT {port} can't be listened on ({error.strerror}). Choose another."
            ) from None

    def received(self, redelivered: bool) -> None:
        self._received.inc()
        if redelivered:
            self._redelivered.inc()

    def processed(self, status: str, seconds: float) -> None:
        self._processed.labels(status).inc()
        self._seconds.observe(seconds)

    def batch(self, size: int) -> None:
        self._batch.observe(size)

    def returned(self) -> None:
        self._returned.inc()

    def refused(self) -> None:
        self._refused.inc()

    def translated(self, corrected: bool, score: float | None) -> None:
        if corrected:
            self._corrected.inc()
        if score is not None:
            self._score.observe(score)

    def quarantined(self, messages: int) -> None:
        self._quarantined.inc(messages)

    def blocked(self, blocked: bool) -> None:
        self._blocked.set(blocked)


class _WithoutPrefix:
    """The metrics of a registry that 1.0 had, under the names that they had there: for its dashboards and alerts."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Any]:
        """Metrics, as the library collects them."""
        from prometheus_client import Metric  # noqa: PLC0415 - as above

        prefix = f"{NAMESPACE}_"
        for metric in self._registry.collect():
            name = metric.name.removeprefix(prefix)
            if name in WITHOUT_PREFIX:
                old = Metric(name, f"Deprecated, now {metric.name}: {metric.documentation}", metric.type)
                old.samples = [sample._replace(name=sample.name.removeprefix(prefix)) for sample in metric.samples]
                yield old
