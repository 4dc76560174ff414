"""What becomes of input that is no request, and of the requests beside it."""

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from service_process import Client, Service, until

FALLBACK = "Could not translate. Try 'Je vais dormir.'"
Start = Callable[..., Service]


def test_an_erroneous_message_is_answered_and_quarantined_and_the_service_ends_with_65(
    start: Start, client: Client
) -> None:
    service = start().ready()
    reply = client.ask(b"\xff\xfe", correlation_id="7")
    assert (reply.text, reply.error, reply.properties.correlation_id) == (FALLBACK, "not-utf8", "7")
    assert service.exit_code() == 65
    (copy,) = client.quarantine()
    assert copy.body == b"\xff\xfe"
    assert copy.properties.delivery_mode == 2
    assert copy.properties.correlation_id == "7"
    headers = copy.properties.headers
    assert (headers["x-reason"], headers["x-original-routing-key"]) == ("not-utf8", client.request_queue)
    assert headers["x-model-version"] == "9.8.7"
    assert headers["x-received-at"].endswith("+00:00")
    assert client.depth(client.request_queue) == 0


@pytest.mark.parametrize(
    ("body", "properties", "reason", "answered"),
    [
        (gzip.compress(b"Bonjour"), {"content_encoding": "gzip"}, "content-encoding", True),
        (b"Bonjour", {"content_type": "application/octet-stream"}, "content-type", True),
        (b"[]", {"content_type": "application/json"}, "content-type", True),
        (b"Bonjour", {"type": "amqp-1.0"}, "content-type", True),
        (b"Bonjour", {"reply_to": None}, "reply-to", False),
        (b"Bonjour", {"reply_to": "the request queue"}, "reply-to", False),
        (b"raise", {}, "crashed", True),
    ],
    ids=["gzip", "bytes", "json", "amqp-1.0", "no-reply-to", "reply-to-is-the-request-queue", "crashes-the-model"],
)
def test_every_kind_of_erroneous_message_ends_in_quarantine(
    start: Start, client: Client, body: bytes, properties: dict[str, Any], reason: str, answered: bool
) -> None:
    if properties.get("reply_to"):
        properties = {"reply_to": client.request_queue}
    service = start().ready()
    client.send(body, **properties)
    assert service.exit_code() == 65
    (copy,) = client.quarantine()
    assert (copy.body, copy.properties.headers["x-reason"]) == (body, reason)
    if answered:
        assert client.receive()[0].error == reason
    assert client.nothing_comes()
    assert client.depth(client.request_queue) == 0


def test_the_others_in_the_batch_are_answered_first(start: Start, client: Client) -> None:
    service = start().ready()
    client.send("wait 0.5")
    for number in range(31):
        client.send(f"good {number}" if number != 15 else "raise")
    replies = client.receive(32)
    assert [reply.error for reply in replies].count("crashed") == 1
    assert replies[-1].error == "crashed"
    assert service.exit_code() == 65
    assert client.depth(client.request_queue) == 0


def test_what_waits_behind_an_erroneous_message_is_answered_by_the_next_instance(start: Start, client: Client) -> None:
    first = start(MAX_BATCH="1").ready()
    client.send("wait 0.5")
    client.send(b"\xff")
    for number in range(20):
        client.send(f"good {number}")
    assert first.exit_code() == 65
    start().ready()
    replies = client.receive(22)
    assert sorted(reply.text for reply in replies if reply.error is None) == sorted(
        ["WAIT 0.5", *(f"GOOD {number}" for number in range(20))]
    )
    assert client.nothing_comes()


def test_the_service_goes_on_where_it_is_told_to(start: Start, client: Client) -> None:
    service = start(ON_ERRONEOUS_INPUT="continue").ready()
    for number in range(100):
        client.send(b"\xff" if number % 10 == 0 else f"good {number}")
    errors = [reply.error for reply in client.receive(100)]
    assert (errors.count("not-utf8"), errors.count(None)) == (10, 90)
    assert len(client.quarantine(10)) == 10
    assert client.ask("still there").text == "STILL THERE"
    assert service.process.poll() is None


def test_a_copy_that_finds_no_quarantine_leaves_its_message_where_it_was(start: Start, client: Client) -> None:
    service = start().ready()
    client.channel.queue_delete(f"{client.request_queue}.quarantine")
    client.send(b"\xff")
    assert service.exit_code() == 65
    assert until(lambda: client.depth(client.request_queue) == 1, "the message is back")
    second = start()  # which declares the quarantine again
    assert second.exit_code() == 65
    assert client.quarantine()[0].body == b"\xff"


def test_properties_that_would_bite_do_not(start: Start, client: Client, amqp_url: str) -> None:
    user = amqp_url.split("//")[1].split(":", maxsplit=1)[0]
    service = start().ready()
    client.send(b"\xff", user_id=user, expiration="60000", headers={"CC": [client.reply_queue]})
    assert service.exit_code() == 65
    (copy,) = client.quarantine()
    assert copy.properties.user_id is None
    assert copy.properties.headers["x-original-user-id"] == user
    assert copy.properties.headers["x-original-expiration"] == "60000"
    assert len(client.receive(2)) == 2  # the fallback, and what CC itself had sent here


@pytest.mark.parametrize("kind", ["quorum", "classic", "transient"])
def test_a_message_that_kills_the_process_is_quarantined_after_five_attempts(
    start: Start, client: Client, kind: str
) -> None:
    first = start(RPC_QUEUE_TYPE=kind).ready()
    client.send("wait 0.5")
    for text in ("one", "kill", "two", "three"):
        client.send(text)
    attempts, exit_code = 1, first.exit_code()
    while exit_code == -9:
        assert attempts < 10
        attempts, exit_code = attempts + 1, start(RPC_QUEUE_TYPE=kind).exit_code()
    assert exit_code == 65
    assert attempts == 6  # five that died, one that put it away
    (copy,) = client.quarantine()
    assert (copy.body, copy.properties.headers["x-reason"]) == (b"kill", "crashed")
    start(RPC_QUEUE_TYPE=kind).ready()
    texts = []
    while len(set(texts)) < 5:
        texts += [reply.text for reply in client.receive()]
    assert set(texts) == {"WAIT 0.5", "ONE", "TWO", "THREE", FALLBACK}


def test_a_forged_reply_to_costs_nobody_else_anything(start: Start, client: Client) -> None:
    """RabbitMQ 3.10 breaks the publishing connection over it: it is erroneous. 4.0 drops the reply."""
    forged = "amq.rabbitmq.reply-to.g1h2AA5yYWJiaXRAbG9jYWxob3N0AAAAAQAAAAAAAAAA.xyz=="
    service = start(ON_ERRONEOUS_INPUT="continue").ready()
    client.send("a")
    client.send("forged", reply_to=forged)
    client.send("b")
    client.send("still there")
    texts: set[str] = set()
    while texts != {"A", "B", "STILL THERE"}:  # what wasn't confirmed when the connection broke comes twice
        texts |= {reply.text for reply in client.receive()}
    if client.broker_release < 4:
        (copy,) = client.quarantine()
        assert (copy.body, copy.properties.headers["x-reason"]) == (b"forged", "reply-to")
    assert service.process.poll() is None
