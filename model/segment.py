"""Text to the sentences that are translated, each alone, and their translations back to text in order.

A sentence is what a network reads: its spans (`model.spans`) are slots where the network has slots, and everything else
of the text stays where it is (`model.layout`).
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter
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
_BESIDE = re.compile(r"(?<=[^\W\d_])(?=⟦)|(?<=⟧)(?=[^\W\d_])")  # Salut👋toi
_TAG = re.compile(r"<[^<>]*>|&#?\w+;")
_BLOCK = re.compile(  # what is in another element is another sentence
    r"</?(?:address|article|aside|blockquote|body|br|caption|center|d[dlt]|details|div|fieldset|figcaption|figure|footer|form|h[1-6]|header"
    r"|hr|html|label|legend|li|main|nav|ol|option|p|section|select|summary|t(?:able|body|[dhr]|foot|head)|title|ul)\b[^<>]*>",
    re.IGNORECASE,
)
_BETWEEN = frozenset("=<>|→⇒")  # parts of a formula of words, of a path through menus
_LONGEST_BEFORE: Final = 60  # characters of an abbreviation
_start = attrgetter("start")
_SPACE = re.compile(r"&(?:nbsp|thinsp|#160|#8239|#x(?i:a0|202f));")


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
            before, inside, after = _peel(body, start, end, _within(spans, start, end))
            between[-1] += before
            if inside is not None:
                sentences.append(inside if slots else Sentence(restore(inside.text, inside.spans)))
                between.append(after)
    return Segmented(tuple(sentences), tuple(between))


def _pieces(body: str, spans: Sequence[Span], language: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of a body are, none too long, white space before each included."""
    start = 0
    apart = [place for span in spans if span.kind == "x" for place in _apart(span, body)]
    found = _ends(body, spans, ends(language))
    for end in sorted({*found, *apart}) if apart else found:
        yield from _cut(body, start, end, spans, language)
        start = end
    if start < len(body):
        yield from _cut(body, start, len(body), spans, language)


def _apart(span: Span, body: str) -> tuple[int, ...]:
    """Where sentences end because of a span: after the tag of a block, around a sign between words."""
    if span.text[0] == "<" and _BLOCK.fullmatch(span.text):
        return (span.end,)
    if (
        span.text in _BETWEEN
        and body[: span.start].strip()
        and body[span.start - 1].isspace()
        and body[span.end : span.end + 1].isspace()
    ):
        return span.start, span.end
    return ()


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
    near = max(start, mark.start() - _LONGEST_BEFORE)
    before = _BEFORE_POINT.search(body, near, mark.start()) if found[0] == "." else None
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
    inside = _within(spans, start, end)
    if len(inside) > sum(MOST.values()):
        return False
    counts = dict.fromkeys(MOST, 0)
    for span in inside:
        counts[span.kind] += 1
    carried = sum(span.end - span.start for span in inside)
    return (
        all(counts[kind] <= most for kind, most in MOST.items())
        and end - start - carried <= LONGEST_CHARACTERS
        and len(body[start:end].split()) <= LONGEST_WORDS
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


def _within(spans: Sequence[Span], start: int, end: int) -> Sequence[Span]:
    """Those that begin in a part of their text."""
    if not spans:
        return spans
    first = bisect_left(spans, start, key=_start)
    return spans[first : bisect_left(spans, end, first, key=_start)]


def _inside(place: int, spans: Sequence[Span]) -> Span | None:
    """The span that a place is in the middle of."""
    before = bisect_left(spans, place, key=_start) - 1
    return spans[before] if before >= 0 and place < spans[before].end else None


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
    if inner and _SPACE.fullmatch(inner[-1].text) and not text[inner[-1].end : last].strip("!?:;»"):
        space = inner.pop()  # before a mark: English has none there
        after = space.text + after
        text = f"{text[: space.start]} {text[space.end : last]}"
        last = len(text)
    masked, kept = mask(text[first:last], [_moved(span, first) for span in inner])
    masked = _GLUED.sub(r"\1 ", masked)
    if any(not span.text.isascii() and _stays(span) for span in kept):
        masked = _BESIDE.sub(" ", masked)
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
    """Whether it stands at an edge without being a part of the sentence: an emoji, a tag, an entity."""
    return span.kind == "x" and (not any(map(str.isalnum, span.text)) or _TAG.fullmatch(span.text) is not None)
