"""What the service replies: a text, and headers that say who answered and how sure it was."""

from __future__ import annotations

import decimal
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A reply.

    Attributes:
        text: the translation, or the fallback where ``error`` says why there is none.
        version: ``x-model-version``.
        architecture: ``x-architecture``, the architecture hash.
        error: ``x-error``; None for a translation.
        corrected: ``x-corrected``: what was translated, where that is not what was asked; else None.
        score: ``x-score``: how likely the translation is good, 0 to 1; None where the version gives none.
    """

    text: str
    version: str
    architecture: str
    error: str | None = None
    corrected: str | None = None
    score: float | None = None

    @classmethod
    def decode(cls, body: bytes, headers: Mapping[str, Any] | None) -> Answer:
        """The answer in a reply. A header that isn't there, or that can't be read, is None or empty, never an error."""
        given = headers or {}
        return cls(
            text=body.decode("utf-8", "replace"),
            version=_text(given.get("x-model-version")) or "",
            architecture=_text(given.get("x-architecture")) or "",
            error=_text(given.get("x-error")),
            corrected=_text(given.get("x-corrected")),
            score=_number(given.get("x-score")),
        )

    def encode(self) -> dict[str, object]:
        """All of it, as a JSON object."""
        return {
            "text": self.text,
            "version": self.version,
            "architecture": self.architecture,
            "error": self.error,
            "corrected": self.corrected,
            "score": self.score,
        }


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float | decimal.Decimal | str) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
