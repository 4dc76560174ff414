"""Calibration: from how sure a network is of its words to how likely such a translation is good."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Calibration:
    """A logistic curve over the mean log probability of a translation's tokens (Platt 1999).

    Attributes:
        slope: change of the log odds a nat, above 0: what is surer is never less likely to be good.
        offset: log odds at a mean log probability of 0, where every token was certain.
    """

    slope: float
    offset: float

    def share(self, score: float) -> float:
        """Of translations with a mean log probability of ``score`` (nats, at most 0), the share that is good."""
        odds = self.slope * score + self.offset
        return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0  # exp has no larger argument
