"""Alarms of the broker, stops, and both at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from broker.node import BrokerNode, free_port
from patience import AT_ONCE_SECONDS, until

from .client import Client
from .conftest import Start
from .rows import case, fault
from .texts import SENTENCE, paragraphs, sentences

DRAIN_SECONDS = 60.0
ALARMS = {
    "memory": (("set_vm_memory_high_watermark", "absolute", "1MB"), ("set_vm_memory_high_watermark", "0.4")),
    "disk": (("set_disk_free_limit", "1000000GB"), ("set_disk_free_limit", "50MB")),
}


@contextmanager
def alarm(node: BrokerNode, resource: str) -> Iterator[None]:
    """The broker is out of memory or disk space while the block runs."""
    on, off = ALARMS[resource]
    node.control(*on)
    try:
        yield
    finally:
        node.control(*off)


@pytest.mark.parametrize("resource", [case("memory alarm", "memory"), case("disk alarm", "disk", long=True)])
def test_an_alarm_blocks_the_service_until_it_is_over(
    start: Start, client: Client, node: BrokerNode, resource: str
) -> None:
    client.declare()
    for text in sentences(100):
        client.send(text)
    client.wait_confirmed()  # an alarm stops clients as well
    port = free_port()
    with alarm(node, resource):
        replica = start(METRICS_PORT=str(port)).says("blocked by an alarm")
        assert replica.metrics(port)["dragoman_connection_blocked"] == 1
        assert not replica.is_ready
        time.sleep(2)
        assert client.books.waiting, "the alarm stopped nobody"
        assert replica.is_running
    client.wait_answered()
    until(lambda: replica.metrics(port)["dragoman_connection_blocked"] == 0, "not blocked any more")
    assert replica.ready().is_ready
    assert replica.exit_codes == []


@fault("SIGTERM during an alarm")
def test_a_stop_during_an_alarm_is_75_at_the_deadline_and_nothing_is_lost(
    start: Start, client: Client, node: BrokerNode
) -> None:
    client.declare()
    for text in sentences(100):
        client.send(text)
    client.wait_confirmed()
    with alarm(node, "memory"):
        replica = start(DRAIN_SECONDS="2").says("blocked by an alarm")
        began = time.monotonic()
        assert replica.stop() == 75
        assert 1.5 < time.monotonic() - began < 2 + AT_ONCE_SECONDS
        replica.says("closing hard")
    start().ready()
    client.wait_answered()


@fault("SIGTERM mid-batch")
def test_a_stop_finishes_the_batch_and_gives_back_the_rest(start: Start, client: Client) -> None:
    replica = start(DRAIN_SECONDS=str(DRAIN_SECONDS)).ready()
    for text in paragraphs(900):
        client.send(text)
    client.wait_replies(50)
    began = time.monotonic()
    assert replica.stop() == 0
    assert time.monotonic() - began < DRAIN_SECONDS
    assert client.books.waiting, "stopped too late"
    start().ready()
    client.wait_answered()
    assert client.books.tally().duplicated == 0


@fault("SIGTERM before connect")
def test_a_stop_before_there_is_a_connection_is_0_at_once(start: Start, client: Client) -> None:
    client.declare()
    client.send(SENTENCE)
    client.wait_confirmed()
    replica = start(AMQP_URL=f"amqp://guest:guest@127.0.0.1:{free_port()}/").says("no connection to the broker")
    began = time.monotonic()
    assert replica.stop() == 0
    assert time.monotonic() - began < AT_ONCE_SECONDS
    assert client.depth() == 1
