"""Lexicon: which words are French, how often they occur, and which stand beside which.

One file, ``lexicon.bin``, made by `build_model.training.lexicon`: 50,000 words with their frequencies, pairs of them
that stood beside each other, a Bloom filter over every inflected form of a dictionary, English words, and the triples
of letters that words have. Nothing of it is parsed but two lists of words.
"""

import json
import math
import re
import unicodedata
import zlib
from array import array
from bisect import bisect_left
from collections import Counter
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parent / "lexicon.bin"
BLOOM_BITS: Final = 12  # a word: 1 of 300 words that aren't French is said to be
BLOOM_HASHES: Final = 8
SCALE: Final = 12  # of the logarithms of counts, a byte each

MIXED: Final = re.compile("[a-zà-ÿ][A-Z]")  # iOS, GitHub, kWh: names, as their owners write them

_CLITIC = "je|tu|il|elle|on|nous|vous|ils|elles|ce|moi|toi|lui|leur|le|la|les|y|en|là|ci"
TOKEN: Final = re.compile(
    r"(?:[ldjmtsncçLDJMTSNCÇ]|[Qq]u|(?:[Ll]ors|[Pp]uis|[Qq]uoi|[Jj]us)qu)['’](?=[^\W\d_])"
    rf"|[^\W\d_]+(?:-(?!(?:t-)?(?:{_CLITIC})(?![\w-]))[^\W\d_]+|['’][^\W\d_]+)*"
    r"|⟦[nxp][1-9]⟧"
)
_DRAWN_OUT = re.compile(r"([^\W\d_])\1{2,}")
_MARKS = re.compile("[\u0300-\u036f]")
_TYPED = str.maketrans({"’": "'", "œ": "oe", "Œ": "oe", "æ": "ae", "Æ": "ae"})


def typed(word: str) -> str:
    """A word in lower case, without the characters that most keyboards lack."""
    return word.lower() if word.isascii() else word.translate(_TYPED).lower()


@lru_cache(maxsize=64)
def tokens_of(text: str) -> tuple[str, ...]:
    """The tokens of a text, as they are written; kept for those who look at the same text next."""
    return tuple(TOKEN.findall(text))


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; what is elided or stands after a verb's hyphen is one: ``l'``, ``eau``."""
    return [word for word in map(typed, TOKEN.findall(text)) if word[0] != "⟦"]


def fold(word: str) -> str:
    """A word without its accents."""
    if word.isascii():
        return word
    return _MARKS.sub("", unicodedata.normalize("NFD", word))


def bloom_places(word: str, bits: int) -> list[int]:
    """The bits of a word."""
    data = word.encode()
    first, second = zlib.crc32(data), zlib.crc32(data, 0x9E3779B9) | 1
    return [(first + number * second) % bits for number in range(BLOOM_HASHES)]


class Lexicon:
    """The words of a language.

    Attributes:
        words: 50,000 that occur, in order; ``ids`` says where each is, from 1.
        foreign: words of other languages, and by how many powers of two they are commoner there.
        names: words with a capital inside a sentence that a translation doesn't simply carry over, or that a network
            knows well: Londres, Noël, Tom.
        proper: lower-cased words of ``words`` that are names and nothing else, and aren't in ``names``.
    """

    def __init__(self, data: bytes) -> None:
        head, _, body = zlib.decompress(data).partition(b"\n")
        blobs, at = {}, 0
        for name, size in json.loads(head).items():
            blobs[name] = body[at : at + size]
            at += size
        self.words = blobs["words"].decode().split("\n")
        self.ids = {word: id_ for id_, word in enumerate(self.words, 1)}
        self._counts, self._pairs, self._bloom = blobs["counts"], blobs["pairs"], blobs["bloom"]
        self.total = math.log2(sum(n * 2 ** (count / SCALE) for count, n in Counter(self._counts[1:]).items()))
        self._seconds = array("H", blobs["seconds"])
        starts, at = array("I"), 0
        for size in array("H", blobs["sizes"]):
            starts.append(at)
            at += size
        starts.append(at)
        self._starts = starts
        self.foreign = {
            word: int(weight)
            for word, _, weight in (line.partition(" ") for line in blobs["foreign"].decode().split("\n"))
        }
        self.names = frozenset(blobs["names"].decode().split("\n"))
        self.proper = frozenset(blobs["proper"].decode().split("\n"))
        self._trigrams = frozenset(blobs["trigrams"].decode().split("\n"))

    @classmethod
    def load(cls, path: Path = FILE) -> "Lexicon":
        return cls(path.read_bytes())

    def __contains__(self, word: str) -> bool:
        """Whether a word in lower case is French, inflected forms too."""
        return word in self.ids or self._in_bloom(word)

    @cached_property
    def by_fold(self) -> dict[str, list[str]]:
        """The words by what they are without accents; made when the first word is unknown."""
        found: dict[str, list[str]] = {}
        for word in self.words:
            found.setdefault(fold(word), []).append(word)
        return found

    def _in_bloom(self, word: str) -> bool:
        table = self._bloom
        return all(table[place >> 3] >> (place & 7) & 1 for place in bloom_places(word, 8 * len(table)))

    def count(self, word: str) -> float:
        """How often a word occurred, as a power of two; 0 for one that never did. ``""`` is the sentence's edge."""
        return self._counts[self.ids[word] if word else 0] / SCALE if not word or word in self.ids else 0.0

    def pair(self, first: str, second: str) -> float:
        """How often two words stood beside each other, as a power of two; 0 where they never did."""
        ids = self.ids
        one, two = ids.get(first, 0 if not first else -1), ids.get(second, 0 if not second else -1)
        if one < 0 or two < 0:
            return 0.0
        start, end = self._starts[one], self._starts[one + 1]
        at = bisect_left(self._seconds, two, start, end)
        return self._pairs[at] / SCALE if at < end and self._seconds[at] == two else 0.0

    def drawn_out(self, word: str) -> str | None:
        """What a word in lower case is whose letters were drawn out, ``nooon``; None where it is none of that."""
        if _DRAWN_OUT.search(word) is None:
            return None
        for letters in (r"\1", r"\1\1"):
            short = _DRAWN_OUT.sub(letters, word)
            if len(short) > 1 and short in self.ids:
                return short
        return None

    def looks_french(self, word: str) -> bool:
        """Whether a word in lower case could be one, by its letters."""
        plain = f"^{fold(word)}$"
        triples = [plain[at : at + 3] for at in range(len(plain) - 2)]
        return sum(triple in self._trigrams for triple in triples) >= 0.75 * len(triples)
