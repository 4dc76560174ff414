"""Ways of typing, applied to training sources so that they don't matter to the model.

Nobody's spelling is corrected here: the words stay, only how carelessly they were typed varies.
"""

import re
import unicodedata
from random import Random

CARELESS = 0.3  # share of sources that are typed carelessly
_CAPITALS, _LOWER_START, _NO_FINAL_MARK, _NO_ACCENTS, _NO_JOINERS = 0.12, 0.5, 0.5, 0.35, 0.12

_FINAL_MARK = re.compile(r"\s*[.!?]+$")
_ACCENT = re.compile(r"[\u0300-\u036f]")
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")
_HYPHEN = re.compile(r"(?<=\w)-(?=\w)")


def retype(text: str, random: Random) -> str:
    """The normalised text as somebody might type it; most of the time as it is. The same draws give the same text."""
    if random.random() >= CARELESS:
        return text
    if random.random() < _NO_ACCENTS:
        text = strip_accents(text, random if random.random() < 0.3 else None)
    if random.random() < _NO_FINAL_MARK:
        text = _FINAL_MARK.sub("", text) or text
    if random.random() < _NO_JOINERS:
        text = _HYPHEN.sub(" ", text)
    if random.random() < _NO_JOINERS:
        text = _APOSTROPHE.sub(" " if random.random() < 0.3 else "", text)
    if random.random() < _CAPITALS:
        text = text.upper()
    elif random.random() < _LOWER_START:
        text = text[:1].lower() + text[1:]
    return text


def strip_accents(text: str, random: Random | None = None) -> str:
    """The text without accents, cedillas and the like; with ``random``, each is lost half of the time."""
    decomposed = unicodedata.normalize("NFD", text)
    if random is None:
        return unicodedata.normalize("NFC", _ACCENT.sub("", decomposed))
    return unicodedata.normalize(
        "NFC", _ACCENT.sub(lambda accent: "" if random.random() < 0.5 else accent.group(), decomposed)
    )
