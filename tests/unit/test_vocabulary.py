"""The vocabulary: text to ids and back, and as JSON."""

import json
import time
from pathlib import Path

import pytest

from model.checkpoint import RELEASED, load_vocabularies
from model.errors import CheckpointFormatError
from model.network import MODEL
from model.network.vocabulary import EOS, SPECIAL_TOKENS, UNK, Lang

FRENCH = [
    "Je vais dormir.",
    "Où est la gare ?",
    "J'ai faim.",
    "Qu'est-ce que tu fais ?",
    "Tom est allé à Paris avec Marie.",
    "Il a dit à Tom qu'il irait à Paris.",
    "La SNCF recrute.",
    "Il est 10:30, d'accord ?",
    '"Merci beaucoup", dit-elle.',
]
ENGLISH = [
    "I'm going to sleep.",
    "It's Tom's car.",
    "You and I don't agree.",
    "What did he and I say, Tom?",
    'He said "yes" to me and Tom.',
    "Call NASA at 10:30.",
]


@pytest.fixture(scope="module")
def french() -> Lang:
    return Lang.build("fra", FRENCH * 3, 300)


@pytest.fixture(scope="module")
def english() -> Lang:
    return Lang.build("eng", ENGLISH * 3, 300)


@pytest.mark.parametrize("text", FRENCH)
def test_french_comes_back_as_it_was(french: Lang, text: str) -> None:
    assert french.decode(french.encode(text)) == text


@pytest.mark.parametrize("text", ENGLISH)
def test_english_comes_back_as_it_was(english: Lang, text: str) -> None:
    assert english.decode(english.encode(text)) == text


@pytest.mark.parametrize("text", ["je vais dormir", "JE VAIS DORMIR.", "je suis Tom", "OÙ EST TOM ?"])
def test_a_careless_case_comes_back_too(french: Lang, text: str) -> None:
    assert french.decode(french.encode(text)) == text


def test_a_capital_at_the_start_costs_no_token_of_its_own(french: Lang) -> None:
    capital, lower, capitals = (french.encode(text) for text in ("Je dors.", "je dors.", "JE DORS."))
    assert lower[1:] == capital
    assert capitals[1:] == capital


def test_a_space_before_a_closing_mark_makes_no_difference(french: Lang) -> None:
    assert french.encode("Je vais dormir .") == french.encode("Je vais dormir.")
    assert french.encode("Où est la gare?") == french.encode("Où est la gare ?")


def test_ids_end_with_eos_and_decoding_stops_there(french: Lang) -> None:
    ids = french.encode("Je dors.")
    assert ids[-1] == EOS
    assert french.decode([*ids, *ids]) == "Je dors."


def test_special_tokens_are_never_spelled_out(french: Lang) -> None:
    assert french.decode([0, 1, 3, *french.encode("Je dors.")]) == "Je dors."


def test_an_unseen_character_is_unknown_and_the_rest_is_kept(french: Lang) -> None:
    ids = french.encode("Je vais 漢 dormir.")
    assert UNK in ids
    assert french.decode(ids) == "Je vais dormir."


def test_marks_of_the_spelling_in_a_text_are_harmless(french: Lang) -> None:
    assert french.decode(french.encode("⇪je▁⇧vais↓ dormir.")) == "je vais dormir."


def test_counts_and_tokens_go_together(french: Lang) -> None:
    assert len(french.counts) == len(french.tokens) == len(french)
    assert french.tokens[: len(SPECIAL_TOKENS)] == SPECIAL_TOKENS
    assert french.counts[french.encode("Je dors.")[0]] >= 3


def test_reading_back_gives_the_same_vocabulary_and_the_same_text(french: Lang) -> None:
    loaded = Lang.from_json(french.to_json())
    assert loaded == french
    assert loaded.to_json() == french.to_json()
    assert [loaded.encode(text) for text in FRENCH] == [french.encode(text) for text in FRENCH]


def test_a_vocabulary_is_plain_json(french: Lang) -> None:
    assert set(json.loads(french.to_json())) == {"code", "tokens", "counts", "merges", "capitalised"}


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"{}"])
def test_a_damaged_vocabulary_is_named(tmp_path: Path, damage) -> None:
    for file in RELEASED.glob("*.lang.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = next(iter(sorted(tmp_path.iterdir())))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointFormatError, match=path.name):
        load_vocabularies(tmp_path, MODEL)


def test_loading_the_released_vocabulary_takes_milliseconds() -> None:
    started = time.process_time()
    Lang.from_json((RELEASED / "fra.lang.json").read_text(encoding="utf-8"))
    assert time.process_time() - started < 0.25  # 15 ms on the slowest machine seen; a rebuild would take seconds
