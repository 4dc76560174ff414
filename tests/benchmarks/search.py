"""The search in batches: what leaving rows behind, matrices by column, and products in half precision are worth to a
network.

Every way of searching takes the same batches, one way after the other, again and again; each round gives ratios of
processor time, which other processes disturb less than the clock.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import torch

from model import search
from model.checkpoint import Checkpoint, load_checkpoint
from model.contract import Hypothesis, Search
from model.repetition import without_repetition
from model.search import ids_of, pad
from model.translator import find

BATCH, ROUNDS, SENTENCES = 32, 5, 320
EACH_TIME = 1 - 1e-9  # of a batch's rows: whenever one has ended, the others are copied
PLAIN_EACH_TIME = "matrices by row, a copy each time a row ends"


def measure(network: Path, checkpoint: Path, texts: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """A row for each way of searching: how many times as fast as one that copies whenever a row ends, the median and
    the least and most of the rounds; and how many of its hypotheses differ from that one's."""
    torch.set_num_threads(1)
    loaded = load_checkpoint(checkpoint, network)
    batches = _batches(loaded, texts[:SENTENCES])
    ways = dict(_ways(loaded))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[list[int]]] = {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            begin = process_time()
            found[name] = [one.ids for batch in batches for one in way(batch)]
            seconds[name].append(process_time() - begin)
    usual = seconds[PLAIN_EACH_TIME]
    for name in ways:
        times = [before / now for before, now in zip(usual, seconds[name], strict=True)]
        differ = sum(one != other for one, other in zip(found[name], found[PLAIN_EACH_TIME], strict=True))
        yield {
            "network": loaded.model.network.__name__,
            "way": name,
            "times": median(times),
            "least": min(times),
            "most": max(times),
            "differ": differ,
            "sentences": sum(map(len, batches)),
        }


def _ways(checkpoint: Checkpoint) -> Iterator[tuple[str, Search]]:
    ids = ids_of(*checkpoint.vocabularies, pads=checkpoint.model.pads)
    by_row = search.search(checkpoint.network, ids)
    by_row = without_repetition(by_row, by_row, ids)
    yield PLAIN_EACH_TIME, _leaving(by_row, EACH_TIME)
    yield "matrices by row, a copy when a quarter has ended", by_row
    yield "plain", find(checkpoint, path="plain")[0]
    packed, path = find(checkpoint, path="dynamic")
    if path == "dynamic":
        yield "dynamic", packed
    fast, path = find(checkpoint)
    if path == "fast":
        yield "fast", fast


def _leaving(way: Search, kept: float) -> Callable[[torch.Tensor], list[Hypothesis]]:
    def again(source: torch.Tensor) -> list[Hypothesis]:
        with _kept(kept):
            return way(source)

    return again


@contextmanager
def _kept(share: float) -> Iterator[None]:
    before, search.KEPT = search.KEPT, share
    try:
        yield
    finally:
        search.KEPT = before


def _batches(checkpoint: Checkpoint, texts: Sequence[str]) -> list[torch.Tensor]:
    """Sources of like lengths together, as the service batches them; of one length where there is no padding."""
    source = checkpoint.vocabularies[0]
    rows = sorted((source.encode(text) for text in texts), key=len)
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    if not checkpoint.model.pads:
        batches = [[row[-min(map(len, batch)) :] for row in batch] for batch in batches]
    return [pad(batch, source.pad) for batch in batches]
