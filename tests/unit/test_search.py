"""Search: the same tokens whatever the batch, never too many, and beam no worse than greedy."""

from pathlib import Path

import pytest
import torch

from build_model.training.corpus import read_examples
from build_model.training.golden import step_margins
from model.checkpoint import RELEASED, Checkpoint, load_checkpoint
from model.network.architecture import Config, Seq2Seq
from model.network.normalize import normalize
from model.network.vocabulary import EOS, PAD, SPECIAL_TOKENS
from model.search import beam_search, greedy, length_limit, pad, search

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def released() -> Checkpoint:
    return load_checkpoint(RELEASED)


@pytest.fixture(scope="module")
def sources(released: Checkpoint) -> list[list[int]]:
    texts = [example.source for name in ("everyday", "dev") for example in read_examples(FIXTURES / f"{name}.jsonl")]
    return [released.langs[0].encode(normalize(text)) for text in texts]


@pytest.fixture(scope="module")
def untrained() -> Seq2Seq:
    """A network that never learnt to stop."""
    torch.manual_seed(1)
    return Seq2Seq(Config(source_vocabulary=50, target_vocabulary=60, width=16)).eval()


@pytest.mark.parametrize("beam", [1, 4])
def test_the_tokens_are_the_same_in_batches_of_1_7_and_32(released: Checkpoint, sources, beam: int) -> None:
    def in_batches(size: int) -> list[list[int]]:
        batches = [sources[start : start + size] for start in range(0, len(sources), size)]
        return [ids for batch in batches for ids in search(released.model, pad(batch), beam)]

    alone = in_batches(1)
    assert in_batches(7) == alone
    assert in_batches(32) == alone


@pytest.mark.parametrize("find", [greedy, lambda model, source: beam_search(model, source, 3)])
def test_a_runaway_hypothesis_ends_at_the_limit_of_its_own_source(untrained: Seq2Seq, find) -> None:
    rows = [[5, EOS], [5, 6, 7, 8, 9, EOS], [4, 5, 6, EOS]]
    limits = length_limit(torch.tensor([len(row) for row in rows])).tolist()
    for hypothesis, limit in zip(find(untrained, pad(rows)), limits, strict=True):
        assert 0 < len(hypothesis) <= limit


@pytest.mark.parametrize("find", [greedy, lambda model, source: beam_search(model, source, 3)])
def test_no_hypothesis_is_empty_or_holds_a_special_token(untrained: Seq2Seq, find) -> None:
    rows = [[4 + (7 * row + column) % 40 for column in range(1 + row % 5)] + [EOS] for row in range(40)]
    for hypothesis in find(untrained, pad(rows)):
        assert hypothesis
        assert min(hypothesis) >= len(SPECIAL_TOKENS)


def log_probability(model: Seq2Seq, row: list[int], hypothesis: list[int]) -> float:
    """Mean over the tokens of a hypothesis, ``EOS`` included, by one pass of the network."""
    target = torch.tensor([[*hypothesis, EOS]])
    inputs = torch.cat((torch.ones(1, 1, dtype=torch.long), target[:, :-1]), 1)
    with torch.inference_mode():
        scores = model(torch.tensor([row]), inputs).log_softmax(2)
    return float(scores.gather(2, target[:, :, None]).mean())


def test_beam_search_finds_what_is_at_least_as_likely_as_greedy(released: Checkpoint, sources) -> None:
    rows = sources[:40]
    better = worse = 0
    for row, one, other in zip(
        rows, greedy(released.model, pad(rows)), beam_search(released.model, pad(rows), 4), strict=True
    ):
        difference = log_probability(released.model, row, other) - log_probability(released.model, row, one)
        better += difference > 1e-4
        worse += difference < -1e-4
    assert worse <= better


def test_padding_pads_to_the_longest() -> None:
    assert pad([[4, EOS], [4, 5, EOS]]).tolist() == [[4, EOS, PAD], [4, 5, EOS]]


def test_margins_tell_clear_hypotheses_from_unlikely_ones(released: Checkpoint, sources) -> None:
    rows = sources[:8]
    found = greedy(released.model, pad(rows))
    wrong = [[hypothesis[0] + 1, *hypothesis[1:]] for hypothesis in found]
    assert all(margin >= 0 for margin in step_margins(released.model, pad(rows), found))
    assert all(margin < 0 for margin in step_margins(released.model, pad(rows), wrong))
