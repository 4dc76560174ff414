"""Typography: how a pair of languages writes numbers, and what English ones are in French.

1,234.56    €7.50   €12k    35%     1.2 GB       1 234,56    7,50 €   12 k€   35 %    1,2 Go
2:30 p.m.   9 am    1st     2nd     July 14      14h30       9h       1er     2e      14 juillet

A pair that isn't French and English keeps its numbers as they are. A space that belongs to a number doesn't break.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from model.numbers import (
    ANY_DATE,
    ENGLISH,
    ENGLISH_BEGINS,
    ENGLISH_DATE,
    ENGLISH_NUMBER,
    ENGLISH_PLAIN,
    ENGLISH_TIME,
    FRACTION,
    FRENCH,
    FRENCH_BEGINS,
    FRENCH_PLAIN,
    IN_ENGLISH,
    JOINT,
    MONTHS,
    SIGN,
    STAYS,
    Rule,
    as_it_is,
)

SPACE: Final = "\u00a0"
_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)
_UNITS = {english: french for french, english in IN_ENGLISH.items() if french not in ("ko", "mn")}
_AMOUNT = re.compile(
    rf"(?P<minus>-?)(?P<land>US|CA)?(?P<sign>[€$£¥])(?P<number>{ENGLISH_NUMBER}(?:-{ENGLISH_NUMBER})?)"
    r"(?P<bulk>bn|[kM])?(?P<each>/\S+)?"
)


@dataclass(frozen=True)
class Typography:
    """What numbers are in the source language, and in the target language.

    Attributes:
        marked: those with a mark of their own, tried in order before codes are.
        plain: the others, tried after them.
        begins: where one begins that doesn't begin with a digit; empty where none does.
    """

    marked: Sequence[Rule]
    plain: Rule
    begins: str = ""


def typography(language: str, target: str) -> Typography:
    """Of a pair of ISO 639-3 codes."""
    match language, target:
        case "fra", "eng":
            return Typography(FRENCH, FRENCH_PLAIN, FRENCH_BEGINS)
        case "eng", "fra":
            return Typography([_into_french(rule) for rule in ENGLISH], _into_french(ENGLISH_PLAIN), ENGLISH_BEGINS)
        case "fra", _:
            return Typography([_kept(rule) for rule in FRENCH], _kept(FRENCH_PLAIN), FRENCH_BEGINS)
        case "eng", _:
            return Typography(ENGLISH, ENGLISH_PLAIN, ENGLISH_BEGINS)
    return Typography((), _ANY)


_ANY_NUMBER = r"[0-9]+(?:[.,'’\u00a0\u202f\u2009][0-9]+)*"
_ANY = Rule(
    "plain",
    rf"{ANY_DATE}|{FRACTION}|{SIGN}{_ANY_NUMBER}(?:{JOINT}{_ANY_NUMBER})*(?:[ \u00a0]?[%‰€$£¥])?|[0-9]+",
    as_it_is,
)


def _kept(rule: Rule) -> Rule:
    return replace(rule, rewrite=as_it_is)


def _into_french(rule: Rule) -> Rule:
    return replace(rule, rewrite=_INTO_FRENCH.get(rule.name, as_it_is))


def french_number(english: str) -> str:
    """Each number of a range, with a space between thousands and a comma before decimals."""
    return re.sub(ENGLISH_NUMBER, lambda number: number[0].replace(",", SPACE).replace(".", ","), english)


def _plain(found: str, _before: str, _after: str) -> str:
    return found if STAYS.fullmatch(found) else french_number(found)


def _date(found: str, _before: str, _after: str) -> str:
    date = ENGLISH_DATE.fullmatch(found)
    assert date is not None
    begin = (date["month"] or date["then_month"])[:3]
    month = next(number for number, name in enumerate(MONTHS) if name.startswith(begin))
    day, year = int(date["day"] or date["first_day"]), date["year"] or date["then_year"]
    return f"{'1er' if day == 1 else day} {_MONTHS[month]}" + (f" {year}" if year else "")


def _time(found: str, _before: str, _after: str) -> str:
    time = ENGLISH_TIME.fullmatch(found)
    assert time is not None
    hour, minute = int(time["hour"] or time["hour_alone"]), time["minute"] or time["minute_after"] or "00"
    if half := time["half"] or time["half_after"]:
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    return f"{hour}h{minute}" if minute != "00" else f"{hour}h"


def _money(found: str, _before: str, _after: str) -> str:
    amount = _AMOUNT.fullmatch(found)
    if amount is None:  # 7.50 EUR
        return french_number(found)
    bulk = {"bn": "Md"}.get(amount["bulk"] or "", amount["bulk"] or "")
    land = f"{SPACE}{amount['land']}" if amount["land"] else ""
    return (
        f"{amount['minus']}{french_number(amount['number'])}{SPACE}{bulk}{amount['sign']}{land}{amount['each'] or ''}"
    )


def _percent(found: str, _before: str, _after: str) -> str:
    number = re.sub(r" ?(?:[%‰]|per ?cent)$", "", found)
    return f"{french_number(number)}{SPACE}{'‰' if found[-1] == '‰' else '%'}"


def _ordinal(found: str, _before: str, _after: str) -> str:
    number = int(re.sub("[^0-9]", "", found))
    return "1er" if number == 1 else f"{number}e"


def _measure(found: str, _before: str, _after: str) -> str:
    measure = re.fullmatch(r"(.*[0-9])( ?)(.*)", found)
    assert measure is not None
    return french_number(measure[1]) + (SPACE if measure[2] else "") + _UNITS.get(measure[3], measure[3])


_INTO_FRENCH: Final[dict[str, Callable[[str, str, str], str]]] = {
    "date": _date,
    "time": _time,
    "money": _money,
    "percent": _percent,
    "ordinal": _ordinal,
    "measure": _measure,
    "plain": _plain,
}
