"""What becomes of a delivery, and what is written in return."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from service.message import FALLBACK, Delivery, Erroneous, Replies, Request, Retry, again, examine

QUEUE = "rpc_queue"
QUARANTINE = "rpc_queue.quarantine"
REPLIES = Replies(version="1.2.3", architecture="abc")
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
        (delivery(b"\xff", reply_to=None), "reply-to"),
    ],
)
def test_erroneous_input_is_named(given: Delivery, reason: str) -> None:
    assert examine(given, QUEUE) == Erroneous(given, reason)


def test_an_empty_body_and_a_missing_correlation_id_are_valid() -> None:
    assert request(delivery(b"", correlation_id=None)).text == ""


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
    assert reply.body.decode() == FALLBACK == "Could not translate. Try 'Je vais dormir.'"
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
    properties = copy(user_id="alice", expiration="1000", headers={"CC": ["a"], "BCC": ["b"], "x-delivery-count": 5})
    assert "user_id" not in properties
    assert "expiration" not in properties
    headers = properties["headers"]
    assert not {"CC", "BCC", "x-delivery-count", "x-attempt"} & set(headers)
    assert headers["x-original-user-id"] == "alice"
    assert headers["x-original-expiration"] == "1000"
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
