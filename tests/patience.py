"""Waiting for what must come."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 120.0
"""Nobody waits that long where all is well; beside other work on a small machine it may take a while."""
AT_ONCE_SECONDS = 7.0
"""What isn't waited for takes less, on a busy machine too; each deadline of the service and the client is longer."""


def until(
    condition: Callable[[], Any],
    what: str | Callable[[], str],
    seconds: float = PATIENCE_SECONDS,
    progress: Callable[[], object] = lambda: None,
) -> Any:
    """Waits for a condition; what it gave. Where it doesn't come, says what was waited for.

    Args:
        seconds: how long, counted anew whenever ``progress`` gives something else: much work takes long somewhere.
    """
    deadline, reached = time.monotonic() + seconds, progress()
    while not (found := condition()):
        if reached != (reached := progress()):
            deadline = time.monotonic() + seconds
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)
    return found
