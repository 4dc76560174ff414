"""Corpora: sentence pairs from a TSV file or the tutorial's archive, and test sets with several references."""

import gzip
import hashlib
import io
import json
import os
import unicodedata
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from model.errors import DragomanError
from model.wordlists import COMMON_IN

TUTORIAL = "tutorial"
TUTORIAL_URL = "https://download.pytorch.org/tutorial/data.zip"
TUTORIAL_SHA256 = "fb317e80248faeb62dc25ef3390ae24ca34b94e276bbc5141fd8862c2200bff5"
TUTORIAL_MEMBER = "data/eng-fra.txt"  # English, then French

_TUTORIAL_LANGUAGES = ("eng", "fra")
_CHECKED_PAIRS = 5_000
_DOWNLOAD_SECONDS = 60.0
_CHUNK_BYTES = 1 << 16


Progress = Callable[[int, int], None]
"""Called with bytes fetched and bytes in all."""


class CorpusFormatError(DragomanError):
    """A corpus or test file is missing, empty, malformed or in the wrong direction."""


class CorpusUnavailable(DragomanError):
    """The tutorial's archive could not be fetched."""


class CorpusChecksumError(DragomanError):
    """The tutorial's archive is not the one whose sha256 is known."""


@dataclass(frozen=True)
class Corpus:
    """Sentence pairs.

    Attributes:
        name: what the manifest calls it.
        sha256: of the file that it was read from.
        pairs: source and target.
    """

    name: str
    sha256: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Example:
    """A source with all of its references."""

    source: str
    references: tuple[str, ...]
    tutorial_filter: bool = False


def read_corpus(
    where: str, languages: tuple[str, str], *, swap: bool = False, progress: Progress | None = None
) -> Corpus:
    """Reads training pairs, source then target.

    Args:
        where: a file of ``source<TAB>target`` lines, further columns ignored, gzipped or not; a copy of the PyTorch
            tutorial's zip archive, whose columns are English then French; or ``tutorial`` for that archive itself,
            downloaded once.
        languages: ISO 639-3 codes of source and target.
        swap: whether the file's lines are ``target<TAB>source``; the tutorial's are taken as ``languages`` needs them.
        progress: called with bytes fetched and bytes in all during a download.

    Raises:
        CorpusFormatError: the file is missing, empty, malformed (file and line are named) or in the wrong direction.
        CorpusUnavailable, CorpusChecksumError: the tutorial's archive can't be fetched or isn't the known one.
    """
    path = fetch_tutorial(progress) if where == TUTORIAL else Path(where)
    data = _read(path)
    if zipfile.is_zipfile(io.BytesIO(data)):
        if sorted(languages) != sorted(_TUTORIAL_LANGUAGES):
            raise CorpusFormatError(f"{path} holds English and French, not {' and '.join(languages)}. Give a TSV file.")
        text, swapped = _unzip(path, data), languages != _TUTORIAL_LANGUAGES
    else:
        text, swapped = _gunzip(path, data), swap
    pairs = tuple(_pairs(path, text, swapped))
    if not pairs:
        raise CorpusFormatError(f"{path} holds no sentence pair. Expected lines of source<TAB>target.")
    _check_direction(path, pairs, languages, swapped=swap)
    return Corpus(path.name, hashlib.sha256(data).hexdigest(), pairs)


def read_examples(path: Path, *, swap: bool = False) -> tuple[Example, ...]:
    """Reads a test set, gzipped or not: one JSON object a line with ``src`` and ``refs``, or ``source`` and ``accept``.

    Args:
        swap: whether it is of the other direction: each reference is a source then, and what it translates a reference.

    Raises:
        CorpusFormatError: the file is missing, empty or a line is malformed; file and line are named.
    """
    examples = []
    for number, line in enumerate(_gunzip(path, _read(path)).splitlines(), 1):
        if not line.strip():
            continue
        try:
            stored: dict[str, Any] = json.loads(line)
            source = stored["src"] if "src" in stored else stored["source"]
            references = stored["refs"] if "refs" in stored else stored["accept"]
            if not isinstance(source, str) or not references or not all(isinstance(each, str) for each in references):
                raise ValueError("src must be a text and refs a list of texts")
            examples.append(Example(source, tuple(references), bool(stored.get("tutorial_filter", False))))
        except KeyError as error:
            raise CorpusFormatError(
                f"{path}, line {number}: no {error}. Expected an object with src and refs."
            ) from None
        except (ValueError, TypeError) as error:
            raise CorpusFormatError(f"{path}, line {number}: {error}. Expected an object with src and refs.") from None
    if not examples:
        raise CorpusFormatError(f"{path} is empty. Expected one JSON object with src and refs a line.")
    return _swapped(examples) if swap else tuple(examples)


def _swapped(examples: Sequence[Example]) -> tuple[Example, ...]:
    """Each reference with all the sources that it translates, in order."""
    sources: dict[str, dict[str, bool]] = {}
    for example in examples:
        for reference in example.references:
            sources.setdefault(reference, {})[example.source] = example.tutorial_filter
    return tuple(Example(reference, tuple(found), all(found.values())) for reference, found in sources.items())


def check_examples(path: Path, examples: Sequence[Example], languages: tuple[str, str]) -> None:
    """Refuses a dev set of the other direction, as ``read_corpus`` does a corpus.

    Raises:
        CorpusFormatError: it is one.
    """
    _check_direction(path, [(example.source, example.references[0]) for example in examples], languages, swapped=False)


def hold_out(corpus: Corpus, seed: int) -> tuple[Corpus, tuple[Example, ...]]:
    """Takes 1 % of the groups of equal sources, at least one, out of a corpus as its dev set; no source is in both."""
    groups: dict[str, list[str]] = {}
    for source, target in corpus.pairs:
        groups.setdefault(source, []).append(target)
    if len(groups) < 2:
        raise CorpusFormatError(f"{corpus.name} has one source only. Expected more, or give a dev set with --dev.")
    held = set(Random(f"{seed}-dev").sample(sorted(groups), max(1, len(groups) // 100)))
    kept = tuple(pair for pair in corpus.pairs if pair[0] not in held)
    dev = tuple(Example(source, tuple(dict.fromkeys(groups[source]))) for source in groups if source in held)
    return Corpus(corpus.name, corpus.sha256, kept), dev


def fetch_tutorial(progress: Progress | None = None) -> Path:
    """The tutorial's archive in the user's cache, downloaded where it isn't there yet.

    Raises:
        CorpusUnavailable: no network, or the server doesn't have it.
        CorpusChecksumError: what came is not the known archive; nothing is kept.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dragoman"
    path = cache / "tutorial-data.zip"
    if path.exists():
        if hashlib.sha256(path.read_bytes()).hexdigest() == TUTORIAL_SHA256:
            return path
        path.unlink()  # cut short or changed since: fetch it again
    data = bytearray()
    try:
        with urllib.request.urlopen(TUTORIAL_URL, timeout=_DOWNLOAD_SECONDS) as response:
            total = int(response.headers.get("Content-Length") or 0)
            while chunk := response.read(_CHUNK_BYTES):
                data += chunk
                if progress:
                    progress(len(data), total)
    except (OSError, urllib.error.URLError) as error:
        raise CorpusUnavailable(
            f"{TUTORIAL_URL} can't be fetched ({error}). Download it elsewhere and give its path: "
            "--corpus path/to/data.zip."
        ) from None
    found = hashlib.sha256(data).hexdigest()
    if found != TUTORIAL_SHA256:
        raise CorpusChecksumError(
            f"{TUTORIAL_URL} has sha256 {found}, expected {TUTORIAL_SHA256}. Try again, or give a file of your own: "
            "--corpus FILE."
        )
    cache.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(path)
    return path


def _pairs(path: Path, text: str, swapped: bool) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        columns = line.rstrip("\r").split("\t")
        if len(columns) < 2:
            raise CorpusFormatError(f"{path}, line {number}: no tab. Expected source<TAB>target, found {line[:60]!r}.")
        source, target = map(_tidy, columns[1::-1] if swapped else columns[:2])
        if not source or not target:
            side = "target" if source else "source"
            raise CorpusFormatError(f"{path}, line {number}: the {side} is empty. Expected source<TAB>target.")
        yield source, target


def _tidy(text: str) -> str:
    """Composed characters and single spaces; the rest is the vocabulary's business."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _check_direction(
    path: Path, pairs: Sequence[tuple[str, str]], languages: tuple[str, str], *, swapped: bool
) -> None:
    """Counts in both columns the commonest words that one language has and the other lacks; only a clear swap is
    refused."""
    if not all(language in COMMON_IN for language in languages):
        return
    source, target = (COMMON_IN[language] for language in languages)
    source, target = source - target, target - source
    checked = pairs[:: max(1, len(pairs) // _CHECKED_PAIRS)]
    left = [word for text, _ in checked for word in text.lower().split()]
    right = [word for _, text in checked for word in text.lower().split()]
    right_way = sum(word in source for word in left) + sum(word in target for word in right)
    other_way = sum(word in target for word in left) + sum(word in source for word in right)
    if other_way > 2 * right_way and other_way >= 10:
        raise CorpusFormatError(
            f"{path} is in the wrong direction, {languages[1]} comes first. The network's MODEL reads {languages[0]} "
            f"and writes {languages[1]}: {'leave out --swap' if swapped else 'add --swap'}."
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusFormatError(f"{path}: {error.strerror or error}. Give an existing file.") from None


def _gunzip(path: Path, data: bytes) -> str:
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise CorpusFormatError(f"{path} is a damaged gzip file ({error}). Fetch it again.") from None
    return _utf8(path, data)


def _unzip(path: Path, data: bytes) -> str:
    if hashlib.sha256(data).hexdigest() != TUTORIAL_SHA256:
        raise CorpusChecksumError(
            f"{path} has sha256 {hashlib.sha256(data).hexdigest()}, the tutorial's archive has {TUTORIAL_SHA256}. "
            f"Fetch {TUTORIAL_URL} again, or give the pairs as a TSV file."
        )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return _utf8(path, archive.read(TUTORIAL_MEMBER))


def _utf8(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CorpusFormatError(
            f"{path}, line {line}: not UTF-8 ({error.reason}). Convert the file to UTF-8."
        ) from None
