"""Golden sentences: which translations are so clear that no arithmetic of another machine can flip them."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import torch

from model.checkpoint import Checkpoint, Golden
from model.contract import Ids, Network, Unreadable
from model.search import greedy, ids_of, pad, slots
from model.segment import Segmented, segment
from model.translator import Translator

COUNT = 32
MARGIN_NATS = 0.5  # floating-point noise between processors and batch sizes is some 100,000 times smaller
SHAKE = 2e-3  # of each weight: four times what half precision rounds
_SHAKES = 2
_NEIGHBOURS = (1, 7, 32)  # sentences that are translated together
_BATCH = 64


def choose_goldens(
    checkpoint: Checkpoint, sources: Sequence[str], count: int = COUNT, margin: float = MARGIN_NATS
) -> tuple[Golden, ...]:
    """The first ``count`` of ``sources`` whose answer stands: every search step is won by at least ``margin`` nats, it
    is the same alone and in batches of 7 and 32, and with every weight shaken a little.

    A source counts only if it is one sentence, which `Translator` takes as a whole; if it is answered as greedy search
    says, so that the margins say something about it (a network with a search of its own has no margins); and no answer
    counts twice. Fewer come back where fewer stand.
    """
    translator = Translator(checkpoint)
    shaken = [Translator(shake(checkpoint, seed)) for seed in range(_SHAKES)]
    chosen: dict[str, Golden] = {}
    for texts in _batches(checkpoint, sources):
        fresh: dict[str, str] = {}
        for text, answer in _clear(checkpoint, translator, texts, margin):
            if answer not in chosen and answer not in fresh.values():
                fresh[text] = answer
        for size in _NEIGHBOURS:
            fresh = _standing(translator, fresh, size)
        for one in shaken:
            fresh = _standing(one, fresh, _BATCH)
        chosen |= {answer: Golden(text, answer) for text, answer in fresh.items()}
        if len(chosen) >= count:
            break
    return tuple(chosen.values())[:count]


def shake(checkpoint: Checkpoint, seed: int, share: float = SHAKE) -> Checkpoint:
    """The checkpoint with every weight changed by a normal deviate of this share of it."""
    network = copy.deepcopy(checkpoint.network)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1 + share * torch.randn(weight.shape, generator=random))
    if hasattr(network, "settle"):
        network.settle()
    return replace(checkpoint, network=network.eval())


def _batches(checkpoint: Checkpoint, sources: Sequence[str]) -> Iterator[list[str]]:
    """The sources that are one sentence, some at a time."""
    whole = [text for text in sources if len(_read(checkpoint, text).sentences) == 1]
    for start in range(0, len(whole), _BATCH):
        yield whole[start : start + _BATCH]


def _clear(
    checkpoint: Checkpoint, translator: Translator, texts: Sequence[str], margin: float
) -> Iterator[tuple[str, str]]:
    """Texts, with their answers, whose every step is won by the margin; all of a network with a search of its own."""
    if checkpoint.model.search is not None:
        answers = translator.translate(texts)
        yield from ((text, one.text) for text, one in zip(texts, answers, strict=True) if one.error is None)
        return
    source, target = checkpoint.vocabularies
    pads = checkpoint.model.pads
    ids = ids_of(source, target, pads=pads)
    rows = {text: row for text in texts if (row := _row(checkpoint, text)) is not None and source.unk not in row}
    by_length = sorted(rows, key=lambda text: 0 if pads else len(rows[text]))
    for _, same in groupby(by_length, lambda text: 0 if pads else len(rows[text])):
        group = list(same)
        tensor = pad([rows[text] for text in group], source.pad)
        hypotheses = [found.ids for found in greedy(checkpoint.network, ids, tensor)]
        margins = step_margins(checkpoint.network, ids, tensor, hypotheses)
        for text, hypothesis, least in zip(group, hypotheses, margins, strict=True):
            if least >= margin:
                yield text, _read(checkpoint, text).join([target.decode(hypothesis)])


def _read(checkpoint: Checkpoint, text: str) -> Segmented:
    languages = (checkpoint.model.source, checkpoint.model.target)
    return segment(text, languages, slots=bool(slots(checkpoint.vocabularies[0])))


def _row(checkpoint: Checkpoint, text: str) -> list[int] | None:
    """The ids of a text that is one sentence; None where it can't be read."""
    try:
        return checkpoint.vocabularies[0].encode(_read(checkpoint, text).sentences[0].text)
    except Unreadable:
        return None


def _standing(translator: Translator, wanted: Mapping[str, str], size: int) -> dict[str, str]:
    """Those of ``wanted``, answers by text, that are answered so, ``size`` at a time."""
    texts, found = list(wanted), dict[str, str]()
    for start in range(0, len(texts), size):
        some = texts[start : start + size]
        answers = translator.translate(some)
        found |= {text: one.text for text, one in zip(some, answers, strict=True) if one.text == wanted[text]}
    return found


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
