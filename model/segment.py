"""Text to sentences, and their translations back to text in order, with its line breaks."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.network.normalize import normalize

LONGEST_WORDS = (
    40  # a sentence of the training text has 16 words at the 99th percentile; far past that, the model drifts
)
LONGEST_CHARACTERS = 300  # the same for text without spaces

_LINE_BREAK = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
# A closing mark ends a sentence where a space follows; three dots only before a capital.
_END = re.compile(r"""(?:(?<![.])[.]|[!?]+[.]*|[.]{2,}(?=["')\]]*\s+[^\W\d_a-zà-ÿ]))["')\]]*(?=\s)""")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:[A-Z]|M|MM|Mme|Mmes|Mlle|Mlles|Dr|Me|Mgr|St|Ste|p|pp|cf|ex|env|av|etc|n|vol|art)[.]$"
)
_PLACE_TO_CUT = re.compile(r"[,;:]\s|\s[-]\s")


@dataclass(frozen=True)
class Segmented:
    """A text's sentences, normalised, and what stands between them.

    Attributes:
        sentences: each to be translated alone.
        between: what goes before, between and after their translations; one longer than ``sentences``.
    """

    sentences: tuple[str, ...]
    between: tuple[str, ...]

    def join(self, translations: Sequence[str]) -> str:
        """The text again, with a translation in each sentence's place."""
        parts = [self.between[0]]
        for translation, after in zip(translations, self.between[1:], strict=True):
            parts += (translation, after)
        return "".join(parts)


def segment(text: str) -> Segmented:
    """Splits any text; what has no letters isn't a sentence and stays where it is."""
    sentences: list[str] = []
    between = [""]
    lines = _LINE_BREAK.split(text)
    breaks = ["", *_LINE_BREAK.findall(text)]
    for line_break, line in zip(breaks, lines, strict=True):
        between[-1] += line_break
        for number, piece in enumerate(_pieces(normalize(line))):
            before, sentence, after = _peel(piece)
            between[-1] += (" " if number else "") + before
            if sentence:
                sentences.append(sentence)
                between.append(after)
    return Segmented(tuple(sentences), tuple(between))


def _pieces(line: str) -> Iterator[str]:
    """The sentences of a normalised line, none too long."""
    start = 0
    for end in _END.finditer(line):
        sentence = line[start : end.end()]
        if end.group().startswith(".") and _ABBREVIATION.search(sentence):
            continue
        yield from _shortened(sentence.strip())
        start = end.end()
    if line[start:].strip():
        yield from _shortened(line[start:].strip())


def _shortened(sentence: str) -> Iterator[str]:
    """The sentence, cut where it is too long: after a comma or the like in its later half, else between words."""
    while True:
        words = sentence.split(" ", LONGEST_WORDS)
        head = sentence[:LONGEST_CHARACTERS]
        if len(words) > LONGEST_WORDS:
            head = min(head, " ".join(words[:LONGEST_WORDS]), key=len)
        if head == sentence:
            yield sentence
            return
        places = [place.start() + 1 for place in _PLACE_TO_CUT.finditer(head) if place.start() > len(head) // 2]
        at = places[-1] if places else len(head)
        if not places and " " in head and sentence[len(head)] != " ":
            at = head.rindex(" ")
        yield sentence[:at].strip()
        sentence = sentence[at:].strip()


def _peel(piece: str) -> tuple[str, str, str]:
    """A piece's leading symbols, its sentence, its trailing symbols: an emoji is kept as it is, not translated."""
    start, end = 0, len(piece)
    while start < end and (piece[start] == " " or _is_symbol(piece[start])):
        start += 1
    while end > start and (piece[end - 1] == " " or _is_symbol(piece[end - 1])):
        end -= 1
    if not any(character.isalpha() for character in piece[start:end]):
        return piece, "", ""
    return piece[:start], piece[start:end], piece[end:]


def _is_symbol(character: str) -> bool:
    """Whether it is an emoji, or part of one: other symbols, modifiers and the selectors that follow them."""
    return unicodedata.category(character) in ("So", "Sk", "Mn", "Me")
