"""Processes that die: the service's, and the broker's."""

import time
from typing import Any

import pytest
from broker.node import BrokerNode
from proxy import Proxy

from .client import Client
from .conftest import Start
from .rows import case, fault
from .texts import SENTENCE, paragraphs, sentences

PREFETCH = 64
SIGKILL_EXIT = 137
YOUNG_QUEUE_SECONDS = 3.0
"""A quorum queue that is younger may be left without a leader when RabbitMQ 3.10 is killed, and then serves nobody
(rabbitmq-server issue 10070)."""


@fault("kill -9 mid-batch")
def test_what_a_killed_replica_had_in_hand_is_answered_by_the_next(start: Start, client: Client) -> None:
    replica = start(supervised=True).ready()
    for text in paragraphs(300):
        client.send(text)
    client.wait_replies(50)
    replica.kill()
    assert replica.ended() == SIGKILL_EXIT
    assert client.books.waiting, "killed too late"
    client.wait_answered()
    assert replica.exit_codes == [SIGKILL_EXIT]
    assert client.books.tally().duplicated <= PREFETCH


@fault("kill -9 between confirm and ack")
def test_what_was_confirmed_and_not_acked_is_answered_twice_with_the_same_bytes(
    start: Start, client: Client, proxy: Proxy, damaged_url: str
) -> None:
    replica = start(supervised=True, AMQP_URL=damaged_url).ready()
    client.ask(SENTENCE)
    proxy.mute(b" requests")  # the connection that acks; replies go out and are confirmed on the other
    sent = [client.send(text) for text in sentences(32)]
    client.wait_answered()
    replica.kill()
    proxy.pass_on()
    assert replica.ended() == SIGKILL_EXIT
    client.wait_replies(1 + 2 * len(sent))
    assert client.books.tally().duplicated >= len(sent)


@pytest.mark.parametrize(
    "ends",
    [
        case("broker restart, quorum queue", BrokerNode.kill),
        case("broker restart, quorum queue, stopped in order", BrokerNode.stop, long=True),
    ],
)
def test_a_quorum_queue_and_all_in_it_outlive_the_broker(
    start: Start, client: Client, node: BrokerNode, ends: Any, record_property: Any
) -> None:
    client.declare()
    replica = start().ready()
    time.sleep(YOUNG_QUEUE_SECONDS)
    for text in paragraphs(600):
        client.send(text)
    client.wait_replies(100)
    ends(node)
    assert client.books.waiting, "restarted too late"
    time.sleep(1)
    node.start()
    client.wait_answered()
    record_property("longest_silence_s", round(client.longest_silence, 1))
    assert replica.exit_codes == []
    assert replica.ready().is_ready


@fault("broker restart, transient queue")
@pytest.mark.long
def test_a_transient_queue_is_declared_again(start: Start, client: Client, node: BrokerNode) -> None:
    replica = start(RPC_QUEUE_TYPE="transient").ready()
    for text in sentences(50):
        client.send(text)
    client.wait_answered()  # what is in a transient queue dies with the broker; docs/operations.md says so
    node.stop()
    node.start()
    assert client.ask(SENTENCE).error is None
    assert replica.exit_codes == []
