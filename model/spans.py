"""Spans: what a translation carries over instead of translating it, found by rule.

    n   numbers, prices, times, dates, ordinals, measures: in the target language's typography, digits in order
    x   links, addresses, placeholders, tags, codes, phone numbers, emoji: the same in every language, byte for byte

In the sentence that the network reads, each stands as a slot, ``⟦n1⟧`` or ``⟦x1⟧``, numbered by kind from 1:

    Livré le 3 mai à 14h30 pour 7,50 € : https://exemple.fr     what people write
    Livré le ⟦n1⟧ à ⟦n2⟧ pour ⟦n3⟧ : ⟦x1⟧                       what the network reads
    May 3, 14:30, €7.50, https://exemple.fr                     what stands in the reply
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from model.carried import AFTER_NUMBERS, BEFORE_NUMBERS, BEGINS, IN_PLAIN, PLAIN
from model.numbers import Rule, value
from model.typography import typography

MOST: Final = {"n": 9, "x": 6, "p": 6}  # slots of each kind that a sentence can hold

SLOT: Final = re.compile("⟦([nxp])([1-9])⟧")


@dataclass(frozen=True)
class Span:
    """What is carried over from ``text[start:end]``.

    Attributes:
        kind: ``n``, ``x`` or ``p``.
        text: what stands in the source.
        target: what stands in the reply.
    """

    start: int
    end: int
    kind: str
    text: str
    target: str


def find(text: str, language: str, target: str) -> list[Span]:
    """The spans of a raw line, in order; none overlaps another.

    Args:
        language: ISO 639-3 code; how the line's numbers are written.
        target: how the translation's are.
    """
    if _PLAIN.fullmatch(text) is not None and _IN_PLAIN.search(text) is None:
        return []
    begins, pattern, rules = _scanner(language, target)
    found: list[Span] = []
    at = 0
    while (sign := begins.search(text, at)) is not None:
        # A span begins at its first sign, or before it in the same word: "exemple.fr", "(06".
        begin = max(at, text.rfind(" ", at, sign.start()) + 1)
        for start in range(begin, sign.start() + 1):
            match = pattern.match(text, start)
            if match is not None and (span := _span(match, rules)) is not None:
                at = span.end
                if (
                    found
                    and found[-1].end + 1 >= start
                    and span.kind == "n"
                    and _COMPARES.fullmatch(text, found[-1].start, span.start)
                ):
                    span = _joined(found.pop(), span, text)
                found.append(span)
                break
        else:
            at = sign.start() + 1
    return found


def _joined(sign: Span, number: Span, text: str) -> Span:
    """A number with the sign before it: ``< 5 %``, ``~20``."""
    before = text[sign.start : number.start]
    return Span(sign.start, number.end, "n", before + number.text, before + number.target)


def _span(match: re.Match[str], rules: Mapping[str, Rule]) -> Span | None:
    """What was found, or None where nothing is left of a link without the marks after it."""
    text, (start, end), name = match.string, match.span(), match.lastgroup
    assert name is not None
    if (rule := rules.get(name)) is not None:
        target = rule.rewrite(match[0], text[max(0, start - 24) : start], text[end : end + 24])
        return Span(start, end, "n", match[0], target)
    found = text[start : _trimmed(name, match)]
    return Span(start, start + len(found), "x", found, found) if found else None


def canonical(span: Span) -> str:
    """What a span says that was found with English as target, however it is written: the same for ``7,50 €`` in French
    and ``€7.50`` in English."""
    return value(span.target) if span.kind == "n" else span.text


def mask(text: str, spans: Iterable[Span]) -> tuple[str, list[Span]]:
    """The text with slots for its spans, and the spans that have one: at most ``MOST`` of each kind, the first."""
    counts = dict.fromkeys(MOST, 0)
    parts, kept, at = [], [], 0
    for span in spans:
        if counts[span.kind] == MOST[span.kind]:
            continue
        counts[span.kind] += 1
        parts += [text[at : span.start], f"⟦{span.kind}{counts[span.kind]}⟧"]
        kept.append(span)
        at = span.end
    return "".join([*parts, text[at:]]), kept


def restore(text: str, spans: Sequence[Span]) -> str:
    """The text with each slot's span in its place; what has none is appended, a slot's repetition is dropped."""
    counts = dict.fromkeys(MOST, 0)
    owed: dict[tuple[str, str], str] = {}
    for span in spans:
        counts[span.kind] += 1
        owed[span.kind, str(counts[span.kind])] = span.target
    filled = SLOT.sub(lambda slot: owed.pop((slot[1], slot[2]), ""), text)
    return " ".join([filled, *owed.values()] if filled else owed.values())


def _trimmed(name: str, match: re.Match[str]) -> int:
    """Where a link or path ends: closing marks after it belong to the sentence, a bracket only where it opened."""
    end = match.end()
    if name not in ("link", "path"):
        return end
    found = match[0]
    while found and (
        found[-1] in ".,;:!?'\"»”’…*_"
        or (found[-1] in ")]}" and found.count(found[-1]) > found.count("([{"[")]}".index(found[-1])]))
    ):
        found = found[:-1]
    return match.start() + len(found)


@cache
def _scanner(language: str, target: str) -> tuple[re.Pattern[str], re.Pattern[str], dict[str, Rule]]:
    """Where a span may begin, one pattern of all, and the rules of its named parts that are numbers."""
    numbers = typography(language, target)
    parts = [
        *BEFORE_NUMBERS.items(),
        *((rule.name, rule.pattern) for rule in numbers.marked),
        *AFTER_NUMBERS.items(),
        (numbers.plain.name, numbers.plain.pattern),
    ]
    pattern = re.compile("|".join(f"(?P<{name}>{part})" for name, part in parts))
    begins = f"{numbers.begins}|{BEGINS}" if numbers.begins else BEGINS
    return re.compile(begins), pattern, {rule.name: rule for rule in (*numbers.marked, numbers.plain)}


_COMPARES = re.compile(r"(?:[<>=≤≥≈≠~±×÷]|[<>]=)[ \u00a0\u202f]?")
_PLAIN, _IN_PLAIN = re.compile(f"[{PLAIN}]*"), re.compile(IN_PLAIN)
