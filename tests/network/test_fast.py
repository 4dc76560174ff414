"""The prepared network finds the very tokens that the plain one finds, whatever the batch and the shape."""

from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from build_model.training.corpus import read_examples
from model.checkpoint import RELEASED, Checkpoint, load_checkpoint
from model.contract import Ids, Search
from model.network import fast
from model.network.architecture import Config, Seq2Seq, recur
from model.network.vocabulary import BOS, EOS, PAD
from model.search import greedy, ids_of, length_limit, pad, slots

FIXTURES = Path(__file__).parents[1] / "fixtures"
needs_half_precision = pytest.mark.skipif(
    "fbgemm" not in torch.backends.quantized.supported_engines, reason="no products in half precision here"
)


@pytest.fixture(scope="module")
def released() -> Checkpoint:
    return load_checkpoint(RELEASED)


def in_batches(find: Search, sources: list[list[int]], size: int) -> list[list[int]]:
    batches = (pad(sources[start : start + size], PAD) for start in range(0, len(sources), size))
    return [found.ids for batch in batches for found in find(batch)]


@needs_half_precision
def test_the_released_model_finds_the_same_tokens_in_batches_of_1_7_and_32(released: Checkpoint) -> None:
    texts = [example.source for name in ("everyday", "dev") for example in read_examples(FIXTURES / f"{name}.jsonl")]
    names = list(slots(released.vocabularies[0]))  # of which some are owed when the network has said all
    texts += [f"Le mot {one} signifie {other} !" for one, other in pairwise(names)]
    sources = [released.vocabularies[0].encode(text) for text in texts]
    ids = ids_of(*released.vocabularies)
    expected = in_batches(partial(greedy, released.network, ids), sources, 32)
    find = fast.greedy_search(released.network, ids)
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
    model = Seq2Seq(Config(source_vocabulary=60, target_vocabulary=60, embedding=16, **shape)).eval()
    model.settle()
    model.load_state_dict({name: tensor.half().float() for name, tensor in model.state_dict().items()})
    rows = [[4 + (7 * row + column) % 40 for column in range(row % 5)] + [EOS] for row in range(40)]
    ids = Ids(pad=PAD, bos=BOS, eos=EOS, never=(PAD, BOS), slots={})
    found = [one.ids for one in fast.greedy_search(model, ids)(pad(rows, PAD))]
    # Weights that were drawn know nothing: ids are nearly as likely as others, and a number rounded otherwise decides.
    same = [one == other.ids for one, other in zip(found, greedy(model, ids, pad(rows, PAD)), strict=True)]
    assert sum(same) >= 0.75 * len(same)
    # It never learnt to stop, so hypotheses end at the limits of their own sources.
    limits = length_limit(torch.tensor([len(row) for row in rows])).tolist()
    assert max(map(len, found)) > len(min(found, key=len))
    assert all(0 < len(hypothesis) <= limit for hypothesis, limit in zip(found, limits, strict=True))


def test_what_settled_once_stays_through_half_precision_and_settling_again() -> None:
    torch.manual_seed(1)
    model = Seq2Seq(Config(source_vocabulary=60, target_vocabulary=60, embedding=16, width=16)).eval()
    model.settle()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: tensor.half().float() for name, tensor in before.items()})
    model.settle()
    for name in ("embedding.weight", "decoder.query.weight_hh_l0", "encoder.layers.1.weight_ih_l0_reverse"):
        steps = [
            torch.round(weight / (weight.abs().amax(1, keepdim=True) / 127))
            for weight in (before[name], model.state_dict()[name])
        ]
        assert torch.equal(*steps)


def test_a_recurrent_layer_is_torchs_but_for_the_grid() -> None:
    torch.manual_seed(1)
    gru = torch.nn.GRU(12, 16, batch_first=True)
    with torch.no_grad():
        inputs, state = torch.randn(5, 9, 12), torch.zeros(5, 16)
        ours, last = recur(gru, inputs, state)
        theirs, end = gru(inputs, state[None])
    assert (ours - theirs).abs().max() < 2 / 63
    assert (last - end[0]).abs().max() < 2 / 63
