"""Texts of several sentences: split, translated apart, put together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.segment import LONGEST_CHARACTERS, LONGEST_WORDS, segment


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Je vais dormir.", ["Je vais dormir."]),
        ("je vais dormir .", ["je vais dormir ."]),
        ("Bonjour ! Comment ça va ?", ["Bonjour !", "Comment ça va ?"]),
        ("Il dort. Elle lit. Je mange.", ["Il dort.", "Elle lit.", "Je mange."]),
        ("il dort. elle lit.", ["il dort.", "elle lit."]),
        ("M. Martin est là. Il attend Mme Dupont.", ["M. Martin est là.", "Il attend Mme Dupont."]),
        ("J. Martin a 3.5 ans.", ["J. Martin a 3.5 ans."]),
        ("Je... ne sais pas.", ["Je... ne sais pas."]),
        ("Bon... Je ne sais pas.", ["Bon...", "Je ne sais pas."]),
        ('"Où vas-tu ?" Il partit.', ['"Où vas-tu ?"', "Il partit."]),
        ("Quoi ?! Non !", ["Quoi ?!", "Non !"]),
        ("Il dort.\nElle lit.", ["Il dort.", "Elle lit."]),
    ],
)
def test_a_text_is_split_into_its_sentences(text: str, sentences: list[str]) -> None:
    assert list(segment(text).sentences) == sentences


@pytest.mark.parametrize("text", ["Un.\nDeux.\n\nTrois.\n", "Un.\r\nDeux.", "\n\nUn.", "Un.\n- Deux.\n- Trois."])
def test_line_breaks_are_kept(text: str) -> None:
    parts = segment(text)
    assert parts.join(parts.sentences) == text


def test_an_emoji_at_the_end_is_kept_and_not_translated() -> None:
    parts = segment("Je suis fatigué 😀")
    assert parts.sentences == ("Je suis fatigué",)
    assert parts.join(["I'm tired"]) == "I'm tired 😀"


def test_what_has_no_letters_is_no_sentence() -> None:
    parts = segment("12 + 3\nBonjour !")
    assert parts.sentences == ("Bonjour !",)
    assert parts.join(["Hello!"]) == "12 + 3\nHello!"


def test_a_very_long_sentence_is_cut_after_a_comma() -> None:
    text = ", ".join(["je mange une pomme"] * 30) + "."
    sentences = segment(text).sentences
    assert len(sentences) > 1
    assert all(sentence.endswith((",", ".")) for sentence in sentences)
    assert " ".join(sentences) == text


@given(st.text(alphabet="ab .,!?\n😀é'-", max_size=400))
def test_nothing_but_spacing_is_lost(text: str) -> None:
    parts = segment(text)
    assert "".join(parts.join(parts.sentences).split()) == "".join(text.split())


@given(st.text(alphabet="abc ,.", max_size=3000))
def test_no_sentence_is_longer_than_the_model_can_take(text: str) -> None:
    for sentence in segment(text).sentences:
        assert len(sentence) <= LONGEST_CHARACTERS
        assert len(sentence.split()) <= LONGEST_WORDS
