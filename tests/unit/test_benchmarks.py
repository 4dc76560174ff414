"""The benchmark's bookkeeping: percentiles, latency from when a request was due, and frames as pika reads them."""

import math

import pytest
from pika import frame, spec

from tests.benchmarks import page, stacks
from tests.benchmarks.books import Books, keeps_up, percentile
from tests.benchmarks.wire import Reader, Requests, WireError


@pytest.mark.parametrize(
    ("percent", "expected"), [(0.1, 1), (1, 1), (50, 50), (50.5, 51), (95, 95), (99, 99), (100, 100)]
)
def test_a_percentile_is_one_of_the_values(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in reversed(range(1, 101))], percent) == expected


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 50))


def test_latency_counts_from_when_a_request_was_due() -> None:
    books = Books()
    for due in (10.0, 10.5, 11.0):
        books.send(due)
    books.answer(1, 13.0)
    books.answer(0, 12.0)
    books.answer(0, 20.0)
    assert books.latencies(0, math.inf) == [2.0, 2.5]
    assert books.latencies(12.5, 13.5) == [2.5]
    assert (books.outstanding, books.answers, books.duplicates) == (1, 2, 1)


@pytest.mark.parametrize(
    ("rate", "outstanding", "expected"), [(20, 5, True), (20, 6, False), (200, 20, True), (200, 21, False)]
)
def test_a_line_that_grows_is_not_keeping_up(rate: float, outstanding: int, expected: bool) -> None:
    assert keeps_up(rate, outstanding) is expected


def test_a_request_is_what_pika_would_send() -> None:
    data = Requests("queue", "replies", ["Je dors.", "Été"])[3]
    frames = []
    while data:
        length, decoded = frame.decode_frame(data)
        frames.append(decoded)
        data = data[length:]
    method, header, body = frames
    assert (method.method.exchange, method.method.routing_key) == ("", "queue")
    assert (header.properties.correlation_id, header.properties.reply_to) == ("00000003", "replies")
    assert header.properties.delivery_mode == spec.PERSISTENT_DELIVERY_MODE
    assert (header.body_size, body.fragment.decode()) == (5, "Été")


PROPERTIES = (
    spec.BasicProperties(correlation_id="00000007"),
    spec.BasicProperties(correlation_id="00000007", delivery_mode=2, priority=1),
    spec.BasicProperties("text/plain", "utf-8", {"x-error": "empty", "x-n": 1}, correlation_id="00000007", type="t"),
)


@pytest.mark.parametrize("properties", PROPERTIES)
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_reply_is_read_whatever_it_carries_and_however_it_is_cut(
    properties: spec.BasicProperties, piece: int
) -> None:
    deliver = frame.Method(1, spec.Basic.Deliver("tag", 1, False, "", "replies"))
    parts = [deliver, frame.Header(1, 5, properties), frame.Body(1, b"Hello")]
    data = b"".join(part.marshal() for part in parts) * 2
    reader = Reader()
    found = [reply for at in range(0, len(data), piece) for reply in reader.take(data[at : at + piece])]
    assert found == [(b"00000007", b"Hello")] * 2


def test_samples_count_for_the_innermost_function_of_ours() -> None:
    counts = stacks.count(
        [
            "thread (1): MainThread;main (/a/service/__main__.py:1);marshal (/b/pika/frame.py:7);pack (/c/d.py:1) 3",
            "thread (1): MainThread;main (/a/service/__main__.py:1);decode_frame (/b/pika/frame.py:9) 2",
            'thread (2): "inference";run (/c/threading.py:1);forward (/a/model/network/fast.py:5);mm (/b/x.py:1) 5',
        ]
    )
    assert counts == {
        ("transport", "encoding frames"): 3,
        ("transport", "decoding frames"): 2,
        ("inference", "model: forward in fast"): 5,
    }


def test_a_consumer_that_does_not_keep_up_has_no_latency() -> None:
    row = {"name": "slow", "queue": "quorum", "latency_20": {"p50": 1.0, "p95": 2.0, "p99": 3.0}, "latency_200": None}
    (cells,) = page.latency([{**row, "latency_saturation": {"p50": 1.0, "p95": 2.0, "p99": 3.0}}]).rows
    assert cells == ["slow", "quorum", "1.0 / 2.0 / 3.0", "can't keep up", "1.0 / 2.0 / 3.0"]


def test_what_else_the_broker_says_is_kept() -> None:
    reader = Reader()
    assert list(reader.take(frame.Method(1, spec.Queue.PurgeOk(7)).marshal())) == []
    assert [method.message_count for method in reader.methods] == [7]


def test_a_closed_connection_is_an_error() -> None:
    closed = frame.Method(0, spec.Connection.Close(320, "CONNECTION_FORCED", 0, 0)).marshal()
    with pytest.raises(WireError, match="320 CONNECTION_FORCED"):
        list(Reader().take(closed))
