"""What a translation carries over: found, written in English typography, and put back."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.numbers import value
from model.spans import canonical, find, mask, restore

PAIR = ("fra", "eng")

NUMBERS = [
    ("1 234,56 €", "€1,234.56"),
    ("7,50 €", "€7.50"),
    ("289 000 €", "€289,000"),
    ("12\u202f000\u00a0€", "€12,000"),
    ("5€50", "€5.50"),
    ("12 k€", "€12k"),
    ("-5 €", "-€5"),
    ("10-15 €", "€10-15"),
    ("3,20 €/kg", "€3.20/kg"),
    ("$5", "$5"),
    ("850€/mois", "€850/month"),
    ("3 000,50 $ CAD", "CA$3,000.50"),
    ("CHF 50.00", "CHF 50.00"),
    ("EUR 1 250,50", "EUR 1,250.50"),
    ("< 5 %", "< 5%"),
    ("~20", "~20"),
    ("≥ 1,5 kg", "≥ 1.5 kg"),
    ("×3", "×3"),
    ("1e-5", "1e-5"),
    ("6,02e23", "6.02e23"),
    ("1,5 × 10^-3", "1.5 × 10^-3"),
    ("3 x 10⁸", "3 x 10⁸"),
    ("2 + 2 = 4", "2 + 2 = 4"),
    ("1,5 + 1,5 = 3", "1.5 + 1.5 = 3"),
    ("x² + 2x + 1 = 0", "x² + 2x + 1 = 0"),
    ("f(x) = x² + 3", "f(x) = x² + 3"),
    ("A = πr²", "A = πr²"),
    ("E = mc²", "E = mc²"),
    ("a < b", "a < b"),
    ("y >= 10", "y >= 10"),
    ("12,50 EUR", "12.50 EUR"),
    ("14h30", "14:30"),
    ("14 h 30", "14:30"),
    ("14 heures 30", "14:30"),
    ("02h17", "02:17"),
    ("9h", "9:00"),
    ("16:45", "16:45"),
    ("24h/24", "24h/24"),
    ("48h", "48 hours"),
    ("1er", "1st"),
    ("1re", "1st"),
    ("2e", "2nd"),
    ("2nde", "2nd"),
    ("3ème", "3rd"),
    ("11e", "11th"),
    ("21e", "21st"),
    ("1er juillet", "July 1"),
    ("14 juillet 1789", "July 14, 1789"),
    ("20 Mars", "March 20"),
    ("12/03/2024", "12/03/2024"),
    ("12.03.2024", "12.03.2024"),
    ("2024-03-12", "2024-03-12"),
    ("35 %", "35%"),
    ("2,5 %", "2.5%"),
    ("25 °C", "25 °C"),
    ("39,2\u00a0°C", "39.2 °C"),
    ("600 m²", "600 m²"),
    ("12 km", "12 km"),
    ("1,2 Go", "1.2 GB"),
    ("10 x 15 cm", "10 x 15 cm"),
    ("8-10", "8-10"),
    ("3-1", "3-1"),
    ("15/20", "15/20"),
    ("3,5", "3.5"),
    ("3.5", "3.5"),
    ("100.000", "100,000"),
    ("1.234.567,89", "1,234,567.89"),
    ("1'234,50", "1,234.50"),
    ("2024", "2024"),
    ("75012", "75012"),
    ("½", "½"),
]


@pytest.mark.parametrize(("french", "english"), NUMBERS)
def test_a_number_is_written_as_in_english(french: str, english: str) -> None:
    assert [(span.kind, span.text, span.target) for span in find(french, *PAIR)] == [("n", french, english)]


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("de 9h à 12h", ["9:00", "12:00"]),
        ("remboursé en 24h", ["24 hours"]),
        ("après 2h30 de marche", ["2 hours 30 minutes"]),
        ("au XXe siècle", ["20th"]),
        ("j'ai 15ans", ["15"]),
        ("les n° 1, 2 et 3", ["1", "2", "3"]),
        ("Livré.2 jours", ["2"]),
        ("mi-2024", ["2024"]),
        ("il a 5 t-shirts", ["5"]),
        ("il y a < 5 chats", ["< 5"]),
        ("on a + 3 chats", ["3"]),
        ("la 2e-3e place", ["2nd", "3rd"]),
    ],
)
def test_the_words_around_a_number_decide_what_it_is(text: str, targets: list[str]) -> None:
    assert [span.target for span in find(text, *PAIR)] == targets
    assert {span.kind for span in find(text, *PAIR)} == {"n"}


@pytest.mark.parametrize(
    "carried",
    [
        "https://exemple.fr/suivi/8842713",
        "https://exemple.fr/panier?id=8841&lang=fr#haut",
        "www.exemple.fr",
        "service-public.gouv.fr/aide",
        "jean.dupont+test@exemple.fr",
        "{name}",
        "{{count}}",
        "{{ user.name }}",
        "{0}",
        "${x}",
        "%s",
        "%1$s",
        "%(name)s",
        "%.2f",
        '<a href="https://exemple.fr/t/48213">',
        "</a>",
        "<br/>",
        "&nbsp;",
        "&#39;",
        "`git pull`",
        "@jeanne_d",
        "#vacances",
        "AB-482-KT",
        "45-7781-B",
        "BX-300",
        "4519A",
        "7730-C",
        "INC0048213",
        "12bis",
        "NV 482",
        "12.4.1",
        "v2.0",
        "192.168.0.1",
        "ISBN 978-2-9999-0417-3",
        "FR76 3000 6000 0112 3456 7890 189",
        "06 39 98 77 03",
        "06.39.98.77.03",
        "+33 6 39 98 77 03",
        "1 85 05 78 006 084 36",
        "4970 1234 5678 9010",
        "rapport_final.pdf",
        "1.jpg",
        "/etc/hosts/x",
        "C:\\Users\\Jean\\x.txt",
        "C:\\Program Files\\Mon App\\app.exe",
        "EXEMPLE.COM",
        "exemple.FR",
        '![Un chat](img/chat.png "Un chat")',
        "\x1b[31m",
        "eyJhbGciOiJIUzI1NiIs.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-_123",
        "2001:db8::1",
        "fe80::1/64",
        "48°51'24\"N",
        "45'30\"",
        '9"58',
        "L. 123-4",
        "R.123-45",
        "H₂O",
        "R&D",
        "AT&T",
        "=",
        ">",
        "~~",
        "×",
        "¿",
        "₿",
        "MAX_SIZE",
        "--verbose",
        "⭐⭐⭐⭐⭐",
        "👩‍👩‍👧‍👦",
        "🇫🇷",
        "👍🏽",
        "1️⃣",
        "❤️",
        ":-)",
        "<3",
        "漢字",
        "Анна Каренина",
        "⟦n1⟧",
        "⟦",
    ],
)
def test_a_thing_that_no_language_changes_is_one_span(carried: str) -> None:
    before = "Voici "
    spans = find(f"{before}{carried} pour vous.", *PAIR)
    assert [(span.kind, span.start, span.text, span.target) for span in spans] == [("x", len(before), carried, carried)]


@pytest.mark.parametrize(
    "text",
    [
        "Je vais dormir.",
        "J'ai faim, et toi ?",
        "Bonjour.merci de venir",
        "et/ou",
        "j`ai mangé l`eau",
        "Ah bon : (enfin) voilà",
        "a-t-il vu",
        "les étudiant·e·s",
        "quelqu'un...",
        "C'est-à-dire ; oui !",
        "le vingtième",
    ],
)
def test_plain_french_has_no_span(text: str) -> None:
    assert find(text, *PAIR) == []


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("Allez sur https://exemple.fr.", "https://exemple.fr"),
        ("(voir https://exemple.fr/a_(b))", "https://exemple.fr/a_(b)"),
        ("« https://exemple.fr » !", "https://exemple.fr"),
        ("https://exemple.fr/a, puis", "https://exemple.fr/a"),
        ("[le site](https://exemple.fr/a_(b)) est", "(https://exemple.fr/a_(b))"),
    ],
)
def test_a_link_ends_before_the_sentences_marks(text: str, link: str) -> None:
    assert [span.text for span in find(text, *PAIR)] == [link]


@pytest.mark.parametrize(
    ("french", "english"),
    [
        ("1 234,56 €", "€1,234.56"),
        ("14h30", "2:30 p.m."),
        ("9h", "9 am"),
        ("14 juillet 1789", "July 14th, 1789"),
        ("14 juillet 1789", "the 14th of July 1789"),
        ("4 mai", "May 4"),
        ("35 %", "35 percent"),
        ("10 000", "10,000"),
        ("2e", "2nd"),
        ("1,2 Go", "1.2 GB"),
    ],
)
def test_a_number_is_known_again_in_english(french: str, english: str) -> None:
    (source,), (target,) = find(french, *PAIR), find(english, "eng", "eng")
    assert target.text == english
    assert canonical(source) == canonical(target)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a 10-year-old", ["10"]),
        ("the 1980s", ["1980"]),
        ("at 7 o'clock", ["7"]),
        ("3.5 or 2.30 p.m.", ["3.5", "2.30 p.m."]),
    ],
)
def test_english_numbers_are_found_where_they_end(text: str, found: list[str]) -> None:
    assert [span.text for span in find(text, "eng", "eng")] == found


def test_spans_become_slots_and_come_back() -> None:
    text = "Livré le 3 mai à 14h30 pour 7,50 € : https://exemple.fr"
    masked, spans = mask(text, find(text, *PAIR))
    assert masked == "Livré le ⟦n1⟧ à ⟦n2⟧ pour ⟦n3⟧ : ⟦x1⟧"
    reply = restore("Delivered on ⟦n1⟧ at ⟦n2⟧ for ⟦n3⟧: ⟦x1⟧", spans)
    assert reply == "Delivered on May 3 at 14:30 for €7.50: https://exemple.fr"


def test_what_a_reply_leaves_out_is_appended_once() -> None:
    text = "Il a 3 chiens et {n} chats"
    _, spans = mask(text, find(text, *PAIR))
    assert restore("He has ⟦n1⟧ dogs and ⟦n1⟧ cats ⟦x4⟧", spans) == "He has 3 dogs and  cats  {n}"


@given(st.text(alphabet="ab 1,2.3hH€%/-:'é⟦⟧n{}<>@#_😀\u00a0mk", max_size=60))
def test_masked_text_with_its_spans_put_back_is_the_text(text: str) -> None:
    spans = find(text, *PAIR)
    assert all(before.end <= after.start for before, after in pairwise(spans))
    assert all(text[span.start : span.end] == span.text for span in spans)
    as_they_are = [replace(span, target=span.text) for span in spans]
    masked, kept = mask(text, as_they_are)
    if kept == as_they_are:  # none was too many
        assert restore(masked, kept) == text


@given(st.text(alphabet="ab 0123456789,.hH€%/-:'é\u00a0mkeèrt°", max_size=40))
def test_every_digit_is_in_a_span(text: str) -> None:
    covered = {place for span in find(text, *PAIR) for place in range(span.start, span.end)}
    assert all(place in covered for place, character in enumerate(text) if character.isdigit())


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("€7.50", "7,50 €"),
        ("$1,234.56", "1 234,56 $"),
        ("US$5", "5 $ US"),
        ("€12bn", "12 Md€"),
        ("-£3", "-3 £"),
        ("€15/h", "15 €/h"),
        ("7.50 EUR", "7,50 EUR"),
        ("2:30 p.m.", "14h30"),
        ("9 am", "9h"),
        ("12 am", "0h"),
        ("14:05", "14h05"),
        ("July 14, 1789", "14 juillet 1789"),
        ("the 3rd of May", "3 mai"),
        ("June 1st", "1er juin"),
        ("35%", "35 %"),
        ("3.5 per cent", "3,5 %"),
        ("1st", "1er"),
        ("22nd", "22e"),
        ("1.2 GB", "1,2 Go"),
        ("25 °C", "25 °C"),
        ("1,234,567.8", "1 234 567,8"),
        ("12/03/2024", "12/03/2024"),
        ("3-1", "3-1"),
    ],
)
def test_english_numbers_are_written_as_french_ones_and_say_the_same(english: str, french: str) -> None:
    (span,) = find(english, "eng", "fra")
    assert (span.text, span.target.replace("\u00a0", " ")) == (english, french)
    (back,) = find(span.target, "fra", "eng")
    if "bn" not in english and "/h" not in english:  # value() knows nothing of these
        assert canonical(back) == value(english)


@pytest.mark.parametrize("text", ["1.234,56 €", "35 %", "14:30", "-5", "12/03/2024", "1’000"])
def test_the_numbers_of_other_languages_stay_as_they_are(text: str) -> None:
    for span in find(f"Es sind {text} hier.", "deu", "spa"):
        assert span.text == span.target
        assert span.kind == "n"
