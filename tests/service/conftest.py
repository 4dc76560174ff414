"""A broker that answers, queues of a test's own, and services that end with it."""

import os
import shlex
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pika
import pytest
from broker.installation import NodeUnavailable, installation
from broker.node import BrokerNode, private_node
from images import missing
from proxy import Proxy
from service_process import ROOT, Client, Service, application_folder


def _broker_url() -> str | None:
    """The broker of the environment, else the one that `deploy/local up` wrote down."""
    if url := os.environ.get("AMQP_URL"):
        return url
    local = ROOT / ".local" / "env"
    lines = shlex.split(local.read_text(encoding="utf-8")) if local.exists() else []
    return dict(line.split("=", 1) for line in lines if "=" in line).get("AMQP_URL")


AS_DEPLOYED, NEWER = "deployed", "RabbitMQ 4.0"
ON_BOTH = {"test_contract", "test_erroneous_input", "test_quarantine_commands"}
"""The modules that `make test` runs on the newer release too; `make faults` runs the others."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What `make test` leaves out of these tests."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if parameters.get("amqp_url") == NEWER and item.path.stem not in ON_BOTH:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def newer_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerNode]:
    """A broker of the suite's own, of the newer release."""
    try:
        with private_node(tmp_path_factory.mktemp("broker"), installation(NEWER)) as node:
            yield node
    except NodeUnavailable as error:
        missing(error)


@pytest.fixture(scope="session", params=[AS_DEPLOYED, NEWER])
def amqp_url(request: pytest.FixtureRequest) -> str:
    """The URL of a broker that answers: the one that there is, and one of the newer release."""
    if request.param == NEWER:
        newer: BrokerNode = request.getfixturevalue("newer_broker")
        return newer.url
    url = _broker_url()
    if url is not None:
        parts = urlsplit(url)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 5672), timeout=5).close()
        except OSError:
            url = None
    if url is None:
        missing(NodeUnavailable("no broker answers: `deploy/local up` brings one up"))
    return url


@pytest.fixture
def request_queue(amqp_url: str) -> Iterator[str]:
    """A queue name of the test's own. The queues go last: a service that runs would declare them again."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        for queue in (name, f"{name}.quarantine"):
            channel.queue_delete(queue)


@pytest.fixture
def client(amqp_url: str, request_queue: str) -> Iterator[Client]:
    """A client of that queue."""
    each = Client(amqp_url, request_queue)
    yield each
    each.close()


@pytest.fixture
def proxy(amqp_url: str) -> Iterator[Proxy]:
    """A way to the broker that can be damaged."""
    parts = urlsplit(amqp_url)
    with Proxy(parts.hostname or "", parts.port or 5672) as each:
        yield each


@pytest.fixture
def through(amqp_url: str) -> Callable[[int], str]:
    """The broker's URL with another port on this machine."""

    def url(port: int) -> str:
        parts = urlsplit(amqp_url)
        return urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}"))

    return url


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application folder with the model that obeys."""
    return application_folder(tmp_path_factory.mktemp("application") / "dragoman")


@pytest.fixture
def start(application: Path, tmp_path: Path, amqp_url: str, request_queue: str) -> Iterator[Callable[..., Service]]:
    """Starts a service with settings of the test's choice."""
    services: list[Service] = []

    def start(**settings: str) -> Service:
        environment = {"AMQP_URL": amqp_url, "RPC_QUEUE": request_queue} | settings
        services.append(Service(application, tmp_path / f"service-{len(services)}", environment))
        return services[-1]

    yield start
    for service in services:
        service.end()
