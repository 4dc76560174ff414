"""Repetition: no hypothesis goes round in circles where its source doesn't.

A piece of up to ``LONGEST_REPEATED`` ids three times in a row is a circle, and so is one id four times in a row; marks
between the words make it no other one. The search is asked once more for such a row, with the id that would close a
circle forbidden at each step.
"""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from model.contract import Hypothesis, Ids, Search

LONGEST_REPEATED = 12  # ids: four words or so


def without_repetition(find: Search, again: Callable[..., list[Hypothesis]], ids: Ids) -> Search:
    """``find``, but a hypothesis that repeats itself as its source doesn't is searched once more.

    Args:
        again: `search` of the same network: called with the rows in question and ``forbid_repetition=True``.
    """

    def search_twice(source: Tensor) -> list[Hypothesis]:
        found = find(source)
        rows = [
            row
            for row, one in enumerate(found)
            if _circular(one.ids, ids.marks) and not repeated(_without(source[row].tolist(), {ids.pad}))
        ]
        if rows:
            better = again(source[torch.tensor(rows)], forbid_repetition=True)
            for row, one in zip(rows, better, strict=True):
                found[row] = one._replace(ids=unrepeated(one.ids, ids.marks))
        return found

    return search_twice


def _without(row: Sequence[int], ids: Collection[int | None]) -> list[int]:
    return [id_ for id_ in row if id_ not in ids]


def _circular(row: Sequence[int], marks: frozenset[int]) -> bool:
    return repeated(row) is not None or repeated(_without(row, marks)) is not None


def repeated(row: Sequence[int]) -> tuple[int, int] | None:
    """Where a row goes round in circles: the first position after the piece that was already there three times (of
    one id: four), and the length of the piece; None where it doesn't."""
    for length in range(1, min(LONGEST_REPEATED, len(row) // 3) + 1):
        run, enough = 0, _run(length)
        for position in range(length, len(row)):
            run = run + 1 if row[position] == row[position - length] else 0
            if run >= enough:
                return position + 1, length
    return None


def unrepeated(row: list[int], marks: frozenset[int] = frozenset()) -> list[int]:
    """A row with what it repeats cut out: the last resort."""
    for passed_over in (frozenset[int](), marks):
        while True:
            places = [place for place, id_ in enumerate(row) if id_ not in passed_over]
            if (found := repeated([row[place] for place in places])) is None:
                break
            end, length = found
            row = row[: places[end - length]] + row[places[end - 1] + 1 :]
    return row


def _run(length: int) -> int:
    """How many ids in a row that equal the id ``length`` before them make a repetition."""
    return 3 if length == 1 else 2 * length


def forbidden(row: Sequence[int], marks: frozenset[int] = frozenset()) -> set[int]:
    """The ids that would make a row repeat itself, with or without its marks."""
    return _closing(row) | _closing(_without(row, marks))


def _closing(row: Sequence[int]) -> set[int]:
    found = set()
    for length in range(1, min(LONGEST_REPEATED, (len(row) + 1) // 3) + 1):
        before = _run(length) - 1
        if len(row) >= before + length and all(row[-1 - at] == row[-1 - at - length] for at in range(before)):
            found.add(row[-length])
    return found
