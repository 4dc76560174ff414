"""The lexicon that spelling and language identification use, made of a hunspell dictionary and plain text.

from pathlib import Path
from build_model.training.lexicon import build, hunspell_words

words = hunspell_words(Path("fr.dic"), Path("fr.aff"))          # Debian's hunspell-fr
Path("model/lexicon.bin").write_bytes(build(words, pairs, plays))
"""

import json
import math
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from model.lexicon import BLOOM_BITS, SCALE, TOKEN, bloom_places, fold, typed, words_of

MOST_WORDS = 50_000  # that a slip may be corrected to, by frequency; an id has 16 bits
MOST_FOREIGN = 8_000
COMMON_WORD = 60  # occurrences of a word from which on it is right though no dictionary has it
COMMON_NAME = 40  # occurrences of a name from which on a network knows it
LEAST_PAIR = 2  # occurrences of two words beside each other that are kept


def hunspell_words(dictionary: Path, affixes: Path) -> set[str]:
    """The forms of a hunspell dictionary (``FLAG long``), without those with an elided word before them."""
    rules = _affix_rules(affixes.read_text(encoding="utf-8"))
    words: set[str] = set()
    for line in dictionary.read_text(encoding="utf-8").splitlines()[1:]:
        entry = re.split(r"\s", line, maxsplit=1)[0]
        stem, _, flags = entry.partition("/")
        words.add(stem)
        words.update(_forms(stem, flags, rules))
    return {word for word in words if re.fullmatch(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*", word)}


Rules = dict[str, list[tuple[str, str, str, re.Pattern[str]]]]


def _affix_rules(text: str) -> Rules:
    rules: Rules = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[0] == "SFX":
            _, flag, strip, add, condition = fields[:5]
            add, _, further = add.partition("/")
            added, stripped = ("" if part == "0" else part for part in (add, strip))
            rules.setdefault(flag, []).append((stripped, added, further, re.compile(f"(?:{condition})$")))
    return rules


def _forms(stem: str, flags: str, rules: Rules) -> Iterator[str]:
    for flag in (flags[at : at + 2] for at in range(0, len(flags), 2)):
        for stripped, added, _, condition in rules.get(flag, []):
            if stem.endswith(stripped) and condition.search(stem):
                yield stem[: len(stem) - len(stripped)] + added


def build(dictionary: Iterable[str], pairs_: Iterable[tuple[str, str]], plays: Iterable[str]) -> bytes:
    """The lexicon's file.

    Args:
        dictionary: words that are right, inflected.
        pairs_: French sentences with their translations.
        plays: more French sentences.
    """
    examples = list(pairs_)
    french, english = [*(source for source, _ in examples), *plays], [target for _, target in examples]
    lowered = {typed(word) for word in dictionary}
    counts: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for sentence in french:
        row = ["", *words_of(sentence), ""]
        counts.update(row)
        pairs.update(pairwise(row))
    foreign = Counter(word for sentence in english for word in words_of(sentence))
    known = [
        word
        for word, count in counts.most_common()
        if word and (word in lowered or word[-1] == "'" or count >= COMMON_WORD)
    ][:MOST_WORDS]
    vocabulary = sorted(known)
    ids = {word: id_ for id_, word in enumerate(vocabulary, 1)} | {"": 0}
    kept = sorted(
        (ids[first], ids[second], _log(count))
        for (first, second), count in pairs.items()
        if count >= LEAST_PAIR and first in ids and second in ids
    )
    sizes = array("H", [0] * (len(ids)))
    for first, _, _ in kept:
        sizes[first] += 1
    names, proper = _names(examples)
    blobs = {
        "words": "\n".join(vocabulary).encode(),
        "counts": bytes(_log(counts[word]) for word in ["", *vocabulary]),
        "sizes": sizes.tobytes(),
        "seconds": array("H", (second for _, second, _ in kept)).tobytes(),
        "pairs": bytes(count for _, _, count in kept),
        "bloom": _bloom(lowered),
        "foreign": "\n".join(_foreign(counts, foreign)).encode(),
        "names": "\n".join(names).encode(),
        "proper": "\n".join(
            sorted({*(word for word in proper if word in ids), *_only_names(dictionary, names)})
        ).encode(),
        "trigrams": _trigrams(lowered),
    }
    head = json.dumps({name: len(blob) for name, blob in blobs.items()}, separators=(",", ":")).encode() + b"\n"
    print({name: (len(blob), len(zlib.compress(blob, 9))) for name, blob in blobs.items()})
    return zlib.compress(head + b"".join(blobs.values()), 9)


def _log(count: int) -> int:
    """A count in a byte, to a tenth of its size or so."""
    return min(255, round(SCALE * math.log2(count + 1)))


def _bloom(words: Iterable[str]) -> bytes:
    words = list(words)
    bits = 8 * ((len(words) * BLOOM_BITS + 7) // 8)
    table = bytearray(bits // 8)
    for word in words:
        for place in bloom_places(word, bits):
            table[place >> 3] |= 1 << (place & 7)
    return bytes(table)


def _foreign(french: Counter[str], english: Counter[str]) -> list[str]:
    """English words that are commoner in English than in French, with how much (powers of two)."""
    whole_french, whole_english = french.total(), english.total()
    told = []
    for word, count in english.most_common(MOST_FOREIGN):
        if not word:
            continue
        ratio = math.log2((count / whole_english) / ((french[word] + 0.3) / whole_french))
        if ratio > 0:
            told.append(f"{word} {min(9, round(ratio))}")
    return told


def _only_names(dictionary: Iterable[str], known: Iterable[str]) -> set[str]:
    """Words that a dictionary has with a capital only, and that aren't among ``known``."""
    dictionary = set(dictionary)
    return {
        typed(word)
        for word in dictionary.difference(known)
        if word[0].isupper() and not word.isupper() and word.lower() not in dictionary
    }


def _names(examples: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """What is to be known of words with a capital inside a sentence.

    Returns:
        Those that aren't carried over, or are common enough to be learnt; other words that always have a capital.
    """
    seen: Counter[str] = Counter()
    copied: Counter[str] = Counter()
    small: Counter[str] = Counter()
    for source, target in set(examples):
        if source.isupper():
            continue
        for word in list(TOKEN.finditer(source))[1:]:
            if word[0][0].islower():
                small[typed(word[0])] += 1
            elif source[max(0, word.start() - 2) : word.start()].strip(" '’-").isalpha():
                seen[word[0]] += 1
                copied[word[0]] += word[0] in target
    known = {
        word
        for word, count in seen.items()
        if (count >= 2 and 2 * copied[word] < count) or (count >= COMMON_NAME and len(word) > 1)
    }
    proper = {typed(word) for word, count in seen.items() if word not in known and count > 2 * small[typed(word)]}
    return sorted(known), sorted(proper)


def _trigrams(words: Iterable[str]) -> bytes:
    """The letters' triples that words are made of."""
    triples: Counter[str] = Counter()
    for word in words:
        plain = f"^{fold(word)}$"
        triples.update(plain[at : at + 3] for at in range(len(plain) - 2))
    return "\n".join(sorted(triple for triple, count in triples.items() if count >= 30)).encode()
