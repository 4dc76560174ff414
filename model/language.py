"""Language: whether a text is French, so that nothing else is "translated".

Each word says something: one of a French lexicon is for it, one that is commoner elsewhere against it, one with letters
in an order that French hasn't more so. Names and what is carried over say nothing. Short texts and texts with a run of
French words get the benefit of the doubt.
"""

from typing import Final

from model.lexicon import TOKEN, Lexicon, typed
from model.wordlists import COMMON, ELSEWHERE, SHORT

FRENCH, RARE, SHARED, MISSPELLED, GIBBERISH = 2.0, 1.0, 0.6, -0.4, -2.0
DOUBT: Final = 2  # words that may be misspelled, where there are no others
RUN: Final = 3  # French words beside each other that make a text worth translating, whatever else is in it


def is_french(texts: list[str], lexicon: Lexicon) -> bool:
    """Whether a text is worth translating from French.

    Args:
        texts: its sentences, with slots for what is carried over.
    """
    score, longest, words = 0.0, 0, 0
    for text in texts:
        run = 0
        for number, token in enumerate(TOKEN.finditer(text)):
            if token[0][0] == "⟦":
                continue
            said = _says(token[0], number, lexicon)
            if said is None:
                continue
            score += said
            words += 1
            run = run + 1 if said > 0 else 0
            longest = max(longest, run)
    doubt = MISSPELLED * min(words, DOUBT)
    return score >= doubt or longest >= RUN + (score < -12)


def _says(token: str, number: int, lexicon: Lexicon) -> float | None:  # noqa: PLR0911 (a table)
    """What one word says; None where it may be a name."""
    word = typed(token)
    if word in COMMON or word in SHORT:
        return SHARED if word in ELSEWHERE else FRENCH
    weight = lexicon.foreign.get(word, 0)
    if word in ELSEWHERE:
        return -FRENCH
    if weight >= 3:
        return None if token[0].isupper() and number else -FRENCH
    if word in lexicon.ids:
        return SHARED if weight else FRENCH
    if word in lexicon:
        return RARE
    if token[0].isupper():
        return None
    if any(part in lexicon for part in word.split("-")):
        return 0.0
    return MISSPELLED if lexicon.looks_french(word) else GIBBERISH
