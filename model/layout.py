"""Layout: what of a text stays where it is, and the bodies between that are to be read.

Indentation, tabs, blank lines, marks of lists, headings, quotations and tables, emphasis around a line and blocks of
code stay. A paragraph that was wrapped at some width is one body.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

_LINE_BREAK = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_SPACE = r"[ \t\u00a0\u202f\u3000]"
# What a line may begin with, several of them after each other.
_BEGIN = re.compile(
    rf"(?:{_SPACE}+"
    rf"|>+(?=[ \w«\"])"  # quoted mail
    rf"|\#{{1,6}}(?={_SPACE})"  # a heading
    rf"|[-+*•‣▪◦●○■□–—·→✓✔✗☐☑☒](?={_SPACE})"  # a list, a dialogue
    rf"|\[[ xX]\](?={_SPACE})"  # a box to tick
    rf"|(?:(?:[0-9]{{1,3}}|[a-h]|[ivx]{{1,4}})[.)°]|[A-Z]\))(?={_SPACE}+\S)(?!{_SPACE}+(?i:janv|f[eé]vr|mars|avr|mai|jui|ao[uû]t|sept|oct|nov|d[eé]c))"
    rf"|\((?:[0-9]{{1,3}}|[a-z])\)(?={_SPACE})"
    rf"|\|"
    rf")*"
)
_RULE = re.compile(r"[\s|:=*_+~-]*")  # a line of a table or between paragraphs
_EMPHASIS = re.compile(r"(\*{1,3}|_{1,3}|~~)(?=\S)(?P<inside>.+?)(?<=\S)\1(?!\w)")
_CELL = re.compile(rf"{_SPACE}*\|{_SPACE}*|{_SPACE}*\t{_SPACE}*")
_CLOSED = re.compile(r"[.!?…:;»\"”)\]|][\s*_~]*$")
_GREETING: Final = 30  # a shorter line that ends with a comma greets or signs: it isn't wrapped
_WRAPPED: Final = 40  # characters of a line that was wrapped, where nothing else says so

Part = tuple[str, str]
"""What stays, and the body that follows it; either may be empty."""


def parts(text: str) -> Iterator[Part]:
    """A text as what stays and bodies to read, in turn: all of it, but for the breaks inside wrapped paragraphs."""
    fenced = False
    for before, line in _paragraphs(text):
        if _FENCE.match(line):
            fenced = not fenced
            yield before + line, ""
        elif fenced or _RULE.fullmatch(line):
            yield before + line, ""
        else:
            yield from _line(before, line)


def _line(before: str, line: str) -> Iterator[Part]:
    """The parts of one line or paragraph."""
    mark = _BEGIN.match(line)
    assert mark is not None
    before, body = before + mark[0], line[mark.end() :]
    cells = [cell for cell in _CELL.finditer(body) if "|" not in cell[0] or "|" in mark[0] or body.count("|") > 1]
    start = 0
    for cell in cells:
        yield from _emphasised(before, body[start : cell.start()])
        before, start = cell[0], cell.end()
    yield from _emphasised(before, body[start:])


def _emphasised(before: str, body: str) -> Iterator[Part]:
    """A body without the emphasis at its edges; what is emphasised at its beginning is read alone."""
    end = body.rstrip()
    after = body[len(end) :]
    found = _EMPHASIS.match(end)
    if found is None:
        yield before, end
        yield after, ""
        return
    mark, inside = found[1], found["inside"]
    yield from _emphasised(before + mark, inside)
    rest = end[found.end() :]
    word = re.search(r"[^\W_]", rest)
    if word is not None:
        yield mark + rest[: word.start()], rest[word.start() :]
        yield after, ""
    else:  # only marks are left
        yield mark + rest + after, ""


def _paragraphs(text: str) -> Iterator[tuple[str, str]]:
    """What stands before each line, and the line; lines that were wrapped are one."""
    lines = _LINE_BREAK.split(text)
    breaks = ["", *_LINE_BREAK.findall(text)]
    joined = _joined(lines)
    paragraph, before = "", ""
    for number, (line_break, line) in enumerate(zip(breaks, lines, strict=True)):
        if number in joined:
            mark = _BEGIN.match(line)
            assert mark is not None
            hyphen = paragraph.endswith("-") and paragraph[-2:-1].isalpha()
            paragraph = paragraph.rstrip() + ("" if hyphen else " ") + line[mark.end() :]
            continue
        if number:
            yield before, paragraph
        before, paragraph = line_break, line
    yield before, paragraph


def _joined(lines: list[str]) -> set[int]:
    """The lines that go on with the sentence of the line before them."""
    going_on = {number for number, two in enumerate(pairwise(lines), 1) if _goes_on(*two)}
    joined: set[int] = set()
    for first in sorted(going_on):
        if first - 1 in going_on:
            continue
        last = first
        while last + 1 in going_on:
            last += 1
        block = lines[first - 1 : last + 1]
        # Short lines in lower case may as well be a list: wrapped is what ends like a sentence or is long.
        if _CLOSED.search(block[-1]) or max(map(len, block)) >= _WRAPPED:
            joined.update(range(first, last + 1))
    return joined


def _goes_on(line: str, after: str) -> bool:
    begin, mark = _BEGIN.match(line), _BEGIN.match(after)
    assert begin is not None
    assert mark is not None
    text, rest = line.rstrip(), after[mark.end() :]
    if not rest[:1].islower() or not text[begin.end() :] or _CLOSED.search(text) or "|" in line or "\t" in line.strip():
        return False
    if text.endswith(",") and len(text) < _GREETING:
        return False
    # An item of a list goes on further in; a quotation's and a plain line's next line begins as they do.
    return mark[0] == begin[0] or (not mark[0].strip() and len(mark[0]) > len(begin[0]) - len(begin[0].lstrip()))
