"""A model that translates to capitals and obeys a few words, so that the service can be watched under every outcome.

It stands where `model/translator.py` does. What is under test is the service; the broker and the library are real.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Translation:
    """As the real one."""

    text: str
    error: str | None = None
    corrected: str | None = None
    score: float | None = None


class Translator:
    """As the real one, without a network."""

    version = "9.8.7"
    architecture = "0123abcd" * 8
    scores = "STAND_IN_WITHOUT_SCORES" not in os.environ
    path, sentences_per_second = "stand-in", 1000.0
    source, target, example = "fra", "eng", "Je vais dormir."

    @classmethod
    def load(cls, folder: Path, *, threads: int | None = None) -> "Translator":
        """Takes as long as the environment says, as loading does."""
        assert folder.name == "checkpoint"
        assert threads is None or threads > 0
        time.sleep(float(os.environ.get("STAND_IN_LOAD_SECONDS", "0")))
        return cls()

    def self_test(self) -> None:
        """Always passes."""

    def translate(self, texts: Sequence[str], *, max_characters: int | None = None) -> list[Translation]:
        """Capitals. `wait N …` takes N seconds, `raise` raises (unless mended), `kill` is like a segmentation fault;
        `score N …` has that score and counts as corrected."""
        return [self._translate(text) for text in texts]

    @staticmethod
    def _translate(text: str) -> Translation:
        match text.split():
            case []:
                return Translation("", "empty")
            case ["wait", seconds, *_]:
                sys.stderr.write(json.dumps({"event": f"waits {float(seconds):g} s"}) + "\n")
                time.sleep(float(seconds))
            case ["score", score, *_]:
                return Translation(text.upper(), corrected=text, score=float(score))
            case ["raise", *_] if "STAND_IN_MENDED" not in os.environ:
                raise ValueError(text)
            case ["kill", *_]:
                os.kill(os.getpid(), signal.SIGKILL)
        mended = text.replace("formir", "dormir")
        return Translation(mended.upper(), corrected=mended if mended != text else None)
