"""Golden sentences: which translations are so clear that no arithmetic of another machine can flip them."""

from collections.abc import Iterator, Sequence

import torch

from model.checkpoint import Checkpoint, Golden
from model.contract import Ids, Network, Unreadable
from model.search import greedy, ids_of, pad, slots
from model.segment import segment
from model.translator import Translator

COUNT = 32
MARGIN_NATS = 0.5  # floating-point noise between processors and batch sizes is some 100,000 times smaller
_BATCH = 64


def choose_goldens(
    checkpoint: Checkpoint, sources: Sequence[str], count: int = COUNT, margin: float = MARGIN_NATS
) -> tuple[Golden, ...]:
    """The first ``count`` of ``sources`` whose every search step is won by at least ``margin`` nats.

    A source counts only if it is one sentence, which `Translator` takes as a whole; if it is answered alone as beside
    others, and as greedy search says, so that the margins say something about it; and no answer counts twice. Fewer
    come back where fewer are clear.
    """
    translator = Translator(checkpoint)
    source, target = checkpoint.vocabularies
    ids = ids_of(source, target, pads=checkpoint.model.pads)
    unknown = source.unk
    has_slots = bool(slots(source))
    languages = (checkpoint.model.source, checkpoint.model.target)
    chosen: dict[str, Golden] = {}
    for texts in _batches(sources, languages, has_slots, checkpoint.model.pads):
        read = [segment(text, languages, slots=has_slots) for text in texts]
        try:
            rows = [source.encode(one.sentences[0].text) for one in read]
        except Unreadable:
            continue
        if not checkpoint.model.pads and len(set(map(len, rows))) > 1:
            continue
        tensor = pad(rows, source.pad)
        hypotheses = [found.ids for found in greedy(checkpoint.network, ids, tensor)]
        margins = step_margins(checkpoint.network, ids, tensor, hypotheses)
        together = translator.translate(texts)
        for text, one, row, hypothesis, least, answer in zip(
            texts, read, rows, hypotheses, margins, together, strict=True
        ):
            expected = one.join([target.decode(hypothesis)])
            if least >= margin and answer.text == expected and unknown not in row and expected not in chosen:
                alone = translator.translate([text])[0]
                if alone.text == expected:
                    chosen[expected] = Golden(text, expected)
        if len(chosen) >= count:
            break
    return tuple(chosen.values())[:count]


def _batches(sources: Sequence[str], languages: tuple[str, str], has_slots: bool, pads: bool) -> Iterator[list[str]]:
    """The sources that are one sentence, some at a time; one at a time where a batch can't be padded."""
    whole = [text for text in sources if len(segment(text, languages, slots=has_slots).sentences) == 1]
    size = _BATCH if pads else 1
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


@torch.inference_mode()
def step_margins(network: Network, ids: Ids, source: torch.Tensor, hypotheses: Sequence[Sequence[int]]) -> list[float]:
    """By how many nats each hypothesis of ``source (batch, source_length)`` won its closest step, ``eos`` included.

    Negative where another id was likelier than the hypothesis' own.
    """
    blank = -1
    target = pad([[*hypothesis, ids.eos] for hypothesis in hypotheses], blank)
    right = target.masked_fill(target == blank, ids.eos)
    before = torch.cat((torch.full((len(hypotheses), 1), ids.bos), right[:, :-1]), 1)
    logits = network.forward(source, before).clone()
    logits[:, :, list(ids.never)] = float("-inf")
    slots_read = torch.tensor(sorted(ids.slots), dtype=torch.long)
    for number, (row, hypothesis) in enumerate(zip(source, hypotheses, strict=True)):
        owed = [ids.slots[id_] for id_ in row.tolist() if id_ in ids.slots]
        others = [id_ for id_ in (ids.slots[id_] for id_ in slots_read.tolist()) if id_ not in owed]
        logits[number, :, others] = float("-inf")
        for at, id_ in enumerate([*hypothesis, ids.eos]):
            if owed:
                logits[number, at, ids.eos] = float("-inf")
            if id_ in owed:
                owed.remove(id_)
                logits[number, at + 1 :, id_] = float("-inf")
    own = logits.gather(2, right[:, :, None])[:, :, 0]
    best_other = logits.scatter(2, right[:, :, None], float("-inf")).amax(2)
    margins: list[float] = (own - best_other).masked_fill(target == blank, float("inf")).amin(1).tolist()
    return margins
