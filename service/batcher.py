"""The inference threads: one that is free takes all that waits, up to a batch, so that batching costs no waiting."""

import random
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from service import log
from service.ledger import Entry
from service.message import Erroneous, Expired, Request

BEAT_SECONDS = 5.0


class Translation(Protocol):
    """What the model says about a text."""

    @property
    def text(self) -> str: ...
    @property
    def error(self) -> str | None: ...
    @property
    def corrected(self) -> str | None: ...
    @property
    def score(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """A place in the line. Erroneous messages stand in it too, so that those before them are answered first."""

    entry: Entry
    item: Request | Erroneous


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: a translation, an erroneous message, or one that came too late."""

    entry: Entry
    result: Translation | Erroneous | Expired


class Batcher:
    """A line of jobs, and the threads that work on it.

    Args:
        translate: texts to translations, in order; called in the inference threads, in several at a time.
        max_batch: texts translated together at most.
        workers: how many threads.
        hand_back: called in the inference thread with the outcomes of each batch.
        crashed: called in the inference thread with what ended it.
        beat: called every few seconds and after every batch with the time (``time.monotonic()``) when the thread that
            has been silent longest last showed a sign of life.
    """

    def __init__(
        self,
        translate: Callable[[list[str]], Sequence[Translation]],
        max_batch: int,
        workers: int,
        hand_back: Callable[[list[Outcome]], None],
        crashed: Callable[[BaseException], None],
        beat: Callable[[float], None],
    ) -> None:
        self._translate = translate
        self._max_batch = max_batch
        self._hand_back = hand_back
        self._crashed = crashed
        self._beat = beat
        self._line: deque[Job] = deque()
        self._suspects: list[Job] = []
        self._changed = threading.Condition()
        self._idle = 0  # threads that wait
        self._busy = 0  # threads that translate
        self._alone = False  # what is translated may kill the process
        self._stopping = False
        # A daemon, so that a batch that hangs can't keep the process from ending.
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"inference-{number}", daemon=True)
            for number in range(workers)
        ]
        self._beats = [time.monotonic()] * workers

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Ends the threads after the batches in progress; whether they ended in time."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def submit(self, job: Job) -> None:
        """Puts a job in the line."""
        with self._changed:
            if isinstance(job.item, Request) and job.item.suspect:
                self._suspects.append(job)
            else:
                self._line.append(job)
            if self._idle:
                self._changed.notify()

    def withdraw(self) -> list[Job]:
        """Empties the line; what isn't in it is in a batch in progress or handed back."""
        with self._changed:
            waiting = [*self._suspects, *self._line]
            self._suspects.clear()
            self._line.clear()
            return waiting

    def _run(self, number: int) -> None:
        try:
            while jobs := self._take(number):
                self._hand_back(self._work(jobs))
                with self._changed:
                    self._busy -= 1
                    self._alone = False
                    if self._idle and (self._suspects or self._line):
                        self._changed.notify_all()
                self._show_life(number)
        except BaseException as error:  # noqa: BLE001 - a dead inference thread must not go unnoticed
            self._crashed(error)

    def _show_life(self, number: int) -> None:
        self._beats[number] = time.monotonic()
        self._beat(min(self._beats))

    def _take(self, number: int) -> list[Job]:
        """The next batch; empty when the thread is to end."""
        with self._changed:
            while not self._stopping and not self._there_is_work():
                self._idle += 1
                self._changed.wait(BEAT_SECONDS)
                self._idle -= 1
                self._show_life(number)
            if self._stopping:
                return []
            self._busy += 1
            if self._suspects:
                # One that may kill the process runs alone, before others are at risk with it. Which one is drawn at
                # random: were it the same for every replica, the innocent behind a killer would share all its attempts.
                self._alone = True
                return [self._suspects.pop(random.randrange(len(self._suspects)))]
            return [self._line.popleft() for _ in range(min(len(self._line), self._max_batch))]

    def _there_is_work(self) -> bool:
        if self._suspects:
            return not self._busy
        return bool(self._line) and not self._alone

    def _work(self, jobs: list[Job]) -> list[Outcome]:
        now = time.monotonic()
        requests = {job.entry: job.item for job in jobs if isinstance(job.item, Request) and job.item.deadline > now}
        found = dict(zip(requests, self._translate_all([each.text for each in requests.values()]), strict=True))
        return [Outcome(job.entry, self._result(job, found)) for job in jobs]

    @staticmethod
    def _result(job: Job, found: Mapping[Entry, Translation | None]) -> Translation | Erroneous | Expired:
        if isinstance(job.item, Erroneous):
            return job.item
        if job.entry not in found:
            return Expired(job.entry.delivery)
        return found[job.entry] or Erroneous(job.entry.delivery, "crashed")

    def _translate_all(self, texts: list[str]) -> Sequence[Translation | None]:
        """The translation of each text; None for one that can't be translated without an exception."""
        if not texts:
            return []
        try:
            return self._translate(texts)
        except Exception as error:  # noqa: BLE001 - whatever one text does to the model, the others are answered
            if len(texts) > 1:
                return [self._translate_all([text])[0] for text in texts]
            # Where, but not the error's message: that may repeat the text.
            frames = traceback.format_tb(error.__traceback__)
            log.error("a text crashed the model", error=type(error).__name__, traceback="".join(frames))
            return [None]
