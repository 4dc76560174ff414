"""The quarantine of a request queue: to be looked at, put back where that can help, or thrown away.

A message is there because the service refused it or didn't survive it, with the reason in its headers; or because a
policy of the broker dead-lettered it there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from build_model.operation.audit import Audit
from build_model.operation.rpc import Broker, Held, Message, encodable
from build_model.report import Progress
from dragoman.link import DIRECT_REPLY_TO

PREVIEW_CHARACTERS = 40
UTF_8 = {"", "utf-8", "utf8", "identity"}
TEXT, JSON = "text/plain", {"application/json", "text/json"}
"""Content encodings and types that the service takes, written out: this is the contract, not the code."""

# What the service or the broker wrote on the message on its way here. Attempts begin anew, so their counts go.
_WRITTEN = {"x-reason", "x-original-routing-key", "x-received-at", "x-model-version"}
_COUNTS = {"x-delivery-count", "x-acquired-count", "x-attempt"}
_MOVED_COUNTS = {f"x-original-{name.removeprefix('x-')}" for name in _COUNTS}
_DEATHS = {
    "x-death",
    *(f"x-{which}-death-{what}" for which in ("first", "last") for what in ("reason", "queue", "exchange")),
}
_DROPPED = _WRITTEN | _COUNTS | _MOVED_COUNTS | _DEATHS | {"x-deadline"}


@dataclass(frozen=True)
class Kept:
    """A message in quarantine, as a person looks at it. Text from outside is escaped where it can't be printed."""

    reason: str
    received_at: str
    version: str
    bytes: int
    correlation_id: str
    reply_to: str
    preview: str

    @classmethod
    def of(cls, message: Message) -> Kept:
        """What its headers and properties say."""
        return cls(
            reason=reason_of(message),
            received_at=_received_at(message.headers),
            version=_text(message.headers.get("x-model-version", "")),
            bytes=len(message.body),
            correlation_id=_text(message.properties.get("correlation_id", "")),
            reply_to=_text(message.properties.get("reply_to", "")),
            preview=_preview(message.body),
        )

    def encode(self) -> dict[str, object]:
        """For ``--json``."""
        return dict(vars(self))

    def row(self) -> tuple[str, ...]:
        """For a table; direct reply-to is long and says nothing."""
        direct = self.reply_to.startswith(DIRECT_REPLY_TO)
        reply_to = "direct" if direct else self.reply_to
        size = str(self.bytes)
        return self.reason, self.received_at, self.version, size, self.correlation_id, reply_to, self.preview


COLUMNS = ("reason", "received at", "version", "bytes", "correlation id", "reply to", "text")


@dataclass(frozen=True)
class Looked:
    """What is in quarantine; ``total`` counts what isn't shown, too."""

    queue: str
    total: int
    messages: tuple[Kept, ...]

    def encode(self) -> dict[str, object]:
        """For ``--json``."""
        return {"queue": self.queue, "total": self.total, "messages": [kept.encode() for kept in self.messages]}


@dataclass
class Requeued:
    """What came of a requeue: how many went back, and how many stay because they would only return, by reason."""

    queue: str
    dry_run: bool
    requeued: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def encode(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "queue": self.queue,
            "dry_run": self.dry_run,
            "requeued": self.requeued,
            "refused": dict(sorted(self.refused.items())),
        }


def quarantine_of(queue: str) -> str:
    """The name of a request queue's quarantine."""
    return f"{queue}.quarantine"


def look(broker: Broker, queue: str, limit: int) -> Looked:
    """Up to ``limit`` messages in the quarantine of ``queue``; all are in it afterwards, however often it is looked."""
    name = quarantine_of(queue)
    with broker.holding(name) as held:
        return Looked(name, held.total, tuple(Kept.of(message) for message in islice(held, limit)))


def requeue(
    broker: Broker,
    queue: str,
    *,
    reason: str | None,
    limit: int | None,
    reply_to: str | None,
    dry_run: bool,
    audit: Audit,
    progress: Progress,
) -> Requeued:
    """Put messages of the quarantine back on ``queue``, oldest first; what would only return stays.

    Each is taken off the quarantine after the broker confirmed its copy: none is lost, and one that is under way when
    the connection breaks may be in both queues.

    Args:
        reason: only those with this reason.
        limit: so many at most.
        reply_to: where their answers go, instead of where each message says.
        dry_run: only count.
    """
    if not dry_run:
        audit.check()
    for needed in [queue, *([] if reply_to is None else [reply_to])]:
        broker.depth(needed)  # it is missing: that is said before anything is done
    done = Requeued(queue, dry_run)
    try:
        with broker.holding(quarantine_of(queue)) as held, progress.counted("requeueing", held.total) as step:
            _requeue(held, done, reason, limit, reply_to, step)
    finally:
        if done.requeued and not dry_run:
            audit.record("requeue", queue=queue, messages=done.requeued, reason=reason, reply_to=reply_to)
    return done


def purge(broker: Broker, queue: str, *, reason: str | None, audit: Audit, progress: Progress) -> int:
    """Remove the messages with ``reason`` from the quarantine of ``queue``, or all; how many that were."""
    audit.check()
    name = quarantine_of(queue)
    removed = 0
    try:
        if reason is None:
            removed = broker.purge(name)
        else:
            with broker.holding(name) as held, progress.counted("purging", held.total) as step:
                for message in held:
                    if reason_of(message) == reason:
                        held.remove()
                        removed += 1
                    step()
    finally:
        if removed:
            audit.record("purge", queue=name, messages=removed, reason=reason)
    return removed


def reason_of(message: Message) -> str:
    """Why it is here: the service's reason, or the broker's (``delivery_limit``, ``rejected``, ``expired``)."""
    return _text(message.headers.get("x-reason") or message.headers.get("x-first-death-reason") or "unknown")


def refusal(message: Message, queue: str) -> str | None:
    """The reason for which the service at ``queue`` would put it back into quarantine at once; None if it wouldn't."""
    properties = message.properties
    encoding = properties.get("content_encoding", "")
    if not isinstance(encoding, str) or encoding.lower() not in UTF_8:
        return "content-encoding"
    if properties.get("reply_to", "") in {"", b"", DIRECT_REPLY_TO, queue, quarantine_of(queue)}:
        return "reply-to"
    kind = _kind(properties.get("content_type") or TEXT)
    if kind is None or properties.get("type") == "amqp-1.0":
        return "content-type"
    try:
        text = message.body.decode()
    except UnicodeDecodeError:
        return "not-utf8"
    return "content-type" if kind in JSON and not _holds_text(text) else None


def _kind(content_type: Any) -> str | None:
    """A content type that the service takes, without its parameters; None for any other."""
    kind, *parameters = (part.strip() for part in str(content_type).lower().split(";"))
    named = (one.partition("=") for one in parameters)
    charsets = {value.strip(" \"'") for name, _, value in named if name.strip() == "charset"}
    known = kind in JSON or kind.startswith("text/")
    return kind if known and charsets <= {"utf-8", "utf8", "us-ascii", "ascii"} else None


def _holds_text(document: str) -> bool:
    """Whether it is JSON with one string in ``text``, and no name twice in any object."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise ValueError
        return found

    try:
        found = json.loads(document.removeprefix("\ufeff"), object_pairs_hook=once, parse_int=float)
        if not isinstance(found, dict) or not isinstance(found.get("text"), str):
            return False
        found["text"].encode()
    except (ValueError, RecursionError):  # half a surrogate pair too
        return False
    return True


def restored(message: Message, reply_to: str | None) -> Message:
    """The request as it goes back: without what the way here wrote on it, so attempts begin anew; it doesn't expire."""
    headers = {name: encodable(value) for name, value in message.headers.items() if name not in _DROPPED}
    properties = {name: value for name, value in message.properties.items() if name not in {"user_id", "expiration"}}
    return replace(
        message, headers=headers, properties=properties if reply_to is None else properties | {"reply_to": reply_to}
    )


def _requeue(
    held: Held, done: Requeued, reason: str | None, limit: int | None, reply_to: str | None, step: Callable[[], None]
) -> None:
    for message in held:
        if reason is None or reason_of(message) == reason:
            request = restored(message, reply_to)
            if (why := refusal(request, done.queue)) is not None:
                done.refused[why] += 1
            else:
                if not done.dry_run:
                    held.move(request, done.queue)
                done.requeued += 1
        step()
        if done.requeued == limit:
            return


def _received_at(headers: Mapping[str, Any]) -> str:
    """When the service got it, or when the broker dead-lettered it; empty where nobody wrote that down."""
    match headers:
        case {"x-received-at": at}:
            return _text(at)
        case {"x-death": [{"time": datetime() as at}, *_]}:
            return at.isoformat()
    return ""


def _text(value: Any) -> str:
    """Anything that a stranger may have written, fit for a terminal."""
    return _escaped(value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value))


def _preview(body: bytes) -> str:
    """The beginning of a body, fit for a terminal."""
    text = body[: 4 * PREVIEW_CHARACTERS].decode("utf-8", "backslashreplace")
    cut = len(text) > PREVIEW_CHARACTERS
    return _escaped(text[:PREVIEW_CHARACTERS]) + ("…" if cut else "")


def _escaped(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
