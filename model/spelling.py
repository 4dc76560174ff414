"""Spelling: a word that no lexicon has is replaced by one that is meant, where its neighbours agree.

Candidates are words one slip away: keys beside each other, letters left out, doubled or swapped, accents, an apostrophe
or a space left out, letters that sound alike. Among them and the word as it stands decides how common each is beside
its neighbours, less what its slip costs. Words that are right are replaced only by one that sounds the same and fits
far better: ``on mange quoi se soir``. Names, capitals inside a sentence and what is carried over stay.
"""

import re
from collections.abc import Container, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final

from model.lexicon import MIXED, TOKEN, Lexicon, fold, tokens_of, typed
from model.wordlists import ALIKE, HABITS, LETTERS, SHORT

# What slips cost, in powers of two.
ACCENT, APOSTROPHE, DOUBLED, SOUND, SWAPPED, NEAR, LEFT_OUT, ADDED, OTHER, FIRST = (
    *(1.0, 1.0, 3.0, 4.0, 4.5),
    *(6.0, 6.0, 6.5, 9.0, 2.0),
)
UNKNOWN: Final = -34.0  # the logarithm of a word's chance that no lexicon has, beside its neighbours
UNKNOWN_NAME: Final = -26.0  # the same of a word with a capital at the beginning of a sentence
UNKNOWN_BESIDE: Final = -16.0  # and of one that may be a slip itself, after the word in question
LONGER: Final = 1.5  # by how much less each letter from the sixth on makes another word likely to be near by chance
BACK_OFF: Final = 2.0
OFTEN: Final = 2.5  # how often two words were seen where the mute end of a right one is replaced
REAL_WORD: Final = 7.4  # by how much a word that sounds the same has to fit better than one that is right

_ROWS = (("azertyuiop", "qsdfghjklm", "wxcvbn"), ("qwertyuiop", "asdfghjkl", "zxcvbnm"))
_VOWELS = "aeiouyh"
_ELIDES = ("j", "l", "d", "n", "m", "t", "s", "c", "qu")
_SOUNDS = (
    *(("ph", "f"), ("qu", "k"), ("c", "k"), ("c", "ss"), ("s", "ss"), ("s", "z"), ("s", "c"), ("g", "j"), ("ge", "j")),
    *(("au", "o"), ("eau", "o"), ("eau", "au"), ("ai", "e"), ("ei", "e"), ("ai", "ei"), ("er", "e"), ("ez", "e")),
    *(("et", "e"), ("ain", "in"), ("ein", "in"), ("en", "an"), ("em", "am"), ("im", "in"), ("om", "on"), ("y", "i")),
    *(("oi", "oa"), ("gu", "g"), ("tion", "sion"), ("th", "t"), ("ch", "sh"), ("h", ""), ("er", "ez"), ("ill", "y")),
)
_PLURAL: Final = frozenset(("mes", "tes", "ses", "nos", "vos", "des", "ces", "deux", "trois", "plusieurs", "quelques"))
_AUXILIARIES: Final = frozenset(
    ("ai", "as", "a", "avons", "avez", "ont", "suis", "es", "est", "sommes", "êtes", "sont", "été", "avait", "était")
)
_BEFORE_LETTERS: Final = frozenset(
    ("et", "ou", "lettre", "vitamine", "vitamines", "point", "option", "plan", "langage")
)
_AFTER_LETTERS: Final = frozenset(("et", "ou", "de", "d'", "est", "sont"))
_ASKS: Final = _PLURAL | _AUXILIARIES
_STOP_INSIDE = re.compile(r"[.!?].*[^\W_]")

# What there is to do about a word: nothing, ever; nothing, but where the word before asks for another end; to see
# whether one that sounds alike is meant; to look at it closely.
_MARK, _RIGHT, _ALIKE, _DOUBTFUL = range(4)
_FINITE = re.compile(r"(.{2,}(?:i(?=[ts])|u(?=t)))[ts]$")


_ELIDED = re.compile(r"(?<![\w'’⟦-])([jldmtsncJLDMTSNC]|[Qq]u) ([aeiouyhéèêàâîôûùAEIOUYHÉÈÊÀÂÎÔ][a-zà-ÿ]*)")
_AFTER_C: Final = frozenset(("est", "était", "etait", "étaient", "etaient", "en"))


def _changed(text: str, changes: list[tuple[re.Match[str], str]]) -> str:
    parts, at = [], 0
    for token, better in changes:
        parts += [text[at : token.start()], better]
        at = token.end()
    return "".join([*parts, text[at:]])


class Speller:
    """Corrects sentences with a lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._candidates = lru_cache(maxsize=10_000)(self._find_candidates)
        self._chance = lru_cache(maxsize=100_000)(self._find_chance)
        self._look = lru_cache(maxsize=20_000)(self._find_kind)
        self._alike: dict[str, list[str]] = {}
        for one, other in ALIKE:
            self._alike.setdefault(one, []).append(other)
            if fold(other) != fold(one):
                self._alike.setdefault(other, []).append(one)

    def correct(self, text: str) -> str:
        """The sentence with its slips mended; itself where there is none."""
        if text.isupper():
            return text
        text = _ELIDED.sub(self._elided, text)
        if self._is_right(text):
            return text
        tokens = list(TOKEN.finditer(text))
        words = [typed(token[0]) for token in tokens]
        changes: list[tuple[re.Match[str], str]] = []
        for place, (token, word) in enumerate(zip(tokens, words, strict=True)):
            if word[0] == "⟦" or word[-1] == "'":
                continue
            if token[0] in LETTERS and self._stands_for_words(words, place):
                changes.append((token, LETTERS[word]))
                words[place] = re.split("[ ']", LETTERS[word])[-1]
                continue
            capital = token[0][0].isupper()
            if MIXED.search(token[0]) or (
                capital and (token[0][1:2].isupper() or (place and not self._begins(text, tokens, place)))
            ):
                continue
            before, after = words[place - 1] if place else "", words[place + 1] if place + 1 < len(words) else ""
            better = self._better(word, before, after, capital=capital)
            if better is not None and better != word:
                changes.append((token, better[0].upper() + better[1:] if capital else better))
                words[place] = re.split("[ ']", typed(better))[-1]
        return _changed(text, changes) if changes else text

    def _is_right(self, text: str) -> bool:
        """Whether nothing would be changed, as far as words can tell without their places: most sentences, at once."""
        names = _STOP_INSIDE.search(text) is None  # a capital inside is a name's then, and no sentence's
        seen = [self._look(token, names and place > 0) for place, token in enumerate(tokens_of(text))]
        before = ""
        for place, (word, kind) in enumerate(seen):
            if kind == _DOUBTFUL:
                return False
            if kind == _ALIKE or (kind == _RIGHT and before in _ASKS):
                after = seen[place + 1][0] if place + 1 < len(seen) else ""
                better = self._sounds_alike(word, before, after)
                if better is not None and better != word:
                    return False
            before = word
        return True

    def _find_kind(self, token: str, name: bool) -> tuple[str, int]:
        """A token in lower case, and what there is to do about it; ``name``: a capital makes it one."""
        word = typed(token)
        if (
            word[0] == "⟦"
            or word[-1] == "'"
            or MIXED.search(token)
            or (token[0].isupper() and (name or token[1:2].isupper()))
        ):
            return word, _MARK
        if token in LETTERS or word not in self._lexicon:
            return word, _DOUBTFUL
        return word, _ALIKE if word in self._alike else _RIGHT

    def _stands_for_words(self, words: list[str], place: int) -> bool:
        """Whether a letter is typed for the words it sounds like: ``c bon``, but not ``b, c et d`` or ``300 g de``."""
        before, after = words[place - 1] if place else "", words[place + 1] if place + 1 < len(words) else ""
        if before in _BEFORE_LETTERS or after in _AFTER_LETTERS:
            return False
        return len(before) != 1 and before[:1] != "⟦" and len(after) > 1

    def _elided(self, found: re.Match[str]) -> str:
        """``d'arrêt`` for ``d arret``, where such words were seen together."""
        word, after = found[1].lower(), found[2].lower()
        if after in _AFTER_C if word == "c" else self._follows(f"{word}'", after):
            return f"{found[1]}'{found[2]}"
        return found[0]

    def _follows(self, word: str, after: str) -> bool:
        return any(self._lexicon.pair(word, known) > OFTEN for known in self._lexicon.by_fold.get(fold(after), ()))

    def _begins(self, text: str, tokens: list[re.Match[str]], place: int) -> bool:
        """Whether a word begins a sentence, or goes on with an elided word that does."""
        between = text[tokens[place - 1].end() : tokens[place].start()]
        return any(mark in between for mark in ".!?")

    def _better(self, word: str, before: str, after: str, *, capital: bool) -> str | None:
        """What is meant by a word between two others."""
        lexicon = self._lexicon
        if word in lexicon:
            return self._sounds_alike(word, before, after)
        if (meant := HABITS.get(word) or lexicon.drawn_out(word)) is not None:
            return meant
        if word in SHORT:
            return None
        joined = word.replace("-", "")
        if joined != word and all(part in lexicon for part in word.split("-")):
            return joined if joined in lexicon.ids else None
        if len(word) < 3:
            return None
        least = UNKNOWN_NAME if capital else UNKNOWN
        best, most = None, least - LONGER * max(0, len(word) - 5)
        foreign = word in lexicon.foreign
        for candidate, cost in self._candidates(word):
            if (foreign and cost > DOUBLED) or (capital and candidate.capitalize() in lexicon.names):
                continue
            score = self._fit(candidate, before, after) - cost
            if score > most:
                best, most = candidate, score
        return best

    def _sounds_alike(self, word: str, before: str, after: str) -> str | None:
        """A right word that sounds like a right word, and was far oftener seen between these two."""
        others = self._alike.get(word)
        if others is None:
            return self._other_end(word, before)
        if before == "tu" and word == "a" and after != "t":
            return "as"
        if before[-1:] == "'":
            return None
        most = self._chance(before, word) + self._chance(word, after) + REAL_WORD
        if most >= 0:  # no logarithm of a chance is above 0
            return None
        best = None
        for other in others:
            score = self._fit(other, before, after)
            if score > most:
                best, most = other, score
        return best

    def _other_end(self, word: str, before: str) -> str | None:
        """A plural or a participle that isn't heard, where the word before asks for one: ``mes parent``."""
        if before in _PLURAL and word[-1] not in "sxz":
            ends = [word + "s", word + "x"]
        elif before in _AUXILIARIES and (stem := _FINITE.match(word)) is not None:
            ends = [stem[1] + end for end in (("", "s") if word[-1] == "t" else ("t",))]
        elif before in _AUXILIARIES and word[-1] == "e":
            ends = [word[:-1] + "é"]
        elif before in _AUXILIARIES and before != "a" and word.endswith("er"):  # "a manger" may be "à manger"
            ends = [word[:-2] + "é"]
        else:
            return None
        pair = self._lexicon.pair
        best, most = None, OFTEN
        if not pair(before, word):
            for other in ends:
                if pair(before, other) > most:
                    best, most = other, pair(before, other)
        return best

    def _fit(self, candidate: str, before: str, after: str) -> float:
        """The logarithm of the chance of a candidate, of one word or several, between two words."""
        row = [before, *candidate.replace("'", "' ").split(" "), after]
        return sum(self._chance(one, other) for one, other in pairwise(row))

    def _find_chance(self, one: str, other: str) -> float:
        """The logarithm of the chance that a word follows one."""
        lexicon = self._lexicon
        pair = lexicon.pair(one, other)
        if pair > 0:
            return pair - max(lexicon.count(one), pair)
        if other and other not in lexicon.ids:
            return UNKNOWN_BESIDE
        return lexicon.count(other) - lexicon.total - BACK_OFF

    def _find_candidates(self, word: str) -> tuple[tuple[str, float], ...]:
        """What may be meant by a word that isn't known, with what the slip costs."""
        found: dict[str, float] = {}
        plain = fold(word)
        by_fold = self._lexicon.by_fold
        for spelled, cost in _slips(plain, by_fold):
            for known in by_fold[spelled]:
                accents = (
                    sum(a != b for a, b in zip(word, known, strict=False))
                    if len(word) == len(known) and cost == 0
                    else 0
                )
                total = cost + (
                    ACCENT * min(accents, 2) if cost == 0 else 0.5 * (fold(known) != known and plain == word)
                )
                if total < found.get(known, 99.0):
                    found[known] = total
        for elided in _ELIDES:
            rest = word[len(elided) :]
            if word.startswith(elided) and len(rest) > 1 and fold(rest[0]) in _VOWELS:
                for known in by_fold.get(fold(rest), ()):
                    found.setdefault(f"{elided}'{known}", APOSTROPHE + (0.0 if known == rest else ACCENT))
        for at in range(2, len(word) - 1):
            one, other = word[:at], word[at:]
            if other in self._lexicon.ids and one in self._lexicon.ids and self._lexicon.pair(one, other) > 4:
                found.setdefault(f"{one} {other}", APOSTROPHE)
        return tuple(found.items())


def _near() -> dict[str, str]:
    near: dict[str, set[str]] = {}
    for rows in _ROWS:
        for number, row in enumerate(rows):
            for place, key in enumerate(row):
                beside = near.setdefault(key, set())
                beside.update(row[max(0, place - 1) : place] + row[place + 1 : place + 2])
                if number + 1 < len(rows):
                    beside.update(rows[number + 1][max(0, place - 1) : place + 1])
                if number:
                    beside.update(rows[number - 1][place : place + 2])
    return {key: "".join(sorted(beside)) for key, beside in near.items()}


_NEAR: Final = _near()
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def _slips(word: str, known: Container[str]) -> Iterator[tuple[str, float]]:
    """Which of ``known`` may have been meant by a word without accents, with what the slip costs; the cheapest isn't
    always first."""
    if word in known:
        yield word, 0.0
    for at in range(len(word) + 1):
        head, tail, rest = word[:at], word[at:], word[at + 1 :]
        first = FIRST if at == 0 else 0.0
        if tail and head + rest in known:
            yield head + rest, (DOUBLED if head[-1:] == tail[0] else ADDED) + first
        if rest and (swapped := head + rest[0] + tail[0] + rest[1:]) in known:
            yield swapped, SWAPPED + first
        for letter in [letter for letter in _LETTERS if head + letter + tail in known]:
            yield head + letter + tail, (DOUBLED if letter in (head[-1:], tail[:1]) else LEFT_OUT) + first
        if tail:
            near = _NEAR.get(tail[0], "")
            for letter in [letter for letter in _LETTERS if head + letter + rest in known]:
                yield head + letter + rest, (NEAR if letter in near else OTHER) + first
    for one, other in _SOUNDS:
        for old, new in ((one, other), (other, one)):
            at = word.find(old) if old else -1
            while at >= 0:
                if (sounded := word[:at] + new + word[at + len(old) :]) in known:
                    yield sounded, SOUND
                at = word.find(old, at + 1)
