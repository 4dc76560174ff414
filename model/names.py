"""Names: words that only people, places and firms have are carried over, as their owners write them.

Which have a translation (Londres, Noël, Monsieur), and which a network has seen so often that it knows them (Tom,
Paris), the lexicon says; the rest, next to each other, are one slot.
"""

import re
from typing import Final

from model.lexicon import MIXED, TOKEN, Lexicon, typed
from model.spans import MOST, Span
from model.wordlists import TRANSLATED

_DEMONYM = re.compile(r"(?:ais|aises?|ois|oises?|iens?|iennes?|ains?|aines?|ins?|ines?|ol[es]?|olles?|istes?)$")
_AND = re.compile(" & [A-Z]")
_ARTICLES: Final = frozenset(("Le", "La", "Les"))
_JOINED: Final = (" ", " & ")


def find_names(text: str, lexicon: Lexicon) -> list[Span]:
    """The names in a sentence, in order, where it has no more than slots for them."""
    if text.islower():
        return []
    first = TOKEN.match(text) if text[1:].islower() else None  # most sentences: no capital but at the beginning
    tokens = [token for token in ([first] if first else TOKEN.finditer(text)) if token[0][-1] not in "'’"]
    capitals = sum(token[0][0].isupper() for token in tokens[1:])
    if text.isupper() or (capitals > 3 and 4 * capitals > 3 * len(tokens)):  # a heading
        return []
    runs: list[tuple[int, int]] = []
    article = None
    for token in tokens:
        word = token[0]
        if not word[0].isupper():
            article = None
            if MIXED.search(word):  # kWh, iPhone
                runs.append(token.span())
            continue
        inside = _is_inside(text, token.start())
        joins = bool(runs) and text[runs[-1][1] : token.start()] in _JOINED
        if inside and word in _ARTICLES:
            article = token.start()
        elif _is_name(word, lexicon, inside=inside) or (
            inside and (joins or article is not None or _AND.match(text, token.end()))
        ):
            if joins:
                runs[-1] = (runs[-1][0], token.end())
            else:
                runs.append((token.start() if article is None else article, token.end()))
            article = None
        else:
            article = None
    if len(runs) > MOST["p"]:
        return []
    return [Span(start, end, "p", text[start:end], text[start:end]) for start, end in runs]


def _is_inside(text: str, start: int) -> bool:
    """Whether a capital at this place isn't due to a sentence that begins there."""
    before = text[:start].rstrip(" '’\u00a0")
    return bool(before) and (before[-1].isalnum() or before[-1] in ",;⟧&-")


def _is_name(word: str, lexicon: Lexicon, *, inside: bool) -> bool:
    """Whether a word with a capital is a name to carry over."""
    low = typed(word)
    if len(word) < 2 or word in lexicon.names or word in TRANSLATED:
        return False
    if MIXED.search(word) or (inside and lexicon.foreign.get(low, 0) >= 3):
        return True
    if word.isupper():
        return inside and low not in lexicon.ids
    if low in lexicon.proper:
        return True
    if not inside or _DEMONYM.search(low):
        return low not in lexicon and low not in lexicon.foreign
    return low not in lexicon.ids
