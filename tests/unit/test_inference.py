"""The prepared network finds the very tokens that the plain one finds, whatever the batch and the shape."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from build_model.training.corpus import read_examples
from model.checkpoint import RELEASED, Checkpoint, load_checkpoint
from model.fingerprint import CODE, code_digests
from model.network import fast
from model.network.architecture import Config, Seq2Seq
from model.network.normalize import normalize
from model.network.vocabulary import EOS
from model.search import greedy, length_limit, pad

FIXTURES = Path(__file__).parents[1] / "fixtures"
needs_half_precision = pytest.mark.skipif(
    "fbgemm" not in torch.backends.quantized.supported_engines, reason="no products in half precision here"
)


@pytest.fixture(scope="module")
def released() -> Checkpoint:
    return load_checkpoint(RELEASED)


def in_batches(find, sources: list[list[int]], size: int) -> list[list[int]]:
    return [ids for start in range(0, len(sources), size) for ids in find(pad(sources[start : start + size]))]


@needs_half_precision
def test_the_released_model_finds_the_same_tokens_in_batches_of_1_7_and_32(released: Checkpoint) -> None:
    texts = [example.source for name in ("everyday", "dev") for example in read_examples(FIXTURES / f"{name}.jsonl")]
    sources = [released.langs[0].encode(normalize(text)) for text in texts]
    expected = in_batches(lambda batch: greedy(released.model, batch), sources, 32)
    find = fast.greedy_search(released.model)
    for size in (1, 7, 32):
        assert in_batches(find, sources, size) == expected


@needs_half_precision
@pytest.mark.parametrize(
    "shape",
    [
        {"encoder_layers": 1, "heads": 1, "width": 8},
        {"encoder_layers": 2, "heads": 4, "width": 16},
        {"encoder_layers": 3, "heads": 2, "width": 40},
    ],
)
def test_every_shape_of_the_network_is_prepared(shape: dict[str, int]) -> None:
    torch.manual_seed(1)
    model = Seq2Seq(Config(source_vocabulary=50, target_vocabulary=60, **shape)).eval()
    model.load_state_dict({name: tensor.half().float() for name, tensor in model.state_dict().items()})
    rows = [[4 + (7 * row + column) % 40 for column in range(row % 5)] + [EOS] for row in range(40)]
    found = fast.greedy_search(model)(pad(rows))
    assert found == greedy(model, pad(rows))
    # It never learnt to stop, so hypotheses end at the limits of their own sources.
    limits = length_limit(torch.tensor([len(row) for row in rows])).tolist()
    assert max(map(len, found)) > len(min(found, key=len))
    assert all(0 < len(hypothesis) <= limit for hypothesis, limit in zip(found, limits, strict=True))


def test_it_is_written_for_the_architecture_that_is_there(released: Checkpoint) -> None:
    assert code_digests(CODE)["network/architecture.py"] == fast.ARCHITECTURE, (
        "architecture.py has changed: change fast.py with it, then write the new digest there"
    )
    changed = replace(released.manifest, code={**released.manifest.code, "network/architecture.py": "another"})
    assert not fast.is_for(changed)
