"""One model at work in a process of its own, with its own code: ``python -P answering.py ANSWERS`` in a folder that
holds its package ``model``.

A version of an image is run by the code that it was released with, so nothing of build_model is imported here: a
request is read from standard input, the answers are written to a file, and each line on standard output is a sentence
that was answered.

    request   {"checkpoint": DIR, "network": DIR or null, "sets": {NAME: [SOURCE, ...]}, "explained": [SOURCE, ...]}
    answers   {"sets": {NAME: [{"text", "error", "corrected", "score"}, ...]}, "batched": sentences/s,
               "alone": ms a sentence, "explained": [{"text", "source": [...], "target": [...], "weights": [[...]]}]}
"""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

BATCH = 32
ALONE = 100  # sentences that are translated one by one, for the time that one takes


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Everything that was asked of one model, on one thread."""
    import torch  # noqa: PLC0415 (a second; the request is read before)

    from model.translator import Translator  # noqa: PLC0415

    given = [request["checkpoint"], *([request["network"]] if request["network"] else [])]
    translator = Translator.load(*map(Path, given), threads=1)
    sets: dict[str, list[dict[str, Any]]] = {}
    seconds, count = 0.0, 0
    for name, sources in request["sets"].items():
        sets[name] = []
        for start in range(0, len(sources), BATCH):
            batch = sources[start : start + BATCH]
            begun = time.process_time()
            found = translator.translate(batch)
            seconds, count = seconds + time.process_time() - begun, count + len(batch)
            sets[name] += map(_said, found)
            print("." * len(batch), flush=True)
    few = [source for sources in request["sets"].values() for source in sources][:ALONE]
    begun = time.process_time()
    for source in few:
        translator.translate([source])
    alone = time.process_time() - begun
    with torch.inference_mode():
        explained = _explanations(given, request["explained"])
    return {
        "sets": sets,
        "batched": count / seconds if seconds else 0.0,
        "alone": 1000 * alone / len(few) if few else 0.0,
        "explained": explained,
    }


def _said(translation: Any) -> dict[str, Any]:
    """What a translation of any version says of itself: 1.0.0 had no score and corrected nothing."""
    return {name: getattr(translation, name, None) for name in ("text", "error", "corrected", "score")}


def _explanations(given: list[str], sources: list[str]) -> list[dict[str, Any]]:
    """Which part of each source each part of its translation comes from, of those that the vocabulary can read; none
    where the version can't say."""
    found = []
    try:
        from model.checkpoint import load_checkpoint  # noqa: PLC0415
        from model.contract import Unreadable  # noqa: PLC0415
        from model.search import ids_of  # noqa: PLC0415
        from model.search import search as find  # noqa: PLC0415

        checkpoint = load_checkpoint(*map(Path, given))
        ids = ids_of(*checkpoint.vocabularies, pads=checkpoint.model.pads)
        search = find(checkpoint.network, ids)
        for source in sources:
            with suppress(Unreadable):
                found.append(_explained(checkpoint, search, ids, source))
    except (ImportError, AttributeError, TypeError):
        return []
    return found


def _explained(checkpoint: Any, search: Any, ids: Any, text: str) -> dict[str, Any]:
    """By erasure (Li, Monroe & Jurafsky 2016): how much less likely each id of the translation is without each id of
    the source. Any network can be asked so, one with attention or without.

    Returns:
        text: the translation. source, target: what each of their ids stands for. weights: ``(target, source)``, each
        row adds up to 1, or is 0.
    """
    import torch  # noqa: PLC0415

    ours, theirs = checkpoint.vocabularies
    source = ours.encode(text)
    parts = source[:-1] if source[-1] == getattr(ours, "eos", None) else source
    end = source[len(parts) :]
    target = search(torch.tensor([source]))[0].ids
    before = [ids.bos, *target]
    whole = _log_probabilities(checkpoint.network, [source], before, target)
    without = [[*parts[:at], *parts[at + 1 :], *end] for at in range(len(parts))]
    drops = (whole - _log_probabilities(checkpoint.network, without, before, target)).clamp(min=0).T
    weights = drops / drops.sum(1, keepdim=True).clamp(min=1e-6)
    return {
        "text": theirs.decode(target),
        "source": _parts(ours, parts),
        "target": _parts(theirs, target),
        "weights": [[round(weight, 3) for weight in row] for row in weights.tolist()],
    }


def _parts(vocabulary: Any, ids: list[int]) -> list[str]:
    """What each id adds to the text of those before it; by itself it may be spelled another way."""
    texts = [vocabulary.decode(ids[:count]) for count in range(len(ids) + 1)]
    return [
        text[len(before) :].strip() if text.startswith(before) else vocabulary.decode([id_])
        for id_, before, text in zip(ids, texts, texts[1:], strict=False)
    ]


def _log_probabilities(network: Any, sources: list[list[int]], before: list[int], target: list[int]) -> Any:
    """``(sources, target)``, of sources of equal length."""
    import torch  # noqa: PLC0415

    given = torch.tensor([before] * len(sources))
    logits = network(torch.tensor(sources), given)[:, : len(target)].float()
    wanted = torch.tensor(target)[None, :, None].expand(len(sources), -1, 1)
    return logits.log_softmax(-1).gather(2, wanted)[:, :, 0]


def main() -> None:
    """Reads, answers, writes."""
    found = answer(json.load(sys.stdin))
    Path(sys.argv[1]).write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
