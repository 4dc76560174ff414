"""The network between the service and the broker."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from proxy import Proxy

from .client import Client
from .conftest import Start
from .rows import case, fault
from .texts import SENTENCE, paragraphs, sentences

NOTICED_SECONDS = 60.0
MOST_GROWTH = 1.2


@pytest.mark.parametrize("damage", [case("link reset", Proxy.reset), case("link cut mid-frame", Proxy.cut_mid_frame)])
def test_a_link_that_breaks_again_and_again_loses_nothing(
    start: Start, client: Client, proxy: Proxy, damaged_url: str, damage: Callable[[Proxy], None]
) -> None:
    replica = start(AMQP_URL=damaged_url).ready()
    for text in paragraphs(600):
        client.send(text)
    for breaks in range(1, 4):
        client.wait_replies(breaks * 60)
        lost, served = replica.said("no connection to the broker"), replica.said("serving")
        damage(proxy)
        replica.says("no connection to the broker", times=lost + 1)
        replica.says("serving", times=served + 1)  # or the next break would fall between two connections
    client.wait_answered()
    assert replica.exit_codes == []


@fault("half-open link")
@pytest.mark.long
def test_a_link_that_swallows_everything_is_noticed_within_a_minute(
    start: Start, client: Client, proxy: Proxy, damaged_url: str, record_property: Any
) -> None:
    replica = start(AMQP_URL=damaged_url).ready()
    for text in paragraphs(900):
        client.send(text)
    client.wait_replies(50)
    proxy.drop()
    proxy.pass_on()  # what is open stays dead, and says nothing; a new connection works
    began = time.monotonic()
    answered = client.books.answered
    assert client.books.waiting
    replica.says("no connection to the broker", times=2, seconds=NOTICED_SECONDS)
    noticed_seconds = time.monotonic() - began
    client.wait_answered()
    record_property("answered_before", answered)
    record_property("noticed_s", round(noticed_seconds, 1))
    record_property("longest_silence_s", round(client.longest_silence, 1))
    assert replica.exit_codes == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("delay_seconds", "bytes_per_second"),
    [case("slow broker", 0.3, None), case("throttled link", 0.0, 20_000.0)],
)
def test_a_slow_link_costs_throughput_and_no_memory(
    start: Start,
    client: Client,
    proxy: Proxy,
    damaged_url: str,
    delay_seconds: float,
    bytes_per_second: float | None,
    record_property: Any,
) -> None:
    replica = start(AMQP_URL=damaged_url).ready()
    for text in sentences(1000):
        client.send(text)
    client.wait_answered()
    time.sleep(2)
    at_rest_mb = replica.memory_mb()
    proxy.delay_seconds, proxy.bytes_per_second = delay_seconds, bytes_per_second
    before = client.books.replies
    with replica.watched() as memory_mb:
        for text in sentences(5000):
            client.send(text)
        time.sleep(20)
        slow = (client.books.replies - before) / 20
        proxy.delay_seconds, proxy.bytes_per_second = 0.0, None
        began, before = time.monotonic(), client.books.replies
        client.wait_answered()
        fast = (client.books.replies - before) / (time.monotonic() - began)
    record_property("requests_per_second", f"{slow:.0f} of {fast:.0f}")
    record_property("memory_mb", f"{max(memory_mb):.0f}, {at_rest_mb:.0f} at rest")
    assert slow < fast
    assert max(memory_mb) <= MOST_GROWTH * at_rest_mb
    assert replica.exit_codes == []


@fault("no network at start; broker appears a minute later")
@pytest.mark.long
def test_a_service_that_starts_before_its_network_waits_and_then_serves(
    start: Start, client: Client, record_property: Any
) -> None:
    client.declare()
    for text in sentences(20):
        client.send(text)
    client.wait_confirmed()
    replica = start(networked=False).says("no connection to the broker")
    time.sleep(60)
    assert replica.is_running
    assert not replica.is_ready
    assert replica.execute("python3", "-m", "service", "health", "live") == 0
    replica.connect()
    began = time.monotonic()
    client.wait_answered()
    record_property("served_after_s", round(time.monotonic() - began, 1))
    assert client.ask(SENTENCE).error is None
    assert replica.exit_codes == []
