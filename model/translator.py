"""Translator: texts to translations, one line a stage."""

import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch

from model.calibration import Calibration
from model.checkpoint import Checkpoint, Vocabularies, load_checkpoint
from model.contract import Search, Unreadable, Vocabulary
from model.dynamic import by_column, dynamic
from model.errors import GoldenMismatch
from model.fingerprint import LEXICONS
from model.folder import NETWORK
from model.language import english_name
from model.lexicon import Lexicon
from model.reading import Reader
from model.repetition import without_repetition
from model.search import BEAM, ids_of, pad, search, slots

LARGEST_BATCH = 64  # sentences; a larger batch is slower a sentence, its hypotheses outgrow the cache


@dataclass(frozen=True)
class Translation:
    """The translation of a text.

    Attributes:
        text: the translation; empty where there is an error.
        error: why there is none, else None: ``empty``, ``no-letters``, ``unknown-script``, ``unreadable``,
            ``too-long``, or ``not-french`` and the like, by the source language's English name.
        corrected: the text that was translated, where a slip in the one that came was mended.
        score: share of such translations that are good, 0 to 1, by the checkpoint's calibration; None without one,
            and where the network wasn't asked.
        sureness: mean log probability of its tokens, in nats; None where the network wasn't asked.
    """

    text: str
    error: str | None = None
    corrected: str | None = None
    score: float | None = None
    sureness: float | None = None


@dataclass(frozen=True)
class Sentence:
    """The translation of a sentence.

    Attributes:
        score: mean log probability of its tokens.
        tokens: how many there are.
    """

    text: str
    score: float
    tokens: int


class Translator:
    """A checkpoint at work.

    Args:
        beam: hypotheses a source that the search keeps.
        path: the search to take, as ``find`` says.

    Attributes:
        version: the model version, ``unreleased`` for a checkpoint that no artifact was made of.
        architecture: the architecture hash, in hexadecimal.
        example: a sentence that can be translated.
        source, target: ISO 639-3 codes of the languages.
        path: which search serves: ``fast``, ``dynamic``, ``own`` or ``plain``.
        sentences_per_second: of the last self-test; 0 before the first.
        goldens: the sentences of the self-test.
        scores: whether translations have a score.
    """

    def __init__(self, checkpoint: Checkpoint, *, beam: int = BEAM, path: str | None = None) -> None:
        self._vocabularies, self._pads = checkpoint.vocabularies, checkpoint.model.pads
        self._search, self.path = find(checkpoint, beam, path)
        model = checkpoint.model
        self._reader = Reader(
            (model.source, model.target),
            slots=bool(slots(checkpoint.vocabularies[0])),
            lexicon=Lexicon.load() if model.source in LEXICONS else None,
        )
        self._foreign = f"not-{english_name(model.source)}"
        self.version = checkpoint.manifest.version or "unreleased"
        self.architecture = checkpoint.manifest.architecture
        self.example, self.source, self.target = model.example, model.source, model.target
        self.goldens, self.sentences_per_second = checkpoint.goldens, 0.0
        given = checkpoint.manifest.calibration
        self._calibration = Calibration(**given) if given else None
        self.scores = self._calibration is not None

    @classmethod
    def load(cls, folder: Path | str, code: Path | str = NETWORK, *, threads: int | None = None) -> "Translator":
        """Verifies and loads a checkpoint folder.

        Args:
            code: the network's folder.
            threads: processor threads that torch may use from now on, in the whole process; None leaves them.

        Raises:
            GuardError: the checkpoint doesn't hold or doesn't belong to this code.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(load_checkpoint(folder, code))

    def translate(self, texts: Sequence[str], *, max_characters: int | None = None) -> list[Translation]:
        """The translation of each text, in order; a text may hold several sentences and lines."""
        errors = [untranslatable(text, max_characters) for text in texts]
        readings = [self._reader.read(text if error is None else "") for text, error in zip(texts, errors, strict=True)]
        sentences = [sentence.text for reading in readings for sentence in reading.sentences]
        translated = iter(translate_sentences(self._search, self._vocabularies, sentences, pads=self._pads))
        answers = []
        for reading, refused in zip(readings, errors, strict=True):
            parts = [next(translated) for _ in reading.sentences]
            read = [part for part in parts if part is not None]
            error = refused or (None if reading.native else self._foreign)
            if error is None and len(read) < len(parts):
                error = "unreadable"
            if error is None:
                joined = reading.join([part.text for part in read])
                sureness = _mean_score(read)
                answers.append(Translation(joined, None, reading.corrected, self._score(sureness), sureness))
            else:
                answers.append(Translation("", error))
        return answers

    def _score(self, sureness: float | None) -> float | None:
        return self._calibration.share(sureness) if self._calibration and sureness is not None else None

    def self_test(self) -> None:
        """Translates the golden sentences.

        Raises:
            GoldenMismatch: one of them doesn't come out as it was recorded.
        """
        started = time.perf_counter()
        found = self.translate([golden.source for golden in self.goldens])
        self.sentences_per_second = round(len(found) / (time.perf_counter() - started), 1)
        for golden, translation in zip(self.goldens, found, strict=True):
            if translation.text != golden.target:
                raise GoldenMismatch(
                    f"The golden sentence {golden.source!r} is translated as {translation.text!r}, recorded as "
                    f"{golden.target!r}. The arithmetic of this build changed a translation: run the image's own "
                    "torch, or train and release a new version."
                )


def find(checkpoint: Checkpoint, beam: int = BEAM, path: str | None = None) -> tuple[Search, str]:
    """The search that serves a checkpoint, and its name: ``fast``, ``dynamic``, ``own`` or ``plain``.

    Args:
        path: ``dynamic`` or ``plain``, whatever would serve.
    """
    model, network = checkpoint.model, checkpoint.network
    ids = ids_of(*checkpoint.vocabularies, pads=model.pads)
    again = search(network, ids, beam)
    if model.search is not None:
        return without_repetition(model.search(network, ids), again, ids), "own"
    if path is None and model.fast and beam == 1 and (prepared := model.fast(network, ids)):
        return without_repetition(prepared, again, ids), "fast"
    wanted = path or (checkpoint.manifest.serving or {}).get("path")
    if wanted == "dynamic" and (packed := dynamic(network)) is not None:
        quick = search(packed, ids, beam)
        return without_repetition(quick, quick, ids), "dynamic"
    plain = search(by_column(network), ids, beam)
    return without_repetition(plain, plain, ids), "plain"


def translate_sentences(
    find: Search, vocabularies: Vocabularies, sentences: Sequence[str], *, pads: bool = True
) -> list[Sentence | None]:
    """The translation of each sentence, in order; None for one that the vocabulary can't read. Equal ones are
    translated once.

    Args:
        pads: whether a batch may hold several lengths.
    """
    source, target = vocabularies
    ids = _encode(source, sentences)
    translations: dict[str, Sentence] = {}
    for batch in _batches(ids, pads=pads):
        hypotheses = find(pad([ids[sentence] for sentence in batch], source.pad))
        for sentence, found in zip(batch, hypotheses, strict=True):
            translations[sentence] = Sentence(target.decode(found.ids), found.score, len(found.ids) + 1)
    return [translations.get(sentence) for sentence in sentences]


def _encode(source: Vocabulary, sentences: Sequence[str]) -> dict[str, list[int]]:
    """The ids of each sentence that can be read."""
    found = {}
    for sentence in dict.fromkeys(sentences):
        with suppress(Unreadable):
            found[sentence] = source.encode(sentence)
    return found


def _batches(ids: Mapping[str, Sequence[int]], *, pads: bool) -> Iterator[list[str]]:
    """The sentences, like lengths together: little padding, or none."""
    by_length = sorted(ids, key=lambda sentence: len(ids[sentence]))
    groups = [by_length] if pads else [list(same) for _, same in groupby(by_length, lambda one: len(ids[one]))]
    for group in groups:
        for start in range(0, len(group), LARGEST_BATCH):
            yield group[start : start + LARGEST_BATCH]


def _mean_score(sentences: Sequence[Sentence]) -> float | None:
    tokens = sum(sentence.tokens for sentence in sentences)
    if not tokens:
        return None
    return sum(sentence.score * sentence.tokens for sentence in sentences) / tokens


def untranslatable(text: str, max_characters: int | None = None) -> str | None:
    """Why a text can't be translated, or None: ``too-long``, ``empty``, ``no-letters``, ``unknown-script``.

    Args:
        max_characters: the longest text that is translated; None for any.
    """
    if max_characters is not None and len(text) > max_characters:
        return "too-long"
    if not text.strip():
        return "empty"
    letters = [character for character in text if character.isalpha()]
    if not letters:
        return "no-letters"
    latin = sum(_is_latin(character) for character in letters)
    return None if 2 * latin >= len(letters) else "unknown-script"


def _is_latin(character: str) -> bool:
    return character.isascii() or unicodedata.name(character, "").startswith("LATIN")
