"""Language: whether a text is in the source language, so that nothing else is "translated".

French has a lexicon. Each word says something: one of it is for French, one that is commoner elsewhere against it, one
with letters in an order that French hasn't more so. Names and what is carried over say nothing. Short texts and texts
with a run of French words get the benefit of the doubt. Of other languages the commonest words are known, or nothing.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Final

from model.lexicon import Lexicon, tokens_of, typed
from model.wordlists import COMMON, COMMON_IN, ELSEWHERE, HABITS, NAMES, SHORT

FRENCH, RARE, SHARED, MISSPELLED, GIBBERISH = 2.0, 1.0, 0.6, -0.4, -2.0
DOUBT: Final = 2  # words that may be misspelled, where there are no others
CODE: Final = -6.0  # what the marks of a programming language say
OFTEN: Final = 8.5  # how often a word of other languages occurs in French where it is French too, as a power of two
RUN: Final = 5.0  # what French words beside each other say that make a text worth translating, whatever else is in it
LEAST: Final = 2  # common words of other languages that make a text foreign, where there is no lexicon


@cache
def _common_elsewhere(language: str) -> frozenset[str]:
    return frozenset[str]().union(*(words for code, words in COMMON_IN.items() if code != language))


def english_name(language: str) -> str:
    """What a language is called in English, in lower case; its code where that isn't known."""
    return NAMES.get(language, language)


def is_written_in(language: str, texts: list[str]) -> bool:
    """Whether a text is worth translating from a language without a lexicon: unless far more of its common words are
    other languages' alone, or it is code. A language whose common words aren't known gets all of it.

    Args:
        texts: its sentences, with slots for what is carried over.
    """
    own = COMMON_IN.get(language)
    if own is None:
        return True
    others = _common_elsewhere(language)
    ours = theirs = 0
    for text in texts:
        for token in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", _SLOT.sub(" ", text)):
            word = typed(token)
            ours += word in own and word not in others
            theirs += (word in others and word not in own) + LEAST * _is_row(word)
    if any(_CODE.search(text) for text in texts):
        return ours > 3 * LEAST
    return theirs < LEAST or 2 * ours >= theirs


def is_french(texts: list[str], lexicon: Lexicon) -> bool:
    """Whether a text is worth translating from French.

    Args:
        texts: its sentences, with slots for what is carried over.
    """
    score, longest, words, foreign = 0.0, 0.0, 0, False
    says = _sayings(lexicon)
    for text in texts:
        run = 0.0
        for number, token in enumerate(tokens_of(text)):
            if token[0] == "⟦":
                continue
            said = says(token, number > 0)
            if said is None:
                continue
            score += said
            words += 1
            foreign |= said == -FRENCH
            run = run + said if said > 0 else 0.0
            longest = max(longest, run)
    if any(_CODE.search(text) for text in texts):
        score, foreign = score + CODE, True
    doubt = 0.0 if foreign else MISSPELLED * min(words, DOUBT)
    return score >= doubt or longest >= RUN + 3 * (score < -12)


@cache
def _sayings(lexicon: Lexicon) -> Callable[[str, bool], float | None]:
    """``_says`` of a lexicon, which remembers the words that came last."""
    return lru_cache(maxsize=20_000)(partial(_says, lexicon))


def _says(lexicon: Lexicon, token: str, inside: bool) -> float | None:  # noqa: PLR0911 (a table)
    """What one word says, first in its sentence or ``inside``; None where it may be a name."""
    word = typed(token)
    if word in COMMON or word in SHORT or word in HABITS:
        return SHARED if word in ELSEWHERE else FRENCH
    if token[0].isupper() and (word in lexicon.proper or token in lexicon.names):
        return None
    weight = lexicon.foreign.get(word, 0)
    if word in ELSEWHERE:
        return SHARED if lexicon.count(word) > OFTEN else -FRENCH
    if weight >= 3:
        return None if inside and token[0].isupper() else -FRENCH
    if word in lexicon.ids:
        return SHARED if weight else FRENCH
    if word in lexicon:
        return RARE
    if lexicon.drawn_out(word) is not None:
        return SHARED
    if token[0].isupper():
        return None
    if any(part in lexicon for part in word.split("-")):
        return 0.0
    return MISSPELLED if lexicon.looks_french(word) and not _is_row(word) else GIBBERISH


def _is_row(word: str) -> bool:
    """Whether a word runs along the keys."""
    return any(word[at : at + 5] in row for at in range(len(word) - 4) for row in _ROWS)


_SLOT = re.compile("⟦[nxp][1-9]⟧")
_ROWS = ("azertyuiop", "qsdfghjklm", "qwertyuiop", "asdfghjkl")
_CODE = re.compile(
    r"\w\([^()]*\)\s*[;{:]\s*(?:\w+\s*$|return\b|$)|[=!<>]=|=>|&&|\|\||\)\s*[;{]"
    r"|^\s*(?:#include|(?:import|sudo|npm|pip|git|cd|ls) [a-z./-]+|from [\w.]+ import|def \w+\(|class \w+[:({]"
    r"|function\b[^.]*\(|(?:const|let|var|int|public|private) \w+.*[=(]|SELECT\b.*\bFROM\b)"
)
