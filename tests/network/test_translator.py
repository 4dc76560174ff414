"""The translator of the released checkpoint, as its users see it."""

import json
from pathlib import Path

import pytest

from model.checkpoint import RELEASED
from model.network.vocabulary import SPECIAL_TOKENS
from model.translator import Translator, untranslatable

EVERYDAY = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "fixtures" / "everyday.jsonl").read_text(encoding="utf-8").splitlines()
]
LEAST_PASSED = 38


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load(RELEASED)


def test_everyday_sentences_are_translated_as_a_person_would(translator: Translator) -> None:
    answers = translator.translate([line["source"] for line in EVERYDAY])
    failed = [
        (line["source"], answer.text)
        for line, answer in zip(EVERYDAY, answers, strict=True)
        if answer.text not in line["accept"]
    ]
    assert len(EVERYDAY) - len(failed) >= LEAST_PASSED, failed


@pytest.mark.parametrize(
    "line", [line for line in EVERYDAY if "dormir" in line["source"].lower()], ids=lambda line: line["source"]
)
def test_je_vais_dormir_is_understood_however_it_is_typed(translator: Translator, line) -> None:
    assert translator.translate([line["source"]])[0].text in line["accept"]


def test_no_special_token_reaches_a_reply(translator: Translator) -> None:
    for answer in translator.translate([line["source"] for line in EVERYDAY]):
        assert not any(token in answer.text for token in SPECIAL_TOKENS)
        assert answer.text.strip() == " ".join(answer.text.split())


def test_sentences_of_a_text_are_translated_in_order_with_their_line_breaks(translator: Translator) -> None:
    alone = [answer.text for answer in translator.translate(["J'ai faim.", "Il pleut.", "Je t'aime."])]
    together = translator.translate(["J'ai faim. Il pleut.\n\nJe t'aime."])[0].text
    assert together == f"{alone[0]} {alone[1]}\n\n{alone[2]}"


def test_a_text_is_translated_alike_alone_and_in_company(translator: Translator) -> None:
    texts = [line["source"] for line in EVERYDAY]
    together = [(answer.text, answer.error) for answer in translator.translate(texts)]
    alone = [translator.translate([text])[0] for text in texts]
    assert together == [(answer.text, answer.error) for answer in alone]


def test_an_emoji_survives(translator: Translator) -> None:
    assert translator.translate(["Je suis fatigué 😀"])[0].text.endswith(" 😀")


def test_errors_stand_in_their_place(translator: Translator) -> None:
    answers = translator.translate(["Il pleut.", "", "Il pleut."], max_characters=20)
    assert [answer.error for answer in answers] == [None, "empty", None]
    assert answers[1].text == ""


def test_no_texts_are_no_answers(translator: Translator) -> None:
    assert translator.translate([]) == []


def test_an_endless_word_is_answered_too(translator: Translator) -> None:
    assert translator.translate(["non" * 1500])[0].error in (None, "not-french")
    assert translator.translate(["Je dis que je ne sais pas " + "non" * 1500])[0].error is None


def test_a_slip_is_mended_and_what_is_not_french_says_so(translator: Translator) -> None:
    typed, meant, german = translator.translate(
        ["Je vais formir.", "Je vais dormir.", "Wann kommt mein Paket endlich an?"]
    )
    assert (typed.text, typed.corrected) == (meant.text, "Je vais dormir.")
    assert meant.corrected is None
    assert (german.text, german.error) == ("", "not-french")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Je vais dormir.", None),
        ("", "empty"),
        (" \n\t", "empty"),
        ("\x00\x00", "no-letters"),
        ("😀😀", "no-letters"),
        ("1234 !?", "no-letters"),
        ("مرحبا بالعالم", "unknown-script"),
        ("Привет, Tom", "unknown-script"),
        ("Bonjour 世界", None),
        ("Je suis content 😀", None),
        ("x" * 31, "too-long"),
    ],
)
def test_what_cant_be_translated_is_named(text: str, reason: str | None) -> None:
    assert untranslatable(text, max_characters=30) == reason
