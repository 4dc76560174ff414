"""Everything at once."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from broker.node import BrokerNode
from proxy import Proxy

from .client import Client
from .conftest import Start
from .rows import fault
from .texts import erroneous, sentences

REQUESTS, BAD_EVERY, RATE = 20_000, 100, 200
KILL_EVERY_SECONDS, STALL_SECONDS = 5.0, 10.0

Result = TypeVar("Result")


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
    killer = every(KILL_EVERY_SECONDS, done, [replica.kill for replica in replicas])
    damage = [
        at(began + share * seconds, act)
        for share, act in [
            (0.25, lambda: stall(proxy)),
            (0.40, lambda: restart(node, node.kill)),
            (0.60, lambda: stall(proxy)),
            (0.75, lambda: restart(node, node.stop)),
        ]
    ]
    bad = set()
    for number, text in enumerate(sentences(REQUESTS)):
        if number % BAD_EVERY == 0:
            body, properties = erroneous(number // BAD_EVERY, client.queue)
            bad.add(client.send(body, erroneous=True, gone="reply_to" in properties, **properties))
        else:
            client.send(text)
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
    for each in damage:
        each.result(120)
    done.set()
    killer.result(30)
    client.wait_answered()
    copies = client.quarantined(len(bad), seconds=120)
    exit_codes = [code for replica in replicas for code in replica.exit_codes]
    record_property("kills", len(exit_codes))
    record_property("longest_silence_s", round(client.longest_silence, 1))
    record_property("seconds", round(time.monotonic() - began))
    assert copies.keys() == bad
    assert set(exit_codes) == {137}
    assert len(exit_codes) == killer.result()


def in_thread(action: Callable[[], Result]) -> Future[Result]:
    """What an action gives or raises, in time."""
    executor = ThreadPoolExecutor(max_workers=1)
    future = executor.submit(action)
    executor.shutdown(wait=False)
    return future


def every(seconds: float, done: threading.Event, actions: list[Callable[[], None]]) -> Future[int]:
    """Does one thing after the other, and again, with so much time between, until ``done``; how often."""

    def act() -> int:
        turn = 0
        while not done.wait(seconds):
            actions[turn % len(actions)]()
            turn += 1
        return turn

    return in_thread(act)


def at(moment: float, action: Callable[[], None]) -> Future[None]:
    """Does something at a moment."""

    def act() -> None:
        time.sleep(max(0.0, moment - time.monotonic()))
        action()

    return in_thread(act)


def stall(proxy: Proxy) -> None:
    """Nothing moves on the link for a while."""
    proxy.stall()
    time.sleep(STALL_SECONDS)
    proxy.resume()


def restart(node: BrokerNode, end: Callable[[], None]) -> None:
    """The broker goes and comes."""
    end()
    node.start()
