"""What a notebook leaves: the tutorial's network trained for seconds, its state dicts and its pickled vocabularies."""

import pickle
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from model.folder import load_model

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "examples" / "tutorial" / "network"
PAIRS = tuple(
    tuple(line.split("\t")[:2])
    for line in (ROOT / "tests" / "fixtures" / "pairs.tsv").read_text(encoding="utf-8").splitlines()
)
HIDDEN = 32


def trained(pairs: Sequence[Sequence[str]] = PAIRS, epochs: int = 60) -> tuple[Any, tuple[Any, Any]]:
    """The network, and its two vocabularies."""
    model = load_model(TUTORIAL)
    source = model.vocabulary.build("fra", [pair[0] for pair in pairs], 0)
    target = model.vocabulary.build("eng", [pair[1] for pair in pairs], 0)
    torch.manual_seed(1)
    network = model.network(model.config(len(source), len(target), hidden_size=HIDDEN))
    rows = sorted(((source.encode(one), target.encode(other)) for one, other in pairs), key=_lengths)
    batches = [list(same) for _, same in groupby(rows, _lengths)]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(epochs):
        for batch in batches:
            read, said = (torch.tensor(side) for side in zip(*batch, strict=True))
            before = torch.cat((torch.full((len(batch), 1), target.bos), said[:, :-1]), 1)
            loss = functional.cross_entropy(network(read, before).transpose(1, 2), said)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network, (source, target)


def leave(network: Any, vocabularies: Any, folder: Path, protocol: int = 4) -> None:
    """Saves them as a notebook does: `encoder.pt`, `decoder.pt`, `langs.pkl`; the class is one of ``__main__``."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(network.encoder.state_dict(), folder / "encoder.pt")
    torch.save(network.decoder.state_dict(), folder / "decoder.pt")
    (folder / "langs.pkl").write_bytes(as_of_main(vocabularies, protocol))


def as_of_main(value: Any, protocol: int) -> bytes:
    """``value`` pickled where its vocabularies' class is ``__main__.Lang``."""
    cls = load_model(TUTORIAL).vocabulary
    main, own = sys.modules["__main__"], cls.__module__
    cls.__module__, main.Lang = "__main__", cls  # type: ignore[attr-defined]
    try:
        return pickle.dumps(value, protocol)
    finally:
        cls.__module__ = own
        del main.Lang  # type: ignore[attr-defined]


def _lengths(row: tuple[Sequence[int], Sequence[int]]) -> tuple[int, int]:
    return len(row[0]), len(row[1])
