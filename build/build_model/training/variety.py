"""Whether a model says the same to everything: what a training that went wrong leaves, and no hash or golden shows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model.errors import DragomanError
from model.translator import Translator

FEWEST = 4  # answers that say something about the rest
DULL_SHARE = 0.5  # of the answers to different sentences that are one and the same
VARIED = 8  # goldens: each has an answer of its own, so so many say enough


class ModelDull(DragomanError):
    """A model says the same to most of what it is asked."""


@dataclass(frozen=True)
class Dull:
    """What a model says to most sentences: ``says``, to ``times`` of ``of`` different ones."""

    says: str
    times: int
    of: int

    def __str__(self) -> str:
        return f"the model says {self.says!r} to {self.times} of {self.of} different sentences"


def dull(answers: Mapping[str, str]) -> Dull | None:
    """What is said to most sentences, where that is the same; None where answers differ, or are too few to tell.

    Args:
        answers: by source.
    """
    if len(answers) < FEWEST:
        return None
    says, times = Counter(answers.values()).most_common(1)[0]
    return Dull(says, times, len(answers)) if times >= DULL_SHARE * len(answers) else None


def dull_on(translator: Translator, sources: Sequence[str]) -> Dull | None:
    """The same of a translator's answers; what it refuses isn't counted."""
    asked = list(dict.fromkeys(sources))
    answers = translator.translate(asked)
    return dull({source: one.text for source, one in zip(asked, answers, strict=True) if one.error is None})


def facts(found: Dull | None) -> dict[str, Any]:
    """What a manifest's ``training`` holds of it."""
    return {"dull": asdict(found)} if found else {}


def check_variety(translator: Translator, training: Mapping[str, Any]) -> None:
    """Sees to it that a checkpoint doesn't say the same to everything: as was recorded when it was made, and where its
    goldens are too few to show otherwise, on pieces of them.

    Raises:
        ModelDull: it does.
    """
    known = training.get("dull")
    found = Dull(**known) if known else None
    if not found and len(translator.goldens) < VARIED:
        found = dull_on(translator, list(_pieces([*(one.source for one in translator.goldens), translator.example])))
    if found:
        raise ModelDull(
            f"Refused, since {found}: it has learned nothing that a client could use. Train it longer or on more "
            "pairs; `--allow-poor` builds it as it is."
        )


def _pieces(sentences: Sequence[str]) -> Iterator[str]:
    """Sentences, and every run of words in them: a vocabulary of words can read no others."""
    for sentence in sentences:
        words = sentence.split()
        for first in range(len(words)):
            for last in range(first, len(words)):
                yield " ".join(words[first : last + 1])
