"""Everything at once."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from proxy import Proxy

from .broker_node import BrokerNode
from .client import Client
from .conftest import Start
from .rows import fault
from .texts import erroneous, sentences

REQUESTS, BAD_EVERY, RATE = 20_000, 100, 200
KILL_EVERY_SECONDS, STALL_SECONDS = 5.0, 10.0


@fault("combined run")
@pytest.mark.long
def test_nothing_is_lost_when_everything_fails_at_once(
    start: Start, client: Client, node: BrokerNode, proxy: Proxy, damaged_url: str, record_property: Any
) -> None:
    client.declare()
    replicas = [start(supervised=True, AMQP_URL=damaged_url, ON_ERRONEOUS_INPUT="continue") for _ in range(3)]
    for replica in replicas:
        replica.ready()
    done = threading.Event()
    began = time.monotonic()
    seconds = REQUESTS / RATE
    damage = [
        every(KILL_EVERY_SECONDS, done, [replica.kill for replica in replicas]),
        at(began + seconds * 0.25, done, lambda: stall(proxy)),
        at(began + seconds * 0.40, done, lambda: restart(node, node.kill)),
        at(began + seconds * 0.60, done, lambda: stall(proxy)),
        at(began + seconds * 0.75, done, lambda: restart(node, node.stop)),
    ]
    bad = set()
    for number, text in enumerate(sentences(REQUESTS)):
        if number % BAD_EVERY == 0:
            body, properties = erroneous(number // BAD_EVERY, client.queue)
            bad.add(client.send(body, erroneous=True, gone="reply_to" in properties, **properties))
        else:
            client.send(text)
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
    for thread in damage[1:]:
        thread.join(120)
    done.set()
    damage[0].join(30)
    client.wait_answered(seconds=300)
    copies = client.quarantined(len(bad), seconds=120)
    exit_codes = [code for replica in replicas for code in replica.exit_codes]
    record_property("kills", len(exit_codes))
    record_property("longest_silence_s", round(client.longest_silence, 1))
    record_property("seconds", round(time.monotonic() - began))
    assert copies.keys() == bad
    assert set(exit_codes) == {137}


def every(seconds: float, done: threading.Event, actions: list[Callable[[], None]]) -> threading.Thread:
    """Does one thing after the other, and again, with so much time between, until ``done``."""

    def act() -> None:
        turn = 0
        while not done.wait(seconds):
            actions[turn % len(actions)]()
            turn += 1

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def at(moment: float, done: threading.Event, action: Callable[[], None]) -> threading.Thread:
    """Does something at a moment, unless all is done before."""

    def act() -> None:
        if not done.wait(moment - time.monotonic()):
            action()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def stall(proxy: Proxy) -> None:
    """Nothing moves on the link for a while."""
    proxy.stall()
    time.sleep(STALL_SECONDS)
    proxy.resume()


def restart(node: BrokerNode, end: Callable[[], None]) -> None:
    """The broker goes and comes."""
    end()
    node.start()
