"""The line and its thread: batches without waiting, crashes that cost one message."""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from patience import until

from service.batcher import Batcher, Job, Outcome
from service.ledger import Entry
from service.message import Delivery, Erroneous, Request

WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class Capitals:
    """A translation."""

    text: str
    error: str | None = None


class NoProperties:
    """AMQP basic properties that say nothing."""

    content_type = content_encoding = headers = delivery_mode = correlation_id = None
    reply_to = expiration = message_id = type = None


@dataclass
class Watched:
    """A batcher whose model waits until it is let go, and records what it was given."""

    max_batch: int = 4
    workers: int = 1
    batches: list[list[str]] = field(default_factory=list)
    outcomes: "queue.Queue[list[Outcome]]" = field(default_factory=queue.Queue)
    crashes: "queue.Queue[BaseException]" = field(default_factory=queue.Queue)
    beats: list[float] = field(default_factory=list)
    started: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may_go_on: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        self.batcher = Batcher(
            self.translate,
            self.max_batch,
            self.workers,
            hand_back=self.outcomes.put,
            crashed=self.crashes.put,
            beat=self.beats.append,
        )

    def translate(self, texts: list[str]) -> Sequence[Capitals]:
        self.batches.append(texts)
        self.started.release()
        assert self.may_go_on.acquire(timeout=WAIT_SECONDS)
        if "raise" in texts:
            raise ValueError("raise")
        if "exit" in texts:
            raise SystemExit
        return [Capitals(text.upper()) for text in texts]

    def submit(self, *texts: str, suspect: bool = False) -> list[Job]:
        jobs = [job(text, suspect) for text in texts]
        for each in jobs:
            self.batcher.submit(each)
        return jobs

    def let_go(self, batches: int = 1) -> list[list[Outcome]]:
        for _ in range(batches):
            self.may_go_on.release()
        return [self.outcomes.get(timeout=WAIT_SECONDS) for _ in range(batches)]


def delivery(text: str) -> Delivery:
    return Delivery(1, False, "rpc_queue", NoProperties(), text.encode(), 0.0)


def job(text: str, suspect: bool = False) -> Job:
    given = delivery(text)
    return Job(Entry(given), Request(given, text, suspect))


def erroneous() -> Job:
    given = delivery("?")
    return Job(Entry(given), Erroneous(given, "not-utf8"))


@pytest.fixture
def watched() -> Iterator[Watched]:
    each = Watched()
    each.batcher.start()
    yield each
    each.may_go_on.release(100)
    assert each.batcher.stop(WAIT_SECONDS)


def busy(watched: Watched) -> None:
    """Gives the thread something to do, so that a line can form."""
    watched.submit("first")
    assert watched.started.acquire(timeout=WAIT_SECONDS)


def test_what_waits_while_the_model_works_is_the_next_batch(watched: Watched) -> None:
    busy(watched)
    jobs = watched.submit("a", "b", "c")
    first, second = watched.let_go(2)
    assert [outcome.result for outcome in first] == [Capitals("FIRST")]
    assert [(outcome.entry, outcome.result) for outcome in second] == [
        (jobs[0].entry, Capitals("A")),
        (jobs[1].entry, Capitals("B")),
        (jobs[2].entry, Capitals("C")),
    ]
    assert watched.batches == [["first"], ["a", "b", "c"]]


def test_no_batch_is_larger_than_allowed(watched: Watched) -> None:
    busy(watched)
    watched.submit(*"abcdef")
    watched.let_go(3)
    assert watched.batches == [["first"], ["a", "b", "c", "d"], ["e", "f"]]


def test_a_suspect_is_a_batch_of_its_own(watched: Watched) -> None:
    busy(watched)
    watched.submit("a", "b")
    watched.submit("s", "t", suspect=True)
    watched.let_go(4)
    assert watched.batches[0] == ["first"]
    assert sorted(watched.batches[1:3]) == [["s"], ["t"]]
    assert watched.batches[3] == ["a", "b"]


def test_an_exception_costs_the_culprit_alone(watched: Watched) -> None:
    busy(watched)
    jobs = watched.submit("a", "raise", "c")
    watched.may_go_on.release(3)
    _, outcomes = watched.let_go(2)
    assert [outcome.result for outcome in outcomes] == [
        Capitals("A"),
        Erroneous(jobs[1].entry.delivery, "crashed"),
        Capitals("C"),
    ]


def test_an_erroneous_message_keeps_its_place_in_the_line(watched: Watched) -> None:
    busy(watched)
    watched.submit("a")
    bad = erroneous()
    watched.batcher.submit(bad)
    watched.submit("b")
    _, outcomes = watched.let_go(2)
    assert [outcome.result for outcome in outcomes] == [Capitals("A"), bad.item, Capitals("B")]
    assert watched.batches[1] == ["a", "b"]


def test_withdrawing_empties_the_line_and_leaves_the_batch_in_progress(watched: Watched) -> None:
    busy(watched)
    jobs = watched.submit("a", "b")
    assert watched.batcher.withdraw() == jobs
    assert watched.batcher.withdraw() == []
    (outcomes,) = watched.let_go()
    assert [outcome.result for outcome in outcomes] == [Capitals("FIRST")]


@pytest.fixture
def two() -> Iterator[Watched]:
    each = Watched(workers=2)
    each.batcher.start()
    yield each
    each.may_go_on.release(100)
    assert each.batcher.stop(WAIT_SECONDS)


def test_a_worker_that_hangs_is_not_hidden_by_one_that_is_well(two: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.batcher.BEAT_SECONDS", 0.01)
    busy(two)
    two.submit("other")
    assert two.started.acquire(timeout=WAIT_SECONDS)
    began = time.monotonic()  # both work, and show no sign of life
    two.let_go()  # one of them
    beats = len(two.beats)
    until(lambda: len(two.beats) > beats + 10, "signs of life of the one that is well")
    assert max(two.beats) <= began
    two.let_go()
    until(lambda: two.beats[-1] > began, "the other one's")


def test_two_workers_translate_at_the_same_time(two: Watched) -> None:
    busy(two)
    two.submit("second")
    assert two.started.acquire(timeout=WAIT_SECONDS)
    two.submit("a", "b")
    assert sorted(two.batches) == [["first"], ["second"]]
    two.let_go(3)
    assert sum(map(len, two.batches)) == 4


def test_a_suspect_runs_while_no_other_worker_does(two: Watched) -> None:
    busy(two)
    two.submit("s", suspect=True)
    two.submit("a")
    assert not two.started.acquire(timeout=0.3)  # waits for the first
    two.let_go()
    assert two.started.acquire(timeout=WAIT_SECONDS)
    assert two.batches[1:] == [["s"]]
    assert not two.started.acquire(timeout=0.3)  # nothing beside it
    two.let_go(2)
    assert two.batches[2:] == [["a"]]


def test_a_thread_that_dies_says_so() -> None:
    watched = Watched()
    watched.batcher.start()
    watched.submit("exit")
    watched.may_go_on.release()
    assert isinstance(watched.crashes.get(timeout=WAIT_SECONDS), SystemExit)
