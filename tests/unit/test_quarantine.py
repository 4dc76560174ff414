"""What is shown of a message in quarantine, what goes back, and what stays because it would only return."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_service_message import QUARANTINE, QUEUE, REPLIES, delivery

from build_model.operation.quarantine import Kept, refusal, restored
from build_model.operation.rpc import Message
from service.message import Erroneous, Expired, Retry, again, examine

RECEIVED_AT = datetime(2026, 1, 2, tzinfo=UTC)


def quarantined(body: bytes = b"Bonjour", reason: str = "crashed", **properties: Any) -> Message:
    """A message as it lies in quarantine."""
    copy = REPLIES.quarantined(Erroneous(delivery(body, **properties), reason), QUARANTINE, RECEIVED_AT)
    given = dict(copy.properties)
    return Message(copy.body, given.pop("headers"), given)


def test_what_goes_back_is_the_request_without_what_the_way_here_wrote_on_it() -> None:
    counts = {"x-delivery-count": 5, "x-attempt": 4}
    kept = quarantined(headers={"mine": [1, {"two": None}], **counts}, message_id="9", content_type="text/plain")
    back = restored(kept, None)
    assert back.body == b"Bonjour"
    assert back.headers == {"mine": [1, {"two": None}]}
    assert back.properties == {
        "reply_to": "amq.gen-client",
        "correlation_id": "7",
        "message_id": "9",
        "content_type": "text/plain",
        "delivery_mode": 2,
    }


def test_attempts_begin_anew() -> None:
    crashed = again(Retry(delivery(redelivered=True), 5), QUEUE)
    kept = quarantined(headers=crashed.properties["headers"])
    assert isinstance(examine(delivery(headers=kept.headers | {"x-attempt": 5}), QUEUE), Erroneous)
    assert not isinstance(examine(delivery(headers=restored(kept, None).headers), QUEUE), Erroneous)


def test_what_would_bite_again_is_not_restored() -> None:
    back = restored(quarantined(expiration="1000", user_id="guest", headers={"CC": ["elsewhere"]}), None)
    assert not {"expiration", "user_id"} & back.properties.keys()
    assert "CC" not in back.headers
    assert back.headers["x-original-cc"] == ["elsewhere"]


def test_what_the_broker_dead_lettered_goes_back_too() -> None:
    died = {"x-death": [{"time": RECEIVED_AT, "count": 1}], "x-first-death-reason": "delivery_limit", "ratio": 0.5}
    message = Message(b"Bonjour", died, {"reply_to": "q", "user_id": "guest"})
    shown = Kept.of(message)
    assert (shown.reason, shown.received_at) == ("delivery_limit", "2026-01-02T00:00:00+00:00")
    assert restored(message, None) == Message(b"Bonjour", {"ratio": "0.5"}, {"reply_to": "q"})


def test_answers_may_go_elsewhere() -> None:
    message = quarantined(reply_to="amq.rabbitmq.reply-to", headers={})
    assert refusal(restored(message, None), QUEUE) == "reply-to"
    assert restored(message, "answers").properties["reply_to"] == "answers"


def test_a_deadline_that_has_passed_does_not_go_back() -> None:
    assert not isinstance(
        examine(delivery(headers=restored(quarantined(headers={"x-deadline": 1}), None).headers), QUEUE), Expired
    )


@given(
    body=st.sampled_from(
        [
            *(b"Bonjour", b"", b"\xff", "Où".encode(), b'{"text": "Bonjour"}', b'{"text": 1}', b"[]", b"1"),
            *(b'{"text": "a", "text": "b"}', rb'{"text": "\ud800"}', b'{"text": "a", "n": ' + b"9" * 5000 + b"}"),
        ]
    ),
    content_type=st.sampled_from(
        [
            None,
            "",
            "text/plain",
            "text/html; charset=utf-8",
            'Text/Plain;charset="UTF-8"',
            "text/plain; charset=latin-1",
            "application/json",
            "application/JSON; charset=utf8",
            "application/octet-stream",
            "image/png",
            "text",
            b"\xff",
        ]
    ),
    kind=st.sampled_from([None, "request", "amqp-1.0"]),
    encoding=st.sampled_from([None, "", "utf-8", "UTF8", "identity", "gzip", "binary", b"\xff"]),
    reply_to=st.sampled_from([None, "", "answers", QUEUE, f"{QUEUE}.quarantine", "amq.rabbitmq.reply-to.g1h2"]),
)
def test_what_stays_is_what_the_service_would_refuse_again(
    body: bytes, content_type: Any, kind: Any, encoding: Any, reply_to: Any
) -> None:
    properties = {"content_type": content_type, "type": kind, "content_encoding": encoding, "reply_to": reply_to}
    given = delivery(body, **properties)
    examined = examine(given, QUEUE)
    expected = examined.reason if isinstance(examined, Erroneous) else None
    assert refusal(restored(quarantined(body, **properties), None), QUEUE) == expected


@pytest.mark.parametrize(
    ("body", "preview"),
    [
        (b"\xff\xfeJe", r"\xff\xfeJe"),
        ("Où vas-tu ?".encode(), "Où vas-tu ?"),
        (b"one\ntwo\x1b[31m", r"one\ntwo\x1b[31m"),
        ("\u202eabc".encode(), r"\u202eabc"),
        (b"a" * 41, "a" * 40 + "…"),
        (("🙂" * 40).encode(), "🙂" * 40),
    ],
)
def test_a_body_is_shown_so_that_no_terminal_minds(body: bytes, preview: str) -> None:
    assert Kept.of(quarantined(body)).preview == preview


def test_a_row_says_direct_for_direct_reply_to() -> None:
    shown = Kept.of(quarantined(reply_to="amq.rabbitmq.reply-to.g1h2", correlation_id=b"\xff\x00"))
    assert shown.row() == (
        *("crashed", "2026-01-02T00:00:00.000+00:00", "1.2.3", "7"),
        *(r"\xff\x00", "direct", "Bonjour"),
    )
