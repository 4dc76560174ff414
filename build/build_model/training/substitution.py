"""Substitution: what a translation copies is learnt by showing it with something else in its place.

Tom a 25 chiens.        Tom has 25 dogs.            a pair of the corpus
Tom a ⟦n1⟧ chiens.      Tom has ⟦n1⟧ dogs.          what both sides carry over is a slot on both, always
⟦p1⟧ a ⟦n1⟧ chiens.     ⟦p1⟧ has ⟦n1⟧ dogs.         a name that stands on both sides: a slot, or another name
Tom a ⟦n1⟧ chiens.      Tom has ⟦n1⟧ dogs.          a number in words, for corpora that write few in digits
… chiens : ⟦x1⟧         … dogs: ⟦x1⟧                links, codes and emoji, which corpora lack
"""

import re
from collections.abc import Iterable, Sequence
from random import Random

from model.spans import MOST, Span, canonical, find

Pair = tuple[str, str]

NUMBER_WORDS = 0.5  # share of the pairs with a number in words in which it becomes a slot
NAMES = 0.6  # share of the pairs with names on both sides in which they are replaced
_SLOT_FOR_NAME = 0.6  # of those, by slots; else by other names
_ADDED = 0.012  # share of pairs that get a link, a code or an emoji
_OTHER_KIND = 0.2  # share of the pairs with one number or name in which it is a code or the like instead
_PLACES = (
    ("", ": ⟦x1⟧"),
    ("", " ⟦x1⟧"),
    ("", " ⟦x1⟧⟦x2⟧"),
    ("⟦x1⟧ ", ""),
    ("", " (⟦x1⟧)"),
)  # before and after the text
_PLACE_SHARES = (0.35, 0.35, 0.1, 0.1, 0.1)
_SHORTEST_NAME = 3

_WORD = re.compile(r"(?<!⟦)[^\W\d_]+(?:-[^\W\d_]+)*")
_CLOSING = re.compile(r"[.!?]+$")

# fmt: off
_NUMBERS = {
    ("fra", "eng"): {
        "deux": "two", "trois": "three", "quatre": "four", "cinq": "five", "six": "six", "sept": "seven",
        "huit": "eight", "neuf": "nine", "dix": "ten", "onze": "eleven", "douze": "twelve", "treize": "thirteen",
        "quatorze": "fourteen", "quinze": "fifteen", "seize": "sixteen", "dix-sept": "seventeen",
        "dix-huit": "eighteen", "dix-neuf": "nineteen", "vingt": "twenty", "trente": "thirty", "quarante": "forty",
        "cinquante": "fifty", "soixante": "sixty",
        "cent": "a hundred", "mille": "a thousand",
    }
}
# fmt: on
_NUMBERS["eng", "fra"] = {there: here for here, there in _NUMBERS["fra", "eng"].items()}
# Numbers of several words are left alone.
_COMPOUND = re.compile(
    r"\b(?:cents?|mille|millions?|soixante-|vingt-|quatre-vingt|hundred|thousand|million|[a-z]+ty-)", re.IGNORECASE
)


def carry_over(pair: Pair, languages: tuple[str, str]) -> Pair | None:
    """The pair with slots on both sides for what both carry over; None where they don't carry over the same."""
    spans = [find(text, language, "eng") for text, language in zip(pair, languages, strict=True)]
    said = [[(span.kind, canonical(span)) for span in side] for side in spans]
    if sorted(said[0]) != sorted(said[1]):
        return None
    counts = dict.fromkeys(MOST, 0)
    slots: list[str] = []
    waiting: dict[tuple[str, str], list[str]] = {}
    for what in said[0]:
        counts[what[0]] += 1
        if counts[what[0]] > MOST[what[0]]:
            return None
        slots.append(f"⟦{what[0]}{counts[what[0]]}⟧")
        waiting.setdefault(what, []).append(slots[-1])
    return _filled(pair[0], spans[0], slots), _filled(pair[1], spans[1], [waiting[what].pop(0) for what in said[1]])


class Substitution:
    """Draws substitutes for what a pair holds.

    Args:
        languages: ISO 639-3 codes of source and target.
        capitalised: lower-cased words that have a capital wherever they stand.
        names: what a name may be replaced by.
    """

    def __init__(self, languages: tuple[str, str], capitalised: frozenset[str], names: Sequence[str]) -> None:
        self.capitalised, self.names = capitalised, names
        self.numbers = _NUMBERS.get(languages, {})
        words = "|".join(sorted(map(re.escape, self.numbers), key=len, reverse=True))
        self.number = re.compile(rf"\b({words})\b(?!-)", re.IGNORECASE) if self.numbers else None

    def __call__(self, pair: Pair, random: Random) -> Pair:
        """The pair, or the same pair with something else in it."""
        if random.random() < NUMBER_WORDS:
            pair = self.with_number_slots(pair)
        if random.random() < NAMES:
            pair = self.with_other_names(pair, random)
        return with_codes(pair, random)

    def with_number_slots(self, pair: Pair) -> Pair:
        """Slots for one or two numbers in words that stand on both sides once."""
        source, target = pair
        if self.number is None or "⟦n" in source or _COMPOUND.search(source) or _COMPOUND.search(target):
            return pair
        found = [word[0] for word in self.number.finditer(source)]
        if not 1 <= len(found) <= 2 or len(set(found)) < len(found):
            return pair
        for number, word in enumerate(found, 1):
            there = re.compile(rf"\b{self.numbers[word.lower()]}\b(?!-)", re.IGNORECASE)
            if len(there.findall(target)) != 1:
                return pair
            source = re.sub(rf"\b{word}\b(?!-)", f"⟦n{number}⟧", source, count=1)
            target = there.sub(f"⟦n{number}⟧", target)
        return source, target

    def common_names(self, pair: Pair) -> list[tuple[re.Match[str], re.Match[str]]]:
        """The names that stand once on each side, as they are: where in the source, where in the target."""
        sides = [list(_WORD.finditer(text)) for text in pair]
        counts: list[dict[str, int]] = [{}, {}]
        for words, count in zip(sides, counts, strict=True):
            for word in words:
                count[word[0]] = count.get(word[0], 0) + 1
        there = {word[0]: word for word in sides[1]}
        return [
            (word, there[word[0]])
            for word in sides[0]
            if len(word[0]) >= _SHORTEST_NAME
            and word[0][0].isupper()
            and not word[0].isupper()
            and word[0].lower() in self.capitalised
            and counts[0][word[0]] == counts[1].get(word[0]) == 1
        ]

    def with_other_names(self, pair: Pair, random: Random) -> Pair:
        """Slots, or other names, for the names on both sides."""
        names = self.common_names(pair)
        if not names or "⟦p" in pair[0]:
            return pair
        if random.random() >= _SLOT_FOR_NAME:
            others = [random.choice(self.names) for _ in names] if self.names else [here[0] for here, _ in names]
            places = [
                [(*word.span(), other) for word, other in zip(side, others, strict=True)]
                for side in zip(*names, strict=True)
            ]
            return _replaced(pair[0], places[0]), _replaced(pair[1], places[1])
        joined: list[list[tuple[int, int]]] = []  # neighbours on both sides are one name
        for here, there in names:
            if joined and all(
                text[before[1] : word.start()] == " "
                for text, before, word in zip(pair, joined[-1], (here, there), strict=True)
            ):
                joined[-1] = [(joined[-1][0][0], here.end()), (joined[-1][1][0], there.end())]
            else:
                joined.append([here.span(), there.span()])
        if len(joined) > MOST["p"]:
            return pair
        slots = [f"⟦p{number}⟧" for number in range(1, len(joined) + 1)]
        return (
            _replaced(pair[0], [(*name[0], slot) for name, slot in zip(joined, slots, strict=True)]),
            _replaced(pair[1], [(*name[1], slot) for name, slot in zip(joined, slots, strict=True)]),
        )


def with_codes(pair: Pair, random: Random) -> Pair:
    """Now and then a link, a code or an emoji added to both sides, or in the place of a number or a name."""
    source, target = pair
    if "⟦x" in source or "⟦x" in target:
        return pair
    draw = random.random()
    if draw < _ADDED:
        before, after = random.choices(_PLACES, _PLACE_SHARES)[0]
        if after.startswith(":"):
            source, target = _CLOSING.sub("", source), _CLOSING.sub("", target)
        return before + source + random.choice((" ", "")) * after.startswith(":") + after, before + target + after
    kind = random.choice("np")
    if draw < _OTHER_KIND and source.count(f"⟦{kind}") == target.count(f"⟦{kind}") == 1:
        return source.replace(f"⟦{kind}1⟧", "⟦x1⟧"), target.replace(f"⟦{kind}1⟧", "⟦x1⟧")
    return pair


def _filled(text: str, spans: Iterable[Span], slots: Iterable[str]) -> str:
    return _replaced(text, [(span.start, span.end, slot) for span, slot in zip(spans, slots, strict=True)])


def _replaced(text: str, places: Iterable[tuple[int, int, str]]) -> str:
    """The text with others in the places of some of its parts."""
    for start, end, other in sorted(places, reverse=True):
        text = text[:start] + other + text[end:]
    return text
