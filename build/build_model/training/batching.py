"""Batches: pairs of like length together, in an order that follows from the seed."""

from collections.abc import Sequence
from random import Random

_SORTED_TOGETHER = 16_384  # pairs sorted by length at a time: like lengths share a batch, yet batches vary


def batches(lengths: Sequence[tuple[int, int]], most_tokens: int, random: Random) -> list[list[int]]:
    """Numbers of pairs, each in one batch.

    Args:
        lengths: source and target tokens of each pair.
        most_tokens: source and target tokens of a batch, padding included; a longer pair is a batch of its own.
        random: draws the order.
    """
    order = list(range(len(lengths)))
    random.shuffle(order)
    cut: list[list[int]] = []
    for start in range(0, len(order), _SORTED_TOGETHER):
        chunk = sorted(order[start : start + _SORTED_TOGETHER], key=lambda number: lengths[number])
        cut += _cut(chunk, lengths, most_tokens)
    random.shuffle(cut)
    return cut


def _cut(numbers: Sequence[int], lengths: Sequence[tuple[int, int]], most_tokens: int) -> list[list[int]]:
    cut: list[list[int]] = []
    longest = 0
    for number in numbers:
        tokens = sum(lengths[number])
        longest = max(longest, tokens)
        if not cut or longest * (len(cut[-1]) + 1) > most_tokens:
            cut.append([])
            longest = tokens
        cut[-1].append(number)
    return cut
