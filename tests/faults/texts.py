"""What the clients of these tests ask."""

import gzip
import json
from collections.abc import Iterator
from itertools import cycle, islice, product
from typing import Any

from images import FIXTURES

SENTENCE = "Je vais dormir."
MAX_CHARACTERS = 5000
FALLBACK = b"Could not translate. Try 'Je vais dormir.'"
SENTENCES = [json.loads(line)["src"] for line in (FIXTURES / "dev.jsonl").read_text("utf-8").splitlines()]


def sentences(count: int) -> Iterator[str]:
    """So many sentences; each comes again, and must get the same translation then."""
    return islice(cycle(SENTENCES), count)


def paragraphs(count: int, length: int = 8) -> Iterator[str]:
    """So many texts of several sentences, which keep the model busy for longer."""
    return (" ".join(islice(cycle(SENTENCES), number % 7, number % 7 + length)) for number in range(count))


def longest() -> str:
    """As much text as is translated, of sentences that all differ: the model translates each of them once."""
    return " ".join(f"{one[:-1]} et {other}" for one, other in islice(product(SENTENCES, repeat=2), 200))[
        :MAX_CHARACTERS
    ]


def erroneous(number: int, queue: str) -> tuple[bytes, dict[str, Any]]:
    """The body and the properties of a request that must end in quarantine; of each kind in turn."""
    kinds: list[tuple[bytes, dict[str, Any]]] = [
        (f"Je vais {number} ".encode() + b"\xff\xfe", {}),
        (gzip.compress(f"{number}".encode(), mtime=0), {"content_encoding": "gzip"}),
        (f"{SENTENCE} {number}".encode(), {"reply_to": queue}),
        (f"{SENTENCE} {number}".encode(), {"reply_to": None}),
    ]
    return kinds[number % len(kinds)]
