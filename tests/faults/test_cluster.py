"""A broker of three nodes, of which the one that leads the request queue is killed."""

import time
from collections.abc import Iterator
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import pytest
from broker.installation import NodeUnavailable, installation
from broker.node import BrokerNode
from broker.node import cluster as private_cluster
from images import missing
from patience import until

from .client import Client
from .conftest import Start
from .rows import case
from .texts import SENTENCES

RATE = 50.0
"""Requests a second."""
CALM_SECONDS = 3.0
"""Under load, before a kill and after the last one that was killed has returned."""
AFTER = 50
"""Replies that come from the nodes that are left, before the other one is started again."""
CONFIRM_SECONDS = 5.0
"""So long a client waits for a confirm before it connects anew. RabbitMQ 3.10 may confirm nothing on a channel that was
opened between the leader's end and the election of the next, until the old one is back."""


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[BrokerNode]]:
    """Three nodes of one release that are one broker."""
    try:
        with private_cluster(tmp_path_factory.mktemp("cluster"), installation(request.param)) as nodes:
            yield nodes
    except NodeUnavailable as error:
        missing(error)


@pytest.fixture
def node(cluster: list[BrokerNode]) -> BrokerNode:
    """What other fixtures call the broker."""
    return cluster[0]


@pytest.fixture
def urls(cluster: list[BrokerNode]) -> str:
    """All nodes, as the service is told of them."""
    return " ".join(each.url for each in cluster)


@pytest.fixture
def client(cluster: list[BrokerNode], urls: str, queue: str) -> Iterator[Client]:
    """A client of all nodes, whose replies outlive any of them too."""
    with Client(urls, queue, reply_type="quorum", confirm_seconds=CONFIRM_SECONDS) as each:
        yield each
        for one in cluster:
            one.revive()


@pytest.mark.parametrize(
    "kills", [case("cluster, leader killed", 1), case("cluster, leader killed five times", 5, long=True)]
)
def test_a_cluster_loses_its_leader_and_nothing_else(
    start: Start, client: Client, cluster: list[BrokerNode], urls: str, kills: int, record_property: Any
) -> None:
    client.declare()
    replica = start(AMQP_URL=urls).ready()
    killed = []
    with client.sending(cycle(SENTENCES), RATE):
        for _ in range(kills):
            time.sleep(CALM_SECONDS)
            leader = leading(cluster, client.queue)
            leader.kill()
            killed.append(leader.name)
            client.wait_replies(len(client.answered_at) + AFTER)
            leader.start()
        time.sleep(CALM_SECONDS)
    client.wait_answered()
    record_property("longest_silence_s", round(client.longest_silence, 1))
    record_property("killed", " ".join(name.partition("@")[0] for name in killed))
    assert replica.exit_codes == []
    assert replica.ready().is_ready
    said = "".join(map(str, replica.log))
    assert urlsplit(cluster[0].url).password not in said
    assert client.quarantined() == {}


def leading(cluster: list[BrokerNode], queue: str) -> BrokerNode:
    """The node on which a quorum queue's leader is, once all have a member that is up: two of three must be left."""

    def found() -> BrokerNode | None:
        for line in cluster[0].control("list_queues", "name", "leader", "online").splitlines():
            name, leader, online = line.split("\t")
            if name == queue and all(each.name in online for each in cluster):
                return next(each for each in cluster if each.name == leader)
        return None

    node: BrokerNode = until(found, "a member of the queue on every node, and one that leads")
    return node
