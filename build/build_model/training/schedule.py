"""The schedule: how long a training goes on, and how fast it learns meanwhile."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up over steps, then a cosine over minutes or passes; so no clock decides the first steps.

    Attributes:
        minutes: length of the training over all of its runs, or None.
        epochs: the same in passes over the corpus, or None; one of the two is given.
        peak_rate: after the warm-up.
        warmup_steps: steps until ``peak_rate``, or a tenth of the training where that is less.
    """

    minutes: float | None
    epochs: int | None
    peak_rate: float
    warmup_steps: int

    def done(self, seconds: float, epochs: float) -> float:
        """The share of the training that is behind after so many seconds and passes, 0 to 1."""
        if self.minutes is not None:
            return min(1.0, seconds / (60 * self.minutes))
        return min(1.0, epochs / (self.epochs or 1))

    def rate(self, step: int, done: float, steps_per_epoch: float) -> float:
        """The learning rate of a step."""
        warmup = float(self.warmup_steps)
        if self.epochs is not None:
            warmup = min(warmup, max(1.0, self.epochs * steps_per_epoch / 10))
        if step < warmup:
            return self.peak_rate * step / warmup
        return self.peak_rate * 0.5 * (1 + math.cos(math.pi * done))
