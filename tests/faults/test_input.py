"""Every kind of input: translated, answered with the fallback, or quarantined."""

import gzip
import struct
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from broker.node import BrokerNode
from images import Version
from raw_headers import RawTable

from build_model.engine import Engine

from .client import Client
from .conftest import Start, starting
from .fleet import Replica
from .rows import case, fault
from .texts import FALLBACK, SENTENCE, longest

MOST_MEMORY_MB = 600


@pytest.fixture(scope="module")
def queue() -> str:
    """One for the replica that most of these share."""
    return f"faults-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def start(engine: Engine, released: Version, node: BrokerNode, queue: str) -> Iterator[Start]:
    with starting(engine, released.reference, node, queue) as start:
        yield start


@pytest.fixture(scope="module")
def replica(start: Start) -> Replica:
    """Ends with 65 at erroneous input, and is started again at once."""
    return start(supervised=True)


@pytest.fixture(autouse=True)
def serving(replica: Replica) -> Replica:
    return replica.ready()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        case("empty", "", "empty"),
        case("NUL only", "\0\0\0", "no-letters"),
        case("Arabic", "أريد أن أنام", "unknown-script"),
        case("emoji only", "😀🎉", "no-letters"),
    ],
)
def test_what_can_not_be_translated_gets_the_fallback_and_the_service_goes_on(
    replica: Replica, client: Client, text: str, error: str
) -> None:
    ends = len(replica.exit_codes)
    reply = client.ask(text)
    assert (reply.body, reply.error) == (FALLBACK, error)
    assert client.ask(SENTENCE).error is None
    assert len(replica.exit_codes) == ends


@fault("10 MB of valid text")
def test_ten_megabytes_get_the_fallback_and_memory_stays_low(
    replica: Replica, client: Client, record_property: Any
) -> None:
    text = SENTENCE.encode() * (10_000_000 // len(SENTENCE))
    for key in [client.send(text) for _ in range(10)]:  # all at once
        reply = client.reply(key)
        assert (reply.body, reply.error) == (FALLBACK, "too-long")
    assert client.ask(SENTENCE).error is None
    peak_mb = replica.memory_mb("VmHWM")
    record_property("peak_memory_mb", round(peak_mb))
    assert peak_mb <= MOST_MEMORY_MB


@fault("no correlation_id")
def test_a_request_without_a_correlation_id_gets_a_reply_without(client: Client) -> None:
    reply = client.ask(SENTENCE, None)
    assert reply.properties.correlation_id is None
    assert reply.error is None


@fault("binary correlation_id")
def test_a_binary_correlation_id_is_echoed_exactly(client: Client) -> None:
    key = b"\xff\x00\xfe\x80" + uuid.uuid4().bytes
    assert client.ask(SENTENCE, key).properties.correlation_id == key


@fault("header with a far-future timestamp")
def test_a_timestamp_that_python_can_not_hold_is_served(
    client: Client, raw_headers: Callable[[bytes], RawTable]
) -> None:
    past_9999 = raw_headers(b"\x01tT" + struct.pack(">Q", 2**63))
    assert client.ask(SENTENCE, headers=past_9999).error is None


@pytest.mark.parametrize(
    ("body", "properties", "reason", "answered"),
    [
        case("invalid UTF-8", b"Je vais \xff\xfe", {}, "not-utf8", True),
        case("no reply_to", b"Bonjour", {"reply_to": None}, "reply-to", False),
        case("reply_to = rpc_queue", b"Bonjour", {"reply_to": "QUEUE"}, "reply-to", False),
        case("gzip encoding", gzip.compress(b"Bonjour"), {"content_encoding": "gzip"}, "content-encoding", True),
    ],
)
def test_erroneous_input_is_quarantined_and_costs_one_restart(
    replica: Replica, client: Client, body: bytes, properties: dict[str, Any], reason: str, answered: bool
) -> None:
    ends = len(replica.exit_codes)
    if properties.get("reply_to"):
        properties = {"reply_to": client.queue}
    bad = client.send(body, erroneous=True, gone=not answered, **properties)
    assert replica.ended(ends + 1) == 65
    replica.ready()
    copy = client.copy(bad)
    assert copy.properties.headers["x-reason"] == reason
    assert copy.properties.delivery_mode == 2
    if answered:
        assert (client.reply(bad).body, client.reply(bad).error) == (FALLBACK, reason)
    assert client.ask(SENTENCE).error is None
    assert replica.exit_codes[ends:] == [65]


@fault("one bad inside a batch of 32")
def test_the_31_others_are_answered_first(replica: Replica, client: Client) -> None:
    ends = len(replica.exit_codes)
    # Keeps the model busy while the others arrive; the last alone must be in the batch of the bad one.
    client.send(longest())
    sent = [
        client.send(b"\xff", erroneous=True) if number == 29 else client.send(f"J'ai {number} chats.")
        for number in range(31)
    ]
    client.wait_answered()
    order = list(client.replies)
    assert order[-1] == sent[29]
    assert client.replies[sent[29]].error == "not-utf8"
    assert replica.ended(ends + 1) == 65
    assert replica.exit_codes[ends:] == [65]
