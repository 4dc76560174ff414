"""When a connection is opened again. Nobody listens; the loop and the library are real."""

import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from pika.adapters.select_connection import IOLoop

from service.connection import endpoints
from service.link import Link
from service.settings import Settings


@dataclass
class Attempts:
    """A link to a port that nobody listens on, and when its attempts failed."""

    loop: IOLoop
    link: Link
    failed_at: list[float] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Runs the loop for so long."""
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.start()


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Attempts]:
    monkeypatch.setattr("service.link.BACKOFF_SECONDS", 60.0)
    monkeypatch.setattr(random, "uniform", lambda _, most: most)  # the longest wait that jitter can give: 30 s
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings = Settings(amqp_url=f"amqp://guest:guest@127.0.0.1:{port}/")
    loop = IOLoop()
    failed_at: list[float] = []
    link = Link(
        loop,
        endpoints(settings, "test"),
        opened=lambda _: None,
        lost=lambda: None,
        failed=lambda _: failed_at.append(time.monotonic()),
        raised=lambda _: None,
    )
    yield Attempts(loop, link, failed_at)
    loop.close()


def test_a_link_waits_before_it_tries_again(attempts: Attempts) -> None:
    attempts.link.open()
    attempts.run(1)
    assert len(attempts.failed_at) == 1


def test_a_link_that_is_hastened_tries_again_at_once_and_then_waits(attempts: Attempts) -> None:
    attempts.link.open()
    attempts.run(1)
    attempts.link.hasten()
    attempts.run(1)
    assert len(attempts.failed_at) == 2


def test_a_link_that_is_ended_is_not_hastened(attempts: Attempts) -> None:
    closed: list[bool] = []
    attempts.link.open()
    attempts.run(1)
    attempts.link.close(lambda: closed.append(True))
    attempts.link.hasten()
    attempts.run(1)
    assert closed == [True]
    assert len(attempts.failed_at) == 1
