"""What becomes of a delivery, and what is written in return."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from service.deadline import deadline_of
from service.message import Delivery, Erroneous, Expired, Replies, Request, Retry, again, examine

QUEUE = "rpc_queue"
QUARANTINE = "rpc_queue.quarantine"
REPLIES = Replies(version="1.2.3", architecture="abc", example="Je vais dormir.")
FALLBACK = "Could not translate. Try 'Je vais dormir.'"
WHO = {"x-model-version": "1.2.3", "x-architecture": "abc"}


@dataclass
class Properties:
    """AMQP basic properties, as a plain object."""

    content_type: Any = None
    content_encoding: Any = None
    headers: Any = None
    delivery_mode: Any = None
    priority: Any = None
    correlation_id: Any = "7"
    reply_to: Any = "amq.gen-client"
    expiration: Any = None
    message_id: Any = None
    timestamp: Any = None
    type: Any = None
    user_id: Any = None
    app_id: Any = None
    cluster_id: Any = None
    unknown: dict[str, Any] = field(default_factory=dict)


def delivery(body: bytes = b"Bonjour", redelivered: bool = False, **properties: Any) -> Delivery:
    return Delivery(1, redelivered, QUEUE, Properties(**properties), body, 0.0)


def request(given: Delivery) -> Request:
    examined = examine(given, QUEUE)
    assert isinstance(examined, Request)
    return examined


def copy(**properties: Any) -> dict[str, Any]:
    """The properties of the quarantine copy of a message."""
    erroneous = Erroneous(delivery(**properties), "not-utf8")
    return dict(REPLIES.quarantined(erroneous, QUARANTINE, datetime(2026, 1, 2, tzinfo=UTC)).properties)


# What a delivery is


def test_utf8_with_a_reply_to_is_a_request() -> None:
    examined = request(delivery("Où ça ? 🙂".encode()))
    assert (examined.text, examined.suspect) == ("Où ça ? 🙂", False)


@pytest.mark.parametrize("encoding", [None, "", "utf-8", "UTF-8", "utf8", "identity"])
def test_these_content_encodings_leave_utf8_as_it_is(encoding: str | None) -> None:
    assert request(delivery(content_encoding=encoding)).text == "Bonjour"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (delivery(b"\xff\xfe"), "not-utf8"),
        (delivery("né".encode("latin-1")), "not-utf8"),
        (delivery(b"\x1f\x8b\x08", content_encoding="gzip"), "content-encoding"),
        (delivery(content_encoding=b"\xff"), "content-encoding"),
        (delivery(reply_to=None), "reply-to"),
        (delivery(reply_to=""), "reply-to"),
        (delivery(reply_to=QUEUE), "reply-to"),
        (delivery(reply_to=QUARANTINE), "reply-to"),
        (delivery(b"\xff", reply_to=None), "reply-to"),
        (delivery(b"\xff", content_type="application/json"), "not-utf8"),
        (delivery(b"\xff", content_type="image/png"), "content-type"),
    ],
)
def test_erroneous_input_is_named(given: Delivery, reason: str) -> None:
    assert examine(given, QUEUE) == Erroneous(given, reason)


def test_an_empty_body_and_a_missing_correlation_id_are_valid() -> None:
    assert request(delivery(b"", correlation_id=None)).text == ""


# What a body is


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "TEXT/PLAIN",
        "text/plain; charset=utf-8",
        'text/plain;charset="UTF-8"; format=flowed',
        "text/plain; charset=us-ascii",
        "text/html",
        "text/markdown",
    ],
)
def test_text_of_every_kind_is_served_as_text(content_type: str | None) -> None:
    given = delivery(content_type=content_type)
    assert request(given).text == "Bonjour"
    reply = REPLIES.translation(given, "Hello")
    assert (reply.body, reply.properties["content_type"]) == (b"Hello", "text/plain")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"text": "Où vas-tu ?"}', "Où vas-tu ?"),
        ('{"text": "O\\u00f9", "lang": "fr", "id": 1}', "Où"),
        ('\ufeff {"text": ""} ', ""),
        ('{"text": "Bonjour", "id": ' + "9" * 5000 + "}", "Bonjour"),
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "text/json"])
def test_json_with_a_text_is_served_and_answered_in_kind(body: str, text: str, content_type: str) -> None:
    given = delivery(body.encode(), content_type=content_type)
    assert request(given).text == text
    for reply, answer in (
        (REPLIES.translation(given, "“Où” 🙂"), "“Où” 🙂"),
        (REPLIES.fallback(given, "empty"), FALLBACK),
    ):
        assert json.loads(reply.body) == {"text": answer}
        assert reply.properties["content_type"] == "application/json"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "Bonjour",
        '"Bonjour"',
        "[]",
        '["Bonjour"]',
        "null",
        "{}",
        '{"text": 1}',
        '{"text": null}',
        '{"text": ["a"]}',
        '{"Text": "a"}',
        '{"text": "a", "text": "b"}',
        '{"text": "\\ud800"}',
        '{"text": "a"',
        "[" * 100000,
        '{"text": ' + "9" * 5000 + "}",
        '{"pattern": "translate", "data": {"text": "Bonjour"}, "id": "1"}',
        '[["Bonjour"], {}, {"callbacks": null}]',
    ],
)
def test_other_json_is_no_text(body: str) -> None:
    given = delivery(body.encode(), content_type="application/json")
    assert examine(given, QUEUE) == Erroneous(given, "content-type")
    assert json.loads(REPLIES.fallback(given, "content-type").body) == {"text": FALLBACK}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/octet-stream",
        "application/data",
        "image/png",
        "audio/ogg",
        "application/x-python-serialize",
        "application/pdf",
        "application/xml",
        "application/vnd.api+json",
        "application/cloudevents+json",
        "multipart/mixed",
        "application/x-msgpack",
        "application/x-protobuf",
        "application/x-www-form-urlencoded",
        "application/gzip",
        "text/plain; charset=latin-1",
        "text/plain; charset=utf-16",
        "application/json; charset=utf-16",
        "text",
        "json",
        ";",
        b"\xff",
        7,
    ],
)
def test_what_says_that_it_is_no_text_is_not_translated(content_type: Any) -> None:
    given = delivery(content_type=content_type)
    assert examine(given, QUEUE) == Erroneous(given, "content-type")


def test_an_amqp_1_0_value_is_no_text() -> None:
    given = delivery(b"\x00Sw\xa1\x07Bonjour", type="amqp-1.0")
    assert examine(given, QUEUE) == Erroneous(given, "content-type")
    assert request(delivery(type="request")).text == "Bonjour"


# Until when


def waits(**properties: Any) -> float:
    """Seconds from now that a client waits; negative where it waits no more, infinity where it doesn't say."""
    now = time.monotonic()
    return deadline_of(Properties(**properties), now) - now


@pytest.mark.parametrize("write", [int, str, float, Decimal, lambda ms: datetime.fromtimestamp(ms / 1000, tz=UTC)])
def test_a_deadline_is_unix_milliseconds_in_any_type(write: Callable[[float], Any]) -> None:
    in_a_minute = int((time.time() + 60) * 1000)
    assert waits(headers={"x-deadline": write(in_a_minute)}) == pytest.approx(60, abs=1)
    assert waits(headers={"x-deadline": write(in_a_minute - 120_000)}) == pytest.approx(-60, abs=1)


@pytest.mark.parametrize(
    "value", [None, True, "soon", "", b"1", [1], {"a": 1}, Decimal("NaN"), float("nan"), float("inf"), "9" * 400]
)
def test_a_deadline_that_makes_no_sense_is_none(value: Any) -> None:
    assert waits(headers={"x-deadline": value}, expiration=None) == math.inf
    assert waits(expiration=value) == math.inf


def test_an_expiration_counts_from_the_delivery_and_the_earlier_of_both_holds() -> None:
    assert waits(expiration="1500") == pytest.approx(1.5)
    later = int((time.time() + 60) * 1000)
    assert waits(expiration="1500", headers={"x-deadline": later}) == pytest.approx(1.5)
    assert waits(expiration="600000", headers={"x-deadline": later}) == pytest.approx(60, abs=1)
    assert waits(headers={"x-deadline": 10**30}) > 1e9


def test_what_nobody_waits_for_is_expired_and_what_is_erroneous_stays_so() -> None:
    given = delivery(headers={"x-deadline": 1})
    assert examine(given, QUEUE) == Expired(given)
    assert examine(delivery(redelivered=True, headers={"x-deadline": 1}), QUEUE) != Retry(given, 1)
    bad = delivery(b"\xff", headers={"x-deadline": 1})
    assert examine(bad, QUEUE) == Erroneous(bad, "not-utf8")


# What comes back


def test_a_reply_says_who_wrote_it_when_and_what_it_is() -> None:
    properties = REPLIES.translation(delivery(), "Hello").properties
    assert (properties["app_id"], properties["type"]) == ("dragoman", "translation")
    assert abs(properties["timestamp"] - time.time()) < 5
    assert REPLIES.fallback(delivery(), "empty").properties["type"] == "fallback"


def test_a_trace_comes_back() -> None:
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=1,b=2"}
    given = delivery(headers=trace | {"mine": 1}, message_id="m-1")
    for reply in (REPLIES.translation(given, "Hello"), REPLIES.fallback(given, "empty")):
        headers = reply.properties["headers"]
        assert {name: headers[name] for name in trace} == trace
        assert headers["x-request-id"] == "m-1"
        assert "mine" not in headers


@pytest.mark.parametrize("value", [1, None, ["a"], {"a": 1}, "", "a" * 5000])
def test_a_trace_that_is_none_does_not(value: Any) -> None:
    given = delivery(headers={"traceparent": value})
    assert "traceparent" not in REPLIES.translation(given, "Hello").properties["headers"]


def test_what_was_corrected_and_how_good_it_is_is_said() -> None:
    headers = REPLIES.translation(delivery(), "Hello", corrected="Je vais dormir.", score=0.87654).properties["headers"]
    assert (headers["x-corrected"], headers["x-score"]) == ("Je vais dormir.", "0.8765")
    assert REPLIES.translation(delivery(), "Hello").properties["headers"] == WHO
    long = REPLIES.translation(delivery(), "Hello", corrected="é" * 10_000).properties["headers"]
    assert "x-corrected" not in long


# Attempts


def test_a_first_redelivery_from_a_quorum_queue_is_suspect() -> None:
    assert request(delivery(redelivered=True, headers={"x-delivery-count": 1})).suspect


def test_after_five_attempts_on_a_quorum_queue_a_message_has_crashed() -> None:
    assert request(delivery(redelivered=True, headers={"x-delivery-count": 4})).suspect
    fifth = delivery(redelivered=True, headers={"x-delivery-count": 5})
    assert examine(fifth, QUEUE) == Erroneous(fifth, "crashed")


def test_a_redelivery_from_a_queue_that_does_not_count_is_counted_in_a_header() -> None:
    first = delivery(redelivered=True, headers=None)
    assert examine(first, QUEUE) == Retry(first, 1)
    second = delivery(redelivered=True, headers={"x-attempt": 1})
    assert examine(second, QUEUE) == Retry(second, 2)
    assert again(Retry(second, 2), QUEUE).properties["headers"]["x-attempt"] == 2


def test_a_message_with_counted_attempts_is_suspect() -> None:
    assert request(delivery(headers={"x-attempt": 1})).suspect


def test_after_five_attempts_on_a_classic_queue_a_message_has_crashed() -> None:
    fifth = delivery(redelivered=True, headers={"x-attempt": 4})
    assert examine(fifth, QUEUE) == Erroneous(fifth, "crashed")


def test_a_client_can_not_feign_the_count_of_the_broker() -> None:
    assert not request(delivery(headers={"x-delivery-count": 99})).suspect


@pytest.mark.parametrize("nonsense", ["many", -1, True, None, 1.5, [3]])
def test_a_count_that_is_no_count_counts_nothing(nonsense: object) -> None:
    given = delivery(redelivered=True, headers={"x-attempt": nonsense})
    assert examine(given, QUEUE) == Retry(given, 1)


# Replies


def test_a_translation_goes_to_reply_to_with_the_correlation_id() -> None:
    reply = REPLIES.translation(delivery(correlation_id=b"\xff\x00", reply_to="client"), "Good day 🙂")
    assert (reply.routing_key, reply.body) == ("client", "Good day 🙂".encode())
    assert reply.properties["correlation_id"] == b"\xff\x00"
    assert reply.properties["content_type"] == "text/plain"
    assert reply.properties["headers"] == WHO


def test_a_reply_says_what_was_translated_where_a_slip_was_mended() -> None:
    headers = REPLIES.translation(delivery(), "I'm going to sleep.", "Je vais dormir.").properties["headers"]
    assert headers == WHO | {"x-corrected": "Je vais dormir."}
    assert REPLIES.translation(delivery(), "Hello", "é" * 8_001).properties["headers"] == WHO  # one frame holds them


@pytest.mark.parametrize(("asked", "answered"), [(2, 2), (1, 1), (None, 1)])
def test_a_reply_is_persistent_as_the_request_was(asked: int | None, answered: int) -> None:
    assert REPLIES.translation(delivery(delivery_mode=asked), "Hello").properties["delivery_mode"] == answered


@pytest.mark.parametrize(
    ("reply_to", "mandatory"), [("client", True), ("amq.rabbitmq.reply-to.g1h2.key", False), (b"\xff", True)]
)
def test_a_reply_is_mandatory_unless_it_goes_to_a_direct_reply_to(reply_to: str | bytes, mandatory: bool) -> None:
    assert REPLIES.translation(delivery(reply_to=reply_to), "Hello").mandatory is mandatory


def test_a_fallback_names_its_reason() -> None:
    reply = REPLIES.fallback(delivery(), "no-letters")
    assert reply.body.decode() == FALLBACK
    assert reply.properties["headers"] == WHO | {"x-error": "no-letters"}


# Copies for the quarantine


def test_a_copy_is_persistent_and_says_why_it_is_there() -> None:
    given = delivery(b"\xff", delivery_mode=1, headers={"mine": "yes"})
    message = REPLIES.quarantined(Erroneous(given, "not-utf8"), QUARANTINE, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert (message.routing_key, message.body, message.mandatory) == (QUARANTINE, b"\xff", True)
    assert message.properties["delivery_mode"] == 2
    assert message.properties["headers"] == {
        "mine": "yes",
        "x-reason": "not-utf8",
        "x-original-routing-key": QUEUE,
        "x-received-at": "2026-01-02T03:04:05.000+00:00",
        "x-model-version": "1.2.3",
    }


def test_a_copy_keeps_what_does_no_harm() -> None:
    kept = {"content_type": "text/plain", "correlation_id": b"\xff", "reply_to": "client", "priority": 3, "type": "t"}
    properties = copy(**kept)
    assert {name: properties[name] for name in kept} == kept


def test_a_copy_drops_what_would_bite_and_says_so() -> None:
    properties = copy(
        user_id="alice", expiration="1000", headers={"CC": ["a"], "BCC": ["b"], "x-delivery-count": 5, "x-deadline": 9}
    )
    assert "user_id" not in properties
    assert "expiration" not in properties
    headers = properties["headers"]
    assert not {"CC", "BCC", "x-delivery-count", "x-attempt"} & set(headers)
    assert headers["x-original-user-id"] == "alice"
    assert headers["x-original-expiration"] == "1000"
    assert "x-deadline" not in headers
    assert headers["x-original-deadline"] == 9
    assert headers["x-original-cc"] == ["a"]
    assert headers["x-original-bcc"] == ["b"]
    assert headers["x-original-delivery-count"] == 5


def test_a_copy_drops_a_bare_direct_reply_to() -> None:
    properties = copy(reply_to="amq.rabbitmq.reply-to")
    assert "reply_to" not in properties
    assert properties["headers"]["x-original-reply-to"] == "amq.rabbitmq.reply-to"


def test_another_attempt_keeps_expiration_and_persistence() -> None:
    message = again(Retry(delivery(delivery_mode=1, expiration="1000", user_id="alice"), 1), QUEUE)
    assert message.properties["delivery_mode"] == 1
    assert message.properties["expiration"] == "1000"
    assert message.properties["headers"] == {"x-attempt": 1, "x-original-user-id": "alice"}


def test_headers_that_can_not_be_written_become_text() -> None:
    headers = copy(headers={"far": 2**64 - 1, "price": Decimal("1.5"), "odd": {"list": [1, 2**63, 0.5]}})["headers"]
    assert headers["far"] == str(2**64 - 1)
    assert headers["price"] == Decimal("1.5")
    assert headers["odd"] == {"list": [1, str(2**63), "0.5"]}


def test_deep_and_long_headers_are_dropped() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"deeper": deep}
    assert "nested too deep" in str(copy(headers=deep)["headers"])
    headers = copy(headers={"long": "x" * 100_000})["headers"]
    assert "long" not in headers
    assert headers["x-original-headers"].startswith("dropped")
    assert headers["x-reason"] == "not-utf8"


def test_a_fallback_shows_a_sentence_that_this_model_can_translate() -> None:
    reply = Replies("0.1.0", "abc", "I'm going to sleep.").fallback(delivery(), "empty")
    assert reply.body.decode() == "Could not translate. Try 'I'm going to sleep.'"
