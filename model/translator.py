"""Translator: texts to translations, one line a stage."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from model.checkpoint import Checkpoint, load_checkpoint
from model.errors import GoldenMismatch
from model.lexicon import Lexicon
from model.network import fast
from model.network.normalize import normalize
from model.network.vocabulary import Lang
from model.reading import Reader
from model.search import BEAM, pad, search

Search = Callable[[Tensor], list[list[int]]]
"""Source ids ``(batch, source_length)`` to the hypothesis of each row."""

LARGEST_BATCH = 64  # sentences; a larger batch is slower a sentence, its hypotheses outgrow the cache


@dataclass(frozen=True)
class Translation:
    """The translation of a text.

    Attributes:
        text: the translation; empty where there is an error.
        error: why there is none: ``empty``, ``no-letters``, ``unknown-script``, ``not-french`` or ``too-long``; else
            None.
        corrected: the text that was translated, where a slip in the one that came was mended.
    """

    text: str
    error: str | None = None
    corrected: str | None = None


class Translator:
    """A checkpoint at work.

    Args:
        beam: hypotheses a source that the search keeps.

    Attributes:
        version: the model version, ``unreleased`` for a checkpoint that no artifact was made of.
        architecture: the architecture hash, in hexadecimal.
        goldens: the sentences of the self-test.
    """

    def __init__(self, checkpoint: Checkpoint, *, beam: int = BEAM) -> None:
        self._langs = checkpoint.langs
        lexicon = Lexicon.load() if checkpoint.manifest.source == "fra" else None
        self._reader = Reader(lexicon, slots=bool(getattr(self._langs[0], "slots", None)))
        self._search: Search
        if beam == 1 and fast.is_for(checkpoint.manifest):
            self._search = fast.greedy_search(checkpoint.model)
        else:
            self._search = partial(search, checkpoint.model, beam=beam)
        self.version = checkpoint.manifest.version or "unreleased"
        self.architecture = checkpoint.manifest.architecture
        self.goldens = checkpoint.goldens

    @classmethod
    def load(cls, folder: Path | str, *, threads: int | None = None) -> "Translator":
        """Verifies and loads a checkpoint folder.

        Args:
            threads: processor threads that torch may use from now on, in the whole process; None leaves them.

        Raises:
            GuardError: the checkpoint doesn't hold or doesn't belong to this code.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(load_checkpoint(folder))

    def translate(self, texts: Sequence[str], *, max_characters: int | None = None) -> list[Translation]:
        """The translation of each text, in order; a text may hold several sentences and lines."""
        errors = [untranslatable(text, max_characters) for text in texts]
        readings = [self._reader.read(text if error is None else "") for text, error in zip(texts, errors, strict=True)]
        sentences = [normalize(sentence.text) for reading in readings for sentence in reading.sentences]
        translated = translate_sentences(self._search, self._langs, sentences)
        remaining = iter(translated)
        answers = []
        for reading, refused in zip(readings, errors, strict=True):
            text = reading.join([next(remaining) for _ in reading.sentences])
            error = refused or (None if reading.french else "not-french")
            answers.append(Translation("" if error else text, error, None if error else reading.corrected))
        return answers

    def self_test(self) -> None:
        """Translates the golden sentences.

        Raises:
            GoldenMismatch: one of them doesn't come out as it was recorded.
        """
        found = self.translate([golden.source for golden in self.goldens])
        for golden, translation in zip(self.goldens, found, strict=True):
            if translation.text != golden.target:
                raise GoldenMismatch(
                    f"The golden sentence {golden.source!r} is translated as {translation.text!r}, recorded as "
                    f"{golden.target!r}. The arithmetic of this build changed a translation: run the image's own "
                    "torch, or train and release a new version."
                )


def translate_sentences(find: Search, langs: tuple[Lang, Lang], sentences: Sequence[str]) -> list[str]:
    """The translation of each normalised sentence, in order; equal ones are translated once."""
    source, target = langs
    ids = {sentence: source.encode(sentence) for sentence in sentences}
    by_length = sorted(ids, key=lambda sentence: len(ids[sentence]))  # like lengths together: little padding
    translations: dict[str, str] = {}
    for start in range(0, len(by_length), LARGEST_BATCH):
        batch = by_length[start : start + LARGEST_BATCH]
        hypotheses = find(pad([ids[sentence] for sentence in batch]))
        translations.update(zip(batch, map(target.decode, hypotheses), strict=True))
    return [translations[sentence] for sentence in sentences]


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
