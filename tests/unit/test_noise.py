"""Ways of typing for training."""

from random import Random

from build_model.training.noise import CARELESS, MISSPELLED, retype, strip_accents

SENTENCE = "Où est-ce que l'école se trouve ?"


def test_the_same_draws_give_the_same_text() -> None:
    assert [retype(SENTENCE, Random(n)) for n in range(50)] == [retype(SENTENCE, Random(n)) for n in range(50)]


def test_most_sources_stay_as_they_are() -> None:
    random = Random(1)
    same = sum(retype(SENTENCE, random) == SENTENCE for _ in range(2000)) / 2000
    assert 1 - CARELESS - MISSPELLED <= same + 0.03 <= 1 - (CARELESS + MISSPELLED) / 2


def test_every_way_of_typing_occurs() -> None:
    random = Random(1)
    typed = {retype(SENTENCE, random) for _ in range(3000)}
    assert any(text.isupper() for text in typed)
    assert any(text.startswith("o") for text in typed)
    assert any(not text.endswith("?") for text in typed)
    assert any("ecole" in text for text in typed)
    assert any("est ce" in text for text in typed)


def test_a_text_of_marks_alone_is_never_emptied() -> None:
    random = Random(1)
    assert all(retype("!", random) for _ in range(500))


def test_accents_are_stripped() -> None:
    assert strip_accents("Où était Noël, ça ?") == "Ou etait Noel, ca ?"
