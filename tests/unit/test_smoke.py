"""The smoke test's private queue and what it says of a broker; what it does to an image is in tests/black_box."""

from collections.abc import Iterator
from itertools import chain, cycle, repeat
from math import inf
from typing import ClassVar

import pytest

from build_model.operation.rpc import Broker
from build_model.operation.smoke import Candidate, SmokeFailed
from dragoman.client import BrokerUnreachable


def test_a_broker_that_does_not_answer_is_one_line_with_its_cause_and_no_password() -> None:
    with pytest.raises(BrokerUnreachable, match="refused") as error:
        Broker("amqp://user:secret@127.0.0.1:1/%2F?connection_attempts=1")
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["http://host", "amqp://host:port/%2F", "rabbitmq"])
def test_what_is_no_amqp_url_is_said_to_be_none(url: str) -> None:
    with pytest.raises(BrokerUnreachable, match="can't be used"):
        Broker(url)


class Paced(Candidate):
    """A candidate whose answers take as long as a test says: on each queue one time after the other."""

    paces: ClassVar[dict[str, Iterator[float]]] = {}

    def _seconds(self, queue: str, source: str) -> float:
        return next(self.paces[queue])


def paced(here: Iterator[float], there: Iterator[float] | None) -> Paced:
    Paced.paces = {"private": here, "rpc_queue": there or repeat(0.0)}
    goldens = {str(number): "" for number in range(32)}
    rival = "rpc_queue" if there else None
    return Paced(None, None, "c", "private", goldens, "1.0.0", "a", 0.0, rival, "Je vais dormir.")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (repeat(0.09), repeat(0.001)),  # fast enough, however fast the other is
        (repeat(0.5), repeat(0.2)),  # a slow machine
        (repeat(1.9), None),  # nothing serves yet
        (cycle([0.01] * 4 + [9.0]), repeat(0.02)),  # one hiccup
        (chain(repeat(0.9, 5), repeat(0.02)), repeat(0.02)),  # a machine that was busy for a moment
    ],
)
def test_a_version_that_is_not_much_slower_than_the_one_that_serves_is_in_time(
    here: Iterator[float], there: Iterator[float] | None
) -> None:
    paced(here, there).answers_in_time()


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        (repeat(0.5), repeat(0.02), "it takes 0.50 s for a sentence, what serves now 0.02 s; 0.10 s would do"),
        (repeat(2.5), None, "it takes 2.50 s for a sentence; 2.00 s would do"),
        (repeat(2.5), repeat(inf), "it takes 2.50 s for a sentence; 2.00 s would do"),
    ],
)
def test_a_version_that_is_much_slower_is_refused_with_both_times(
    here: Iterator[float], there: Iterator[float] | None, said: str
) -> None:
    with pytest.raises(SmokeFailed) as error:
        paced(here, there).answers_in_time()
    assert str(error.value) == said
