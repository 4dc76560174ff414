"""The load, a process of its own: one phase, told on standard input, reported on standard output, each as JSON.

Three kinds of phase:

    first       one request, which waits in the queue for the consumer to start
    rate        requests at a fixed rate, whether or not the last was answered; latency counts from when one was due
    saturate    so many requests in flight that the consumer is never without; the books open after a second of it

A phase ends with the request queue emptied and the books closed: sent is answered, purged or lost.
"""

import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks import process
from tests.benchmarks.books import Books, keeps_up, percentile
from tests.benchmarks.wire import Requests, Wire

WARM_UP_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
REPORT_SECONDS = 0.5


@dataclass(frozen=True)
class Phase:
    """What to do.

    Attributes:
        kind: ``first``, ``rate`` or ``saturate``.
        url: the broker's.
        sources: a file of texts, a JSON array.
        seconds: how long.
        rate: requests a second.
        window: requests in flight.
        requests: ends the phase before ``seconds``, after so many.
        consumers, broker: processes whose processor time counts.
        progress: say twice a second how many were answered.
    """

    kind: str
    url: str
    queue: str
    sources: str
    seconds: float = PATIENCE_SECONDS
    rate: float = 0.0
    window: int = 1
    requests: int = 1 << 31
    consumers: list[int] = field(default_factory=list)
    broker: list[int] = field(default_factory=list)
    progress: bool = False


@dataclass(frozen=True)
class Report:
    """What came of a phase. Latencies are in milliseconds, processor time in microseconds a request.

    Attributes:
        first_answer: ``time.monotonic()`` of the first reply, None where there is none.
        keeps_up: whether the consumer answered at the rate at which it was asked.
        lost: requests that were neither answered nor still in the queue.
        replies: the first reply to each of the sources that were asked, by the source's number.
    """

    sent: int
    answered: int
    duplicates: int
    lost: int
    requests_per_second: float
    latency_p50_ms: float
    latency_p95_ms: float
    latency_p99_ms: float
    keeps_up: bool
    consumer_cpu_us: float
    broker_cpu_us: float
    load_cpu_us: float
    first_answer: float | None
    replies: dict[int, str]


class Load:
    """A phase in progress."""

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self._texts: list[str] = json.loads(Path(phase.sources).read_text("utf-8"))
        self._wire = Wire(phase.url)
        self._requests = Requests(phase.queue, self._wire.reply_queue, self._texts)
        self._books = Books()
        self._replies: dict[int, str] = {}
        self._reported = 0.0

    def run(self) -> Report:
        """Sends, receives, and closes the books."""
        phase = self._phase
        saturates = phase.kind == "saturate"
        if saturates:
            self._saturate(time.monotonic() + WARM_UP_SECONDS)
        begin, used = time.monotonic(), self._used()
        if saturates:
            self._saturate(begin + phase.seconds)
        elif phase.kind == "rate":
            self._at_rate(begin)
        else:
            self._first(begin)
        end, outstanding = time.monotonic(), self._books.outstanding
        used_at_the_end = self._used()
        lost = self._close()
        # At a rate, those that were due last are answered after the end.
        latencies = self._books.latencies(begin, end if saturates else float("inf"))
        microseconds = [1e6 * (after - before) for before, after in zip(used, used_at_the_end, strict=True)]
        consumer_us, broker_us, load_us = (each / max(1, len(latencies)) for each in microseconds)
        return Report(
            sent=len(self._books.intended),
            answered=self._books.answers,
            duplicates=self._books.duplicates,
            lost=lost,
            requests_per_second=len(latencies) / (end - begin),
            latency_p50_ms=1e3 * percentile(latencies, 50),
            latency_p95_ms=1e3 * percentile(latencies, 95),
            latency_p99_ms=1e3 * percentile(latencies, 99),
            keeps_up=saturates or keeps_up(phase.rate, outstanding),
            consumer_cpu_us=consumer_us,
            broker_cpu_us=broker_us,
            load_cpu_us=load_us,
            first_answer=min((each for each in self._books.answered if not math.isnan(each)), default=None),
            replies=self._replies,
        )

    def _used(self) -> tuple[float, float, float]:
        """Processor seconds so far: the consumer's, the broker's, this process'."""
        return process.cpu_seconds(self._phase.consumers), process.cpu_seconds(self._phase.broker), time.process_time()

    def _first(self, begin: float) -> None:
        self._send(begin)
        print(json.dumps({"sent": 1}), flush=True)
        while self._books.outstanding and time.monotonic() < begin + self._phase.seconds:
            self._receive(begin + self._phase.seconds)

    def _at_rate(self, begin: float) -> None:
        count = int(self._phase.rate * self._phase.seconds)
        for number in range(count):
            due = begin + number / self._phase.rate
            while time.monotonic() < due:
                self._receive(due)
            self._send(due)

    def _saturate(self, end: float) -> None:
        """Each reply is followed by a request at once; those that several replies make room for go out together."""
        phase, books = self._phase, self._books
        while (now := time.monotonic()) < end and books.answers < phase.requests:
            wanted = min(phase.window - books.outstanding, phase.requests - len(books.intended))
            if wanted > 0:
                requests = self._requests
                self._wire.socket.sendall(b"".join([requests[books.send(now)] for _ in range(wanted)]))
            self._receive(end)
            if phase.progress and now - self._reported >= REPORT_SECONDS:
                self._reported = now
                print(json.dumps({"answered": books.answers}), flush=True)

    def _send(self, due: float) -> None:
        self._wire.socket.sendall(self._requests[self._books.send(due)])

    def _receive(self, until: float) -> None:
        replies, texts = self._replies, len(self._texts)
        for correlation_id, body in self._wire.replies(until - time.monotonic()):
            number = int(correlation_id, 16)
            self._books.answer(number, time.monotonic())
            if number < texts:
                replies[number] = body.decode()

    def _close(self) -> int:
        """Empties the request queue and waits for what the consumer has in hand; how many requests are missing."""
        self._wire.purge(self._phase.queue)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._wire.purged is None or self._books.outstanding > self._wire.purged:
            if time.monotonic() > deadline:
                break
            self._receive(deadline)
        return self._books.outstanding - (self._wire.purged or 0)


def main(lines: Iterator[str]) -> None:
    """Runs the phase that standard input tells."""
    print(json.dumps({"report": asdict(Load(Phase(**json.loads(next(lines)))).run())}), flush=True)


def decode(report: dict[str, Any]) -> Report:
    """A report as the load wrote it."""
    replies = {int(number): text for number, text in report.pop("replies").items()}
    return Report(**report, replies=replies)


if __name__ == "__main__":
    main(iter(sys.stdin))
