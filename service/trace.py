"""What lets whoever looks into a trouble find one request among many: what its client sent for that comes back."""

from collections.abc import Mapping
from typing import Any, Protocol

CARRIED = ("traceparent", "tracestate")  # https://www.w3.org/TR/trace-context-amqp/
REQUEST_ID = "x-request-id"
_LONGEST = 2048  # characters; four times what a tracestate should have


class Traced(Protocol):
    """The AMQP basic properties that say which request it is."""

    headers: Any
    message_id: Any


def trace_of(properties: Traced) -> dict[str, Any]:
    """The headers that a reply gets: ``traceparent``, ``tracestate``, and ``message_id`` as ``x-request-id``.

    What isn't text, or is too long for its purpose, is left out.
    """
    headers: Mapping[Any, Any] = properties.headers or {}
    given = {name: headers.get(name) for name in CARRIED} | {REQUEST_ID: properties.message_id}
    return {name: value for name, value in given.items() if _is_fit(value)}


def _is_fit(value: Any) -> bool:
    return isinstance(value, str | bytes) and 0 < len(value) <= _LONGEST
