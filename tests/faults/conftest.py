"""Real damage to the real image: a private RabbitMQ, a proxy on the link, containers that are killed.

Every test is a row of `rows.py`, and keeps books: nothing may be lost in any. A table at the end of the run and
reports/faults.json say what each row measured.
"""

import json
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import pytest
from broker.installation import RELEASES, NodeUnavailable, installation
from broker.node import BrokerNode, private_node
from images import ROOT, Version, missing
from proxy import Proxy
from rich.console import Console
from rich.table import Table

from build_model.engine import Engine
from daemons.engine import bridge_gateway

from .books import Books
from .client import Client
from .fleet import Replica, through
from .rows import ROWS

REPORT = ROOT / "reports" / "faults.json"
BROKERS = {
    "cluster": [pytest.param("RabbitMQ 3.10", marks=pytest.mark.long), "RabbitMQ 4.0"],
    "node": list(RELEASES),
}
"""The fixtures that are a broker, and the releases of it; a test's broker is the first one that it has."""
COLUMNS = ("attempted", "answered", "returned", "quarantined", "duplicated", "lost")
_results: dict[tuple[str, str], dict[str, Any]] = {}

Start = Callable[..., Replica]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every row is played on each release of RabbitMQ."""
    for broker, releases in BROKERS.items():
        if broker in metafunc.fixturenames:
            metafunc.parametrize(broker, releases, indirect=True, scope="session")
            return


@pytest.fixture(scope="session")
def node(
    request: pytest.FixtureRequest, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrokerNode]:
    """The broker of these tests, of one release."""
    try:
        found = installation(request.param)
        with private_node(tmp_path_factory.mktemp("broker"), found, [bridge_gateway()]) as broker:
            yield broker
    except NodeUnavailable as error:
        missing(error)


@pytest.fixture
def queue() -> str:
    """The name of a request queue of the test's own. A module whose tests share a replica makes it the module's."""
    return f"faults-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def client(node: BrokerNode, queue: str) -> Iterator[Client]:
    """A client with empty books."""
    with Client(node.url, queue) as each:
        yield each
        node.revive()


@pytest.fixture
def proxy(node: BrokerNode) -> Iterator[Proxy]:
    """A way to the broker that can be damaged."""
    with Proxy("127.0.0.1", node.port) as each:
        yield each


@pytest.fixture
def damaged_url(node: BrokerNode, proxy: Proxy) -> str:
    """The broker by way of the proxy."""
    return through(node.url, proxy)


@pytest.fixture
def start(engine: Engine, released: Version, node: BrokerNode, queue: str) -> Iterator[Start]:
    """Starts replicas on the test's queue, with settings of its choice; ``image`` is another than the released one."""
    with starting(engine, released.reference, node, queue) as start:
        yield start


@contextmanager
def starting(engine: Engine, released: str, node: BrokerNode, queue: str) -> Iterator[Start]:
    """Replicas on a queue, which end with the block."""
    replicas: list[Replica] = []

    def start(image: str = released, *, supervised: bool = False, networked: bool = True, **settings: str) -> Replica:
        environment = {"AMQP_URL": node.url if networked else node.bridge_url, "RPC_QUEUE": queue} | settings
        name = f"{queue}-{len(replicas)}"
        replicas.append(Replica(engine, image, name, environment, supervised=supervised, networked=networked))
        return replicas[-1]

    try:
        yield start
    finally:
        for replica in replicas:
            replica.remove()


# The books of every row


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here is a row."""
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "faults") and row_of(item) not in ROWS:
            raise pytest.UsageError(f"{item.nodeid} is no row of the fault table: {row_of(item)!r}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """A row that did what it should must balance its books as well."""
    outcome = yield
    client: Client = funcargs(item)["client"]
    client.settle()
    client.books.check()
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Writes a row down, whether or not it passed."""
    report = yield
    if not report.skipped and (call.when == "call" or report.failed):
        books: Books = getattr(funcargs(item).get("client"), "books", None) or Books()
        report.fault_row = {
            "fault": row_of(item),
            "broker": broker_of(item),
            **asdict(books.tally()),
            "passed": report.passed,
            "seconds": round(call.duration, 1),
            "measured": dict(item.user_properties),
        }
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collects the rows: a report comes here from other processes too, where tests run in several."""
    if row := getattr(report, "fault_row", None):
        _results[row["fault"], row["broker"]] = row


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The report as a file. A run that leaves rows out, as `make test` does, keeps that of the last whole one."""
    option = session.config.option
    if _results and not option.markexpr and not option.keyword:
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(rows_in_order(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The report as a table."""
    rows = rows_in_order()
    if not rows:
        return
    table = Table("fault", "broker", title="What became of every request")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    table.add_column("passed")
    table.add_column("measured")
    for row in rows:
        counts = [f"{row[column]:,}" for column in COLUMNS]
        measured = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row["measured"].items())
        table.add_row(row["fault"], row["broker"], *counts, "yes" if row["passed"] else "NO", measured)
    console = Console(width=160)
    with console.capture() as captured:
        console.print(table)
    terminalreporter.write_line("")
    terminalreporter.write(captured.get())


def rows_in_order() -> list[dict[str, Any]]:
    """The rows that were run, in the table's order."""
    return [_results[row, broker] for row in ROWS for broker in RELEASES if (row, broker) in _results]


def row_of(item: pytest.Item) -> str:
    """The row that a test is; empty where it is none."""
    marker = item.get_closest_marker("fault")
    return marker.args[0] if marker else ""


def broker_of(item: pytest.Item) -> str:
    """The release of RabbitMQ that it is played on."""
    parameters: dict[str, Any] = item.callspec.params  # type: ignore[attr-defined]
    release: str = next(parameters[broker] for broker in BROKERS if broker in parameters)
    return release


def funcargs(item: pytest.Item) -> dict[str, Any]:
    """The fixtures of a test."""
    found: dict[str, Any] = getattr(item, "funcargs", {})
    return found
