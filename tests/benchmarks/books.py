"""The bookkeeping of a load: what was sent and when it should have been, what was answered, and how long it took."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of ``values`` that is at least as large as ``percent`` of them (nearest rank); NaN of none."""
    if not values:
        return math.nan
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]


@dataclass
class Books:
    """One phase of load. Requests are numbered from 0 in the order in which they are sent; times are in seconds.

    Attributes:
        intended: when each request was due. A sender that comes late doesn't shorten what it measures by that: latency
            counts from here (what is known as avoiding coordinated omission).
        answered: when the first reply to each request came, NaN before that.
        duplicates: replies to what had been answered already.
    """

    intended: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    duplicates: int = 0
    answers: int = 0

    def send(self, due: float) -> int:
        """A request goes out; its number."""
        self.intended.append(due)
        self.answered.append(math.nan)
        return len(self.intended) - 1

    def answer(self, number: int, now: float) -> None:
        """A reply came."""
        if math.isnan(self.answered[number]):
            self.answered[number] = now
            self.answers += 1
        else:
            self.duplicates += 1

    @property
    def outstanding(self) -> int:
        """Requests without a reply."""
        return len(self.intended) - self.answers

    def latencies(self, begin: float, end: float) -> list[float]:
        """Seconds from when it was due to its reply, of each request that was answered from ``begin`` to before
        ``end``."""
        pairs = zip(self.intended, self.answered, strict=True)
        return [answered - intended for intended, answered in pairs if begin <= answered < end]


def keeps_up(rate: float, outstanding: int) -> bool:
    """Whether a consumer that leaves so many requests unanswered at the end of a phase keeps up with ``rate`` requests
    a second: no more wait than arrive in a tenth of a second, or 5."""
    return outstanding <= max(5, rate / 10)
