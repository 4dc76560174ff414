"""What a text carries over stands in the reply of the released model exactly once, wherever it was put."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.translator import Translator

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"


def _text(alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(alphabet=alphabet, min_size=least, max_size=most)


_word = _text(LETTERS, 3, 10)
CARRIED = st.one_of(
    st.builds("https://{}.{}/{}?{}={}".format, _word, st.sampled_from(("fr", "com", "org")), _word, _word, _word),
    st.builds("www.{}-{}.fr".format, _word, _word),
    st.builds("{}.{}@{}.org".format, _word, _word, _word),
    st.builds("{{{}}}".format, _word),
    st.builds("{{{{{}.{}}}}}".format, _word, _word),
    st.builds("${{{}}}".format, _word),
    st.sampled_from(("%s", "%d", "%1$s", "<br>", "</b>", "&nbsp;", "<a href='x'>", "`pip install`")),
    st.builds("@{}_{}".format, _word, _word),
    st.builds("#{}".format, _word),
    st.builds("{}_{}.pdf".format, _word, _word),
    st.builds("{}-{}-{}".format, _text(DIGITS, 2, 3), _text(DIGITS, 4, 5), _text("BCDFGHJKLM", 1, 2)),
    st.builds("{}{}".format, _text("BCDFGHJKLMNPQRSTVWXZ", 2, 3), _text(DIGITS, 3, 6)),
    st.sampled_from(("+33 6 12 34 56 78", "06 98 76 54 32", "01.44.55.66.77")),
    st.sampled_from(("😀", "👨‍👩‍👧", "🇫🇷", "❤️", "👍🏽", "🎉")),
)
NUMBERS = st.sampled_from(
    (
        ("1 234,56 €", "€1,234.56"),
        ("17 500", "17,500"),
        ("3,14", "3.14"),
        ("35 %", "35%"),
        ("14h30", "14:30"),
        ("12/03/2024", "12/03/2024"),
        ("25 °C", "25 °C"),
        ("2e", "2nd"),
        ("1987", "1987"),
        ("42", "42"),
    )
)
SENTENCES = (
    "Bonjour, vous trouverez {} dans ce message.",
    "Merci de répondre à {} avant demain soir.",
    "Je n'ai pas compris {} et ma sœur non plus.",
    "Pourquoi est-ce que {} ne marche plus ?",
    "{} est arrivé hier.",
    "Envoie-moi {}",
    "Il manque encore ({}), il me semble.",
    "J'ai noté : {}, puis {}.",
    "Entre {} et {}, je ne sais pas quoi choisir !",
    "« Regarde {} », a-t-elle dit.",
    "stp regarde {} ya un souci",
    "Ligne une avec {}.\n- ligne deux avec {}\n\n> ligne trois : {}",
)


def woven(sentences: Sequence[str], parts: Sequence[str]) -> tuple[str, list[str]]:
    """Sentences whose gaps are filled with as many of the parts as there are gaps, again and again from the first."""
    text, used = "\n".join(sentences), []
    while "{}" in text:
        part = parts[len(used) % len(parts)]
        before, _, after = text.partition("{}")
        used.append(part)
        text = before + part.replace("{}", "{ }") + after
    return text, used


@pytest.fixture(scope="module")
def translator() -> Translator:
    from model.checkpoint import RELEASED  # noqa: PLC0415 - with the model, after collection

    return Translator.load(RELEASED)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sentences=st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=3),
    spans=st.lists(CARRIED, min_size=1, max_size=6, unique=True),
)
def test_a_link_a_name_of_a_file_a_placeholder_or_an_emoji_is_there_once_byte_for_byte(
    translator: Translator, sentences: list[str], spans: list[str]
) -> None:
    text, used = woven(sentences, spans)
    reply = translator.translate([text])[0]
    assert reply.error is None
    for span in used:
        assert reply.text.count(span) == text.count(span), (span, text, reply.text)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sentences=st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=3),
    numbers=st.lists(NUMBERS, min_size=1, max_size=6, unique=True),
)
def test_a_number_is_there_as_often_in_english_typography(
    translator: Translator, sentences: list[str], numbers: list[tuple[str, str]]
) -> None:
    text, used = woven(sentences, [french for french, _ in numbers])
    reply = translator.translate([text])[0]
    assert reply.error is None
    english = dict(numbers)
    wanted = [english[number] for number in used]
    left = reply.text
    for number in sorted(wanted, key=len, reverse=True):  # 42 stands in other numbers too
        assert number in left, (number, text, reply.text)
        left = left.replace(number, "", 1)
    assert not any(digit.isdigit() for digit in left), (text, reply.text)
