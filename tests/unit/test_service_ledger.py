"""The ledger under every order of events that a broker and two threads can produce."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.ledger import MOST_PARKED, Ack, Entry, Ledger, Publication, Purpose
from service.message import Delivery, Message

QUARANTINE = "rpc_queue.quarantine"


class _NoProperties:
    content_type = content_encoding = headers = delivery_mode = correlation_id = None
    reply_to = expiration = message_id = type = None


def delivery(tag: int) -> Delivery:
    return Delivery(tag, False, "rpc_queue", _NoProperties(), b"Bonjour", 0.0)


def message(routing_key: str = "client") -> Message:
    return Message(routing_key, b"Hello", {}, mandatory=True)


def serving(most_scattered: int = 0) -> Ledger:
    ledger = Ledger(most_scattered)
    ledger.publishing_opened()
    return ledger


def replied(ledger: Ledger, *tags: int) -> list[Entry]:
    """Entries whose replies are on their way, with the sequence numbers from 1."""
    entries = [ledger.deliver(delivery(tag)) for tag in tags]
    for entry in entries:
        ledger.publish(entry, Purpose.REPLY, message())
    assert len(list(ledger.publications())) == len(tags)
    return entries


def test_a_request_is_acked_once_its_reply_is_confirmed() -> None:
    ledger = serving()
    replied(ledger, 1)
    assert list(ledger.acks()) == []
    ledger.confirmed(1, multiple=False)
    assert list(ledger.acks()) == [Ack(1, multiple=False)]
    assert list(ledger.acks()) == []
    assert ledger.unfinished == 0


def test_acks_of_the_lowest_tags_go_out_as_one() -> None:
    ledger = serving()
    replied(ledger, 1, 2, 3, 4, 5)
    ledger.confirmed(3, multiple=True)
    ledger.confirmed(5, multiple=False)
    assert list(ledger.acks()) == [Ack(3, multiple=True), Ack(5, multiple=False)]


def test_scattered_acks_wait_for_the_tags_below_them() -> None:
    ledger = serving(most_scattered=2)
    replied(ledger, 1, 2, 3, 4)
    for sequence in (2, 3):
        ledger.confirmed(sequence, multiple=False)
        assert list(ledger.acks()) == []
    ledger.confirmed(1, multiple=False)
    assert list(ledger.acks()) == [Ack(3, multiple=True)]


def test_too_many_scattered_acks_go_out_one_by_one() -> None:
    ledger = serving(most_scattered=2)
    replied(ledger, 1, 2, 3, 4)
    for sequence in (2, 3, 4):
        ledger.confirmed(sequence, multiple=False)
    assert list(ledger.acks(patient=True)) == []
    assert list(ledger.acks()) == [Ack(tag, multiple=False) for tag in (2, 3, 4)]


def test_scattered_acks_that_wait_for_nothing_go_out() -> None:
    ledger = serving(most_scattered=2)
    given_back = ledger.deliver(delivery(1))
    replied(ledger, 2)
    ledger.confirmed(1, multiple=False)
    assert list(ledger.acks()) == []
    ledger.give_back(given_back)
    assert list(ledger.acks()) == [Ack(2, multiple=False)]


def test_no_multiple_ack_reaches_past_what_was_given_back() -> None:
    ledger = serving()
    ledger.give_back(ledger.deliver(delivery(1)))
    replied(ledger, 2, 3)
    ledger.confirmed(2, multiple=True)
    assert list(ledger.acks()) == [Ack(2, multiple=False), Ack(3, multiple=False)]


def test_a_returned_reply_is_acked() -> None:
    ledger = serving()
    replied(ledger, 1)
    ledger.returned("client")
    assert ledger.confirmed(1, multiple=False) == ()
    assert list(ledger.acks()) == [Ack(1, multiple=False)]


def test_a_returned_copy_keeps_its_message_with_the_broker() -> None:
    ledger = serving()
    entry = ledger.deliver(delivery(1))
    ledger.publish(entry, Purpose.QUARANTINE, message(QUARANTINE))
    assert len(list(ledger.publications())) == 1
    ledger.returned(QUARANTINE)
    assert [failed.entry for failed in ledger.confirmed(1, multiple=False)] == [entry]
    assert list(ledger.acks()) == []
    assert entry.kept
    assert ledger.quarantined == 0


def test_nothing_more_is_published_for_a_request_whose_copy_came_back() -> None:
    ledger = serving()
    entry = ledger.deliver(delivery(1))
    ledger.publish(entry, Purpose.FALLBACK, message())
    ledger.publish(entry, Purpose.QUARANTINE, message(QUARANTINE))
    assert len(list(ledger.publications())) == 2
    ledger.refused(1, multiple=False)
    ledger.returned(QUARANTINE)
    assert len(ledger.confirmed(2, multiple=False)) == 1
    assert list(ledger.publications()) == []
    assert list(ledger.acks()) == []


def test_a_quarantined_request_waits_for_its_copy_and_its_answer() -> None:
    ledger = serving()
    entry = ledger.deliver(delivery(1))
    ledger.publish(entry, Purpose.FALLBACK, message())
    ledger.publish(entry, Purpose.QUARANTINE, message(QUARANTINE))
    assert len(list(ledger.publications())) == 2
    assert ledger.quarantined == 0
    ledger.confirmed(2, multiple=False)
    assert ledger.quarantined == 1
    assert list(ledger.acks()) == []
    ledger.confirmed(1, multiple=False)
    assert ledger.quarantined == 1
    assert list(ledger.acks()) == [Ack(1, multiple=False)]


def test_results_for_a_channel_that_is_gone_are_discarded() -> None:
    ledger = serving()
    entry = ledger.deliver(delivery(1))
    ledger.consuming_closed()
    ledger.publish(entry, Purpose.REPLY, message())
    assert list(ledger.publications()) == []
    assert list(ledger.acks()) == []


def test_a_confirm_for_a_channel_that_is_gone_acks_nothing_on_the_next() -> None:
    ledger = serving()
    replied(ledger, 1)
    ledger.consuming_closed()
    ledger.deliver(delivery(1))
    ledger.confirmed(1, multiple=False)
    assert list(ledger.acks()) == []


def test_a_lost_connection_blames_nobody_however_often() -> None:
    ledger = serving()
    replied(ledger, 1, 2)
    for _ in range(5):
        assert ledger.publishing_closed(by_broker=False) == ()
        ledger.publishing_opened()
        assert len(list(ledger.publications())) == 2


def test_a_second_closing_names_the_one_reply_that_the_broker_objects_to() -> None:
    ledger = serving()
    entries = replied(ledger, 1, 2, 3)
    assert ledger.publishing_closed(by_broker=True) == ()
    ledger.publishing_opened()
    assert len(list(ledger.publications())) == 1  # the first of them, alone
    ledger.confirmed(1, multiple=False)
    assert len(list(ledger.publications())) == 1  # the second
    assert [failed.entry for failed in ledger.publishing_closed(by_broker=True)] == [entries[1]]
    ledger.publishing_opened()
    assert len(list(ledger.publications())) == 1
    ledger.confirmed(1, multiple=False)
    assert list(ledger.acks()) == [Ack(1, multiple=False), Ack(3, multiple=False)]
    assert ledger.unfinished == 1


def renewed(ledger: Ledger) -> None:
    """Another publishing channel, as the consumer opens it."""
    ledger.renewing = True
    assert list(ledger.publications()) == []
    ledger.publishing_closed(by_broker=False)
    ledger.publishing_opened()


def test_a_refused_reply_is_published_at_once_and_then_on_other_channels() -> None:
    ledger = serving()
    replied(ledger, 1)
    assert list(ledger.refused(1, multiple=False)) == []
    assert len(list(ledger.publications())) == 1
    assert list(ledger.refused(2, multiple=False)) == []
    assert ledger.parked
    assert list(ledger.publications()) == []
    assert list(ledger.acks()) == []
    renewed(ledger)
    assert len(list(ledger.publications())) == 1
    ledger.confirmed(1, multiple=False)
    assert list(ledger.acks()) == [Ack(1, multiple=False)]
    assert ledger.undeliverable == []


def refused_to_the_end(ledger: Ledger) -> None:
    """What is on its way is refused, as often as it is published."""
    ledger.refused(1, multiple=False)
    assert len(list(ledger.publications())) == 1
    ledger.refused(2, multiple=False)
    while ledger.parked:
        renewed(ledger)
        assert len(list(ledger.publications())) == 1
        assert list(ledger.refused(1, multiple=False)) == []


def test_a_reply_that_is_refused_to_the_end_is_its_clients_loss() -> None:
    ledger = serving()
    (entry,) = replied(ledger, 1)
    refused_to_the_end(ledger)
    assert ledger.undeliverable == [entry.delivery.properties.reply_to or "client"]
    assert list(ledger.acks()) == [Ack(1, multiple=False)]


def test_of_those_for_a_queue_that_is_full_only_a_few_wait_for_another_channel() -> None:
    ledger = serving()
    replied(ledger, 1)
    refused_to_the_end(ledger)
    assert list(ledger.acks())
    replied(ledger, *range(2, 22))
    ledger.refused(21 + 1, multiple=True)
    assert len(list(ledger.publications())) == 20
    ledger.refused(10_000, multiple=True)
    assert len(ledger.undeliverable) == 1 + 20 - MOST_PARKED
    assert ledger.unfinished == 20
    assert len([ack.tag for ack in ledger.acks()]) == 20 - MOST_PARKED
    renewed(ledger)
    assert len(list(ledger.publications())) == MOST_PARKED
    ledger.confirmed(MOST_PARKED, multiple=True)
    assert list(ledger.acks())
    assert ledger.unfinished == 0


def test_a_reply_that_waits_for_another_channel_goes_with_its_request() -> None:
    ledger = serving()
    replied(ledger, 1)
    ledger.refused(1, multiple=False)
    assert len(list(ledger.publications())) == 1
    ledger.refused(2, multiple=False)
    ledger.consuming_closed()
    renewed(ledger)
    assert list(ledger.publications()) == []


def test_a_refused_reply_holds_nobody_up() -> None:
    ledger = serving()
    replied(ledger, 1)
    ledger.refused(1, multiple=False)
    assert len(list(ledger.publications())) == 1
    replied(ledger, 2)  # publishes while the first is on its way again
    ledger.confirmed(3, multiple=False)
    ledger.refused(2, multiple=False)
    assert ledger.parked
    assert list(ledger.acks()) == [Ack(2, multiple=False)]
    renewed(ledger)
    assert len(list(ledger.publications())) == 1
    ledger.confirmed(1, multiple=False)
    assert list(ledger.acks()) == [Ack(1, multiple=False)]


@pytest.mark.parametrize("purpose", [Purpose.QUARANTINE, Purpose.RETRY])
def test_a_refused_copy_has_failed(purpose: Purpose) -> None:
    ledger = serving()
    entry = ledger.deliver(delivery(1))
    ledger.publish(entry, purpose, message(QUARANTINE))
    assert len(list(ledger.publications())) == 1
    assert list(ledger.refused(1, multiple=False)) == []
    assert len(list(ledger.publications())) == 1
    assert [failed.entry for failed in ledger.refused(2, multiple=False)] == [entry]
    assert list(ledger.acks()) == []


def test_a_request_that_needs_no_answer_is_acked() -> None:
    ledger = serving()
    ledger.drop(ledger.deliver(delivery(1)))
    assert list(ledger.acks()) == [Ack(1, multiple=False)]


class Books(RuleBasedStateMachine):
    """Plays the broker and the consumer, and keeps books of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(most_scattered=0)
        self.tag = self.sequence = 0
        self.unacked: dict[int, Entry] = {}  # by tag: the broker's view of the consuming channel
        self.worked_on: list[Entry] = []  # in the batcher's hands
        self.safe: set[Entry] = set()  # something reached the broker that settles the request
        self.owed: set[tuple[Entry, Purpose]] = set()  # to be published, on the wire, or to be published again
        self.objections: Counter[tuple[Entry, Purpose]] = Counter()  # of the broker, that closed the channel
        self.refusals: Counter[tuple[Entry, Purpose]] = Counter()
        self.every: dict[int, Entry] = {}  # by identity, which messages carry
        self.on_the_wire: dict[int, tuple[Entry, Purpose, str]] = {}  # by sequence number
        self.returned: set[int] = set()
        self.open = False
        self.opened()

    @initialize(most_scattered=st.integers(0, 3))
    def begin(self, most_scattered: int) -> None:
        self.ledger.most_scattered = most_scattered

    # The consumer

    @rule(count=st.integers(1, 3))
    def deliver(self, count: int) -> None:
        for _ in range(count):
            self.tag += 1
            entry = self.ledger.deliver(delivery(self.tag))
            self.every[id(entry)] = self.unacked[self.tag] = entry
            self.worked_on.append(entry)

    @precondition(lambda self: self.worked_on)
    @rule(
        data=st.data(),
        purposes=st.sampled_from(
            [[Purpose.REPLY], [Purpose.RETRY], [Purpose.QUARANTINE], [Purpose.FALLBACK, Purpose.QUARANTINE]]
        ),
    )
    def answer(self, data: st.DataObject, purposes: list[Purpose]) -> None:
        self.publish(self.worked_on.pop(data.draw(st.integers(0, len(self.worked_on) - 1))), *purposes)
        self.send()

    @precondition(lambda self: self.worked_on)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        self.ledger.give_back(self.worked_on.pop(data.draw(st.integers(0, len(self.worked_on) - 1))))

    @rule()
    def ack(self) -> None:
        in_flight = {entry for entry, *_ in self.on_the_wire.values()}
        for ack in self.ledger.acks():
            tags = [tag for tag in self.unacked if tag == ack.tag or (ack.multiple and tag < ack.tag)]
            assert ack.tag in tags, "acked twice, or on the wrong channel"
            for tag in tags:
                entry = self.unacked.pop(tag)
                assert entry in self.safe, "acked though nothing of it reached the broker"
                assert entry not in in_flight, "acked before the confirm"
                assert not self.owes(entry), "acked before its reply was confirmed or returned"
                assert entry not in self.worked_on, "acked before the answer"
                assert not entry.kept, "acked though it was given back"

    def owes(self, entry: Entry) -> bool:
        """Whether something of a request is to be confirmed, wherever it is now. The broker's second objection to a
        fallback is the last word about it: the message is safe in its copy."""
        owed = {purpose for one, purpose in self.owed if one is entry}
        return bool(owed - {Purpose.FALLBACK} or (owed and self.objections[entry, Purpose.FALLBACK] < 2))

    def publish(self, entry: Entry, *purposes: Purpose) -> None:
        queues = {Purpose.QUARANTINE: QUARANTINE, Purpose.RETRY: "rpc_queue"}
        for purpose in purposes:
            self.owed.add((entry, purpose))
            identity = f"{id(entry)} {purpose.value}".encode()
            self.ledger.publish(entry, purpose, Message(queues.get(purpose, "client"), identity, {}, mandatory=True))

    def send(self) -> None:
        for sent in self.ledger.publications():
            assert self.open
            identity, purpose = sent.body.decode().split()
            entry = self.every[int(identity)]
            assert not entry.kept, "published for a request that is no longer ours"
            self.sequence += 1
            self.on_the_wire[self.sequence] = (entry, Purpose(purpose), str(sent.routing_key))

    def failed(self, publications: Sequence[Publication]) -> None:
        for failed in publications:
            self.owed.remove((failed.entry, failed.purpose))
            if failed.purpose is Purpose.REPLY:
                self.publish(failed.entry, Purpose.QUARANTINE)
            elif failed.purpose is Purpose.RETRY:
                self.worked_on.append(failed.entry)

    # The broker

    @precondition(lambda self: self.on_the_wire)
    @rule(data=st.data(), multiple=st.booleans(), taken=st.booleans(), returned=st.booleans(), ack=st.booleans())
    def confirm(self, data: st.DataObject, multiple: bool, taken: bool, returned: bool, ack: bool) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.on_the_wire)))
        if returned:
            # A return names the queue only: for the ledger every message on its way there came back.
            queue = self.on_the_wire[sequence][2]
            self.returned |= {number for number, (_, _, to) in self.on_the_wire.items() if to == queue}
            self.ledger.returned(queue)
        self.settle(sequence, multiple, taken)
        if ack:
            self.ack()

    def settle(self, sequence: int, multiple: bool, taken: bool) -> None:
        doubtful: list[tuple[Entry, Purpose]] = []
        for number in [each for each in self.on_the_wire if each == sequence or (multiple and each < sequence)]:
            entry, purpose, _ = self.on_the_wire.pop(number)
            arrived = number not in self.returned or purpose in {Purpose.REPLY, Purpose.FALLBACK}
            if taken and arrived and purpose is not Purpose.FALLBACK:
                self.safe.add(entry)
            if not taken:
                self.refusals[entry, purpose] += 1
                if purpose in {Purpose.REPLY, Purpose.FALLBACK}:
                    doubtful.append((entry, purpose))
            elif arrived:
                self.owed.discard((entry, purpose))
            self.returned.discard(number)
        lost = len(self.ledger.undeliverable)
        self.failed(self.ledger.confirmed(sequence, multiple) if taken else self.ledger.refused(sequence, multiple))
        self.lose(doubtful, len(self.ledger.undeliverable) - lost)
        self.send()

    def lose(self, doubtful: list[tuple[Entry, Purpose]], count: int) -> None:
        """Which of those that were just refused are their client's loss: they aren't parked, nor published again."""
        waiting = {each.message.body for each in [*self.ledger._parked, *self.ledger._outbox]}
        gone = [each for each in doubtful if f"{id(each[0])} {each[1].value}".encode() not in waiting]
        gone = [each for each in gone if not each[0].kept]
        assert len(gone) <= count, "gone without being counted"
        for entry, purpose in gone:
            assert self.refusals[entry, purpose] >= 2, "lost at the first refusal"
            self.owed.discard((entry, purpose))
            if purpose is Purpose.REPLY:
                self.safe.add(entry)

    @precondition(lambda self: self.open)
    @rule(by_broker=st.booleans())
    def close_publishing(self, by_broker: bool) -> None:
        self.open = False
        self.objections.update((entry, purpose) for entry, purpose, _ in self.on_the_wire.values() if by_broker)
        self.on_the_wire.clear()
        self.returned.clear()
        self.failed(self.ledger.publishing_closed(by_broker))

    @precondition(lambda self: self.open and self.ledger.parked and not self.on_the_wire)
    @rule()
    def renew(self) -> None:
        self.ledger.renewing = True
        assert list(self.ledger.publications()) == []
        assert list(self.ledger.publishing_closed(by_broker=False)) == []
        self.opened()

    @precondition(lambda self: not self.open)
    @rule()
    def opened(self) -> None:
        self.open = True
        self.sequence = 0
        self.ledger.publishing_opened()
        self.send()

    @rule()
    def close_consuming(self) -> None:
        self.ledger.consuming_closed()
        self.tag = 0
        self.unacked.clear()

    @invariant()
    def no_request_is_forgotten(self) -> None:
        assert self.ledger.unfinished == sum(not entry.kept for entry in self.unacked.values())

    def teardown(self) -> None:
        """Once all is answered and confirmed, all is acked but what was given back."""
        if not self.open:
            self.opened()
        while self.worked_on or self.on_the_wire or self.ledger.parked:
            if not self.on_the_wire:
                self.renew()
            for entry in self.worked_on:
                self.publish(entry, Purpose.REPLY)
            self.worked_on.clear()
            self.send()
            for number in list(self.on_the_wire)[:1]:
                self.settle(number, multiple=False, taken=True)
        self.ack()
        assert self.ledger.unfinished == 0


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
