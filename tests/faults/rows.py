"""The fault table of the service's design, row by row."""

from typing import Any

import pytest

fault = pytest.mark.fault
"""Names the row that a test is."""


def case(row: str, *values: Any, long: bool = False) -> Any:
    """A case of a test that is a row; ``long`` ones run in `make faults` alone."""
    return pytest.param(*values, id=row, marks=[fault(row), *([pytest.mark.long] if long else [])])


ROWS = (
    "kill -9 mid-batch",
    "kill -9 between confirm and ack",
    "broker restart, quorum queue",
    "broker restart, quorum queue, stopped in order",
    "broker restart, transient queue",
    "cluster, leader killed",
    "cluster, leader killed five times",
    "half-open link",
    "link reset",
    "link cut mid-frame",
    "slow broker",
    "throttled link",
    "reply queue gone",
    "direct reply-to gone",
    "invalid UTF-8",
    "empty",
    "NUL only",
    "Arabic",
    "emoji only",
    "10 MB of valid text",
    "no reply_to",
    "reply_to = rpc_queue",
    "gzip encoding",
    "no correlation_id",
    "binary correlation_id",
    "header with a far-future timestamp",
    "100 bad among 10,000 good, exit",
    "100 bad among 10,000 good, continue",
    "one bad inside a batch of 32",
    "memory alarm",
    "disk alarm",
    "SIGTERM mid-batch",
    "SIGTERM before connect",
    "SIGTERM during an alarm",
    "queue deleted while consuming",
    "publish channel closed by the broker",
    "two versions side by side",
    "roll forward and back under load",
    "rpc_queue exists as transient",
    "rpc_queue exists as durable classic",
    "rpc_queue exists as quorum",
    "rpc_queue exists with dead-letter arguments",
    "clock jump",
    "flipped bit in weights",
    "wrong architecture hash",
    "truncated lang",
    "wrong golden",
    "read-only file system, non-root",
    "no network at start; broker appears a minute later",
    "wrong password",
    "combined run",
)
