"""Versions change while people work: forward and back under load, with deploys that are killed in between."""

import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
from faults.client import Client
from images import ROOT, Version

from .places import Place
from .test_cut_off import PHASES, killed

MOST_A_SECOND, REPLICAS, ROUNDS = 300, 3, 5
SHARE = 1 / 3  # of what the machine can do: new replicas load and are tried meanwhile
BURST = 600
REST_SECONDS = 10
TIMES_SLOWER = 3.0
IN_NOISE_SECONDS = 0.25
"""On a machine that has other things to do, a wait this long says nothing about the change."""
SENTENCES = ROOT / "tests" / "fixtures" / "pairs.tsv"


class Timed(Client):
    """A client that knows how long each request took."""

    def __init__(self, url: str, queue: str) -> None:
        self.sent: dict[object, float] = {}
        self.seconds: list[tuple[float, float]] = []
        super().__init__(url, queue)

    def send(self, *arguments: Any, **properties: Any) -> Any:
        began = time.monotonic()
        key = super().send(*arguments, **properties)
        self.sent[key] = began
        return key

    def _replied(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        super()._replied(channel, method, properties, body)
        now = time.monotonic()
        self.seconds.append((now, now - self.sent.get(properties.correlation_id, now)))

    def p99(self, since: float, until: float) -> float:
        """Of the requests that were answered in a time."""
        found = sorted(seconds for at, seconds in self.seconds if since <= at < until)
        return found[int(0.99 * (len(found) - 1))]


def texts(path: Path) -> Iterator[str]:
    """French, for ever."""
    return cycle(line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines())


@pytest.fixture
def client(place: Place) -> Iterator[Timed]:
    """The people who work meanwhile."""
    with Timed(place.urls.client, place.name) as client:
        yield client


def rate(client: Timed, sentences: Iterator[str]) -> float:
    """How many requests a second this machine is asked: 300, or what it bears."""
    began = time.monotonic()
    for text in islice(sentences, BURST):
        client.send(text)
    client.wait_answered()
    return min(MOST_A_SECOND, SHARE * BURST / (time.monotonic() - began))


@pytest.mark.long
def test_forward_and_back_five_times_with_a_deploy_killed_in_each_phase_loses_nothing(
    place: Place, released: Version, second: Version, client: Timed, record_property: Any
) -> None:
    replicas = ("--replicas", str(REPLICAS))
    assert place.deploy("1.0.0", *replicas).exit_code == 0
    phases = islice(cycle(PHASES), ROUNDS)
    asked = rate(client, texts(SENTENCES))
    with client.sending(texts(SENTENCES), asked):
        began = time.monotonic()
        time.sleep(REST_SECONDS)
        at_rest = client.p99(began + 1, time.monotonic())
        changing = time.monotonic()
        for phase in phases:
            killed(place, phase, *place.deploying("2.0.0", *replicas))
            assert place.command("unlock").exit_code == 0
            for ran in (place.deploy("2.0.0", *replicas), place.command("rollback", "--observe", "1")):
                assert ran.exit_code == 0, ran.stdout + ran.stderr
            assert place.versions() == ["1.0.0"] * REPLICAS
        meanwhile = client.p99(changing, time.monotonic())
    client.wait_answered()
    client.settle()
    client.books.check()
    tally = client.books.tally()
    for name, value in {"rate": asked, "p99_at_rest_s": at_rest, "p99_meanwhile_s": meanwhile, **vars(tally)}.items():
        record_property(name, value)
    print(f"{asked:.0f} requests/s; p99 at rest {at_rest:.3f} s, meanwhile {meanwhile:.3f} s; {tally}")
    assert tally.lost == 0
    assert tally.answered == tally.attempted
    assert meanwhile <= max(TIMES_SLOWER * at_rest, IN_NOISE_SECONDS)
