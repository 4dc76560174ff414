"""What a client sends and what it gets: deliveries to requests, translations to replies, and what is erroneous.

Nothing here knows the broker's library: a delivery's properties are any object with AMQP's attributes, and a message to
publish carries them as a mapping.
"""

import decimal
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from service.content import Form, NotText, form_of, is_encoded, read, write
from service.deadline import HEADER as DEADLINE
from service.deadline import deadline_of
from service.trace import trace_of

TRANSIENT, PERSISTENT = 1, 2  # AMQP's delivery modes
MOST_ATTEMPTS = 5  # so many deliveries of one message may end with the process
DIRECT_REPLY_TO = "amq.rabbitmq.reply-to"  # of the pseudo-queue; the broker appends who asked
APP_ID = "dragoman"
TRANSLATION, NO_TRANSLATION = "translation", "fallback"  # types of replies
LONGEST_HEADER = 8_000  # characters: headers travel in one frame, and a client may have made it small

_PROPERTIES = (
    "content_type", "content_encoding", "headers", "delivery_mode", "priority", "correlation_id", "reply_to",
    "expiration", "message_id", "timestamp", "type", "user_id", "app_id", "cluster_id",
)  # fmt: skip
# Headers that mean something to the broker or to `attempts`; a copy must not carry them on.
_COUNTS = ("x-delivery-count", "x-acquired-count", "x-attempt")
_ROUTES = ("CC", "BCC")
_DEEPEST_HEADER = 16  # levels of nested tables; the library's encoder recurses
_LARGEST_HEADERS = 32_000  # characters as Python writes them, so that a copy's header frame never outgrows 128 KiB


class Properties(Protocol):
    """The AMQP basic properties that the service looks at."""

    content_type: Any
    content_encoding: Any
    headers: Any
    delivery_mode: Any
    correlation_id: Any
    reply_to: Any
    expiration: Any
    message_id: Any
    type: Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as the broker handed it over.

    Attributes:
        tag: the delivery tag, which counts up on its channel.
        redelivered: an earlier delivery of it was not acked.
        routing_key: what it was published with.
        received_at: ``time.monotonic()`` of the delivery, seconds.
    """

    tag: int
    redelivered: bool
    routing_key: str | bytes
    properties: Properties
    body: bytes
    received_at: float


@dataclass(frozen=True, slots=True)
class Request:
    """A delivery that can be answered.

    Attributes:
        suspect: an earlier attempt may have killed the process, so this text is translated by itself.
        deadline: ``time.monotonic()`` after which nobody waits for the answer.
    """

    delivery: Delivery
    text: str
    suspect: bool
    deadline: float = math.inf


@dataclass(frozen=True, slots=True)
class Erroneous:
    """A delivery that goes into quarantine.

    Attributes:
        reason: ``not-utf8``, ``content-type``, ``content-encoding``, ``reply-to`` or ``crashed``.
    """

    delivery: Delivery
    reason: str


@dataclass(frozen=True, slots=True)
class Expired:
    """A delivery whose client waits no more: it is acked and not translated."""

    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Retry:
    """A delivery that came back from a queue that doesn't count: it is published again, ``attempt`` written on it."""

    delivery: Delivery
    attempt: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message to publish to the default exchange.

    Attributes:
        properties: AMQP basic properties by name.
        mandatory: the broker returns it where ``routing_key`` names no queue.
    """

    routing_key: str | bytes
    body: bytes
    properties: Mapping[str, Any]
    mandatory: bool


class Replies:
    """Writes what a client gets; each reply says who answered.

    Args:
        example: a sentence that can be translated, for the reply to what can't.
    """

    def __init__(self, version: str, architecture: str, example: str) -> None:
        self._who = {"x-model-version": version, "x-architecture": architecture}
        self._fallback = f"Could not translate. Try '{example}'"

    def translation(
        self, delivery: Delivery, text: str, corrected: str | None = None, *, score: float | None = None
    ) -> Message:
        """The reply that holds the translation.

        Args:
            corrected: what was translated, where that isn't what was asked.
            score: how likely the translation is good, 0 to 1.
        """
        headers = self._who | _scored(score)
        if corrected is not None and len(corrected) <= LONGEST_HEADER:
            headers["x-corrected"] = corrected
        return _reply(delivery, TRANSLATION, text, headers)

    def fallback(self, delivery: Delivery, reason: str, *, score: float | None = None) -> Message:
        """The reply to what wasn't translated, ``reason`` in its header ``x-error``."""
        return _reply(delivery, NO_TRANSLATION, self._fallback, self._who | {"x-error": reason} | _scored(score))

    def quarantined(self, erroneous: Erroneous, queue: str, received_at: datetime) -> Message:
        """The copy of an erroneous message for the quarantine queue, less what would bite there."""
        delivery = erroneous.delivery
        properties = _copied(delivery)
        headers = properties["headers"]
        expirations = {"expiration": properties.pop("expiration", None), "deadline": headers.pop(DEADLINE, None)}
        headers |= {f"x-original-{name}": value for name, value in expirations.items() if value is not None}
        properties["delivery_mode"] = PERSISTENT
        properties["headers"] |= {
            "x-reason": erroneous.reason,
            "x-original-routing-key": delivery.routing_key,
            "x-received-at": received_at.isoformat(timespec="milliseconds"),
            "x-model-version": self._who["x-model-version"],
        }
        return Message(queue, delivery.body, properties, mandatory=True)


def again(retry: Retry, queue: str) -> Message:
    """The copy of a message that returns to the request queue with its attempts counted."""
    properties = _copied(retry.delivery)
    properties["headers"]["x-attempt"] = retry.attempt
    return Message(queue, retry.delivery.body, properties, mandatory=True)


def examine(delivery: Delivery, queue: str) -> Request | Erroneous | Expired | Retry:
    """What a delivery from the request queue ``queue`` is, at the moment at which it comes."""
    if is_encoded(delivery.properties):
        return Erroneous(delivery, "content-encoding")
    if not has_usable_reply_to(delivery, queue):
        return Erroneous(delivery, "reply-to")
    try:
        text = text_of(delivery)
    except UnicodeDecodeError:
        return Erroneous(delivery, "not-utf8")
    except NotText:
        return Erroneous(delivery, "content-type")
    deadline = deadline_of(delivery.properties, delivery.received_at)
    if deadline <= delivery.received_at:
        return Expired(delivery)
    request = Request(delivery, text, delivery.redelivered, deadline)
    headers = delivery.properties.headers
    return (
        _examine_attempts(request, headers) if delivery.redelivered or (headers and "x-attempt" in headers) else request
    )


def _examine_attempts(request: Request, headers: Mapping[Any, Any] | None) -> Request | Erroneous | Retry:
    """What a request is that may have been delivered before.

    A quorum queue counts the deliveries that failed. Others only say that there was one: it is counted in a header.
    """
    delivery, headers = request.delivery, headers or {}
    marked = _number(headers.get("x-attempt"))
    counted = delivery.redelivered and "x-delivery-count" in headers
    failed = marked + (_number(headers.get("x-delivery-count")) if counted else delivery.redelivered)
    if failed >= MOST_ATTEMPTS:
        return Erroneous(delivery, "crashed")
    if delivery.redelivered and not counted:
        return Retry(delivery, failed)
    return replace(request, suspect=delivery.redelivered or marked > 0)


def text_of(delivery: Delivery) -> str:
    """The text to translate.

    Raises:
        UnicodeDecodeError: the body isn't UTF-8.
        NotText: the body is something else than text, or than JSON that holds one.
    """
    form = form_of(delivery.properties)
    if form is None:
        raise NotText
    return read(form, delivery.body)


def has_usable_reply_to(delivery: Delivery, queue: str) -> bool:
    """Whether somebody can be answered: ``reply_to`` is there and is neither the request queue nor its quarantine."""
    reply_to = delivery.properties.reply_to
    return bool(reply_to) and reply_to not in (queue, quarantine_of(queue))


def quarantine_of(queue: str) -> str:
    """The queue that takes a request queue's erroneous messages."""
    return f"{queue}.quarantine"


def _scored(score: float | None) -> dict[str, str]:
    return {} if score is None else {"x-score": f"{score:.4f}"}  # as text: the library writes no floating point


def _reply(delivery: Delivery, kind: str, text: str, headers: Mapping[str, str]) -> Message:
    """A reply in the form in which its request came."""
    request = delivery.properties
    reply_to = request.reply_to
    form = form_of(request) or Form.TEXT
    properties = {
        "content_type": form.value,
        "content_encoding": "utf-8",
        "correlation_id": request.correlation_id,
        "delivery_mode": PERSISTENT if request.delivery_mode == PERSISTENT else TRANSIENT,
        "headers": {**headers, **trace_of(request)},
        "app_id": APP_ID,
        "timestamp": int(time.time()),
        "type": kind,
    }
    # The broker takes no direct reply-to for a queue: it would return every mandatory message.
    direct = isinstance(reply_to, str) and reply_to.startswith(DIRECT_REPLY_TO)
    return Message(reply_to, write(form, text), properties, mandatory=not direct)


def _copied(delivery: Delivery) -> dict[str, Any]:
    """The properties of a delivery for a copy of it, with headers of its own.

    The broker refuses a ``user_id`` that isn't the publisher's and a bare direct reply-to, and would send a copy to
    wherever CC and BCC point; these are kept as headers ``x-original-…``.
    """
    values = {name: getattr(delivery.properties, name, None) for name in _PROPERTIES}
    headers = _encodable_headers(values.pop("headers") or {})
    dropped = {name: headers.pop(name) for name in _ROUTES + _COUNTS if name in headers}
    dropped["user-id"] = values.pop("user_id")
    if values["reply_to"] == DIRECT_REPLY_TO:
        dropped["reply-to"] = values.pop("reply_to")
    headers |= {f"x-original-{_plain(name)}": value for name, value in dropped.items() if value is not None}
    return {name: value for name, value in values.items() if value is not None} | {"headers": headers}


def _plain(header: str) -> str:
    return header.lower().removeprefix("x-")


def _encodable_headers(headers: Mapping[Any, Any]) -> dict[Any, Any]:
    encodable = {key: _encodable(value) for key, value in headers.items()}
    length = len(repr(encodable))
    return encodable if length <= _LARGEST_HEADERS else {"x-original-headers": f"dropped, {length} characters"}


def _encodable(value: Any, depth: int = 1) -> Any:
    """A header's value as the library can write it; what AMQP can carry but the library can't write becomes text."""
    if depth > _DEEPEST_HEADER:
        return "dropped, nested too deep"
    match value:
        case bool() | str() | bytes() | datetime() | decimal.Decimal() | None:
            return value
        case int():
            return value if -(2**63) <= value < 2**63 else str(value)
        case list():
            return [_encodable(item, depth + 1) for item in value]
        case dict():
            return {key: _encodable(item, depth + 1) for key, item in value.items()}
        case _:
            return str(value)


def _number(value: Any) -> int:
    """A count from a header that anybody may have written."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
