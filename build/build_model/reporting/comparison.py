"""What the answers of one or two models are worth: scores by set and length, what may be chance, which sentences."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from build_model.reporting.subject import Answer
from build_model.training.corpus import Example
from build_model.training.evaluation import score

LENGTHS = ((1, 5), (6, 10), (11, 20), (21, 30), (31, None))
"""Words of a source, first and last."""
SAMPLES = 500  # draws of the bootstrap
CERTAIN = 0.05  # a difference that chance would make seldomer than that is called one
SHOWN = 12  # sentences of a kind
_SEED = "12345"


@dataclass(frozen=True)
class Worth:
    """What the answers to some sources are worth.

    Attributes:
        bleu, chrf: 0 to 100, cased and detokenised; 0 of no answers.
        refused: answers that are no translation.
        promised: the mean of the scores that replies carry, None where there are none.
        corrected: sources that were taken for misspelled.
    """

    sentences: int
    bleu: float
    chrf: float
    refused: int
    corrected: int
    promised: float | None


@dataclass(frozen=True)
class Pair:
    """A sentence that both answered: ``chrf`` of each answer, 0 to 100."""

    example: Example
    answers: tuple[Answer, ...]
    chrf: tuple[float, ...]

    @property
    def gain(self) -> float:
        """By how much the second answer is better."""
        return self.chrf[-1] - self.chrf[0]


@dataclass(frozen=True)
class Set:
    """One test set, answered by each model, in the order in which they were named.

    Attributes:
        lengths: worth of the sources with so many words, by what ``length_name`` calls them.
        chance: how often chance alone would make a difference in BLEU and chrF such as that between two models (paired
            bootstrap, Koehn 2004); None of one model.
    """

    name: str
    pairs: tuple[Pair, ...]
    worth: tuple[Worth, ...]
    lengths: Mapping[str, tuple[Worth, ...]]
    chance: tuple[float, float] | None

    @property
    def gained(self) -> tuple[Pair, ...]:
        """Where the second model is most ahead."""
        return self._furthest(lambda pair: -pair.gain, lambda pair: pair.gain > 0)

    @property
    def lost(self) -> tuple[Pair, ...]:
        """Where the first is."""
        return self._furthest(lambda pair: pair.gain, lambda pair: pair.gain < 0)

    def worst(self, number: int) -> tuple[Pair, ...]:
        """What a model answered worst."""
        return self._furthest(lambda pair: pair.chrf[number], lambda _: True)

    def misleading(self, number: int) -> tuple[Pair, ...]:
        """What it answered badly and was surest of."""
        return self._furthest(
            lambda pair: -(pair.answers[number].score or 0.0),
            lambda pair: pair.answers[number].score is not None and pair.chrf[number] < 30,
        )

    def _furthest(self, key: Callable[[Pair], float], kept: Callable[[Pair], bool]) -> tuple[Pair, ...]:
        return tuple(sorted(filter(kept, self.pairs), key=key)[:SHOWN])


def compare(name: str, examples: Sequence[Example], answers: Sequence[Sequence[Answer]]) -> Set:
    """Judge what one or two models answered to the sources of a set."""
    sentence = CHRF()
    pairs = tuple(
        Pair(
            example,
            tuple(said),
            tuple(sentence.sentence_score(one.text, list(example.references)).score for one in said),
        )
        for example, *said in zip(examples, *answers, strict=True)
    )
    return Set(
        name=name,
        pairs=pairs,
        worth=_worth(pairs),
        lengths={
            length_name(first, last): _worth(some)
            for first, last in LENGTHS
            if (some := [pair for pair in pairs if first <= _words(pair) <= (last or _words(pair))])
        },
        chance=_chance(pairs) if len(answers) == 2 else None,
    )


def length_name(first: int, last: int | None) -> str:
    """``6 to 10``, or ``31 and more``."""
    return f"{first} and more" if last is None else f"{first} to {last}"


def _words(pair: Pair) -> int:
    return max(1, len(pair.example.source.split()))


def _worth(pairs: Sequence[Pair]) -> tuple[Worth, ...]:
    examples = [pair.example for pair in pairs]
    return tuple(_of([pair.answers[number] for pair in pairs], examples) for number in range(len(pairs[0].answers)))


def _of(answers: Sequence[Answer], examples: Sequence[Example]) -> Worth:
    found = score([answer.text for answer in answers], examples)
    promised = [answer.score for answer in answers if answer.score is not None]
    return Worth(
        sentences=len(answers),
        bleu=found.bleu,
        chrf=found.chrf,
        refused=sum(answer.error is not None for answer in answers),
        corrected=sum(answer.corrected is not None for answer in answers),
        promised=fmean(promised) if promised else None,
    )


def _chance(pairs: Sequence[Pair]) -> tuple[float, float]:
    os.environ.setdefault("SACREBLEU_SEED", _SEED)  # the same report twice
    logging.getLogger("sacrebleu").setLevel(logging.WARNING)
    from sacrebleu.significance import PairedTest  # noqa: PLC0415 (reads the seed when it is loaded)

    examples = [pair.example for pair in pairs]
    most = max(len(example.references) for example in examples)
    references = [
        [example.references[number] if number < len(example.references) else None for example in examples]
        for number in range(most)
    ]
    systems: list[tuple[str, Sequence[str]]] = [
        (str(number), [pair.answers[number].text for pair in pairs]) for number in (0, 1)
    ]
    if systems[0][1] == systems[1][1]:
        return 1.0, 1.0
    test = PairedTest(
        systems,
        {"BLEU": BLEU(), "chrF": CHRF()},
        references,  # type: ignore[arg-type]  # None: no reference
        test_type="bs",
        n_samples=SAMPLES,
    )
    _, scores = test()
    bleu, chrf = (float(found[1].p_value or 0.0) for found in scores.values() if not isinstance(found[1], str))
    return bleu, chrf
