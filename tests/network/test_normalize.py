"""One normalisation, for training and for service."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.network.normalize import normalize


@pytest.mark.parametrize(
    ("typed", "normalised"),
    [
        ("J’ai faim.", "J'ai faim."),
        ("J`ai faim.", "J'ai faim."),
        ("Où est la gare\u00a0?", "Où est la gare ?"),
        ("Où est la gare\u202f?", "Où est la gare ?"),
        ("Je  vais \t dormir.", "Je vais dormir."),
        (" Je vais\ndormir. ", "Je vais dormir."),
        ("e\u0301cole", "école"),
        ("« Bonjour »", '" Bonjour "'),
        ("peut‑être", "peut-être"),
        ("Ah…", "Ah..."),
        ("mon cœur", "mon coeur"),
        ("Je\x00 vais\u200b dormir\x07.", "Je vais dormir."),
    ],
)
def test_ways_of_typing_one_character_are_folded(typed: str, normalised: str) -> None:
    assert normalize(typed) == normalised


@pytest.mark.parametrize("text", ["Je vais dormir.", "TOM A ÉTÉ LÀ !", "ça, où, très, Noël", "Qu'est-ce que c'est ?"])
def test_case_accents_and_punctuation_stay(text: str) -> None:
    assert normalize(text) == text


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@given(st.text())
def test_no_control_characters_and_no_odd_spaces_are_left(text: str) -> None:
    normalised = normalize(text)
    assert normalised.isprintable() or all(character.isprintable() for character in normalised)
    assert "  " not in normalised
    assert normalised == normalised.strip()
