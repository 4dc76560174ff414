"""Search: the same tokens whatever the batch, never too many, and beam no worse than greedy."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from build_model.training.corpus import read_corpus, read_examples
from build_model.training.golden import step_margins
from build_model.training.mixture import mix
from build_model.training.training import Recipe, train
from model.checkpoint import Checkpoint, load_checkpoint
from model.contract import Ids
from model.folder import load_model
from model.repetition import forbidden, repeated, unrepeated, without_repetition
from model.search import beam_search, greedy, ids_of, length_limit, pad, search

FIXTURES, SMALL = Path(__file__).parents[1] / "fixtures", Path(__file__).parents[1] / "small"
MODEL = load_model(SMALL)
PAD, BOS, EOS = MODEL.vocabulary.pad, MODEL.vocabulary.bos, MODEL.vocabulary.eos
IDS = Ids(pad=PAD, bos=BOS, eos=EOS, never=(PAD, BOS), slots={})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A network that learnt something."""
    folder, languages = tmp_path_factory.mktemp("trained") / "checkpoint", ("fra", "eng")
    mixture = mix([read_corpus(str(FIXTURES / "pairs.tsv"), languages)], languages, slots=True)
    train(mixture, {"dev": read_examples(FIXTURES / "dev.jsonl")}, Recipe(epochs=20), folder, code=SMALL)
    return load_checkpoint(folder, SMALL)


@pytest.fixture(scope="module")
def sources(trained: Checkpoint) -> list[list[int]]:
    texts = [example.source for name in ("everyday", "dev") for example in read_examples(FIXTURES / f"{name}.jsonl")]
    return [trained.vocabularies[0].encode(text) for text in texts]


@pytest.fixture(scope="module")
def untrained() -> Any:
    """A network that never learnt to stop."""
    torch.manual_seed(1)
    return MODEL.network(MODEL.config(source_vocabulary=60, target_vocabulary=60, width=16)).eval()


@pytest.mark.parametrize("beam", [1, 4])
def test_the_tokens_are_the_same_in_batches_of_1_7_and_32(trained: Checkpoint, sources, beam: int) -> None:
    def in_batches(size: int) -> list[list[int]]:
        batches = [sources[start : start + size] for start in range(0, len(sources), size)]
        find = search(trained.network, ids_of(*trained.vocabularies), beam)
        return [found.ids for batch in batches for found in find(pad(batch, PAD))]

    alone = in_batches(1)
    assert in_batches(7) == alone
    assert in_batches(32) == alone


@pytest.mark.parametrize("find", [greedy, partial(beam_search, beam=3)], ids=["greedy", "beam"])
def test_a_runaway_hypothesis_ends_at_the_limit_of_its_own_source(untrained: Any, find) -> None:
    rows = [[5, EOS], [5, 6, 7, 8, 9, EOS], [4, 5, 6, EOS]]
    limits = length_limit(torch.tensor([len(row) for row in rows])).tolist()
    for hypothesis, limit in zip(find(untrained, IDS, pad(rows, PAD)), limits, strict=True):
        assert 0 < len(hypothesis.ids) <= limit


@pytest.mark.parametrize("find", [greedy, partial(beam_search, beam=3)], ids=["greedy", "beam"])
def test_no_hypothesis_is_empty_or_holds_a_special_token(untrained: Any, find) -> None:
    rows = [[4 + (7 * row + column) % 40 for column in range(1 + row % 5)] + [EOS] for row in range(40)]
    for hypothesis in find(untrained, IDS, pad(rows, PAD)):
        assert hypothesis.ids
        assert not {PAD, BOS, EOS} & set(hypothesis.ids)


def log_probability(model: Any, row: list[int], hypothesis: list[int]) -> float:
    """Mean over the tokens of a hypothesis, ``EOS`` included, by one pass of the network."""
    target = torch.tensor([[*hypothesis, EOS]])
    inputs = torch.cat((torch.ones(1, 1, dtype=torch.long), target[:, :-1]), 1)
    with torch.inference_mode():
        scores = model(torch.tensor([row]), inputs).log_softmax(2)
    return float(scores.gather(2, target[:, :, None]).mean())


def test_beam_search_finds_what_is_at_least_as_likely_as_greedy(trained: Checkpoint, sources) -> None:
    rows = sources[:40]
    given = (trained.network, ids_of(*trained.vocabularies), pad(rows, PAD))
    better = worse = 0
    for row, one, other in zip(rows, greedy(*given), beam_search(*given, beam=4), strict=True):
        difference = log_probability(trained.network, row, other.ids) - log_probability(trained.network, row, one.ids)
        better += difference > 1e-4
        worse += difference < -1e-4
    assert worse <= better


def test_padding_pads_to_the_longest() -> None:
    assert pad([[4, EOS], [4, 5, EOS]], PAD).tolist() == [[4, EOS, PAD], [4, 5, EOS]]


def test_margins_tell_clear_hypotheses_from_unlikely_ones(trained: Checkpoint, sources) -> None:
    rows = sources[:8]
    given = (trained.network, ids_of(*trained.vocabularies), pad(rows, PAD))
    found = [hypothesis.ids for hypothesis in greedy(*given)]
    wrong = [[hypothesis[0] + 1, *hypothesis[1:]] for hypothesis in found]
    assert all(margin >= 0 for margin in step_margins(*given, found))
    assert all(margin < 0 for margin in step_margins(*given, wrong))


def slotted(rows: list[list[int]], slots: dict[int, int]) -> tuple[Ids, torch.Tensor]:
    return Ids(pad=PAD, bos=BOS, eos=EOS, never=(PAD, BOS), slots=slots), pad(rows, PAD)


@pytest.mark.parametrize("find", [greedy, partial(beam_search, beam=3)], ids=["greedy", "beam"])
def test_a_hypothesis_holds_each_slot_of_its_source_once_and_no_other(untrained: Any, find) -> None:
    slots = {10: 20, 11: 21, 12: 22}
    rows = [[5, EOS], [10, 6, 12, 8, EOS], [11, EOS], [12, 11, 10, EOS], [10, 10, EOS]]
    for row, hypothesis in zip(rows, find(untrained, *slotted(rows, slots)), strict=True):
        expected = sorted(slots[id_] for id_ in row if id_ in slots)
        assert sorted(id_ for id_ in hypothesis.ids if id_ in slots.values()) == expected


class Silent:
    """A network that has nothing to say: to it the end is the likeliest, always."""

    def encode(self, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(source), 1), torch.zeros(len(source), 1)

    def step(self, last: torch.Tensor, state: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = torch.arange(60.0).expand(len(last), -1).clone()
        logits[:, EOS] = 100
        return logits, state


@pytest.mark.parametrize("find", [greedy, partial(beam_search, beam=3)], ids=["greedy", "beam"])
def test_what_is_owed_when_the_network_has_nothing_more_to_say_is_all_that_is_said(find) -> None:
    slots = {10: 20, 11: 21, 12: 22}
    rows = [[10, 6, 12, 8, EOS], [5, 6, EOS], [11, EOS]]
    found = [hypothesis.ids for hypothesis in find(Silent(), *slotted(rows, slots))]
    assert found == [[59, 22, 20], [59], [59, 21]]  # none is empty


def test_a_hypothesis_that_goes_round_in_circles_is_searched_again(untrained: Any) -> None:
    rows = [[4 + (7 * row + column) % 40 for column in range(3 + row % 9)] + [EOS] for row in range(40)]
    plain = partial(greedy, untrained, IDS)
    assert any(repeated(one.ids) for one in plain(pad(rows, PAD)))
    assert not any(repeated(one.ids) for one in without_repetition(plain, plain, IDS)(pad(rows, PAD)))


def test_a_repetition_of_the_source_may_be_repeated(untrained: Any) -> None:
    rows = [[5, 6, 5, 6, 5, 6, EOS]]
    plain = partial(greedy, untrained, IDS)
    assert without_repetition(plain, plain, IDS)(pad(rows, PAD)) == plain(pad(rows, PAD))


@pytest.mark.parametrize("row", [[1, 2, 90, 1, 2, 91, 1, 2], [7, 1, 90, 2, 1, 91, 2, 91, 1, 2, 8]])
def test_marks_between_words_make_a_circle_no_other_one(row: list[int]) -> None:
    marks = frozenset({90, 91})
    assert repeated(row) is None
    assert forbidden(row[: row.index(2, 7)], marks) == {2}
    left = unrepeated(row, marks)
    assert repeated([id_ for id_ in left if id_ not in marks]) is None
    assert left[: len(row) - 4] == row[: len(row) - 4]
    assert unrepeated(row) == row


def test_ids_without_a_letter_or_a_digit_are_marks(trained: Checkpoint) -> None:
    target = trained.vocabularies[1]
    marks = ids_of(*trained.vocabularies).marks
    assert marks
    assert not any(character.isalnum() for id_ in marks for character in target.decode([id_]))
    assert any(id_ not in marks for id_ in target.encode("She is happy."))
