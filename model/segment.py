"""Text to the sentences that are translated, each alone, and their translations back to text in order.

A sentence is what a network reads: its spans (`model.spans`) are slots where the network has slots, and everything else
of the text stays where it is (`model.layout`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from model.layout import parts
from model.spans import MOST, Span, find, mask, restore
from model.wordlists import Ends, ends

LONGEST_WORDS: Final = (
    40  # a sentence of the training text has 16 words at the 99th percentile; far past that, the model drifts
)
LONGEST_CHARACTERS: Final = 300  # the same for text without spaces

# A mark, or several, with what closes after it: before a space.
_END = re.compile(r"(?:[!?]+[.…]*|(?<![.…])[.](?![.])|[.]{2,}|…[.]*)(?:\s?»)?[\"”’'»)\]]*(?=\s)")
_BEFORE_POINT = re.compile(r"(?:^|[\s(«\"“'’\[/-])((?:[^\W_]+[.-]{1,2})*[^\W_]+°?)$")
_INITIALS = re.compile(r"[A-ZÀ-Ö]|(?:[^\W\d_][.-]{1,2})+[^\W\d_]")
_NEXT = re.compile(r"\s*[«\"“(\[—–-]*\s*([^\W\d_]*)")
_QUOTED = re.compile(r"«[^«»]*»|“[^“”]*”|\"[^\"\n]*\"(?!\w)|\([^()]*\)|\[[^\[\]]*\]")
_GLUED = re.compile(r"(⟦n[1-9]⟧)(?=[^\W\d_])")  # 15ans
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True)
class Sentence:
    """A sentence to be translated alone.

    Attributes:
        text: what the network reads, a slot for each of its spans.
        spans: what its slots stand for, in order.
    """

    text: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Segmented:
    """A text's sentences, and what stands between them.

    Attributes:
        sentences: in order.
        between: what goes before, between and after their translations; one longer than ``sentences``.
    """

    sentences: tuple[Sentence, ...]
    between: tuple[str, ...]

    def join(self, translations: Sequence[str]) -> str:
        """The text again, with a translation in each sentence's place and each span in its slot's."""
        parts = [self.between[0]]
        for sentence, translation, after in zip(self.sentences, translations, self.between[1:], strict=True):
            parts += (restore(translation, sentence.spans) if sentence.spans else translation, after)
        return "".join(parts)


def segment(text: str, languages: tuple[str, str], *, slots: bool = True) -> Segmented:
    """Splits any text; what has no letters to translate isn't a sentence and stays where it is.

    Args:
        languages: ISO 639-3 codes of source and target: the one's abbreviations, both's way to write numbers.
        slots: whether the network has slots; where it hasn't, it reads and spells everything itself.
    """
    sentences: list[Sentence] = []
    between = [""]
    for kept, body in parts(text):
        between[-1] += kept
        spans = find(body, *languages) if slots else _as_typed(find(body, *languages))
        for start, end in _pieces(body, spans, languages[0]):
            before, inside, after = _peel(body, start, end, [span for span in spans if start <= span.start < end])
            between[-1] += before
            if inside is not None:
                sentences.append(inside if slots else Sentence(restore(inside.text, inside.spans)))
                between.append(after)
    return Segmented(tuple(sentences), tuple(between))


def _pieces(body: str, spans: Sequence[Span], language: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of a body are, none too long, white space before each included."""
    start = 0
    for end in _ends(body, spans, ends(language)):
        yield from _cut(body, start, end, spans, language)
        start = end
    if start < len(body):
        yield from _cut(body, start, len(body), spans, language)


def _ends(body: str, spans: Sequence[Span], words: Ends) -> Iterator[int]:
    """Where sentences end, but for the last one."""
    whole = [(quoted.start() + 1, quoted.end() - 1) for quoted in _QUOTED.finditer(body) if _is_short(quoted[0])]
    whole += [(span.start, span.end) for span in spans]
    start = 0
    for mark in _END.finditer(body):
        place = mark.start()
        if any(first <= place < last and mark.end() <= last + 1 and not _closes(mark, last) for first, last in whole):
            continue
        if _ends_here(body, start, mark, words):
            yield mark.end()
            start = mark.end()


def _closes(mark: re.Match[str], last: int) -> bool:
    """Whether a mark ends a quotation too: the text after it is another sentence, or tells who spoke."""
    return mark.end() == last + 1


def _ends_here(body: str, start: int, mark: re.Match[str], words: Ends) -> bool:
    """Whether a mark with a space after it ends the sentence that begins at ``start``."""
    following = _NEXT.match(body, mark.end())
    word = following[1] if following else ""
    capital = word[:1].isupper() or (not word and not body[mark.end() :].strip()[:1].islower())
    found = mark[0]
    if found[-1] in "\"”’'»)]" or found[:2] == ".." or found[0] == "…":
        return capital  # « Viens ! » dit-il; je... ne sais pas
    before = _BEFORE_POINT.search(body, start, mark.start()) if found[0] == "." else None
    if before is None:
        return True
    last = before[1]
    if last.isdigit():
        return body[start : before.start(1)].strip() != ""  # "1. Ouvrez"
    if last in words.open:
        return (capital and last in words.may_end) or (word in words.starts and last in words.may_end_before_start)
    return _INITIALS.fullmatch(last) is None or word in words.starts


def _is_short(text: str) -> bool:
    return len(text) <= LONGEST_CHARACTERS and len(text.split()) <= LONGEST_WORDS


def _fits(body: str, start: int, end: int, spans: Sequence[Span]) -> bool:
    """Whether the network can read it at once."""
    counts = dict.fromkeys(MOST, 0)
    for span in spans:
        if start <= span.start < end:
            counts[span.kind] += 1
    carried = sum(span.end - span.start for span in spans if start <= span.start < end)
    text = body[start:end]
    return (
        all(counts[kind] <= most for kind, most in MOST.items())
        and len(text) - carried <= LONGEST_CHARACTERS
        and len(text.split()) <= LONGEST_WORDS
    )


@cache
def _place_to_cut(language: str) -> re.Pattern[str]:
    """Where a sentence that is too long can be cut: after a comma or the like, before a word that joins."""
    joins = "|".join(ends(language).joins)
    before = rf"|\s(?=(?:{joins})\s)" if joins else ""
    return re.compile(rf"[,;:][\"”’»)\]]*\s|\s[-–—]\s{before}")


def _cut(body: str, start: int, end: int, spans: Sequence[Span], language: str) -> Iterator[tuple[int, int]]:
    """A sentence, cut where it is too long: after a comma or the like in the later half, else between words."""
    while not _fits(body, start, end, spans):
        far = _farthest(body, start, end, spans)
        free = [
            place.end()
            for place in _place_to_cut(language).finditer(body, start, far)
            if place.start() > (start + far) // 2 and not _inside(place.end(), spans)
        ]
        if free:
            at = free[-1]
        else:
            at = next((p for p in range(far, start, -1) if body[p - 1].isspace() and not _inside(p, spans)), far)
            at = max(at, start + 1)
        at = len(body[:at].rstrip()) if body[start:at].strip() else at
        yield start, at
        start = at
    yield start, end


def _farthest(body: str, start: int, end: int, spans: Sequence[Span]) -> int:
    """The last place up to which it fits, outside of spans; past the first character."""
    low, high = start + 1, end  # fits up to low, or low is the least; doesn't up to high
    while high - low > 1:
        middle = (low + high) // 2
        if _fits(body, start, middle, spans):
            low = middle
        else:
            high = middle
    if (span := _inside(low, spans)) is not None:
        return span.start if span.start > start else span.end
    return low


def _inside(place: int, spans: Sequence[Span]) -> Span | None:
    return next((span for span in spans if span.start < place < span.end), None)


def _peel(body: str, start: int, end: int, spans: Sequence[Span]) -> tuple[str, Sentence | None, str]:
    """What stays before a piece, its sentence, what stays after it: white space, emoji and tags at its edges.

    A piece without letters of its own is no sentence: it stays, its numbers as the target language writes them.
    """
    text = body[start:end]
    inner = [_moved(span, start) for span in spans]
    letters = text
    for span in reversed(inner):
        letters = letters[: span.start] + letters[span.end :]
    if sum(map(str.isalpha, letters)) < (1 if inner else 2):  # "K" says nothing
        return _told(text, inner), None, ""
    first, last = 0, len(text)
    while True:
        first += len(text[first:last]) - len(text[first:last].lstrip())
        if inner and inner[0].start == first and _stays(inner[0]):
            first = inner.pop(0).end
        else:
            break
    before = text[:first]
    while True:
        last -= len(text[first:last]) - len(text[first:last].rstrip())
        if inner and inner[-1].end == last and _stays(inner[-1]):
            last = inner.pop().start
        else:
            break
    after = text[last:]
    masked, kept = mask(text[first:last], [_moved(span, first) for span in inner])
    masked = _GLUED.sub(r"\1 ", masked)
    return before, Sentence(" ".join(masked.split()), tuple(kept)), after


def _told(text: str, spans: Sequence[Span]) -> str:
    told, at = "", 0
    for span in spans:
        told += text[at : span.start] + span.target
        at = span.end
    return told + text[at:]


def _as_typed(spans: Sequence[Span]) -> list[Span]:
    return [replace(span, target=span.text) for span in spans]


def _moved(span: Span, start: int) -> Span:
    """The span as it stands in the part of its text that begins at ``start``."""
    return replace(span, start=span.start - start, end=span.end - start)


def _stays(span: Span) -> bool:
    """Whether it stands at an edge without being a part of the sentence: an emoji, a tag."""
    return span.kind == "x" and (not any(map(str.isalnum, span.text)) or _TAG.fullmatch(span.text) is not None)
