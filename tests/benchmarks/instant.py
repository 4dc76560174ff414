"""The service without its model, a process of its own: a translator that hands every text back at once.

What is left is what transport costs: the two connections, the two threads, the books.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Translation:
    """As the model's."""

    text: str
    error: str | None = None
    corrected: str | None = None
    score: float | None = None


class Translator:
    """As the model's, as far as a service asks it; tests/service/test_measured.py has it served."""

    version = "0.0.0"
    architecture = "0" * 64
    example = "Bonjour."
    source, target = "fra", "eng"
    path = "none"
    sentences_per_second = 0.0
    scores = False

    @classmethod
    def load(cls, *_: Any, **__: Any) -> "Translator":
        """Loads nothing."""
        return cls()

    def self_test(self) -> None:
        """There is nothing to test."""

    def translate(self, texts: Sequence[str], **_: Any) -> list[Translation]:
        """The texts."""
        return [Translation(text) for text in texts]


if __name__ == "__main__":
    module = ModuleType("model.translator")  # so that the service finds this one, and torch isn't imported
    module.Translator = Translator  # type: ignore[attr-defined]
    sys.modules["model.translator"] = module
    from service.__main__ import main

    sys.exit(main([]))
