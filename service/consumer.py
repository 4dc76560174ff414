"""The service at work: what comes from the broker to the inference thread, what comes of it back, until the end.

What to do is decided by the ledger and by `message`; the two sides carry it out. Two connections on one loop: requests
come in and acks go out on the first, replies go out on the second, so that an alarm, which stops the broker reading
what publishes, stops no ack.

    Consumer   the states: serve, then drain or panic, then close
    Intake     finds or declares the queues, consumes, acks
    Outlet     publishes in confirm mode
    Link       a connection that is opened again, for ever

Nothing here knows the broker's library; those three and `connection` do. It is longer than other modules, since the
states and all that can happen in each are one thing: a reader of one event needs the others.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, ClassVar

from model.errors import DragomanError
from service import log
from service.batcher import Batcher, Job, Outcome, Translation
from service.connection import ACCESS_REFUSED, NOT_ALLOWED, Loss, endpoints
from service.health import Vitals
from service.intake import Intake
from service.ledger import Entry, Ledger, Publication, Purpose
from service.link import Link, event_loop
from service.losses import Losses
from service.message import (
    Delivery,
    Erroneous,
    Expired,
    Message,
    Replies,
    Request,
    Retry,
    again,
    examine,
    has_usable_reply_to,
    text_of,
)
from service.metrics import Metrics
from service.outlet import Outlet
from service.settings import QUEUE_TYPES, Settings, SettingsError
from service.trace import trace_of

EXIT_DRAINED, EXIT_ERRONEOUS_INPUT, EXIT_DRAIN_DEADLINE = 0, 65, 75
BEAT_SECONDS = 5.0
REFUSED_SECONDS = 1.0
"""So long an answer waits that the broker refused, before it goes out on another channel."""
CONFIRM_SECONDS = 20.0
"""So long the broker may confirm nothing before what is on its way goes out on another channel."""


class BrokerUnreachable(DragomanError):
    """The broker couldn't be reached for longer than the settings allow."""

    exit_code: ClassVar[int] = 69


class AccessRefused(DragomanError):
    """The broker doesn't let this user in, or not at what the service needs."""

    exit_code: ClassVar[int] = 77


class State(Enum):
    """What the consumer is doing."""

    SERVE = "serve"  # connected, or connecting again
    DRAIN = "drain"  # asked to stop: finish the batch in progress
    PANIC = "panic"  # erroneous input: finish the batch in progress, then put what is erroneous into quarantine
    CLOSE = "close"


class Consumer:
    """Serves until it is asked to stop, or erroneous input or a failure ends it.

    Args:
        translate: texts to translations, in order; called in the inference thread.
        version, architecture: of the model; every reply names them.
        example: a sentence that it can translate.
        stop_file: a file descriptor that becomes readable when the service is to stop.

    Raises:
        SettingsError: the broker's URL can't be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        translate: Callable[[list[str]], Sequence[Translation]],
        version: str,
        architecture: str,
        example: str,
        vitals: Vitals,
        metrics: Metrics,
        stop_file: int,
    ) -> None:
        self._settings = settings
        self._replies = Replies(version, architecture, example)
        self._vitals = vitals
        self._metrics = metrics
        self._ledger = Ledger(most_scattered=settings.in_hand // 2)
        self._loop = event_loop()
        self._loop.add_handler(stop_file, lambda *_: self._stop_asked(stop_file), self._loop.READ)
        self._batcher = Batcher(
            translate,
            settings.max_batch,
            settings.workers,
            hand_back=lambda outcomes: self._loop.add_callback_threadsafe(partial(self._outcomes, outcomes)),
            crashed=lambda error: self._loop.add_callback_threadsafe(partial(self._fail, error)),
            beat=vitals.inference.beat,
        )
        self._intake = Intake(
            self._link(f"dragoman {version} requests"),
            settings,
            f"dragoman {version} {socket.gethostname()}",
            delivered=self._delivered,
            changed=self._changed,
            closed=self._consuming_closed,
            failed=partial(self._link_failed, "requests"),
        )
        self._outlet = Outlet(
            self._link(f"dragoman {version} replies"),
            opened=self._publishing_opened,
            changed=self._changed,
            closed=self._publishing_closed,
            confirmed=self._confirmed,
            returned=self._reply_returned,
            failed=partial(self._link_failed, "replies"),
        )
        self._state = State.SERVE
        self._exit_code = EXIT_DRAINED
        self._failure: BaseException | None = None
        self._erroneous: list[tuple[Entry, Erroneous]] = []  # in hand, while in panic
        self._acks_are_due = False
        self._losses = Losses(metrics)
        self._renewal_is_due = False
        self._confirmed_at = time.monotonic()  # the last confirm, or the last beat at which none was waited for
        self._connect_deadline: Any = None  # a timer, while the broker is unreachable
        self._open_links = {"requests", "replies"}

    def run(self) -> int:
        """Connects and serves; the exit code: 0 drained, 65 erroneous input, 75 the drain deadline passed.

        Raises:
            BrokerUnreachable: for longer than the settings allow.
            AccessRefused: the broker refused the user.
            Exception: a bug.
        """
        self._batcher.start()
        self._beat()
        self._outlet.link.open()
        self._intake.link.open()
        self._loop.start()
        self._vitals.ready = False
        if self._failure is not None:
            raise self._failure
        return self._exit_code

    def _link(self, name: str) -> Callable[..., Link]:
        return partial(Link, self._loop, endpoints(self._settings, name), raised=self._fail)

    # From the broker

    def _delivered(self, delivery: Delivery) -> None:
        entry = self._ledger.deliver(delivery)
        self._metrics.received(delivery.redelivered)
        item = examine(delivery, self._settings.rpc_queue)
        if isinstance(item, Retry):
            self._ledger.publish(entry, Purpose.RETRY, again(item, self._settings.rpc_queue))
            self._send_publications()
        elif isinstance(item, Request) and len(item.text) > self._settings.max_characters:
            # At once, so that no long text waits in memory.
            self._answer(entry, self._replies.fallback(delivery, "too-long"), "too-long")
            self._send_publications()
        elif isinstance(item, Expired):
            self._drop(entry)
        else:
            self._batcher.submit(Job(entry, item))
        if self._intake.cautious and not delivery.redelivered and not (isinstance(item, Request) and item.suspect):
            self._intake.widen()

    def _consuming_closed(self) -> None:
        """Every tag in hand is dead: the broker delivers these messages again, here or elsewhere."""
        self._ledger.consuming_closed()
        self._erroneous.clear()
        self._batcher.withdraw()
        self._advance()

    def _publishing_opened(self) -> None:
        self._ledger.publishing_opened()
        self._send_publications()

    def _publishing_closed(self, loss: Loss, by_broker: bool) -> None:
        if by_broker and loss.code == ACCESS_REFUSED:
            self._link_failed("replies", loss)
        elif by_broker and self._state is not State.CLOSE:
            log.warning("the broker closed the publishing channel; publishing once more", reason=loss.reason)
        self._failed_publications(self._ledger.publishing_closed(by_broker))

    def _confirmed(self, sequence: int, multiple: bool, taken: bool) -> None:
        decide = self._ledger.confirmed if taken else self._ledger.refused
        quarantined = self._ledger.quarantined
        self._failed_publications(decide(sequence, multiple))
        if self._ledger.quarantined != quarantined:
            self._metrics.quarantined(self._ledger.quarantined - quarantined)
        while self._ledger.undeliverable:
            self._losses.refused(self._ledger.undeliverable.pop())
        self._confirmed_at = time.monotonic()
        if self._ledger.parked and not self._renewal_is_due:
            self._renewal_is_due = True
            self._loop.call_later(REFUSED_SECONDS, self._renew)
        self._renew_when_quiet()
        self._send_publications()
        self._acks_become_due()

    def _renew(self) -> None:
        """Has what was refused go out on another channel, once nothing is on its way on this one."""
        self._renewal_is_due = False
        self._ledger.renewing = self._ledger.parked
        self._renew_when_quiet()

    def _renew_when_quiet(self) -> None:
        if self._ledger.renewing and not self._ledger.unconfirmed and self._state is not State.CLOSE:
            self._outlet.renew()

    def _watch_confirms(self) -> None:
        """Has what isn't confirmed for long go out on another channel: this one may wait for a node that is gone."""
        now = time.monotonic()
        if not (self._ledger.unconfirmed and self._outlet.ready) or self._outlet.blocked or self._state is State.CLOSE:
            self._confirmed_at = now
        elif now - self._confirmed_at > CONFIRM_SECONDS:
            log.warning("the broker confirms nothing; publishing on another channel", seconds=CONFIRM_SECONDS)
            self._confirmed_at = now
            self._outlet.renew()

    def _reply_returned(self, routing_key: str | bytes) -> None:
        self._ledger.returned(routing_key)
        if routing_key not in {self._settings.quarantine_queue, self._settings.rpc_queue}:
            self._losses.returned(routing_key)

    def _link_failed(self, connection: str, loss: Loss) -> None:
        """A connection couldn't be opened, was lost, or is of no use; ``connection`` says which."""
        reason = loss.reason
        if loss.undeclarable:
            kind = self._settings.rpc_queue_type
            self._fail(
                SettingsError(
                    f"RPC_QUEUE_TYPE is {kind!r}, and the broker declares no such queue ({reason}). Set another of "
                    f"{', '.join(each for each in QUEUE_TYPES if each != kind)}, or declare the queue before."
                )
            )
            return
        if loss.is_held:
            log.warning(
                "another connection holds the request queue for itself; waiting",
                queue=self._settings.rpc_queue,
                reason=reason,
            )
            self._reached()
            return
        if loss.code in {ACCESS_REFUSED, NOT_ALLOWED}:
            self._fail(
                AccessRefused(f"The broker refused access ({reason}). Check user, virtual host and permissions.")
            )
            return
        link = self._intake.link if connection == "requests" else self._outlet.link
        log.warning(
            "no connection to the broker; trying again, check AMQP_URL if it stays so",
            connection=connection,
            broker=link.broker,
            reason=reason,
        )
        deadline_seconds = self._settings.connect_deadline_seconds
        if deadline_seconds and self._connect_deadline is None:
            unreachable = BrokerUnreachable(
                f"The broker couldn't be reached for {deadline_seconds:g} s ({reason}). Check AMQP_URL and the broker."
            )
            self._connect_deadline = self._loop.call_later(deadline_seconds, partial(self._fail, unreachable))

    def _changed(self) -> None:
        """A side is up or down, blocked or not, or the state is another."""
        # After an outage the two links wait for different times, and each is of no use without the other.
        if self._intake.consuming:
            self._outlet.link.hasten()
        if self._outlet.ready:
            self._intake.link.hasten()
        connected = self._intake.consuming and self._outlet.ready
        if connected:
            self._reached()
        self._metrics.blocked(self._outlet.blocked)
        ready = connected and not self._outlet.blocked and self._state is State.SERVE
        if ready != self._vitals.ready:
            self._vitals.ready = ready
            if ready:
                log.info("serving", queue=self._settings.rpc_queue)
            elif self._outlet.blocked:
                log.warning("blocked by an alarm of the broker; waiting", queue=self._settings.rpc_queue)

    def _reached(self) -> None:
        if self._connect_deadline is not None:
            self._loop.remove_timeout(self._connect_deadline)
            self._connect_deadline = None

    # From the inference threads

    def _outcomes(self, outcomes: list[Outcome]) -> None:
        self._metrics.batch(len(outcomes))
        for outcome in outcomes:
            entry, result = outcome.entry, outcome.result
            if entry.kept:
                continue  # stale: its channel is gone
            if isinstance(result, Erroneous):
                self._found_erroneous(entry, result)
            elif isinstance(result, Expired):
                self._drop(entry)
            else:
                self._translated(entry, result)
        self._send_publications()
        self._advance()

    def _translated(self, entry: Entry, translation: Translation) -> None:
        delivery, error = entry.delivery, translation.error
        corrected, score = translation.corrected, translation.score
        if error is None:
            self._metrics.translated(corrected is not None, score)
            if score is not None:
                self._vitals.tally.scored(score)
                if score < self._settings.min_score:
                    error = "unsure"
        if error is None:
            reply = self._replies.translation(delivery, translation.text, corrected=corrected, score=score)
        else:
            reply = self._replies.fallback(delivery, error, score=score)
        self._answer(entry, reply, error or "ok")

    # To the broker

    def _drop(self, entry: Entry) -> None:
        """Acks a request for whose answer nobody waits any more."""
        self._ledger.drop(entry)
        self._metrics.processed("expired", time.monotonic() - entry.delivery.received_at)
        self._acks_become_due()

    def _acks_become_due(self) -> None:
        if not self._acks_are_due:
            # Confirms come in swarms; the acks they make due go out together.
            self._acks_are_due = True
            self._loop.add_callback(self._send_acks)

    def _answer(self, entry: Entry, reply: Message, status: str) -> None:
        self._ledger.publish(entry, Purpose.REPLY, reply)
        seconds = time.monotonic() - entry.delivery.received_at
        self._metrics.processed(status, seconds)
        self._vitals.tally.processed(status, seconds)

    def _send_publications(self) -> None:
        if self._outlet.ready:
            self._outlet.publish(self._ledger.publications())

    def _send_acks(self) -> None:
        self._acks_are_due = False
        self._intake.ack(self._ledger.acks(patient=self._state is not State.SERVE))
        self._advance()

    def _failed_publications(self, failed: Sequence[Publication]) -> None:
        for publication in failed:
            entry = publication.entry
            match publication.purpose:
                case Purpose.REPLY:
                    self._found_erroneous(entry, Erroneous(entry.delivery, "reply-to"))
                case Purpose.RETRY:
                    request = Request(entry.delivery, text_of(entry.delivery), suspect=True)
                    self._batcher.submit(Job(entry, request))
                case Purpose.QUARANTINE:
                    queue = self._settings.quarantine_queue
                    log.error("a copy didn't reach the quarantine; its message stays in the queue", queue=queue)
                    if self._state is State.SERVE:
                        self._end(State.PANIC, EXIT_ERRONEOUS_INPUT)
        if failed:
            self._send_publications()
            self._advance()

    # Erroneous input

    def _found_erroneous(self, entry: Entry, erroneous: Erroneous) -> None:
        if self._state is State.SERVE and self._settings.on_erroneous_input == "exit":
            log.error("erroneous input; ending once it is in quarantine", reason=erroneous.reason)
            self._end(State.PANIC, EXIT_ERRONEOUS_INPUT)
        if self._state is State.PANIC:
            self._erroneous.append((entry, erroneous))
        else:
            self._put_away(entry, erroneous)

    def _put_away(self, entry: Entry, erroneous: Erroneous) -> None:
        """Answers an erroneous message where that is possible, and puts it into quarantine."""
        delivery = entry.delivery
        if erroneous.reason != "reply-to" and has_usable_reply_to(delivery, self._settings.rpc_queue):
            self._ledger.publish(entry, Purpose.FALLBACK, self._replies.fallback(delivery, erroneous.reason))
        received_at = datetime.now(UTC) - timedelta(seconds=time.monotonic() - delivery.received_at)
        copy = self._replies.quarantined(erroneous, self._settings.quarantine_queue, received_at)
        self._ledger.publish(entry, Purpose.QUARANTINE, copy)
        seconds = time.monotonic() - delivery.received_at
        self._metrics.processed(erroneous.reason, seconds)
        self._vitals.tally.processed(erroneous.reason, seconds)
        log.warning(
            "putting a message into quarantine",
            reason=erroneous.reason,
            queue=self._settings.quarantine_queue,
            correlation_id=delivery.properties.correlation_id,
            bytes=len(delivery.body),
            **{name.replace("-", "_"): value for name, value in trace_of(delivery.properties).items()},
        )

    # The end

    def _stop_asked(self, stop_file: int) -> None:
        os.read(stop_file, 64)
        if self._state is State.SERVE:
            log.info("asked to stop; finishing the batch in progress")
            self._end(State.DRAIN, EXIT_DRAINED)

    def _end(self, state: State, exit_code: int) -> None:
        """Takes nothing more and gives back what waits; the batch in progress is finished."""
        self._state, self._exit_code = state, exit_code
        self._intake.end()
        for job in self._batcher.withdraw():
            if state is State.PANIC and isinstance(job.item, Erroneous):
                self._erroneous.append((job.entry, job.item))
            else:
                self._ledger.give_back(job.entry)
        self._loop.call_later(self._settings.drain_seconds, self._deadline_passed)
        self._changed()
        self._advance()

    def _advance(self) -> None:
        """Takes the next step towards the end, if what it waits for is done."""
        if self._state is State.PANIC and self._erroneous and self._ledger.unsettled == len(self._erroneous):
            self._put_all_away()
        if self._state in {State.DRAIN, State.PANIC} and not self._ledger.unfinished:
            self._state = State.CLOSE
            self._intake.link.close(partial(self._link_closed, "requests"))
            self._outlet.link.close(partial(self._link_closed, "replies"))

    def _put_all_away(self) -> None:
        erroneous, self._erroneous = self._erroneous, []
        for entry, item in erroneous:
            self._put_away(entry, item)
        self._send_publications()

    def _link_closed(self, connection: str) -> None:
        self._open_links.remove(connection)
        if not self._open_links:
            log.info("closed", exit_code=self._exit_code)
            self._loop.stop()

    def _deadline_passed(self) -> None:
        if self._state is State.PANIC and self._erroneous:
            # The batch in progress takes too long, but what is erroneous must be out of the queue before the exit.
            self._put_all_away()
            self._loop.call_later(self._settings.drain_seconds, self._deadline_passed)
            return
        if self._state is State.CLOSE and "requests" not in self._open_links:
            log.warning("all is answered and acked; not waiting for the replies' connection", exit_code=self._exit_code)
            self._loop.stop()
            return
        if self._exit_code == EXIT_DRAINED:
            self._exit_code = EXIT_DRAIN_DEADLINE
        log.error(
            "not done by the deadline; closing hard, the broker keeps what isn't acked",
            unfinished=self._ledger.unfinished,
            open_connections=sorted(self._open_links),
            exit_code=self._exit_code,
        )
        self._loop.stop()

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self._loop.stop()

    def _beat(self) -> None:
        self._vitals.loop.beat()
        self._vitals.tally.write()
        self._losses.report()
        self._watch_confirms()
        self._loop.call_later(BEAT_SECONDS, self._beat)
