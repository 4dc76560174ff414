"""Reading: a text on its way to the network: sentences, spelled right, with slots for what is carried over.

What of that is done depends on the source language: French has a lexicon, so its texts are spelled right and their
names found; of others the sentences, numbers and what is carried over are known, and the commonest words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import unescape
from typing import Final
from unicodedata import normalize

from model.language import is_french, is_written_in
from model.lexicon import Lexicon
from model.names import find_names
from model.segment import Segmented, Sentence, segment
from model.spans import Span, mask, restore
from model.spelling import Speller


@dataclass(frozen=True)
class Reading:
    """What is translated of a text.

    Attributes:
        segmented: its sentences, and what stands between them.
        native: whether it is in the source language, and so worth translating.
        corrected: the text with its slips mended, where there were any; else None.
    """

    segmented: Segmented
    native: bool = True
    corrected: str | None = None

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """What the network reads; nothing where it is another language."""
        return self.segmented.sentences if self.native else ()

    def join(self, translations: Sequence[str]) -> str:
        """The text with the translations of ``sentences`` in their places."""
        return self.segmented.join(translations) if self.native else ""


class Reader:
    """Reads texts.

    Args:
        languages: ISO 639-3 codes of source and target.
        slots: whether the network has slots; where it hasn't, it spells everything itself.
        lexicon: of the source language, where there is one.
    """

    def __init__(self, languages: tuple[str, str], *, slots: bool, lexicon: Lexicon | None) -> None:
        self._languages, self._slots, self._lexicon = languages, slots, lexicon
        self._speller = Speller(lexicon) if lexicon else None

    def read(self, text: str) -> Reading:
        """The sentences of any text."""
        if self._lexicon is None or self._speller is None:
            segmented = segment(text, self._languages, slots=self._slots)
            native = is_written_in(self._languages[0], [sentence.text for sentence in segmented.sentences])
            return Reading(segmented, native)
        segmented = segment(_unescaped(text), self._languages)
        found = [_readable(sentence.text) for sentence in segmented.sentences]
        if not is_french(found, self._lexicon):
            return Reading(segmented, native=False)
        spelled = [self._speller.correct(sentence) for sentence in found]
        corrected = None
        if spelled != found:
            typed = [
                restore(sentence, _as_typed(was.spans))
                for sentence, was in zip(spelled, segmented.sentences, strict=True)
            ]
            corrected = Segmented(tuple(Sentence(one) for one in typed), segmented.between).join(typed)
        sentences = tuple(
            self._named(sentence, was.spans, self._lexicon)
            for sentence, was in zip(spelled, segmented.sentences, strict=True)
        )
        return Reading(Segmented(sentences, segmented.between), corrected=corrected)

    def _named(self, text: str, spans: tuple[Span, ...], lexicon: Lexicon) -> Sentence:
        """The sentence with slots for its names too; without any where the network has none."""
        if not self._slots:
            return Sentence(restore(text, _as_typed(spans)) if spans else text)
        names = find_names(text, lexicon)
        if not names:
            return Sentence(text, spans)
        masked, names = mask(text, names)
        return Sentence(masked, (*spans, *names))


def _unescaped(text: str) -> str:
    """The text with the letters and apostrophes that are entities inside a word; all others are carried over."""
    return _IN_WORD.sub(lambda entity: unescape(entity[0]), text) if "&" in text else text


def _readable(text: str) -> str:
    """A sentence's letters as people type them: each by itself, with its accent, and no hyphen that isn't seen."""
    return normalize("NFC", text).translate(_LETTERS) if _JOINED.search(text) else text


_LETTERS: Final = str.maketrans(
    {
        "ﬀ": "ff",
        "ﬁ": "fi",
        "ﬂ": "fl",
        "ﬃ": "ffi",
        "ﬄ": "ffl",
        "ﬅ": "st",
        "ﬆ": "st",
        "\u00ad": None,
        "\u2060": None,
        "\ufeff": None,
    }
)
_JOINED = re.compile("[\u00ad\u0300-\u036f\u2060\ufb00-\ufb06\ufeff]")
_ACCENTED = (
    r"&(?:[A-Za-z](?:acute|grave|circ|uml|cedil|tilde)|[AaOo][Ee]lig"
    r"|#(?:19[2-9]|20[0-79]|21[0-46-9]|22[0-9]|23[0-9]|24[0-68-9]|25[0-5]|33[89])|#x(?i:c[0-9a-f]|e[0-9a-f]|15[23]));"
)
_APOSTROPHE = r"&(?:#(?:39|x27|8217|x2019)|apos|rsquo);"
_BEFORE, _AFTER = r"(?<=[^\W\d_])", r"(?=[^\W\d_])"
_IN_WORD = re.compile(
    rf"{_BEFORE}(?:{_ACCENTED}|{_APOSTROPHE})+{_AFTER}|{_BEFORE}(?:{_APOSTROPHE})?(?:{_ACCENTED})+|(?:{_ACCENTED})+{_AFTER}"
)


def _as_typed(spans: tuple[Span, ...]) -> list[Span]:
    return [replace(span, target=span.text) for span in spans]
