"""Ways of typing for training."""

from random import Random

import pytest

from build_model.training.noise import CARELESS, MISSPELLED, misspell, retype, slip, strip_accents

SENTENCE = "Où est-ce que l'école se trouve ?"


def test_the_same_draws_give_the_same_text() -> None:
    assert [retype(SENTENCE, Random(n), "fra") for n in range(50)] == [
        retype(SENTENCE, Random(n), "fra") for n in range(50)
    ]


def test_most_sources_stay_as_they_are() -> None:
    random = Random(1)
    same = sum(retype(SENTENCE, random, "fra") == SENTENCE for _ in range(2000)) / 2000
    assert 1 - CARELESS - MISSPELLED <= same + 0.03 <= 1 - (CARELESS + MISSPELLED) / 2


def test_every_way_of_typing_occurs() -> None:
    random = Random(1)
    typed = {retype(SENTENCE, random, "fra") for _ in range(3000)}
    assert any(text.isupper() for text in typed)
    assert any(text.startswith("o") for text in typed)
    assert any(not text.endswith("?") for text in typed)
    assert any("ecole" in text for text in typed)
    assert any("est ce" in text for text in typed)


def test_a_text_of_marks_alone_is_never_emptied() -> None:
    random = Random(1)
    assert all(retype("!", random, "fra") for _ in range(500))


def test_accents_are_stripped() -> None:
    assert strip_accents("Où était Noël, ça ?") == "Ou etait Noel, ca ?"


@pytest.mark.parametrize(
    ("language", "sentence", "typed"),
    [
        ("eng", "I'm sure you don't know because it's too late.", {"im", "dont", "its", "dunno"}),
        ("fra", "Je suis sûr qu'il y a un problème aujourd'hui", {"ajd", "ya"}),
    ],
)
def test_each_language_is_written_by_ear_in_its_own_way(language: str, sentence: str, typed: set[str]) -> None:
    random = Random(1)
    words = {word for _ in range(2000) for word in misspell(sentence, random, language).lower().split()}
    assert typed <= words


def test_english_is_mistyped_on_an_english_keyboard_and_never_as_french() -> None:
    random = Random(1)
    typed = {retype("Where did Anna park?", random, "eng") for _ in range(4000)}
    assert not any(habit in text for text in typed for habit in ("é", "qu ", "k'", "ez"))
    beside_m = {slip("ama", random, "eng") for _ in range(4000)}
    assert "ana" in beside_m
    assert "ala" not in beside_m  # m is beside l on a French keyboard alone
    assert "ala" in {slip("ama", random, "fra") for _ in range(4000)}
