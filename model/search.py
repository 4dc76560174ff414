"""Source tensor to hypothesis ids, greedy or beam, batched.

Two things keep one runaway sentence from costing the whole batch: a limit on the hypothesis tied to the length of its
source, and finished rows leaving the batch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.network.architecture import Memory, Seq2Seq, State
from model.network.vocabulary import BOS, EOS, PAD, UNK

BEAM = 1  # hypotheses a source that the service keeps: 1 is greedy, see docs/model.md

_NEVER = [PAD, BOS, UNK]  # ids that no hypothesis holds
_NEVER_FIRST = [*_NEVER, EOS]  # and none is empty


def pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """Ids of several texts to one tensor ``(batch, longest)``, padded with ``PAD``."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows], dtype=torch.long)


def length_limit(source_length: Tensor) -> Tensor:
    """The most tokens that a hypothesis for a source of so many tokens may have; measured on the training pairs, 1 in
    10,000 targets is longer."""
    return source_length * 2 + 6


def search(model: Seq2Seq, source: Tensor, beam: int = BEAM) -> list[list[int]]:
    """The hypothesis of each row of ``source (batch, source_length)``, without ``EOS``; a beam of 1 is greedy."""
    return greedy(model, source) if beam == 1 else beam_search(model, source, beam)


@torch.inference_mode()
def greedy(model: Seq2Seq, source: Tensor) -> list[list[int]]:
    """The hypothesis of each row of ``source (batch, source_length)``, the best id at each step, without ``EOS``."""
    limits = length_limit((source != PAD).sum(1)).tolist()
    memory, state = model.encode(source)
    last = torch.full((source.size(0), 1), BOS)
    hypotheses: list[list[int]] = [[] for _ in limits]
    rows = list(range(len(limits)))
    while rows:
        logits, state = model.decoder(last, state, memory)
        logits[:, 0, _NEVER if hypotheses[rows[0]] else _NEVER_FIRST] = float("-inf")
        last = logits[:, 0].argmax(1, keepdim=True)
        kept = []
        for position, (row, id_) in enumerate(zip(rows, last[:, 0].tolist(), strict=True)):
            if id_ == EOS:
                continue
            hypotheses[row].append(id_)
            if len(hypotheses[row]) < limits[row]:
                kept.append(position)
        if len(kept) < len(rows):
            rows = [rows[position] for position in kept]
            index = torch.tensor(kept, dtype=torch.long)
            last, state, memory = last[index], _take_state(state, index), _take_memory(memory, index)
    return hypotheses


@torch.inference_mode()
def beam_search(model: Seq2Seq, source: Tensor, beam: int) -> list[list[int]]:
    """The best of ``beam`` hypotheses for each row of ``source (batch, source_length)``, without ``EOS``.

    A hypothesis' score is the mean log probability of its tokens, ``EOS`` included. A row leaves the batch when its
    best finished hypothesis beats the mean so far of all that go on.
    """
    limits = length_limit((source != PAD).sum(1)).tolist()
    memory, state = model.encode(source)
    spread = torch.arange(len(limits)).repeat_interleave(beam)
    memory, state = _take_memory(memory, spread), _take_state(state, spread)
    last = torch.full((len(spread), 1), BOS)
    rows = list(range(len(limits)))
    best: list[tuple[float, list[int]]] = [(float("-inf"), []) for _ in limits]
    histories = torch.empty(len(limits), beam, 0, dtype=torch.long)
    # All beams of a row start equal, so only the first may go on.
    scores = torch.full((len(limits), beam), float("-inf"))
    scores[:, 0] = 0.0
    step = 0
    while rows:
        step += 1
        logits, state = model.decoder(last, state, memory)
        logits[:, 0, _NEVER if step > 1 else _NEVER_FIRST] = float("-inf")
        reached = scores[:, :, None] + logits[:, 0].log_softmax(1).unflatten(0, (len(rows), beam))
        ending = reached[:, :, EOS].clone()
        reached[:, :, EOS] = float("-inf")
        scores, index = reached.flatten(1).topk(beam, 1)
        parents, ids = index // logits.size(2), index % logits.size(2)
        ended, ended_from = ending.max(1)
        kept = []
        for position, (row, score, parent, going) in enumerate(
            zip(rows, (ended / step).tolist(), ended_from.tolist(), scores[:, 0].tolist(), strict=True)
        ):
            if score > best[row][0]:
                best[row] = (score, histories[position, parent].tolist())
            if step < limits[row] and going / step > best[row][0]:
                kept.append(position)
        histories = torch.cat((histories.gather(1, parents[:, :, None].expand(-1, -1, step - 1)), ids[:, :, None]), 2)
        index = torch.arange(len(rows))[:, None] * beam + parents
        last = ids
        if len(kept) < len(rows):
            keep = torch.tensor(kept, dtype=torch.long)
            rows = [rows[position] for position in kept]
            scores, histories, last, index = scores[keep], histories[keep], last[keep], index[keep]
        index = index.flatten()
        last, state, memory = last.reshape(-1, 1), _take_state(state, index), _take_memory(memory, index)
    return [hypothesis for _, hypothesis in best]


def _take_state(state: State, index: Tensor) -> State:
    return State(*(part[index] for part in state))


def _take_memory(memory: Memory, index: Tensor) -> Memory:
    return Memory(*(part[index] for part in memory))
