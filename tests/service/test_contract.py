"""What a client sees."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from raw_headers import RawTable
from service_process import Client, Service

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
        content_type="application/octet-stream",
        content_encoding="UTF-8",
    )
    assert reply.text == "A"
