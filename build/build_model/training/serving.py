"""Serving: which search a checkpoint is served with, tried when it is made, so that no start has to find out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from build_model.training.corpus import Example
from build_model.training.evaluation import outputs_digest
from model.checkpoint import load_checkpoint
from model.errors import GoldenMismatch
from model.folder import NETWORK
from model.translator import Translator

_TIMES = 3  # the best of so many, beside each other
_FASTER = 1.05  # times: less is not worth another kind of product


def decide(folder: Path, examples: Sequence[Example] = (), code: Path = NETWORK) -> Mapping[str, Any] | None:
    """What a manifest says of serving: ``fast`` where the network brings it, else ``dynamic`` where that is faster and
    changes no golden and none of the first dev outputs, else ``plain``; and how fast that was, beside plain. None where
    there are no goldens to measure with.
    """
    checkpoint = load_checkpoint(folder, code)
    plain = Translator(checkpoint, path="plain")
    if not plain.goldens:
        return None
    best = Translator(checkpoint)
    if best.path in ("plain", "dynamic"):
        best = Translator(checkpoint, path="dynamic")
    here, there, same = 0.0, 0.0, True
    for _ in range(_TIMES):
        there = max(there, _measured(plain)[0])
        speed, right = _measured(best)
        here, same = max(here, speed), same and right
    if best.path == "dynamic":
        same = same and here >= _FASTER * there and outputs_digest(best, examples) == outputs_digest(plain, examples)
        best, here = (best, here) if same else (plain, there)
    return {"path": best.path, "sentences_per_second": round(here, 1), "times_plain": round(here / there, 2)}


def _measured(translator: Translator) -> tuple[float, bool]:
    """Sentences a second of a self-test, and whether it passed."""
    passed = True
    try:
        translator.self_test()
    except GoldenMismatch:
        passed = False
    return translator.sentences_per_second, passed
