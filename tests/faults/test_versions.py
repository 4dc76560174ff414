"""Several replicas on one queue: erroneous input among good, two versions, rolling from one to the other."""

from typing import Any

import pytest
from images import Version

from .client import Client
from .conftest import Start
from .fleet import Replica
from .rows import case, fault
from .texts import erroneous, sentences

GOOD, BAD = 10_000, 100
RELEASED, OTHER = "1.0.0", "2.0.0"
RATE = 100  # requests a second under which a roll happens


@pytest.mark.long
@pytest.mark.parametrize(
    "on_erroneous_input",
    [
        case("100 bad among 10,000 good, exit", "exit"),
        case("100 bad among 10,000 good, continue", "continue"),
    ],
)
def test_all_bad_are_in_quarantine_and_all_good_are_answered(
    start: Start, client: Client, on_erroneous_input: str, record_property: Any
) -> None:
    client.declare()
    replicas = [start(supervised=True, ON_ERRONEOUS_INPUT=on_erroneous_input) for _ in range(3)]
    for replica in replicas:
        replica.ready()
    good, bad = set(), set()
    for number, text in enumerate(sentences(GOOD)):
        good.add(client.send(text))
        if number % (GOOD // BAD) == 0:
            body, properties = erroneous(number // (GOOD // BAD), client.queue)
            silent = "reply_to" in properties
            bad.add(client.send(body, erroneous=True, gone=silent, **properties))
    client.wait_answered()
    # Those that can't be answered are awaited where they must end.
    assert client.quarantined(BAD, seconds=120).keys() == bad
    assert good <= client.replies.keys()
    assert all(client.replies[key].error is None for key in good)
    exit_codes = [code for replica in replicas for code in replica.exit_codes]
    record_property("restarts", len(exit_codes))
    record_property("longest_silence_s", round(client.longest_silence, 1))
    assert set(exit_codes) == ({65} if on_erroneous_input == "exit" else set())


def versions(client: Client) -> list[str]:
    """Who answered each request, in the order of the replies."""
    return [reply.properties.headers["x-model-version"] for reply in client.replies.values()]


@fault("two versions side by side")
@pytest.mark.long
def test_two_versions_share_a_queue_and_every_reply_names_its_own(
    start: Start, client: Client, second: Version, record_property: Any
) -> None:
    client.declare()
    for replica in (start(), start(second.reference)):
        replica.ready()
    for text in sentences(2000):
        client.send(text)
    client.wait_answered()
    answered = {version: versions(client).count(version) for version in (RELEASED, OTHER)}
    record_property("answered_by", answered)
    assert sum(answered.values()) == 2000
    assert min(answered.values()) > 0
    assert client.books.tally().duplicated == 0


@fault("roll forward and back under load")
@pytest.mark.long
def test_a_roll_forward_and_back_under_load_loses_nothing(
    start: Start, client: Client, released: Version, second: Version, record_property: Any
) -> None:
    replica = start().ready()

    def roll(image: str) -> Replica:
        """The next is ready before the last drains."""
        following = start(image).ready()
        assert replica.stop() == 0
        return following

    with client.sending(sentences(100_000), RATE):
        client.wait_replies(200)
        replica = roll(second.reference)
        client.wait_replies(len(client.answered_at) + 200)
        replica = roll(released.reference)
        client.wait_replies(len(client.answered_at) + 200)
    client.wait_answered()
    found = versions(client)
    record_property("longest_silence_s", round(client.longest_silence, 1))
    assert (found[0], found[-1]) == (RELEASED, RELEASED)
    assert set(found) == {RELEASED, OTHER}
    assert client.books.tally().duplicated == 0
