"""The measurements: every consumer on every type of queue, one after the other, and what they are compared with."""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pika

from tests.benchmarks import process
from tests.benchmarks.books import percentile
from tests.benchmarks.consumer import ROOT, ConsumerEnded, Kind, Running, environment, running
from tests.benchmarks.load import Phase, Report, decode
from tests.benchmarks.wire import Wire

LIGHT, BUSY = 20.0, 200.0  # requests a second
WINDOW = 512
STEPS = 4  # that each row says
QUEUE_TYPES = ("quorum", "classic")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Setting:
    """What all measurements of a run share.

    Attributes:
        url: the broker's.
        texts: the sources.
        seconds: of each phase; light load goes on for twice as long, its percentiles are of few requests.
        broker: the process of the broker, empty where it isn't one of this machine.
    """

    url: str
    texts: Sequence[str]
    seconds: float
    broker: list[int]

    @classmethod
    def of(cls, url: str, texts: Sequence[str], seconds: float) -> "Setting":
        """With the broker's process, if it can be seen."""
        listener = process.listener(pika.URLParameters(url).port)
        return cls(url, texts, seconds, [] if listener is None else [listener])

    @property
    def light_texts(self) -> Sequence[str]:
        """The sources that are asked for at light load, and in-process."""
        return self.texts[: int(LIGHT * 2 * self.seconds)]


class Client:
    """Runs phases of load against one queue, each in a process of its own."""

    def __init__(self, setting: Setting, queue: str, sources: Path) -> None:
        self._setting = setting
        self._queue = queue
        self._sources = str(sources)

    @contextmanager
    def asking(self) -> Iterator[Callable[[], float]]:
        """While a request waits in the queue, before there is a consumer; the value waits for the answer and returns
        the ``time.monotonic()`` when it came."""
        with self._started("first") as client:
            next(client)  # sent

            def answered() -> float:
                first = _report(client).first_answer
                if first is None:
                    raise NoReport("No consumer answered the first request.")
                return first

            yield answered

    def run(
        self, kind: str, consumer: Running, *, answered: Callable[[int], None] | None = None, **rest: Any
    ) -> Report:
        """A phase, to its end; ``answered`` is told twice a second how many requests were."""
        try:
            with self._started(kind, consumers=consumer.pids, progress=answered is not None, **rest) as lines:
                return _report(lines, answered)
        finally:
            consumer.check()

    @contextmanager
    def _started(self, kind: str, **rest: Any) -> Iterator[Iterator[dict[str, Any]]]:
        """The objects that a load writes."""
        phase = Phase(kind, self._setting.url, self._queue, self._sources, broker=self._setting.broker, **rest)
        command = [sys.executable, "-m", "tests.benchmarks.load"]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as load:
            assert load.stdin is not None
            assert load.stdout is not None
            load.stdin.write(json.dumps(asdict(phase)) + "\n")
            load.stdin.close()
            try:
                yield map(json.loads, load.stdout)
            except BaseException:
                load.kill()
                raise


class NoReport(Exception):
    """A load ended before its phase did."""


def _report(lines: Iterator[dict[str, Any]], answered: Callable[[int], None] | None = None) -> Report:
    for said in lines:
        if "report" in said:
            return decode(said["report"])
        if answered is not None:
            answered(said["answered"])
    raise NoReport("The load ended before its phase did; what it said is above.")


@contextmanager
def queue(url: str, queue_type: str) -> Iterator[str]:
    """A queue for the time of the block."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    wire = Wire(url)
    wire.declare(name, queue_type)
    wire.socket.close()
    try:
        yield name
    finally:
        wire = Wire(url)
        for each in (name, f"{name}.quarantine"):
            wire.delete(each)
        wire.socket.close()


@contextmanager
def client_of(setting: Setting, queue_type: str) -> Iterator[tuple[Client, str]]:
    """A client of a queue of its own, and the queue's name."""
    with queue(setting.url, queue_type) as name, tempfile.NamedTemporaryFile("w", suffix=".json") as sources:
        json.dump(list(setting.texts), sources)
        sources.flush()
        yield Client(setting, name, Path(sources.name)), name


@contextmanager
def serving(setting: Setting, kind: Kind, queue_type: str) -> Iterator[tuple[Client, Running, float]]:
    """A consumer that has answered its first request, a client of it, and the seconds that took from its start."""
    with ExitStack() as stack:
        client, name = stack.enter_context(client_of(setting, queue_type))
        with client.asking() as answered:
            consumer = stack.enter_context(running(kind, setting.url, name))
            try:
                seconds = answered() - consumer.started
            except NoReport as error:
                raise ConsumerEnded(f"{error} {consumer.last_words}") from error
        wire = Wire(setting.url)
        while wire.consumers(name) < kind.replicas:
            consumer.check()
            time.sleep(0.05)
        wire.socket.close()
        yield client, consumer, seconds


def row(setting: Setting, kind: Kind, queue_type: str, expected: dict[int, str], say: Say) -> dict[str, Any]:
    """One consumer on one type of queue.

    Args:
        expected: translations by the number of their source, to compare replies with.
    """
    say(f"{kind.name} on {queue_type}: start")
    with serving(setting, kind, queue_type) as (client, consumer, seconds):
        ready_mib = max(process.sample(pid).memory_mib for pid in consumer.pids)
        measured = {}
        for name, rate, times in (("20", LIGHT, 2), ("200", BUSY, 1)):
            say(f"{kind.name} on {queue_type}: {name} requests/s")
            measured[name] = client.run("rate", consumer, rate=rate, seconds=setting.seconds * times)
        say(f"{kind.name} on {queue_type}: saturation")
        full = measured["saturation"] = client.run("saturate", consumer, window=WINDOW, seconds=setting.seconds)
        peak_mib = max(map(process.peak_mib, consumer.pids))
    replies = {number: text for report in measured.values() for number, text in report.replies.items()}
    wanted = expected if kind.translates else dict(enumerate(setting.texts))
    return {
        "name": kind.name,
        "queue": queue_type,
        "requests_per_second": full.requests_per_second,
        "consumer_cpu_us": full.consumer_cpu_us,
        "broker_cpu_us": full.broker_cpu_us,
        "load_cpu_us": full.load_cpu_us,
        **{f"latency_{name}": _latency(report) for name, report in measured.items()},
        "ready_mib": ready_mib,
        "peak_mib": peak_mib,
        "start_seconds": seconds,
        "sent": sum(report.sent for report in measured.values()),
        "lost": sum(report.lost for report in measured.values()),
        "duplicates": sum(report.duplicates for report in measured.values()),
        "differing": sum(text != wanted.get(number, text) for number, text in replies.items()),
    }


def _latency(report: Report) -> dict[str, float] | None:
    """Milliseconds by percentile; None of a consumer that doesn't keep up: it would measure how long the test was."""
    if not report.keeps_up:
        return None
    return {"p50": report.latency_p50_ms, "p95": report.latency_p95_ms, "p99": report.latency_p99_ms}


def alone(setting: Setting) -> tuple[dict[str, Any], dict[int, str]]:
    """One sentence in-process, over the sources of light load; also their translations by number."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.alone"],
        cwd=ROOT,
        env=environment(),
        input=json.dumps(list(setting.light_texts)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said = json.loads(ran.stdout)
    milliseconds = [1e3 * seconds for seconds in said["seconds"]]
    latency = {f"p{percent}": percentile(milliseconds, percent) for percent in (50, 95, 99)}
    row = {"name": "in-process", "latency_20": latency, "requests_per_second": len(milliseconds) / sum(said["seconds"])}
    return row, dict(enumerate(said["translations"]))
