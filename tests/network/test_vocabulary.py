"""The vocabulary: text to ids and back, and as JSON."""

import json
import time
import unicodedata
from pathlib import Path

import pytest

from model.checkpoint import RELEASED, load_vocabularies
from model.errors import CheckpointFormatError
from model.network import MODEL
from model.network.vocabulary import EOS, SPECIAL_TOKENS, Lang

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
def lang() -> Lang:
    return Lang.build("fra-eng", (FRENCH + ENGLISH) * 3, 700)


@pytest.fixture(scope="module")
def to_french() -> Lang:
    return Lang.build("eng-fra", (FRENCH + ENGLISH) * 3, 700)


@pytest.mark.parametrize("text", FRENCH)
def test_french_comes_back_as_it_was(to_french: Lang, text: str) -> None:
    assert to_french.decode(to_french.encode(text)) == text


@pytest.mark.parametrize("text", ENGLISH)
def test_english_comes_back_as_it_was(lang: Lang, text: str) -> None:
    assert lang.decode(lang.encode(text)) == text


@pytest.mark.parametrize("text", ["je vais dormir", "JE VAIS DORMIR.", "je suis Tom", "OÙ EST TOM ?"])
def test_a_careless_case_comes_back_too(to_french: Lang, text: str) -> None:
    assert to_french.decode(to_french.encode(text)) == text


@pytest.mark.parametrize("text", ["Müller", "Île de Ré", "漢字", "año", "Ω ≈ ŧ", "[ok] @home (no)", "🙂", "a\u0301b"])
def test_nothing_is_unknown_and_no_character_is_lost(lang: Lang, text: str) -> None:
    assert lang.unk is None
    assert lang.decode(lang.encode(text)) == unicodedata.normalize("NFC", text)


def test_bytes_that_are_no_text_are_left_out(lang: Lang) -> None:
    broken = len(SPECIAL_TOKENS) + 0xC3
    assert lang.decode([broken, *lang.encode("I'm going to sleep.")]).endswith("going to sleep.")


@pytest.mark.parametrize(
    "text",
    [
        "⟦n1⟧ dogs and ⟦n2⟧ cats.",
        "Call ⟦p1⟧ at ⟦n1⟧ (⟦x1⟧).",
        "I'm ⟦p1⟧, you're ⟦p2⟧: ⟦x1⟧⟦x2⟧",
        "⟦x1⟧",
        "Version ⟦n1⟧-⟦n2⟧",
    ],
)
def test_slots_are_one_id_each_and_come_back_with_the_spaces_around_them(lang: Lang, text: str) -> None:
    ids = lang.encode(text)
    for slot, id_ in lang.slots.items():
        assert ids.count(id_) == text.count(slot)
    assert lang.decode(ids) == text


def test_a_capital_at_the_start_costs_no_token_of_its_own(lang: Lang) -> None:
    capital, lower, capitals = (lang.encode(text) for text in ("Je dors.", "je dors.", "JE DORS."))
    assert lower[1:] == capital
    assert capitals[1:] == capital


def test_curly_marks_are_read_as_straight_ones(lang: Lang) -> None:
    assert lang.encode("J’ai “faim”") == lang.encode('J\'ai "faim"')


def test_a_space_before_a_closing_mark_makes_no_difference(lang: Lang) -> None:
    assert lang.encode("Je vais dormir .") == lang.encode("Je vais dormir.")
    assert lang.encode("Où est la gare?") == lang.encode("Où est la gare ?")


def test_ids_end_with_eos_and_decoding_stops_there(lang: Lang) -> None:
    ids = lang.encode("Je dors.")
    assert ids[-1] == EOS
    assert lang.decode([*ids, *ids]) == "Je dors."


def test_texts_are_encoded_together_as_alone(lang: Lang) -> None:
    assert lang.encode_batch(FRENCH + ENGLISH) == [lang.encode(text) for text in FRENCH + ENGLISH]


def test_marks_of_the_spelling_in_a_text_are_harmless(lang: Lang) -> None:
    assert lang.decode(lang.encode("⇪je▁⇧vais↓ dormir.")) == "je vais dormir."


def test_counts_and_tokens_go_together(lang: Lang) -> None:
    assert len(lang.counts) == len(lang.tokens) == len(lang)
    assert lang.tokens[: len(SPECIAL_TOKENS)] == SPECIAL_TOKENS
    assert lang.counts[lang.encode("Je dors.")[0]] >= 3


def test_reading_back_gives_the_same_vocabulary_and_the_same_text(lang: Lang) -> None:
    loaded = Lang.from_json(lang.to_json())
    assert loaded == lang
    assert loaded.to_json() == lang.to_json()
    assert [loaded.encode(text) for text in FRENCH] == [lang.encode(text) for text in FRENCH]


def test_a_vocabulary_is_plain_json(lang: Lang) -> None:
    assert set(json.loads(lang.to_json())) == {"language", "tokens", "counts", "merges", "capitalised"}


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"{}"])
def test_a_damaged_vocabulary_is_named(tmp_path: Path, damage) -> None:
    for file in RELEASED.glob("*.lang.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = next(iter(sorted(tmp_path.iterdir())))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointFormatError, match=path.name):
        load_vocabularies(tmp_path, MODEL)


def test_loading_the_released_vocabulary_takes_milliseconds() -> None:
    text = (RELEASED / "fra-eng.lang.json").read_text(encoding="utf-8")

    def seconds() -> float:
        started = time.thread_time()
        Lang.from_json(text)
        return time.thread_time() - started

    # 15 ms on the slowest machine seen, where no garbage of other tests is collected meanwhile; a rebuild would take
    # seconds each time.
    assert min(seconds() for _ in range(3)) < 0.25
