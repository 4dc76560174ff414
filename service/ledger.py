"""The bookkeeping of the consumer: who is owed a reply, what the broker has confirmed, what may be acked.

Pure: events go in, decisions come out as values, and the transport carries them out. What must hold whatever the order
of events: a request is acked only after everything published for it was confirmed (or returned, where that is enough),
never twice, and never on another channel than the one that delivered it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from service.message import Delivery, Message


class Purpose(Enum):
    """What a publication is for."""

    REPLY = "reply"  # the answer; where it is returned, its client is gone and the request is done with
    FALLBACK = "fallback"  # the answer to an erroneous message, which is safe in its copy
    QUARANTINE = "quarantine"  # the copy of an erroneous message; where it doesn't arrive, the message must stay
    RETRY = "retry"  # the copy that returns to the request queue; where it doesn't arrive, the message is still in hand


@dataclass(slots=True, eq=False)
class Entry:
    """A request in hand.

    Attributes:
        owed: publications that are still to be settled before the ack.
        kept: never ack: its channel is gone, its copy didn't arrive, or it was given back.
    """

    delivery: Delivery
    owed: int = 0
    kept: bool = False


@dataclass(slots=True, eq=False)
class Publication:
    """A message on its way.

    Attributes:
        refusals: so often the broker couldn't take it.
        blamed: the broker closed the channel while it was unconfirmed; it gets one more chance, alone.
        returned: the broker found no queue for it; its confirm is still to come.
    """

    entry: Entry
    purpose: Purpose
    message: Message
    refusals: int = 0
    blamed: bool = False
    returned: bool = False


@dataclass(frozen=True, slots=True)
class Ack:
    """Ack the delivery ``tag``; ``multiple`` takes in every lower tag that is unacked."""

    tag: int
    multiple: bool


_NONE: Sequence[Publication] = ()
_ANSWERS = {Purpose.REPLY, Purpose.FALLBACK}
MOST_REFUSALS = 6
"""Of an answer: two on one channel, then one each on channels of their own. RabbitMQ doesn't say why it refuses: the
queue may be full, or on RabbitMQ 3 the channel doesn't know the new leader of a cluster's queue, and refuses everything
until the old one is back."""
MOST_PARKED = 4
"""Answers that wait for another channel though their queue counts as full: it may have room again, or never have been
full; and a slow client must not keep the others from being served."""


@dataclass(slots=True)
class Ledger:
    """The books of one consuming channel and one publishing channel.

    Confirms, refusals and closings return the publications that failed for good, for the consumer to decide about.

    Attributes:
        most_scattered: settled tags above an unsettled one that may wait to be acked together with it. Each ack by
            itself is a command to a quorum queue, which holds acks back when there are many and forgets them when the
            channel closes (measured: in 3 % of panics under load the last batch was answered twice).
        quarantined: copies that the broker has confirmed.
        undeliverable: routing keys of the answers that the broker couldn't take, for the consumer to empty.
        renewing: another publishing channel is wanted: nothing goes out any more on this one.
    """

    most_scattered: int = 0
    quarantined: int = 0
    undeliverable: list[str | bytes] = field(default_factory=list)
    renewing: bool = False
    _in_hand: dict[int, Entry] = field(default_factory=dict)  # by tag, ascending: the broker counts up
    _settled: set[int] = field(default_factory=set)  # tags that may be acked
    _lowest_kept: float = float("inf")  # no `multiple` ack reaches past a tag that stays unacked
    _outbox: deque[Publication] = field(default_factory=deque)
    _unconfirmed: dict[int, Publication] = field(default_factory=dict)  # by sequence number, ascending
    _sequence: int = 0
    _publishing: bool = False
    _parked: list[Publication] = field(default_factory=list)  # answers that were refused, until the next channel
    _full: set[str | bytes] = field(default_factory=set)  # queues that refused to the end, on this connection

    # Requests

    def deliver(self, delivery: Delivery) -> Entry:
        """A request arrived on the consuming channel."""
        entry = self._in_hand[delivery.tag] = Entry(delivery)
        return entry

    def publish(self, entry: Entry, purpose: Purpose, message: Message) -> None:
        """Something is to be published for a request. What comes too late, for a channel that is gone, is discarded."""
        if not entry.kept:
            entry.owed += 1
            self._outbox.append(Publication(entry, purpose, message))

    def drop(self, entry: Entry) -> None:
        """A request needs no answer, so it may be acked."""
        if not entry.kept:
            self._settled.add(entry.delivery.tag)

    def give_back(self, entry: Entry) -> None:
        """A request won't be worked on: it stays unacked and returns to the queue when the channel closes."""
        if not entry.kept:
            entry.kept = True
            del self._in_hand[entry.delivery.tag]
            self._settled.discard(entry.delivery.tag)
            self._lowest_kept = min(self._lowest_kept, entry.delivery.tag)

    @property
    def unfinished(self) -> int:
        """Requests in hand that are neither acked nor given back."""
        return len(self._in_hand)

    @property
    def unsettled(self) -> int:
        """Requests in hand of which something is still to be answered or confirmed."""
        return len(self._in_hand) - len(self._settled)

    def acks(self, *, patient: bool = False) -> Iterator[Ack]:
        """The acks that are due, each once: one for all the lowest tags that are settled, and one for each of the
        others where they wait for nothing, or are too many.

        Args:
            patient: there can't be too many: the end is near, and no ack must be held back by the queue.
        """
        highest = count = 0
        for tag in self._in_hand:
            if tag not in self._settled or tag > self._lowest_kept:
                break
            highest, count = tag, count + 1
            self._settled.remove(tag)
        if count:
            self._in_hand = {tag: entry for tag, entry in self._in_hand.items() if tag > highest}
            yield Ack(highest, multiple=count > 1)
        too_many = not patient and len(self._settled) > self.most_scattered
        if too_many or len(self._settled) == len(self._in_hand):
            for tag in sorted(self._settled):
                self._settled.remove(tag)
                del self._in_hand[tag]
                yield Ack(tag, multiple=False)

    def consuming_closed(self) -> None:
        """The consuming channel is gone, and with it every tag: the broker delivers these requests again."""
        for entry in self._in_hand.values():
            entry.kept = True
        self._in_hand.clear()
        self._settled.clear()
        self._lowest_kept = float("inf")
        self._outbox = deque(publication for publication in self._outbox if not publication.entry.kept)

    # Publications

    def publishing_opened(self) -> None:
        """A publishing channel in confirm mode is there; the broker counts its messages from 1."""
        self._sequence = 0
        self._publishing = True
        self.renewing = False
        parked, self._parked = self._parked, []
        self._publish_again(parked, blamed=False)

    @property
    def parked(self) -> bool:
        """Whether answers wait for another channel."""
        return bool(self._parked)

    @property
    def unconfirmed(self) -> bool:
        """Whether something is on its way."""
        return bool(self._unconfirmed)

    def publications(self) -> Iterator[Message]:
        """What is to be published now, in this order, on the open publishing channel."""
        while self._publishing and not self.renewing and self._outbox and not self._waits_for_blamed():
            publication = self._outbox.popleft()
            if publication.entry.kept:
                continue  # given back since its copy didn't arrive: whoever gets it next answers it
            self._sequence += 1
            self._unconfirmed[self._sequence] = publication
            yield publication.message

    def confirmed(self, sequence: int, multiple: bool) -> Sequence[Publication]:
        """The broker took responsibility for a message, or for all up to it, or returned it before."""
        failed: list[Publication] = []
        for publication in self._take(sequence, multiple):
            if publication.returned and publication.purpose in {Purpose.QUARANTINE, Purpose.RETRY}:
                failed.append(publication)
            else:
                self._settle(publication.entry)
                self.quarantined += publication.purpose is Purpose.QUARANTINE
        return self._give_up(failed) if failed else _NONE

    def returned(self, routing_key: str | bytes) -> None:
        """The broker found no queue of this name. It confirms what it returned right after.

        A return doesn't say which message it was: every unconfirmed one to that queue counts as returned, since a copy
        too many does no harm.
        """
        for publication in self._unconfirmed.values():
            if publication.message.routing_key == routing_key:
                publication.returned = True

    def refused(self, sequence: int, multiple: bool) -> Sequence[Publication]:
        """The broker couldn't take a message, or all up to it: once more at once, and an answer on other channels then.

        The loss of an answer is its client's, whose queue is full: that costs nobody else anything.
        """
        again: list[Publication] = []
        for_good: list[Publication] = []
        for publication in self._take(sequence, multiple):
            publication.refusals += 1
            if publication.refusals == 1:
                again.append(publication)
            elif publication.purpose not in _ANSWERS:
                for_good.append(publication)
            elif publication.refusals < MOST_REFUSALS and self._may_park(publication.message.routing_key):
                self._parked.append(publication)
            else:
                self._full.add(publication.message.routing_key)
                self.undeliverable.append(publication.message.routing_key)
                self._settle(publication.entry)
        self._publish_again(again, blamed=False)
        return self._give_up(for_good)

    def publishing_closed(self, by_broker: bool) -> Sequence[Publication]:
        """The publishing channel is gone; what it hadn't confirmed goes out once more on the next.

        Args:
            by_broker: the broker objected to something that was published. A lost connection is nobody's fault.
        """
        self._publishing = False
        if not self.renewing:
            self._full.clear()
        taken = list(self._unconfirmed.values())
        self._unconfirmed.clear()
        if by_broker and len(taken) == 1 and taken[0].blamed:
            return self._give_up(taken)
        self._publish_again(taken, blamed=by_broker)
        return _NONE

    def _may_park(self, queue: str | bytes) -> bool:
        if queue not in self._full:
            return True
        return sum(each.message.routing_key in self._full for each in self._parked) < MOST_PARKED

    def _waits_for_blamed(self) -> bool:
        """Whether one that is blamed is on its way or next: it goes alone, so a second closing names the culprit."""
        if not self._unconfirmed:
            return False
        return self._outbox[0].blamed or next(iter(self._unconfirmed.values())).blamed

    def _take(self, sequence: int, multiple: bool) -> list[Publication]:
        if not multiple:
            taken = self._unconfirmed.pop(sequence, None)
            return [] if taken is None else [taken]
        numbers = []
        for number in self._unconfirmed:
            if number > sequence:
                break
            numbers.append(number)
        return [self._unconfirmed.pop(number) for number in numbers]

    def _publish_again(self, publications: Sequence[Publication], blamed: bool) -> None:
        wanted = [publication for publication in publications if not publication.entry.kept]
        for publication in wanted:
            publication.blamed |= blamed
            publication.returned = False
        self._outbox.extendleft(reversed(wanted))

    def _give_up(self, publications: Iterable[Publication]) -> Sequence[Publication]:
        failed = []
        for publication in publications:
            if publication.purpose is Purpose.FALLBACK:
                self._settle(publication.entry)
            elif not publication.entry.kept:
                publication.entry.owed -= 1
                failed.append(publication)
                if publication.purpose is Purpose.QUARANTINE:
                    self.give_back(publication.entry)
        return failed

    def _settle(self, entry: Entry) -> None:
        entry.owed -= 1
        if not entry.owed and not entry.kept:
            self._settled.add(entry.delivery.tag)
