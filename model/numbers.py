"""Numbers in French and English typography: what is one, and what French ones are in English. Digits stay, in order.
What English ones are in French, `model.typography` says, and which rules belong to which pair of languages.

1 234,56   1.234,56    1,234.56        7,50 €    12 k€        €7.50   €12k
14h30      9h          14:30   9:00    en 24h    2h30 de      24 hours   2 hours 30 minutes
1er   2e   XXe siècle  1st   2nd  20th 35 %      1,2 Go       35%     1.2 GB
14 juillet 1789        July 14, 1789   12/03/2024   25 °C   3-1    as they are
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from model.carried import SPACE

MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_FRENCH_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "janvier janv.",
            "février fevrier févr. fevr. fév.",
            "mars",
            "avril avr.",
            "mai",
            "juin",
            "juillet juil.",
            "août aout",
            "septembre sept.",
            "octobre oct.",
            "novembre nov.",
            "décembre decembre déc. dec.",
        )
    )
    for name in names.split()
}
_UNITS = (
    "km/h|m/s|km²|km2|km|cm²|cm³|cm2|cm3|cm|mm²|mm|µm|nm|dm|m²|m³|m2|m3|m|ha|kg|mg|µg|g|t|cL|cl|mL|ml|dL|dl|hl|L|l|°C|°F|°|"
    "kWh|MWh|GWh|Wh|kW|MW|GW|W|mAh|kV|V|Hz|kHz|MHz|GHz|ko|Ko|Mo|Go|To|KB|kB|MB|GB|TB|Mb/s|Gb/s|Mbit/s|Mbps|Gbps|px|dpi|dB|"
    "ppm|bars?|hPa|kPa|Pa|kcal|kJ|min|mn|sec|ms|s"
)
IN_ENGLISH = {"ko": "kB", "Ko": "kB", "Mo": "MB", "Go": "GB", "To": "TB", "mn": "min"}
SIGN = r"(?:(?<![\w.,)\]%€])[-+−±](?=[0-9]))?"
_BEFORE = r"(?<![\w])(?<![0-9][.,])"
_NUMBER = (
    rf"(?:[0-9]{{1,3}}(?:{SPACE}[0-9]{{3}}|['’][0-9]{{3}})+(?![0-9])|[1-9][0-9]{{0,2}}(?:\.[0-9]{{3}})+(?![0-9]|\.[0-9])|[0-9]+)"
    r"(?:[.,][0-9]+(?![0-9]|[.,][0-9]))?"
)
_RANGE = rf"{_NUMBER}(?:(?:[-–]|{SPACE}?[x×]{SPACE}?){_NUMBER}){{0,5}}"
ENGLISH_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+(?![0-9]|\.[0-9]))?"
_ENGLISH_RANGE = rf"{ENGLISH_NUMBER}(?:(?:[-–]| ?[x×] ?){ENGLISH_NUMBER})*"
EACH = {
    "mois": "month",
    "jour": "day",
    "an": "year",
    "semaine": "week",
    "nuit": "night",
    "heure": "hour",
    "personne": "person",
    "pers": "person",
}
_EACH = "h|kg|g|l|L|m²|km|kWh|t"
_CURRENCIES = "EUR|USD|GBP|CHF|CAD|JPY|FCFA|XOF|XAF|MAD|DZD|TND"
_FRENCH_MONTH = "|".join(sorted(map(re.escape, _FRENCH_MONTHS), key=len, reverse=True))
_ENGLISH_MONTH = "|".join([*MONTHS, *(rf"{month[:3]}\." for month in MONTHS), r"Sept\."])
_CLOSED = r"(?![\w]|['’]\w)"


@dataclass(frozen=True)
class Rule:
    """A kind of number.

    Attributes:
        pattern: where one is.
        rewrite: what it is in the target language, from itself and what stands before and after it in the line.
    """

    name: str
    pattern: str
    rewrite: Callable[[str, str, str], str]


def value(english: str) -> str:
    """What a number in English typography says: ``14:30`` for ``2:30 p.m.``, ``1789-07-14`` for any way of its date."""
    if (date := ENGLISH_DATE.fullmatch(english)) is not None:
        begin = (date["month"] or date["then_month"])[:3]
        month = next(number for number, name in enumerate(MONTHS, 1) if name.startswith(begin))
        return f"{date['year'] or date['then_year'] or ''}-{month:02}-{int(date['day'] or date['first_day']):02}"
    if (time := ENGLISH_TIME.fullmatch(english)) is not None:
        hour, half = int(time["hour"] or time["hour_alone"]), time["half"] or time["half_after"]
        if half:
            hour = hour % 12 + (12 if half[0] in "pP" else 0)
        return f"{hour}:{time['minute'] or time['minute_after'] or '00'}"
    return re.sub(r"\s|(?<=[0-9]),(?=[0-9]{3})", "", re.sub(r"per ?cent", "%", english)).lower()


def english_number(french: str) -> str:
    """Each number of a range, with a comma between thousands and a point before decimals."""
    return re.sub(_NUMBER, lambda number: _english_number(number[0]), french)


def _english_number(number: str) -> str:
    whole, mark, decimals = number, "", ""
    if (found := re.search(r"[.,][0-9]+$", number)) and not re.fullmatch(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+", number):
        whole, mark, decimals = number[: found.start()], ".", number[found.start() + 1 :]
    return re.sub("[^0-9]", ",", whole) + mark + decimals


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def as_it_is(found: str, _before: str, _after: str) -> str:
    return found


def _plain(found: str, _before: str, _after: str) -> str:
    return found if STAYS.fullmatch(found) else english_number(found)


def _date(found: str, _before: str, _after: str) -> str:
    date = _FRENCH_DATE.fullmatch(found)
    assert date is not None
    month = MONTHS[_FRENCH_MONTHS[date[2].lower()]]
    return f"{month} {date[1]}" + (f", {date[3]}" if date[3] else "")


_LASTS = re.compile(
    r"(?:\b(?:en|sous|pendant|durant|dur(?:e|é|ée|er|era)|dans|il y a|toutes les|chaque|moins de|plus d[e']|"
    rf"au bout de|quelque|dernières|prochaines|premières|les|ces|par|suivant)|\d|/){SPACE}*$",
    re.IGNORECASE,
)

_LASTED = re.compile(
    rf"{SPACE}(?:d['’]|de )(?:marche|route|trajet|travail|vol|train|voiture|cours|retard|sommeil|sport|queue|attente|"
    r"pause|bus|avion|avance|décalage|conduite|film|musique|vidéo|plus|moins|repos|voyage|réunion|vélo|ménage|lecture)\b"
    rf"|{SPACE}(?:plus t[oô]t|plus tard|avant de|par (?:jour|semaine|mois|nuit|an|personne))\b",
    re.IGNORECASE,
)


def _time(found: str, before: str, after: str) -> str:
    time = _FRENCH_TIME.fullmatch(found)
    assert time is not None
    hours, minutes = time[1], time[2]
    if int(hours) > 24 or time[3] or int(minutes or 0) > 59 or _LASTS.search(before) or _LASTED.match(after):
        hour = f"{hours} hour" if hours in ("0", "1") else f"{hours} hours"
        return f"{hour} {minutes} minutes" if minutes else hour
    return f"{hours}:{minutes or '00'}"


def _money(found: str, _before: str, _after: str) -> str:
    money = _FRENCH_MONEY.fullmatch(found)
    assert money is not None
    if money["after"] is None:  # $5, as in English
        return english_number(found)
    number, cents, sign, thousands = money["number"], money["cents"], money["after"], money["thousands"]
    if sign.isalpha():
        return f"{english_number(number)} {sign}"
    shown = english_number(number) + (f".{cents}" if cents else "")
    minus = "-" if shown[0] in "-−" else ""
    bulk = {"k": "k", "M": "M", "Md": "bn", "Mds": "bn"}.get(thousands or "", "")
    land = (money["land"] or "")[:2]
    each = (money["each"] or "")[1:]
    return f"{minus}{land}{sign}{shown.lstrip('-−')}{bulk}" + (f"/{EACH.get(each, each)}" if each else "")


def _measure(found: str, _before: str, _after: str) -> str:
    measure = _FRENCH_MEASURE.fullmatch(found)
    assert measure is not None
    unit = IN_ENGLISH.get(measure[3], measure[3])
    return english_number(measure[1]) + (" " if measure[2] else "") + unit


def _percent(found: str, _before: str, _after: str) -> str:
    return english_number(found[:-1].rstrip(" \u00a0\u202f\u2009")) + found[-1]


def _ordinal(found: str, _before: str, _after: str) -> str:
    digits = re.match("[0-9]+", found)
    assert digits is not None
    return ordinal(int(digits[0]))


_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50}


def _century(found: str, _before: str, _after: str) -> str:
    values = [_ROMAN[letter] for letter in found if letter in _ROMAN]
    return ordinal(
        sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))
    )


_FRENCH_DATE = re.compile(
    rf"{_BEFORE}([0-3]?[0-9])(?:er)?{SPACE}((?i:{_FRENCH_MONTH}))(?:{SPACE}([12][0-9]{{3}})(?!\w|[.,][0-9]))?{_CLOSED}"
)
_FRENCH_TIME = re.compile(
    rf"{_BEFORE}([0-9]{{1,3}}){SPACE}?(?:[hH]|heures?(?={SPACE}[0-5][0-9](?![\w]|{SPACE}[0-9])))(?:{SPACE}?([0-5][0-9])(?![0-9]))?({SPACE}?(?:min|mn))?{_CLOSED}"
)
_FRENCH_MONEY = re.compile(
    rf"{_BEFORE}(?:(?P<number>{SIGN}{_RANGE}){SPACE}?(?P<thousands>k|Mds?|M)?(?P<after>[€$£¥]|(?:{_CURRENCIES})\b)"
    rf"(?:{SPACE}?(?P<land>USD?|CA[ND]?)\b)?(?P<cents>[0-9]{{2}}(?!\w))?(?P<each>/(?:{'|'.join(EACH)}|{_EACH})\b)?"
    rf"|(?:(?:US|CA)?[€$£¥]{SPACE}?|\b(?:{_CURRENCIES}){SPACE}){_NUMBER}(?:bn|[kM])?(?!\w))"
)
_FRENCH_MEASURE = re.compile(rf"{_BEFORE}({SIGN}{_RANGE})({SPACE}?)({_UNITS})(?![\w²³-]|['’]\w)")


ENGLISH_DATE = re.compile(
    rf"(?:(?P<month>{_ENGLISH_MONTH}) (?:the )?(?P<day>[0-3]?[0-9])(?:st|nd|rd|th)?(?:,? (?P<year>[12][0-9]{{3}}))?"
    rf"|(?:\b[Tt]he )?(?<!\w)(?P<first_day>[0-3]?[0-9])(?:st|nd|rd|th)?(?: of)? (?P<then_month>{_ENGLISH_MONTH})"
    r"(?:,? (?P<then_year>[12][0-9]{3}))?)(?!\w)"
)
_HALF = r"[aApP]\.[mM]\.|[aApP][mM]\b"
ENGLISH_TIME = re.compile(
    rf"{_BEFORE}(?:(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-5][0-9])(?![0-9:])(?: ?(?P<half>{_HALF}))?"
    rf"|(?P<hour_alone>[0-9]{{1,2}})(?:\.(?P<minute_after>[0-5][0-9]))? ?(?P<half_after>{_HALF}))"
)


def _unnamed(pattern: re.Pattern[str]) -> str:
    """The pattern's source as a part of another one: without groups."""
    return re.sub(r"\(\?P<\w+>|(?<!\\)\((?!\?)", "(?:", pattern.pattern)


ANY_DATE = r"[0-9]{1,4}(?:/[0-9]{1,2}/|-[0-9]{1,2}-|\.[0-9]{1,2}\.)[0-9]{2,4}(?![0-9])"
FRACTION = "[0-9]*[½⅓⅔¼¾⅛]"
_LIST = "[0-9]+(?:,[0-9]+){2,}"
JOINT = r"[-–—/:x×*+=⁄]"
STAYS = re.compile(f"{ANY_DATE}|{_LIST}")

_DIGIT = "[⁰¹²³⁴⁵⁶⁷⁸⁹]"
_TEN = rf"10(?:\^[-+−]?[0-9]+|[⁻⁺]?{_DIGIT}+)"
_POWER = rf"{_BEFORE}(?:{SIGN}{_NUMBER}(?:[eE][-+]?[0-9]+|{SPACE}?[x×·*]{SPACE}?{_TEN})|{_TEN})(?!\w)"
# Letters and numbers that are compared or reckoned with: x² + 2x = 0, a < b. With ==, && and the like it is code.
_ONE = "[A-Za-zα-ωΑ-Ω]"
_OPERAND = (
    rf"(?:[0-9]+(?:[.,][0-9]+)?(?:{_ONE}{{1,2}}{_DIGIT}?)?|{_ONE}{{1,3}}{_DIGIT}|{_ONE}(?:[0-9]|\([A-Za-z0-9]\))?)"
    r"(?![\w'’(])"
)
_WEAK = rf"(?:{SPACE}?[+*/·]{SPACE}?|{SPACE}[-−]{SPACE}|[-−])"
_STRONG = rf"{SPACE}?(?:[<>]=|[=<>≤≥≈≠×÷^])(?![=<>]){SPACE}?"
_NO_VERB = "(?<!il )(?<!on )(?<!lle )(?<!y )(?<!qui )(?<!tu )(?<!ça )(?<!ca )(?<!n')(?<!n’)(?<!l')(?<!l’)(?<!d')(?<!d’)"
FORMULA: Final = (
    rf"(?<![\w'’.,)-])(?:{_NO_VERB}){_OPERAND}(?:{_WEAK}{_OPERAND}){{0,15}}{_STRONG}{_OPERAND}"
    rf"(?:(?:{_WEAK}|{_STRONG}){_OPERAND})*(?!\w)"
)
FRENCH_BEGINS: Final = rf"(?<![\w'’]){_ONE}{{1,3}}(?:{_DIGIT}|\([A-Za-z0-9]\))?{SPACE}?[-−+*/·=<>≤≥≈≠×÷^]"

FRENCH: Final = (
    Rule("power", _POWER, _plain),
    Rule("reckoning", FORMULA, _plain),
    Rule("date", _unnamed(_FRENCH_DATE), _date),
    Rule("round", rf"{_BEFORE}(?:24{SPACE}?[hH]{SPACE}?/{SPACE}?24|7{SPACE}?[jJ]{SPACE}?/{SPACE}?7)(?!\w)", as_it_is),
    Rule("time", _unnamed(_FRENCH_TIME), _time),
    Rule("money", _unnamed(_FRENCH_MONEY), _money),
    Rule("percent", rf"{_BEFORE}{SIGN}{_RANGE}{SPACE}?[%‰](?!\w)", _percent),
    Rule("ordinal", rf"{_BEFORE}[0-9]+(?:ers?|[eè]?res?|e|i?[eè]mes?|ndes?|nds?|des?)(?!\w)", _ordinal),
    Rule("century", rf"(?<!\w)[IVXL]+(?:e|[eè]me)(?!\w)(?={SPACE}si[eè]cle)", _century),
    Rule("measure", _unnamed(_FRENCH_MEASURE), _measure),
)
FRENCH_PLAIN: Final = Rule(
    "plain",
    rf"{ANY_DATE}|{FRACTION}|{_LIST}|{SIGN}{_NUMBER}(?:{JOINT}{_NUMBER})*|[0-9]+|[\u00b2\u00b3\u00b9]+",
    _plain,
)
ENGLISH: Final = (
    Rule("date", _unnamed(ENGLISH_DATE), as_it_is),
    Rule("time", _unnamed(ENGLISH_TIME), as_it_is),
    Rule(
        "money",
        rf"-?(?:US|CA)?[€$£¥]{ENGLISH_NUMBER}(?:-{ENGLISH_NUMBER})?(?:bn|[kM])?(?:/(?:h|kg|g|l|L|m²|km|kWh|t)\b)?(?!\w)"
        rf"|{_BEFORE}{_ENGLISH_RANGE} ?(?:{_CURRENCIES})(?!\w)",
        as_it_is,
    ),
    Rule("percent", rf"{_BEFORE}{SIGN}{_ENGLISH_RANGE}(?: ?[%‰]| per ?cent)(?!\w)", as_it_is),
    Rule("ordinal", rf"{_BEFORE}[0-9]+(?:st|nd|rd|th)(?!\w)", as_it_is),
    Rule("decade", rf"{_BEFORE}[0-9]{{2,4}}(?='?s(?!\w))", as_it_is),
    Rule("measure", rf"{_BEFORE}{SIGN}{_ENGLISH_RANGE} ?(?:{_UNITS})(?![\w²³-]|['’]\w)", as_it_is),
)
ENGLISH_BEGINS: Final = rf"\b(?:{_ENGLISH_MONTH}|[Tt]he)(?: the)? [0-9]"  # a date, before its digits
ENGLISH_PLAIN: Final = Rule(
    "plain", rf"{ANY_DATE}|{FRACTION}|{SIGN}{ENGLISH_NUMBER}(?:{JOINT}{ENGLISH_NUMBER})*|[0-9]+", as_it_is
)
