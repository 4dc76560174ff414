"""Watching new replicas at work beside the old ones: whether they may stay is decided by what both answered."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from build_model.container import Container
from build_model.engine import ContainerMissing, Engine, EngineFailed
from build_model.operation.replica import RESTARTS_TOLERATED, Replica, ready
from build_model.operation.smoke import FAST_ENOUGH_SECONDS, TIMES_SLOWER
from build_model.report import Progress
from model.errors import DragomanError

TALLY = ("python3", "-m", "service", "tally")
ERRONEOUS_INPUT_EXIT = 65
LEAST_ANSWERS = 20
"""Of each version, before the two are compared."""
ERRORS_MORE = 0.05
"""A share of answers that a version may fail beyond what the other fails of the same traffic."""
SCORES_LESS = 0.05
"""A mean ``x-score`` that a version may lie below the other's on the same traffic."""
SURE = 3.0  # standard errors
LOOK_SECONDS, COMPARE_SECONDS = 0.5, 2.0


class Withdrawn(DragomanError):
    """A new version didn't stand the observation; the old one goes on."""


def serving_of(engine: Engine, replicas: Sequence[Container]) -> dict[str, dict[str, Any]]:
    """What each replica that runs says of the search that serves it, by ID; nothing where it can't be asked."""
    found = {}
    for one in replicas:
        if one.status == "running":
            with suppress(ContainerMissing, EngineFailed, ValueError):
                said = json.loads(engine.execute(one.id, TALLY).log)
                found[one.id] = {name: said[name] for name in ("path", "sentences_per_second") if name in said}
    return found


@dataclass(frozen=True)
class Numbers:
    """What replicas answered: messages by status, by time in hand, and how they scored.

    Attributes:
        statuses: messages by ``ok`` or their ``x-error``.
        bounds, buckets: messages by seconds in hand; there is one more bucket than bounds.
        scores: how many translations had an ``x-score``, the sum of those, the sum of their squares.
    """

    statuses: Mapping[str, int] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()
    scores: tuple[float, float, float] = (0, 0.0, 0.0)

    @classmethod
    def parse(cls, text: str) -> Numbers:
        """What ``python -m service tally`` prints; nothing, where it is something else."""
        try:
            found = json.loads(text)
            count, total, squares = found.get("scores", (0, 0.0, 0.0))  # 2.0.0's scores meant something else
            return cls(
                found["statuses"], tuple(found["bounds_seconds"]), tuple(found["buckets"]), (count, total, squares)
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()  # an image of Dragoman 1.0, or a process that is just starting

    def __add__(self, other: Numbers) -> Numbers:
        statuses = {
            name: self.statuses.get(name, 0) + other.statuses.get(name, 0) for name in {*self.statuses, *other.statuses}
        }
        scores = _added(self.scores, other.scores)
        if not self.buckets or not other.buckets:
            return Numbers(statuses, self.bounds or other.bounds, self.buckets or other.buckets, scores)
        buckets = tuple(map(sum, zip(self.buckets, other.buckets, strict=True)))
        return Numbers(statuses, self.bounds, buckets, scores)

    def since(self, before: Numbers) -> Numbers:
        """What came after ``before``; all of it where the process began to count anew."""
        if before.answered > self.answered or len(before.buckets) != len(self.buckets):
            return self
        statuses = {name: count - before.statuses.get(name, 0) for name, count in self.statuses.items()}
        buckets = tuple(now - then for now, then in zip(self.buckets, before.buckets, strict=True))
        return Numbers(statuses, self.bounds, buckets, _added(self.scores, before.scores, -1))

    @property
    def answered(self) -> int:
        """How many messages were done with."""
        return sum(self.statuses.values())

    @property
    def errors(self) -> int:
        """How many of them got no translation."""
        return self.answered - self.statuses.get("ok", 0)

    @property
    def p95_seconds(self) -> float:
        """A time that 95 % of the messages didn't exceed, as exactly as the buckets are."""
        count = 0
        for bound, bucket in zip((*self.bounds, float("inf")), self.buckets, strict=False):
            count += bucket
            if count >= 0.95 * sum(self.buckets):
                return bound
        return 0.0

    @property
    def mean_score(self) -> float | None:
        """Mean ``x-score`` of the translations; None where none had one."""
        count, total, _ = self.scores
        return total / count if count else None

    @property
    def score_variance(self) -> float:
        """Of the mean of the scores; 0 where there are none."""
        count, total, squares = self.scores
        return max(squares / count - (total / count) ** 2, 0.0) / count if count else 0.0

    def encode(self) -> dict[str, object]:
        """For ``--json`` and the audit log."""
        numbers: dict[str, object] = {
            "answered": self.answered,
            "errors": self.errors,
            "p95_seconds": self.p95_seconds,
        }
        return numbers if self.mean_score is None else {**numbers, "mean_score": round(self.mean_score, 4)}


def _added(
    one: tuple[float, float, float], other: tuple[float, float, float], sign: int = 1
) -> tuple[float, float, float]:
    count, total, squares = (mine + sign * theirs for mine, theirs in zip(one, other, strict=True))
    return count, total, squares


@dataclass(frozen=True)
class Comparison:
    """What the new and the old replicas answered in the same time."""

    new: Numbers
    old: Numbers

    def reason(self) -> str | None:
        """Why the new ones must go, or None. Both got their share of one queue, so their traffic is alike."""
        new, old = self.new, self.old
        if min(new.answered, old.answered) < LEAST_ANSWERS:
            return None
        failed, usual = new.errors / new.answered, old.errors / old.answered
        chance = sqrt(max(usual * (1 - usual), 0.0025) * (1 / new.answered + 1 / old.answered))
        if failed - usual > max(ERRORS_MORE, SURE * chance):
            return (
                f"it couldn't translate {new.errors} of {new.answered} requests, what runs beside it {old.errors} of "
                f"{old.answered}"
            )
        if new.p95_seconds > max(FAST_ENOUGH_SECONDS, TIMES_SLOWER * old.p95_seconds):
            return (
                f"95 % of its answers took {_words(new.p95_seconds)}, of what runs beside it {_words(old.p95_seconds)}"
            )
        return self._worse()

    def _worse(self) -> str | None:
        """Why the new ones' replies are worse than the old ones', or None: by what models say of their own replies."""
        new, old = self.new, self.old
        if min(new.scores[0], old.scores[0]) < LEAST_ANSWERS or new.mean_score is None or old.mean_score is None:
            return None
        chance = sqrt(new.score_variance + old.score_variance)
        if old.mean_score - new.mean_score > max(SCORES_LESS, SURE * chance):
            return (
                f"its replies score {new.mean_score:.2f} on average, those of what runs beside it {old.mean_score:.2f} "
                "(x-score)"
            )
        return None

    def encode(self) -> dict[str, object]:
        """For ``--json`` and the audit log."""
        return {"new": self.new.encode(), "old": self.old.encode()}


def _words(seconds: float) -> str:
    return "more than 30 s" if seconds == float("inf") else f"up to {seconds:g} s"


def observe(new: Sequence[Replica], old: Sequence[Replica], seconds: float, progress: Progress) -> Comparison:
    """Watch ``new`` beside ``old`` for so long; what both answered.

    Raises:
        Withdrawn: a new one ended as none should, is unhealthy, or answers worse or slower than the old ones do.
    """
    began = time.monotonic()
    marks = {one.engine: one.engine.clock() for one in new}
    before = {one: _numbers(one) for one in (*new, *old)}
    compared = Comparison(Numbers(), Numbers())
    next_comparison = began + COMPARE_SECONDS
    if seconds:
        progress.line(f"Observing {', '.join(one.name for one in new)} for {seconds:g} s")
    while True:
        now = time.monotonic()
        reason = _dying(new, marks, now - began)
        over = now >= began + seconds
        if reason is None and (over or now >= next_comparison):
            next_comparison = now + COMPARE_SECONDS
            compared = Comparison(_total(new, before), _total(old, before))
            reason = compared.reason()
        if reason:
            raise Withdrawn(
                f"The new version is taken back after {now - began:.0f} s of {seconds:g}: {reason}. "
                "What ran before goes on."
            )
        if over:
            break
        time.sleep(min(LOOK_SECONDS, began + seconds - now))
    if compared.old.answered >= LEAST_ANSWERS and not compared.new.answered:
        progress.line("It was given nothing to answer, and not compared. Has the queue a single active consumer?")
    return compared


def _dying(new: Sequence[Replica], marks: Mapping[Engine, float], seconds: float) -> str | None:
    """Why a replica is no good, ``seconds`` after its engine's clock showed its mark."""
    ended_on_erroneous_input = 0
    for one in new:
        codes = one.engine.exit_codes(one.id, marks[one.engine], marks[one.engine] + seconds)
        wrong = [code for code in codes if code != ERRONEOUS_INPUT_EXIT]
        if wrong:
            return f"{one.name} ended with {wrong[0]}; its last words: {one.last_words()}"
        ended_on_erroneous_input += len(codes)
        # Asked again: on a machine that is busy, probes that took too long say nothing about the version.
        if one.state().health == "unhealthy" and (why := ready(one.engine, one.id)):
            return f"{one.name} is unhealthy ({why}); its last words: {one.last_words()}"
    if ended_on_erroneous_input > RESTARTS_TOLERATED:
        return f"it ended {ended_on_erroneous_input} times with {ERRONEOUS_INPUT_EXIT}, over erroneous input"
    return None


def _numbers(one: Replica) -> Numbers:
    try:
        outcome = one.engine.execute(one.id, TALLY)
    except (EngineFailed, ContainerMissing):
        return Numbers()  # not running at the moment
    return Numbers.parse(outcome.log) if outcome.exit_code == 0 else Numbers()


def _total(replicas: Sequence[Replica], before: Mapping[Replica, Numbers]) -> Numbers:
    total = Numbers()
    for one in replicas:
        total += _numbers(one).since(before[one])
    return total
