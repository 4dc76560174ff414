"""Source tensor to hypotheses, greedy or beam, batched, for any network of `model.contract`.

What every search keeps to:

    a limit           on the hypothesis, tied to the length of its source, so that one runaway row doesn't cost the
                      whole batch
    slots             an id that stands for something carried over is found once for each time that the source has it,
                      and no other is; what a row owes at its limit is appended

Rows that have ended leave the batch when a quarter of it has: picking the others out costs a copy of their memory and
state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from model.contract import Hypothesis, Ids, Network, Search, Vocabulary
from model.repetition import forbidden

BEAM = 1  # hypotheses a source that the service keeps: 1 is greedy, see docs/model.md
KEPT = 0.75  # of a batch's rows; where no more go on, those that have ended are left behind

_NEVER = float("-inf")


def ids_of(source: Vocabulary, target: Vocabulary, *, pads: bool = True) -> Ids:
    """What the ids of two vocabularies mean to a search; ``pads`` is the model's."""
    taken, given = slots(source), slots(target)
    never = {target.pad, target.bos, target.unk} - {target.eos, None}
    return Ids(
        pad=source.pad if pads else None,
        bos=target.bos,
        eos=target.eos,
        never=tuple(sorted(id_ for id_ in never if id_ is not None)),
        slots={id_: given[slot] for slot, id_ in taken.items() if slot in given},
        marks=frozenset(
            id_ for id_ in range(len(target)) if id_ not in never and not any(map(str.isalnum, target.decode([id_])))
        ),
    )


def slots(vocabulary: Vocabulary) -> dict[str, int]:
    """The slots of a vocabulary, which need not have any."""
    return dict(getattr(vocabulary, "slots", {}))


def pad(rows: Sequence[Sequence[int]], id_: int) -> Tensor:
    """Ids of several texts to one tensor ``(batch, longest)``, padded with ``id_``."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[id_] * (longest - len(row))] for row in rows], dtype=torch.long)


def length_limit(source_length: Tensor) -> Tensor:
    """The most tokens that a hypothesis for a source of so many tokens may have; measured on the training pairs, 1 in
    10,000 targets is longer."""
    return source_length * 2 + 6


def lengths(source: Tensor, ids: Ids) -> Tensor:
    """Ids in each row of ``source (batch, source_length)``."""
    return source.new_full((source.size(0),), source.size(1)) if ids.pad is None else (source != ids.pad).sum(1)


def take(nested: Any, index: Tensor) -> Any:
    """The rows ``index`` of a memory or a state: any nesting of tensors whose first dimension is the batch.

    Raises:
        TypeError: something else is in it.
    """
    if isinstance(nested, Tensor):
        return nested.index_select(0, index)
    if isinstance(nested, dict):
        return {name: take(part, index) for name, part in nested.items()}
    if isinstance(nested, tuple | list):
        parts = [take(part, index) for part in nested]
        return type(nested)(*parts) if hasattr(nested, "_fields") else type(nested)(parts)
    if nested is None:
        return None
    raise TypeError(f"a {type(nested).__name__}")


def search(network: Network, ids: Ids, beam: int = BEAM) -> Search:
    """The search with so many hypotheses a source; one is greedy."""
    return partial(greedy, network, ids) if beam == 1 else partial(beam_search, network, ids, beam=beam)


@dataclass
class _Debts:
    """The slots that rows still owe.

    Attributes:
        slots: target ids ``(slots)``.
        owed: how many of each ``(rows, slots)``.
    """

    slots: Tensor
    owed: Tensor

    @classmethod
    def of(cls, source: Tensor, ids: Ids) -> "_Debts | None":
        """What the rows of ``source (batch, source_length)`` owe; None where none owes anything."""
        taken = torch.tensor(sorted(ids.slots), dtype=torch.long)
        if not len(taken):
            return None
        owed = (source[:, :, None] == taken).sum(1)
        if not bool(owed.any()):
            return None
        return cls(torch.tensor([ids.slots[id_] for id_ in taken.tolist()], dtype=torch.long), owed)

    def restrict(self, logits: Tensor, eos: int) -> None:
        """Lets ``logits (rows, target_vocabulary)`` hold no slot that isn't owed, and no end where one is.

        Where the end would be the likeliest all the same, only the slots are left: a network that has said all that it
        had to say would go on with anything until it comes upon them.
        """
        end = logits[:, eos].clone()
        held = logits[:, self.slots].masked_fill(self.owed <= 0, _NEVER)
        logits[:, self.slots] = held
        owing = self.owed.sum(1) > 0
        logits[:, eos].masked_fill_(owing, _NEVER)
        early = owing & (end > logits.amax(1))
        if bool(early.any()):
            logits[early] = torch.full_like(logits[early], _NEVER).index_copy(1, self.slots, held[early])

    def pay(self, last: Tensor) -> None:
        """Takes off what ``last (rows)`` are."""
        self.owed = self.owed - (last[:, None] == self.slots).long()

    def take(self, index: Tensor) -> "_Debts":
        return _Debts(self.slots, self.owed.index_select(0, index))


def rest(row: Sequence[int], source: Sequence[int], ids: Ids) -> list[int]:
    """The slots of a source, in its order, that its hypothesis lacks."""
    owed = [ids.slots[id_] for id_ in source if id_ in ids.slots]
    for id_ in row:
        if id_ in owed:
            owed.remove(id_)
    return owed


def _mask(ids: Ids, size: int, debts: _Debts | None) -> tuple[Tensor, Tensor]:
    """What is added to logits ``(rows, size)`` at the first step and at the others, so that the ids that may not come
    next don't."""
    usual = torch.zeros(size)
    usual[list(ids.never)] = _NEVER
    if debts is None:
        usual[list(ids.slots.values())] = _NEVER
    first = usual.clone()
    first[ids.eos] = _NEVER  # none is empty
    return first, usual


def _forbid(logits: Tensor, rows: Sequence[Sequence[int]], ids: Ids) -> None:
    for position, row in enumerate(rows):
        logits[position, list(forbidden(row, ids.marks))] = _NEVER


@torch.inference_mode()
def greedy(network: Network, ids: Ids, source: Tensor, *, forbid_repetition: bool = False) -> list[Hypothesis]:
    """The hypothesis of each row of ``source (batch, source_length)``, the best id at each step."""
    limits = length_limit(lengths(source, ids))
    memory, state = network.encode(source)
    debts = _Debts.of(source, ids)
    mask = None
    batch = source.size(0)
    rows, last = torch.arange(batch), torch.full((batch,), ids.bos)
    going = torch.ones(batch, dtype=torch.bool)
    hypotheses = torch.full((batch, int(limits.max()) + 1), ids.eos)
    scores, steps = torch.zeros(batch), torch.zeros(batch)
    step = 0
    while len(rows):
        logits, state = network.step(last, state, memory)
        mask = mask or _mask(ids, logits.size(1), debts)
        logits = logits + mask[step > 0]
        if debts is not None:
            debts.restrict(logits, ids.eos)
        if forbid_repetition:
            _forbid(logits, hypotheses[rows, :step].tolist(), ids)
        best, last = logits.max(1)
        last = last.masked_fill(~going, ids.eos)
        hypotheses[rows, step] = last
        scores[rows] += (best - logits.logsumexp(1)) * going
        steps[rows] += going
        step += 1
        if debts is not None:
            debts.pay(last)
        going = going & (last != ids.eos) & (limits > step)
        left = int(going.sum())
        if left <= KEPT * len(rows):
            kept = going.nonzero().squeeze(1)
            rows, last, going, limits = rows[kept], last[kept], going[kept], limits[kept]
            state, memory = take(state, kept), take(memory, kept)
            debts = debts and debts.take(kept)
    found = []
    for row, given, score in zip(hypotheses.tolist(), source.tolist(), (scores / steps).tolist(), strict=True):
        row = row[: row.index(ids.eos)]  # noqa: PLW2901
        found.append(Hypothesis(row + rest(row, given, ids) if ids.slots else row, score))
    return found


@torch.inference_mode()
def beam_search(  # noqa: PLR0915 (a step of it in one place)
    network: Network, ids: Ids, source: Tensor, *, beam: int, forbid_repetition: bool = False
) -> list[Hypothesis]:
    """The best of ``beam`` hypotheses for each row of ``source (batch, source_length)``.

    A hypothesis' score is the mean log probability of its tokens, ``EOS`` included. A row leaves the batch when its
    best finished hypothesis beats the mean so far of all that go on.
    """
    limits = length_limit(lengths(source, ids)).tolist()
    spread = torch.arange(len(limits)).repeat_interleave(beam)
    memory, state = (take(part, spread) for part in network.encode(source))
    debts, mask = _Debts.of(source, ids), None
    debts = debts and debts.take(spread)
    last = torch.full((len(spread),), ids.bos)
    rows = list(range(len(limits)))
    going = [True] * len(rows)
    best = [Hypothesis([], _NEVER) for _ in limits]
    histories = torch.empty(len(limits), beam, 0, dtype=torch.long)
    # All beams of a row start equal, so only the first may go on.
    scores = torch.full((len(limits), beam), _NEVER)
    scores[:, 0] = 0.0
    step = 0
    while rows:
        step += 1
        logits, state = network.step(last, state, memory)
        mask = mask or _mask(ids, logits.size(1), debts)
        logits = logits + mask[step > 1]
        if debts is not None:
            debts.restrict(logits, ids.eos)
        if forbid_repetition:
            _forbid(logits, histories.flatten(0, 1).tolist(), ids)
        reached = scores[:, :, None] + logits.log_softmax(1).view(len(rows), beam, -1)
        ending = reached[:, :, ids.eos].clone()
        reached[:, :, ids.eos] = _NEVER
        scores, index = reached.flatten(1).topk(beam, 1)
        parents, tokens = index // logits.size(1), index % logits.size(1)
        ended, ended_from = ending.max(1)
        before = histories
        histories = torch.cat((before.gather(1, parents[:, :, None].expand(-1, -1, step - 1)), tokens[:, :, None]), 2)
        means = zip((ended / step).tolist(), ended_from.tolist(), (scores[:, 0] / step).tolist(), strict=True)
        for position, (score, parent, on) in enumerate(means):
            row = rows[position]
            if going[position] and score > best[row].score:
                best[row] = Hypothesis(before[position, parent].tolist(), score)
            going[position] = going[position] and step < limits[row] and on > best[row].score
            if step == limits[row] and best[row].score == _NEVER:  # it owed slots to the last
                best[row] = Hypothesis(histories[position, 0].tolist(), on)
        # A row's hypotheses share its source, so its memory stays where it is.
        index = (torch.arange(len(rows))[:, None] * beam + parents).flatten()
        last, state = tokens.flatten(), take(state, index)
        if debts is not None:
            debts = debts.take(index)
            debts.pay(last)
        if sum(going) <= KEPT * len(rows):
            kept = torch.tensor([position for position, on in enumerate(going) if on], dtype=torch.long)
            rows = [rows[position] for position in kept.tolist()]
            going = [True] * len(rows)
            all_beams = (kept[:, None] * beam + torch.arange(beam)).flatten()
            scores, histories = scores[kept], histories[kept]
            last, state, memory = last[all_beams], take(state, all_beams), take(memory, all_beams)
            debts = debts and debts.take(all_beams)
    return [
        one._replace(ids=one.ids + rest(one.ids, given, ids)) if ids.slots else one
        for one, given in zip(best, source.tolist(), strict=True)
    ]
