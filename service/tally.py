"""What this process answered since it started, in a file beside the heartbeats: a deploy compares versions by it.

It is always kept, so that nobody has to open a port for it, and holds numbers only.
"""

import json
import os
import time
from bisect import bisect_left
from collections import Counter
from pathlib import Path

BOUNDS_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_BYTES = 1024
_LEAST_INTERVAL_SECONDS = 0.2  # between two writes


class Tally:
    """Messages by what became of them, time in hand and score; ``write`` puts the numbers into the file."""

    def __init__(self, path: Path) -> None:
        self._statuses: Counter[str] = Counter()
        self._buckets = [0] * (len(BOUNDS_SECONDS) + 1)
        self._scores = [0, 0.0, 0.0]  # how many, their sum, the sum of their squares
        self._serving: dict[str, object] = {}
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self.write()

    def loaded(self, path: str, sentences_per_second: float) -> None:
        """The model is there: the search that serves, and how fast its self-test was."""
        self._serving = {"path": path, "sentences_per_second": sentences_per_second}
        self.write()

    def processed(self, status: str, seconds: float) -> None:
        """A message got its reply or its place in quarantine after so long in hand; ``ok`` or an ``x-error``."""
        self._statuses[status] += 1
        self._buckets[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        if time.monotonic() - self._last >= _LEAST_INTERVAL_SECONDS:
            self.write()

    def scored(self, score: float) -> None:
        """A translation has such an ``x-score``; the message is processed right after."""
        self._scores[0] += 1
        self._scores[1] += score
        self._scores[2] += score * score

    def write(self) -> None:
        """Puts the numbers into the file."""
        self._last = time.monotonic()
        count, total, squares = self._scores
        numbers = {
            "statuses": self._statuses,
            "bounds_seconds": BOUNDS_SECONDS,
            "buckets": self._buckets,
            "scores": [count, round(total, 4), round(squares, 4)],
            **self._serving,
        }
        os.pwrite(self._file, json.dumps(numbers).encode().ljust(_BYTES), 0)
