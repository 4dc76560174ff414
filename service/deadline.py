"""Until when an answer is of use to its client."""

import math
import re
import time
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

HEADER = "x-deadline"  # unix milliseconds


class Dated(Protocol):
    """The AMQP basic properties that say how long a client waits."""

    headers: Any
    expiration: Any


def deadline_of(properties: Dated, received_at: float) -> float:
    """When nobody waits any more, by the clock of ``received_at``; infinity where the client doesn't say.

    The broker drops what has expired in the queue and starts an ``expiration`` there; how much of it is left isn't
    known here, so all of it counts from the delivery on. A value that makes no sense is as none.

    Args:
        received_at: ``time.monotonic()`` of the delivery, which was a moment ago.
    """
    deadlines = [math.inf]
    if (milliseconds := _number(properties.expiration)) is not None:
        deadlines.append(received_at + milliseconds / 1000)
    headers: Mapping[Any, Any] = properties.headers or {}
    if (milliseconds := _number(headers.get(HEADER))) is not None:
        deadlines.append(received_at + milliseconds / 1000 - time.time())
    return min(deadlines)


def _number(value: Any) -> float | None:
    """Milliseconds, in whichever type a library wrote them."""
    match value:
        case bool():
            return None
        case int():
            return min(max(value, -(2**63)), 2**63)
        case float() | Decimal() if math.isfinite(value):
            return float(value)
        case datetime():  # AMQP's timestamp: the library made a date of the number
            return value.timestamp() * 1000
        case str() if re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]+)?", value):
            return float(value)
    return None
