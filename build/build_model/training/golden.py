"""Golden sentences: which translations are so clear that no arithmetic of another machine can flip them."""

from collections.abc import Sequence

import torch

from model.checkpoint import Golden
from model.network.architecture import Seq2Seq
from model.network.normalize import normalize
from model.network.vocabulary import BOS, EOS, PAD, UNK, Lang
from model.search import greedy, pad, search
from model.segment import segment

COUNT = 32
MARGIN_NATS = 0.5  # floating-point noise between processors and batch sizes is some 100,000 times smaller
_BATCH = 64


def choose_goldens(
    model: Seq2Seq, langs: tuple[Lang, Lang], sources: Sequence[str], count: int = COUNT, margin: float = MARGIN_NATS
) -> tuple[Golden, ...]:
    """The first ``count`` of ``sources`` whose every search step is won by at least ``margin`` nats.

    A source counts only if it is one sentence, which `Translator` takes as a whole, and if the search that the service
    uses finds what greedy search finds, so that the margins say something about it. Fewer come back where fewer are
    clear.
    """
    source_lang, target_lang = langs
    chosen: list[Golden] = []
    for start in range(0, len(sources), _BATCH):
        batch = [text for text in sources[start : start + _BATCH] if _is_one_sentence(text)]
        if not batch:
            continue
        rows = [source_lang.encode(normalize(text)) for text in batch]
        tensor = pad(rows)
        hypotheses = greedy(model, tensor)
        margins = step_margins(model, tensor, hypotheses)
        found = search(model, tensor)
        for text, row, hypothesis, least, searched in zip(batch, rows, hypotheses, margins, found, strict=True):
            if least >= margin and hypothesis == searched and UNK not in row:
                chosen.append(Golden(text, target_lang.decode(hypothesis)))
        if len(chosen) >= count:
            break
    return tuple(chosen[:count])


def _is_one_sentence(text: str) -> bool:
    parts = segment(text, slots=False)
    return [sentence.text for sentence in parts.sentences] == [text] and parts.between == ("", "")


@torch.inference_mode()
def step_margins(model: Seq2Seq, source: torch.Tensor, hypotheses: Sequence[Sequence[int]]) -> list[float]:
    """By how many nats each hypothesis of ``source (batch, source_length)`` won its closest step, ``EOS`` included.

    Negative where another id was likelier than the hypothesis' own.
    """
    target = pad([[*hypothesis, EOS] for hypothesis in hypotheses])
    inputs = torch.cat((torch.full((len(hypotheses), 1), BOS), target[:, :-1]), 1)
    logits = model(source, inputs)
    logits[:, :, [PAD, BOS, UNK]] = float("-inf")
    own = logits.gather(2, target[:, :, None])[:, :, 0]
    others = logits.scatter(2, target[:, :, None], float("-inf")).amax(2)
    margins: list[float] = (own - others).masked_fill(target == PAD, float("inf")).amin(1).tolist()
    return margins
