"""What became of every request, as Jepsen's checker keeps it for queues."""

import threading
from collections import Counter
from dataclasses import dataclass, field

Key = str | bytes | None
"""A correlation id; None is that of the one request that has none."""


class BooksDontBalance(AssertionError):
    """A request is lost, or a reply came that nobody asked for."""


@dataclass(frozen=True)
class Tally:
    """How many requests each thing became of. One may be in more than one column.

    Attributes:
        attempted: requests that the client sent.
        confirmed: those that the broker took responsibility for; only these can be lost.
        answered: those that got a reply.
        returned: those without a reply whose client was gone, and whose reply the service counted as done.
        duplicated: those that got more than one reply.
        quarantined: those of which a copy is in quarantine.
        queued: those that were still in the request queue at the end.
        lost: confirmed ones of which nothing is left.
        unexpected: replies to what was never sent, and replies to one text by one version that differ.
    """

    attempted: int
    confirmed: int
    answered: int
    returned: int
    duplicated: int
    quarantined: int
    queued: int
    lost: int
    unexpected: int


@dataclass
class Books:
    """Who asked what, and what came of it. Several threads may write.

    Attributes:
        returned: replies to clients that are gone, as the service counts them; requests in `gone` may claim one each.
    """

    texts: dict[Key, bytes] = field(default_factory=dict)
    erroneous: set[Key] = field(default_factory=set)
    gone: set[Key] = field(default_factory=set)
    confirmed: set[Key] = field(default_factory=set)
    quarantined: set[Key] = field(default_factory=set)
    queued: set[Key] = field(default_factory=set)
    returned: int = 0
    unexpected: list[str] = field(default_factory=list)
    _replies: Counter[Key] = field(default_factory=Counter)
    _translations: dict[tuple[bytes, str], bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def attempt(self, key: Key, text: bytes, *, erroneous: bool = False, gone: bool = False) -> None:
        """A request is sent; ``erroneous`` ones must end in quarantine, and nobody waits for a reply to ``gone`` ones.

        Raises:
            ValueError: there is one of this key.
        """
        with self._lock:
            if key in self.texts:
                raise ValueError(f"two requests with the correlation id {key!r}")
            self.texts[key] = text
            if erroneous:
                self.erroneous.add(key)
            if gone:
                self.gone.add(key)

    def confirm(self, key: Key) -> None:
        """The broker took a request."""
        with self._lock:
            self.confirmed.add(key)

    def answer(self, key: Key, body: bytes, version: str, *, seen_before: bool = False) -> None:
        """A reply came; ``seen_before``: the broker says that it delivered it once already."""
        with self._lock:
            if key not in self.texts:
                self.unexpected.append(f"a reply to {key!r}, which was never sent")
                return
            if not (seen_before and self._replies[key]):
                self._replies[key] += 1
            first = self._translations.setdefault((self.texts[key], version), body)
            if body != first:
                self.unexpected.append(f"{self.texts[key][:80]!r} was {first!r}, and is {body!r} now")

    def quarantine(self, key: Key, body: bytes) -> None:
        """A copy is in quarantine."""
        with self._lock:
            self.quarantined.add(key)
            if self.texts.get(key) != body:
                self.unexpected.append(f"the quarantine's copy of {key!r} is not what was sent")

    def queue(self, key: Key) -> None:
        """A request is still in the queue."""
        with self._lock:
            self.queued.add(key)

    @property
    def answered(self) -> int:
        """Requests that got a reply."""
        with self._lock:
            return len(self._replies)

    @property
    def replies(self) -> int:
        """Replies, more than one to a request included."""
        with self._lock:
            return self._replies.total()

    @property
    def waiting(self) -> set[Key]:
        """Requests whose client waits for a reply and has none."""
        with self._lock:
            return self.texts.keys() - self._replies.keys() - self.gone

    @property
    def unconfirmed(self) -> set[Key]:
        """Requests that the broker didn't take so far."""
        with self._lock:
            return self.texts.keys() - self.confirmed

    def tally(self) -> Tally:
        """The books as they stand."""
        with self._lock:
            # Answered isn't enough for an erroneous one: its copy is what an operator looks at.
            settled = (self._replies.keys() - self.erroneous) | self.quarantined | self.queued
            open_ = self.confirmed - settled
            returned = min(self.returned, len(open_ & self.gone))
            return Tally(
                attempted=len(self.texts),
                confirmed=len(self.confirmed),
                answered=len(self._replies),
                returned=returned,
                duplicated=sum(count > 1 for count in self._replies.values()),
                quarantined=len(self.quarantined),
                queued=len(self.queued),
                lost=len(open_) - returned,
                unexpected=len(self.unexpected),
            )

    def check(self) -> None:
        """Nothing is lost, and nothing came that shouldn't.

        Raises:
            BooksDontBalance: something is, or did.
        """
        tally = self.tally()
        if tally.lost or tally.unexpected:
            raise BooksDontBalance("\n".join([str(tally), *self.unexpected[:5]]))
