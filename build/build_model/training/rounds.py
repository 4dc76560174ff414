"""Rounds: so many pairs, drawn, typed, substituted, encoded and batched, while the round before is trained on.

A round follows from the seed and its number alone, so a training goes on in the middle of one. It is made in a process
of its own, and as arrays: 750,000 encoded pairs as Python lists would be gigabytes.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from build_model.training.mixture import Mixture
from build_model.training.noise import retype
from build_model.training.substitution import Pair, Substitution
from model.checkpoint import Vocabularies
from model.contract import Unreadable, Vocabulary
from model.folder import load_model

PAIRS = 48_000  # a round has at most
_LONGEST = 80  # ids of a side; a longer pair is left out
_TOGETHER = 16  # rows are added to a batch by so many, where there are as many
_LENGTHS = 3  # lengths are padded to multiples of it: few shapes, so a processor's kernels are made few times
_LEAST_BATCHES = 8  # a round; a small corpus gets smaller batches, so that it takes enough steps
_SMALL = 20_000  # pairs; a smaller mixture isn't worth a process

Ids = NDArray[np.int32]
Batch = tuple[Ids, Ids]
"""Sources ``(rows, source_length)`` and targets ``(rows, target_length)``, padded."""


@dataclass(frozen=True)
class Plan:
    """What a round is made from, beside its number.

    Attributes:
        code: the network's folder.
        pads: whether a batch may hold several lengths.
        batch_tokens: source and target tokens a batch, padding included.
    """

    mixture: Mixture
    languages: tuple[str, str]
    vocabularies: tuple[str, ...]
    code: Path
    pads: bool
    batch_tokens: int
    seed: int

    def read_vocabularies(self) -> Vocabularies:
        """The vocabularies that ``vocabularies`` are as JSON."""
        found = [load_model(self.code).vocabulary.from_json(text) for text in self.vocabularies]
        return found[0], found[-1]


class Rounds:
    """The rounds of a training.

    Attributes:
        pairs: in each.
    """

    def __init__(self, plan: Plan) -> None:
        self.pairs = min(plan.mixture.pairs, PAIRS)
        self._plan = plan
        self._maker: _Maker | None = None
        self._executor: Executor | None = None
        self._next: tuple[int, Future[list[Batch]]] | None = None
        self._last: tuple[int, list[Batch]] = (0, [])
        if plan.mixture.pairs > _SMALL:
            self._executor = ProcessPoolExecutor(1, get_context("spawn"), _start, (plan,))

    def get(self, number: int) -> list[Batch]:
        """The batches of a round, in order; the next one is begun."""
        if self._last[0] != number:
            self._last = number, self._make(number)
        return self._last[1]

    def _make(self, number: int) -> list[Batch]:
        if self._executor is None:
            self._maker = self._maker or _Maker(self._plan)
            return self._maker.make(number)
        coming = self._next[1] if self._next and self._next[0] == number else self._executor.submit(_make, number)
        found = coming.result()
        self._next = number + 1, self._executor.submit(_make, number + 1)
        return found

    def close(self) -> None:
        """Ends the process."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)


class _Maker:
    """Makes rounds, one after the other."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.vocabularies = plan.read_vocabularies()
        source = self.vocabularies[0]
        self.substitute: Substitution | None = None
        if getattr(source, "slots", None):
            self.substitute = Substitution(plan.languages, getattr(source, "capitalised", frozenset()), ())
            self.substitute.names = sorted(
                {
                    here[0]
                    for part in plan.mixture.parts
                    for pair in part.kept[:60_000]
                    for here, _ in self.substitute.common_names(pair)
                }
            )

    def make(self, number: int) -> list[Batch]:
        plan, random = self.plan, Random(f"{self.plan.seed}-{number}")
        pairs = [self._varied(pair, random) for pair in plan.mixture.draw(min(plan.mixture.pairs, PAIRS), random)]
        source, target = self.vocabularies
        sides = _encode(source, [pair[0] for pair in pairs]), _encode(target, [pair[1] for pair in pairs])
        kept = [
            (one, other)
            for one, other in zip(*sides, strict=True)
            if one is not None and other is not None and max(len(one), len(other)) <= _LONGEST
        ]
        most = min(plan.batch_tokens, sum(len(one) + len(other) for one, other in kept) // _LEAST_BATCHES)
        batches = [
            (
                _array([kept[row][0] for row in rows], source.pad, plan.pads),
                _array([kept[row][1] for row in rows], target.pad),
            )
            for rows in _cut([(len(one), len(other)) for one, other in kept], most, pads=plan.pads)
        ]
        random.shuffle(batches)
        return batches

    def _varied(self, pair: Pair, random: Random) -> Pair:
        source, target = self.substitute(pair, random) if self.substitute else pair
        return retype(source, random, self.plan.languages[0]), target


def _encode(vocabulary: Vocabulary, texts: Sequence[str]) -> Iterator[list[int] | None]:
    """The ids of each text; None for one that can't be read."""
    together = getattr(vocabulary, "encode_batch", None)
    if together is not None:
        yield from together(texts)
        return
    for text in texts:
        try:
            yield vocabulary.encode(text)
        except Unreadable:
            yield None


def _cut(lengths: Sequence[tuple[int, int]], most: int, *, pads: bool) -> Iterator[list[int]]:
    """Batches of pairs of like lengths, as positions in ``lengths``."""
    order = sorted(range(len(lengths)), key=lambda number: lengths[number])
    step = _TOGETHER if len(order) >= _LEAST_BATCHES * _TOGETHER and pads else 1
    batch: list[int] = []
    for start in range(0, len(order), step):
        more = order[start : start + step]
        longest = [_up(max(lengths[number][side] for number in [*batch, *more])) for side in (0, 1)]
        other = batch and not pads and lengths[batch[0]][0] != lengths[more[0]][0]
        if batch and (other or sum(longest) * (len(batch) + len(more)) > most):
            yield batch
            batch = []
        batch = batch + more
    if batch:
        yield batch


def _array(rows: Sequence[Sequence[int]], pad: int, pads: bool = True) -> Ids:
    longest = max(map(len, rows))
    array = np.full((len(rows), _up(longest) if pads else longest), pad, dtype=np.int32)
    for number, row in enumerate(rows):
        array[number, : len(row)] = row
    return array


def _up(length: int) -> int:
    return -(-length // _LENGTHS) * _LENGTHS


_maker: _Maker | None = None  # of the process that makes rounds


def _start(plan: Plan) -> None:
    global _maker  # noqa: PLW0603 (what a pool's initialiser leaves for its tasks)
    _maker = _Maker(plan)


def _make(number: int) -> list[Batch]:
    assert _maker is not None
    return _maker.make(number)
