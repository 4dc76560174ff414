"""Message headers that a client's library can't write, for every suite that sends oddities."""

import struct
from collections.abc import Callable

import pika.data
import pytest


class RawTable(dict[str, bytes]):
    """A table that is written as the bytes it holds."""


@pytest.fixture
def raw_headers(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], RawTable]:
    """Makes headers of the encoded fields of a table."""

    def encode(pieces: list[bytes], table: object) -> int:
        if isinstance(table, RawTable):
            pieces.append(struct.pack(">I", len(table["raw"])) + table["raw"])
            return 4 + len(table["raw"])
        return int(original(pieces, table))

    original = pika.data.encode_table
    monkeypatch.setattr(pika.data, "encode_table", encode)
    return lambda raw: RawTable(raw=raw)
