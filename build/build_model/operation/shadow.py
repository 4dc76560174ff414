"""A version that answers copies: what would it say of the requests that pass, and how does that differ?

A request is taken from the queue, copied and given back at once, a few a second at most, so that the service misses
none. Its copy goes to the version, on a queue of its own, and as a request of ours to what serves.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from build_model.container import SECRETS, ContainerSpec
from build_model.operation import smoke
from build_model.operation.labels import AMQP_URL_SECRET
from build_model.operation.plan import Plan
from build_model.operation.rpc import Broker, Message, Parcel
from build_model.report import Progress
from dragoman.client import Answer
from dragoman.errors import NoAnswer

COPIES_PER_SECOND = 5.0
ANSWER_SECONDS = 30.0
SHOWN = 20
"""Differences that a report keeps; they hold what clients wrote, so they are shown and recorded nowhere."""


@dataclass(frozen=True)
class Pair:
    """A request's text and both answers to its copies, with the seconds that they took."""

    source: str
    now: Answer
    then: Answer
    now_seconds: float
    then_seconds: float

    @property
    def same(self) -> bool:
        """Whether a client would see no difference but the version."""
        return (self.now.text, self.now.error) == (self.then.text, self.then.error)


@dataclass(frozen=True)
class Report:
    """What a shadow showed."""

    pairs: tuple[Pair, ...]

    @property
    def different(self) -> tuple[Pair, ...]:
        """Those whose answers differ."""
        return tuple(pair for pair in self.pairs if not pair.same)

    @property
    def line(self) -> str:
        """All of it in a line."""
        if not self.pairs:
            return "no request passed that could be copied"
        now = sum(pair.now_seconds for pair in self.pairs) / len(self.pairs)
        then = sum(pair.then_seconds for pair in self.pairs) / len(self.pairs)
        return (
            f"{len(self.different)} of {len(self.pairs)} answers differ; an answer takes {then:.3f} s on average, "
            f"of what serves {now:.3f} s"
        )

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        shown = [
            {
                "source": pair.source,
                "now": {"text": pair.now.text, "version": pair.now.version, "error": pair.now.error},
                "then": {"text": pair.then.text, "version": pair.then.version, "error": pair.then.error},
            }
            for pair in self.different[:SHOWN]
        ]
        return {"compared": len(self.pairs), "different": len(self.different), "differences": shown, "line": self.line}


def spec(decided: Plan, queue: str) -> ContainerSpec:
    """What answers the copies in ``queue``. A candidate by its labels: left over, it goes with the next deploy."""
    trial = decided.trial
    settings = {name: value for name, value in trial.environment.items() if name not in smoke.NOT_TRIED}
    return ContainerSpec(
        name=queue,
        image=trial.image,
        network=trial.network,
        restart=True,
        environment={**settings, "RPC_QUEUE": queue, "AMQP_URL_FILE": f"{SECRETS}/{AMQP_URL_SECRET}"},
        labels=trial.labels,
        secrets={AMQP_URL_SECRET: trial.amqp_url},
        memory_bytes=decided.deployment.memory_bytes,
    )


def compare(broker: Broker, serving: str, shadow: str, seconds: float, progress: Progress) -> Report:
    """Copy requests from the queue ``serving`` for so long; the answers from there and from ``shadow``."""
    pairs: list[Pair] = []
    progress.line(f"Comparing answers to copies for {seconds:g} s")
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        began = time.monotonic()
        message = broker.glimpse(serving, left)
        text = copied(message) if message else None
        if text is not None:
            try:
                (now,), now_seconds = _timed(broker, serving, text)
                (then,), then_seconds = _timed(broker, shadow, text)
            except NoAnswer as error:
                progress.line(str(error))
                continue
            pairs.append(Pair(text, now, then, now_seconds, then_seconds))
        time.sleep(max(0.0, min(1 / COPIES_PER_SECOND, deadline - time.monotonic()) - (time.monotonic() - began)))
    return Report(tuple(pairs))


def copied(message: Message) -> str | None:
    """The text of a plain request; None for what would end a service, or isn't text: that is no matter of versions."""
    plain = message.properties.get("content_type", "text/plain").startswith("text/plain")
    encoding = message.properties.get("content_encoding", "utf-8").lower()
    if not plain or encoding not in ("utf-8", "utf8", "identity", ""):
        return None
    try:
        return message.body.decode()
    except UnicodeDecodeError:
        return None


def _timed(broker: Broker, queue: str, text: str) -> tuple[Sequence[Answer], float]:
    began = time.monotonic()
    answers = broker.exchange(queue, [Parcel(text.encode())], ANSWER_SECONDS)
    return answers, time.monotonic() - began
