"""What a checkpoint is worth: BLEU and chrF over a test set, and how fast it translates one."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from build_model.training.corpus import Example
from model.checkpoint import load_checkpoint
from model.fingerprint import Manifest
from model.folder import NETWORK
from model.translator import Translator

COMPARED_OUTPUTS = 500  # dev sources whose translations the manifest's `outputs` stands for


@dataclass(frozen=True)
class Scores:
    """Corpus scores, 0 to 100, cased and detokenised, with the sacreBLEU signatures that say how they were taken."""

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str


@dataclass(frozen=True)
class Evaluation:
    """Scores, the translations they are of, and the speed.

    Attributes:
        tutorial_bleu, tutorial_chrf: over the sources that the PyTorch tutorial's own filter keeps, None without any.
        sentences_per_second: of this run, all sources at once.
        surenesses: mean log probability of each translation's tokens, in nats; None where there is none.
    """

    scores: Scores
    tutorial_bleu: float | None
    tutorial_chrf: float | None
    sentences_per_second: float
    translations: tuple[str, ...]
    surenesses: tuple[float | None, ...]

    def lines(self) -> list[str]:
        """The translations, one a line: breaks inside one become spaces."""
        return [" ".join(text.split()) for text in self.translations]

    def encode(self) -> dict[str, object]:
        """Everything but the translations, as a JSON object."""
        stored: dict[str, object] = {**asdict(self.scores), "sentences": len(self.translations)}
        if self.tutorial_bleu is not None:
            stored |= {"tutorial_bleu": self.tutorial_bleu, "tutorial_chrf": self.tutorial_chrf}
        return {**stored, "sentences_per_second": self.sentences_per_second}


def load(checkpoint: Path, beam: int | None = None, code: Path = NETWORK) -> Translator:
    """A checkpoint to be evaluated, with the service's search or with another beam."""
    loaded = load_checkpoint(checkpoint, code)
    return Translator(loaded) if beam is None else Translator(loaded, beam=beam)


def evaluate(translator: Translator, examples: Sequence[Example]) -> Evaluation:
    """Translates every source as the service would and scores it against all of its references.

    A source that the translator answers with an error counts as an empty translation.
    """
    started = time.perf_counter()
    answers = translator.translate([example.source for example in examples])
    seconds = time.perf_counter() - started
    translations = tuple(answer.text for answer in answers)
    kept = [number for number, example in enumerate(examples) if example.tutorial_filter]
    tutorial = score([translations[number] for number in kept], [examples[number] for number in kept]) if kept else None
    return Evaluation(
        scores=score(translations, examples),
        tutorial_bleu=tutorial.bleu if tutorial else None,
        tutorial_chrf=tutorial.chrf if tutorial else None,
        sentences_per_second=len(examples) / seconds,
        translations=translations,
        surenesses=tuple(answer.sureness for answer in answers),
    )


def record(checkpoint: Path, name: str, scores: Scores) -> None:
    """Writes scores into a checkpoint's manifest, under the name of what they were taken on; its hashes stay."""
    manifest = Manifest.read(checkpoint)
    recorded = {**manifest.training.get("scores", {}), name: asdict(scores)}
    replace(manifest, training={**manifest.training, "scores": recorded}).write(checkpoint)


def score(translations: Sequence[str], examples: Sequence[Example]) -> Scores:
    """sacreBLEU's BLEU and chrF of translations against all references (Post 2018, Popović 2015)."""
    most = max(len(example.references) for example in examples)
    references = [
        [example.references[number] if number < len(example.references) else None for example in examples]
        for number in range(most)
    ]
    bleu, chrf = BLEU(), CHRF()
    return Scores(
        bleu=float(bleu.corpus_score(translations, references).score),  # type: ignore[arg-type]  # None: no reference
        chrf=float(chrf.corpus_score(translations, references).score),  # type: ignore[arg-type]
        bleu_signature=str(bleu.get_signature()),
        chrf_signature=str(chrf.get_signature()),
    )


def outputs_digest(translator: Translator, examples: Sequence[Example]) -> str:
    """sha256, in hexadecimal, over the translations of the first ``COMPARED_OUTPUTS`` sources."""
    answers = translator.translate([example.source for example in examples[:COMPARED_OUTPUTS]])
    return hashlib.sha256("".join(answer.text + "\n" for answer in answers).encode()).hexdigest()
