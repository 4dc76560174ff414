"""Waiting for what must come."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 30.0


def until(condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = PATIENCE_SECONDS) -> Any:
    """Waits for a condition; what it gave. Where it doesn't come, says what was waited for."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)
    return found
