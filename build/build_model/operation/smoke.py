"""The smoke test: a container of the image on a queue of its own, seen only through RabbitMQ and its exit codes."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from statistics import median

from build_model.container import SECRETS, ContainerSpec
from build_model.engine import Engine, ImageMissing
from build_model.image import login
from build_model.image.artifact import CHECKPOINT
from build_model.image.reference import Reference
from build_model.operation.rpc import Broker, Parcel
from build_model.report import Progress
from dragoman.client import Answer
from dragoman.errors import NoAnswer, QueueMissing
from model.errors import DragomanError
from model.fingerprint import GOLDEN, MANIFEST
from model.url import each

EXAMPLE_OF_1 = "Je vais dormir."
"""What images of 1.x show who asks for nothing that can be translated; later manifests say it."""
UNTRANSLATABLE = "12345 + 678"
ERRONEOUS_INPUT_EXIT = 65

NOT_TRIED = frozenset({"AMQP_URL", "METRICS_PORT"})
"""A candidate gets the URL as a secret, and no port: on the host's network what runs has it."""

READY_SECONDS = 120
CONNECT_DEADLINE_SECONDS = 10
ANSWER_SECONDS = 60
STOP_SECONDS = 30
SENTENCES_TIMED, ATTEMPTS = 5, 3
RIVAL_SECONDS = 10
TIMES_SLOWER = 3.0
FAST_ENOUGH_SECONDS = 0.1
SLOWEST_SECONDS = 2.0
"""For a sentence: the last one where nothing runs to compare with."""


class SmokeFailed(DragomanError):
    """The image doesn't do what a version of Dragoman does."""


@dataclass(frozen=True)
class Trial:
    """What to test and where: ``amqp_url`` as a container sees the broker, ``client_amqp_url`` as this process does.

    ``steady_seconds``: how long it must live. ``rival``: the queue of what serves now, to compare its speed with; it
    is asked a few sentences. None: nothing serves.
    """

    image: str
    amqp_url: str
    client_amqp_url: str
    network: str
    name: str = "dragoman-smoke"
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    steady_seconds: float = 0.0
    rival: str | None = None


@dataclass(frozen=True)
class Check:
    """One thing that the image was seen to do, and how long that took."""

    name: str
    seconds: float


def run(trial: Trial, engine: Engine, progress: Progress) -> list[Check]:
    """All checks, in order; SmokeFailed at the first that fails, with the log's end. Leaves nothing behind."""
    each(trial.amqp_url, "The broker's URL for containers")
    checks: list[Check] = []
    with Broker(trial.client_amqp_url) as broker, _candidate(trial, engine, broker, progress) as candidate:
        for name, check in candidate.checks():
            began = time.monotonic()
            try:
                check()
            except (SmokeFailed, NoAnswer) as error:
                raise SmokeFailed(
                    f"{trial.image} fails its smoke test ({name}): {error}{candidate.last_words()}"
                ) from error
            checks.append(Check(name, time.monotonic() - began))
            progress.line(f"  {name} ({checks[-1].seconds:.1f} s)")
    return checks


@dataclass(frozen=True)
class Candidate:
    """A container of the image, created and not yet started, with a queue that no client knows."""

    engine: Engine
    broker: Broker
    container: str
    queue: str
    goldens: Mapping[str, str]
    version: str
    architecture: str
    steady_seconds: float
    rival: str | None
    example: str

    @property
    def not_utf8(self) -> bytes:
        """A request that the service must put aside."""
        return self.example.encode() + b" \xff\xfe"

    def checks(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """What a version must do, in the order in which it is tried."""
        yield "starts and consumes", self.starts
        yield f"translates its {len(self.goldens)} goldens", self.translates_goldens
        yield "answers in time", self.answers_in_time
        yield "answers what it can't translate", self.answers_untranslatable
        yield "quarantines erroneous input and ends with 65", self.quarantines
        yield "starts again and answers", self.answers_again
        yield "goes on living", self.lives
        yield "ends with 0 on SIGTERM", self.stops

    def starts(self) -> None:
        """Started, it registers a consumer."""
        self.engine.start(self.container)
        _until(self._consumes, READY_SECONDS, f"it doesn't consume from {self.queue} after {READY_SECONDS} s")

    def translates_goldens(self) -> None:
        """Every golden comes back as it was when the checkpoint was made, and says who answered."""
        answers = self.broker.ask(self.queue, list(self.goldens), ANSWER_SECONDS)
        for (source, target), answer in zip(self.goldens.items(), answers, strict=True):
            self._expect(answer, text=target, error=None, request=source)

    def answers_in_time(self) -> None:
        """Asked one sentence after the other, it takes not much longer than what serves now, in one of some attempts:
        a machine that is busy for a moment is no fault of the version."""
        for attempt in range(1, ATTEMPTS + 1):
            seconds, usual = self._pace()
            limit = SLOWEST_SECONDS if usual == inf else max(FAST_ENOUGH_SECONDS, TIMES_SLOWER * usual)
            if seconds <= limit:
                return
            if attempt == ATTEMPTS:
                beside = "" if usual == inf else f", what serves now {usual:.2f} s"
                raise SmokeFailed(f"it takes {seconds:.2f} s for a sentence{beside}; {limit:.2f} s would do")

    def _pace(self) -> tuple[float, float]:
        """Seconds for a sentence, here and where it is served now, asked in turn; for ever where nothing is."""
        pairs = [
            (self._seconds(self.queue, source), self._seconds(self.rival, source) if self.rival else inf)
            for source in list(self.goldens)[:SENTENCES_TIMED]
        ]
        return median(here for here, _ in pairs), median(there for _, there in pairs)

    def _seconds(self, queue: str, source: str) -> float:
        """How long one sentence takes; for ever where nobody answers."""
        began = time.monotonic()
        try:
            self.broker.ask(queue, [source], RIVAL_SECONDS)
        except (NoAnswer, QueueMissing):
            return inf
        return time.monotonic() - began

    def answers_untranslatable(self) -> None:
        """A text without letters gets the fallback, and the service goes on."""
        (answer,) = self.broker.ask(self.queue, [UNTRANSLATABLE], ANSWER_SECONDS)
        self._expect(answer, text=fallback(self.example), error="no-letters", request=UNTRANSLATABLE)

    def quarantines(self) -> None:
        """Bytes that aren't UTF-8 are answered, put aside unchanged, and end the process."""
        (answer,) = self.broker.exchange(self.queue, [Parcel(self.not_utf8)], ANSWER_SECONDS)
        self._expect(answer, text=fallback(self.example), error="not-utf8", request=repr(self.not_utf8))
        parcel = self.broker.take_one(f"{self.queue}.quarantine", ANSWER_SECONDS)
        if parcel is None:
            raise SmokeFailed(f"nothing came to {self.queue}.quarantine")
        if (parcel.body, parcel.headers.get("x-reason")) != (self.not_utf8, "not-utf8"):
            raise SmokeFailed(f"the quarantine holds {parcel}, not the request with x-reason not-utf8")
        _until(lambda: self._exit_code() is not None, STOP_SECONDS, "it still runs after erroneous input")
        if self._exit_code() != ERRONEOUS_INPUT_EXIT:
            raise SmokeFailed(
                f"it ended with {self._exit_code()} after erroneous input, not with {ERRONEOUS_INPUT_EXIT}"
            )

    def answers_again(self) -> None:
        """The bad message is gone: the next start serves."""
        self.starts()
        source, target = next(iter(self.goldens.items()))
        (answer,) = self.broker.ask(self.queue, [source], ANSWER_SECONDS)
        self._expect(answer, text=target, error=None, request=source)

    def lives(self) -> None:
        """It doesn't end by itself as long as it is watched."""
        deadline = time.monotonic() + self.steady_seconds
        while time.monotonic() < deadline:
            if self._exit_code() is not None:
                raise SmokeFailed(f"it ended with {self._exit_code()} by itself")
            time.sleep(0.2)

    def stops(self) -> None:
        """SIGTERM drains it."""
        exit_code = self.engine.stop(self.container, STOP_SECONDS)
        if exit_code != 0:
            raise SmokeFailed(f"it ended with {exit_code} on SIGTERM, not with 0")

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        log = self.engine.log(self.container, lines=5).strip()
        return "".join(f"\n  {line}" for line in log.splitlines())

    def _expect(self, answer: Answer, *, text: str, error: str | None, request: str) -> None:
        expected = Answer(text, self.version, self.architecture, error)
        # How sure it was, and of which spelling, is not a matter of passing.
        if replace(answer, corrected=None, score=None) != expected:
            raise SmokeFailed(f"it answered {request!r} with {answer}, not with {expected}")

    def _consumes(self) -> bool:
        exit_code = self._exit_code()
        if exit_code is not None:
            raise SmokeFailed(f"it ended with {exit_code} before it consumed from {self.queue}")
        return bool(self.broker.consumers(self.queue))

    def _exit_code(self) -> int | None:
        return self.engine.container(self.container).exit_code


@contextmanager
def _candidate(trial: Trial, engine: Engine, broker: Broker, progress: Progress) -> Iterator[Candidate]:
    image = engine.image(trial.image)
    if image is None:
        reference = Reference.parse(trial.image)
        if not (reference.tag or reference.digest):
            raise ImageMissing(f"The engine has no image {trial.image}. Name its version: {trial.image}:VERSION.")
        if not reference.registry:
            raise ImageMissing(f"The engine has no image {trial.image}. Pull it, or build it: build-model --version X.")
        image = engine.pull(trial.image, progress, login.for_engine(reference.registry))
    paths = [f"/{CHECKPOINT / name}" for name in (GOLDEN, MANIFEST)]
    files = engine.read_files(image.id, paths)
    lines, manifest = files[paths[0]].decode().splitlines(), json.loads(files[paths[1]])
    if not lines:
        raise SmokeFailed(
            f"{trial.image} has no goldens: its model was sure of nothing. Train it longer, then build it again."
        )
    suffix = uuid.uuid4().hex[:8]
    queue = f"{trial.name}-{suffix}"
    spec = ContainerSpec(
        name=queue,
        image=trial.image,
        network=trial.network,
        labels=trial.labels,
        restart=False,
        environment={
            **{name: value for name, value in trial.environment.items() if name not in NOT_TRIED},
            "AMQP_URL_FILE": f"{SECRETS}/amqp_url",
            "RPC_QUEUE": queue,
            "ON_ERRONEOUS_INPUT": "exit",
            # A URL that only this process can reach is to be said soon, with the service's own exit code.
            "CONNECT_DEADLINE_SECONDS": str(CONNECT_DEADLINE_SECONDS),
        },
        secrets={"amqp_url": trial.amqp_url},
    )
    container = engine.create(spec)
    try:
        yield Candidate(
            engine=engine,
            broker=broker,
            container=container,
            queue=queue,
            goldens={pair["source"]: pair["target"] for pair in map(json.loads, lines)},
            version=image.labels.get("org.opencontainers.image.version", ""),
            architecture=image.labels.get("dragoman.architecture", ""),
            steady_seconds=trial.steady_seconds,
            rival=trial.rival,
            example=manifest.get("example", EXAMPLE_OF_1),
        )
    finally:
        engine.remove(container)
        delete_queues(broker, queue)


def fallback(example: str) -> str:
    """The service's reply to a text that it can't translate, written out: the contract, not the code."""
    return f"Could not translate. Try '{example}'"


def delete_queues(broker: Broker, queue: str) -> None:
    """Delete a candidate's private queue and its quarantine."""
    for name in (queue, f"{queue}.quarantine"):
        broker.delete(name)


def _until(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SmokeFailed(otherwise)
        time.sleep(0.1)
