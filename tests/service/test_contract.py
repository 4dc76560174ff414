"""What a client sees."""

import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from raw_headers import RawTable
from service_process import Client, Service, until

RawHeaders = Callable[[bytes], RawTable]

FALLBACK = "Could not translate. Try 'Je vais dormir.'"
Start = Callable[..., Service]


@pytest.fixture
def serving(start: Start) -> Service:
    return start().ready()


def test_a_request_gets_its_translation(serving: Service, client: Client) -> None:
    reply = client.ask("Où vas-tu ?", correlation_id="42")
    assert reply.text == "OÙ VAS-TU ?"
    assert reply.properties.correlation_id == "42"
    assert reply.properties.content_type == "text/plain"
    assert reply.properties.headers == {"x-model-version": "9.8.7", "x-architecture": "0123abcd" * 8}
    assert (reply.properties.app_id, reply.properties.type) == ("dragoman", "translation")
    assert reply.properties.timestamp > 1_700_000_000


def test_a_reply_says_what_was_translated_where_a_slip_was_mended(serving: Service, client: Client) -> None:
    reply = client.ask("Je vais formir.")
    assert reply.text == "JE VAIS DORMIR."
    assert reply.properties.headers["x-corrected"] == "Je vais dormir."


def test_a_binary_correlation_id_is_echoed(serving: Service, client: Client) -> None:
    assert client.ask("a", correlation_id=b"\xff\x00\xfe").properties.correlation_id == b"\xff\x00\xfe"


def test_a_missing_correlation_id_is_no_error(serving: Service, client: Client) -> None:
    assert client.ask("a", correlation_id=None).properties.correlation_id is None


def test_direct_reply_to_works(serving: Service, client: Client) -> None:
    client.channel.basic_consume("amq.rabbitmq.reply-to", client._on_reply, auto_ack=True)
    assert client.ask("direct", reply_to="amq.rabbitmq.reply-to").text == "DIRECT"


@pytest.mark.parametrize("mode", [1, 2])
def test_a_reply_is_persistent_as_its_request_was(serving: Service, client: Client, mode: int) -> None:
    assert client.ask("a", delivery_mode=mode).properties.delivery_mode == mode


def test_what_can_not_be_translated_gets_the_fallback(serving: Service, client: Client) -> None:
    reply = client.ask("   ")
    assert (reply.text, reply.error) == (FALLBACK, "empty")


def test_a_text_that_is_too_long_gets_the_fallback(start: Start, client: Client) -> None:
    start(MAX_CHARACTERS="10").ready()
    assert client.ask("é" * 10).text == "É" * 10
    reply = client.ask("é" * 11)
    assert (reply.text, reply.error) == (FALLBACK, "too-long")


def test_ten_megabytes_get_the_fallback(serving: Service, client: Client) -> None:
    assert client.ask(b"a" * 10_000_000).error == "too-long"
    assert client.ask("still there").text == "STILL THERE"


def test_every_one_of_many_requests_gets_its_own_reply(serving: Service, client: Client) -> None:
    sent = {client.send(f"text {number}"): f"TEXT {number}" for number in range(500)}
    assert {reply.properties.correlation_id: reply.text for reply in client.receive(500)} == sent
    assert client.nothing_comes()


def test_a_client_that_is_gone_stops_nobody(serving: Service, client: Client) -> None:
    client.send("nobody waits", reply_to="no-such-queue")
    client.send("nobody waits", reply_to="amq.rabbitmq.reply-to.nonsense")
    assert client.ask("next").text == "NEXT"
    serving.says("replies were returned")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x01tT" + struct.pack(">Q", 2**63),
        b"\x01tT" + struct.pack(">Q", 1_772_000_000_000),
        b"\x01aA" + struct.pack(">I", 9) + b"T" + struct.pack(">Q", 2**64 - 1),
    ],
    ids=["far-future", "milliseconds", "in-a-list"],
)
def test_a_header_that_python_can_not_hold_is_served(
    serving: Service, client: Client, raw_headers: RawHeaders, raw: bytes
) -> None:
    assert client.ask("odd", headers=raw_headers(raw)).text == "ODD"
    client.send(b"\xff", headers=raw_headers(raw))
    (reply,) = client.receive()
    assert reply.error == "not-utf8"
    assert serving.exit_code() == 65


def test_headers_nested_hundreds_deep_are_served(serving: Service, client: Client, raw_headers: RawHeaders) -> None:
    raw = b""
    for _ in range(2000):
        raw = b"\x01fF" + struct.pack(">I", len(raw)) + raw
    assert client.ask("deep", headers=raw_headers(raw)).text == "DEEP"
    client.send(b"\xff", headers=raw_headers(raw))
    assert client.receive()[0].error == "not-utf8"
    assert serving.exit_code() == 65


def test_metadata_of_every_kind_is_served(serving: Service, client: Client) -> None:
    reply = client.ask(
        "a",
        headers={"text": "é", "table": {"deep": [1, None, True]}, "time": datetime(2026, 1, 1, tzinfo=UTC)},
        priority=9,
        timestamp=2**40,
        message_id="m",
        type="t",
        app_id="tests",
        content_type="text/plain",
        content_encoding="UTF-8",
    )
    assert reply.text == "A"


def test_json_with_a_text_is_answered_in_kind(serving: Service, client: Client) -> None:
    reply = client.ask('{"text": "Où ?"}', content_type="application/json")
    assert (reply.text, reply.properties.content_type) == ('{"text": "OÙ ?"}', "application/json")


def test_a_trace_comes_back_and_stands_in_the_log_of_what_is_refused(start: Start, client: Client) -> None:
    service = start(ON_ERRONEOUS_INPUT="continue").ready()
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=1"}
    for body in ("a", b"\xff"):
        headers = client.ask(body, headers=trace, message_id="m-1").properties.headers
        assert headers.items() >= (trace | {"x-request-id": "m-1"}).items()
    service.says("putting a message into quarantine")
    (line,) = (event for event in service.events if event["event"] == "putting a message into quarantine")
    assert line.items() >= (trace | {"x_request_id": "m-1"}).items()


def test_what_nobody_waits_for_is_not_translated(serving: Service, client: Client) -> None:
    for number in range(300):
        client.send(f"wait 1 {number}", headers={"x-deadline": 1})
    assert client.ask("live", headers={"x-deadline": int(time.time() * 1000) + 20_000}).text == "LIVE"
    assert client.nothing_comes()
    assert client.depth(client.request_queue) == 0


@pytest.mark.parametrize("waiting", [{"expiration": "300"}, {"headers": {"x-deadline": "soon"}}])
def test_what_expires_in_hand_is_not_translated(start: Start, client: Client, waiting: dict[str, Any]) -> None:
    start(MAX_BATCH="1").ready()
    client.send("wait 1")
    time.sleep(0.2)
    if "headers" in waiting:
        waiting = {"headers": {"x-deadline": str(int(time.time() * 1000) + 300)}}
    client.send("late", **waiting)
    client.send("next")
    assert [reply.text for reply in client.receive(2)] == ["WAIT 1", "NEXT"]
    assert client.nothing_comes()


def test_a_reply_queue_that_is_full_costs_its_client_alone(serving: Service, client: Client) -> None:
    full = f"{client.request_queue}.full"
    client.channel.queue_declare(full, exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    for number in range(50):
        client.send(f"{number}", reply_to=full)
    assert client.ask("next").text == "NEXT"
    serving.says("replies were refused: their queue is full")
    assert serving.process.poll() is None
    until(lambda: client.depth(client.request_queue) == 0, "all are acked")
    assert client.depth(f"{client.request_queue}.quarantine") == 0


def test_a_reply_queue_that_is_full_for_a_moment_loses_nothing(serving: Service, client: Client) -> None:
    full = f"{client.request_queue}.full"
    client.channel.queue_declare(full, exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    got = []
    for number in range(3):
        client.send(f"{number}", reply_to=full)
    assert client.ask("next").text == "NEXT"
    time.sleep(0.5)

    def take() -> bool:
        method, _, body = client.channel.basic_get(full, auto_ack=True)
        got.extend([body] if method is not None else [])
        return len(got) == 3

    until(take, "all of them, one after the other")
    assert sorted(got) == [b"0", b"1", b"2"]
    assert not any("refused" in event["event"] for event in serving.events)


def test_a_reply_to_with_an_exchange_in_it_is_no_such_queue(serving: Service, client: Client) -> None:
    client.send("a", reply_to="exchange/key")
    serving.says("no such queue")
    assert any(event.get("reply_to") == "exchange/key" for event in serving.events)
    assert client.depth(f"{client.request_queue}.quarantine") == 0


def test_a_least_score_is_refused_where_the_model_gives_none(start: Start) -> None:
    service = start(MIN_SCORE="0.5", STAND_IN_WITHOUT_SCORES="1")
    assert service.exit_code() == 78
    assert "trained without a dev set" in service.events[-1]["event"]


def test_a_translation_below_the_least_score_gets_the_fallback(start: Start, client: Client) -> None:
    start(MIN_SCORE="0.5").ready()
    reply = client.ask("score 0.4 slip")
    assert (reply.text, reply.error, reply.properties.headers["x-score"]) == (FALLBACK, "unsure", "0.4000")
    headers = client.ask("score 0.6 slip").properties.headers
    assert (headers["x-score"], headers["x-corrected"]) == ("0.6000", "score 0.6 slip")
