"""Making a report: the models are found, asked, judged, and put on a page."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.report import Progress
from build_model.reporting.comparison import Set, compare
from build_model.reporting.page import page, summary
from build_model.reporting.subject import Answers, Subject, of_folder, of_image
from build_model.training.corpus import Example, check_examples, read_examples
from model.errors import DragomanError
from model.fingerprint import MANIFEST

EXPLAINED = 4  # sentences of which it is shown where their words come from
_SHORT = range(4, 10)  # words of those


class LanguagesDiffer(DragomanError):
    """Two models that translate other languages can't be set beside each other."""


class SetTwice(DragomanError):
    """Two test sets have the same name."""


@dataclass(frozen=True)
class Made:
    """A report: its page, and what it says in short."""

    page: str
    names: tuple[str, ...]
    sets: tuple[Set, ...]
    answers: tuple[Answers, ...]

    @property
    def summary(self) -> list[str]:
        """A line a set."""
        if len(self.names) == 2:
            return [summary(self.names, one) for one in self.sets]
        return [f"{one.name}: BLEU {one.worth[0].bleu:.1f}, chrF {one.worth[0].chrf:.1f}" for one in self.sets]

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "models": list(self.names),
            "sets": {
                one.name: {
                    "worth": [asdict(worth) for worth in one.worth],
                    "lengths": {name: [asdict(worth) for worth in found] for name, found in one.lengths.items()},
                    "chance": dict(zip(("bleu", "chrf"), one.chance, strict=True)) if one.chance else None,
                }
                for one in self.sets
            },
            "speed": [{"sentences_per_second": said.batched, "ms_alone": said.alone} for said in self.answers],
        }


@contextmanager
def subject(
    text: str, network: Path, progress: Progress, stored: Callable[[str], tuple[Registry, Reference]]
) -> Iterator[Subject]:
    """The model that ``text`` names: a folder where there is one, else an image, found by ``stored``."""
    if Path(text).is_dir() and (Path(text) / MANIFEST).exists():
        yield of_folder(Path(text), network)
    else:
        with of_image(*stored(text), progress) as found:
            yield found


def make(subjects: Sequence[Subject], tests: Sequence[Path], *, swap: bool, progress: Progress) -> Made:
    """Ask each model for the sources of each test set, and say what came of it.

    Raises LanguagesDiffer, SetTwice, CorpusFormatError for a set that can't be read or is of the other direction, and
    ModelSilent.
    """
    languages = subjects[0].languages
    if any(each.languages != languages for each in subjects):
        told = " and ".join(f"{each.name} {'-'.join(each.languages)}" for each in subjects)
        raise LanguagesDiffer(f"Two models of the same languages can be set beside each other: {told}.")
    examples: dict[str, Sequence[Example]] = {}
    for path in tests:
        name = path.name.split(".")[0]
        if name in examples:
            raise SetTwice(f"Two test sets are called {name!r}: rename one of the files.")
        examples[name] = read_examples(path, swap=swap)
        check_examples(path, examples[name], languages)
    sources = {name: [example.source for example in found] for name, found in examples.items()}
    answers = [_ask(each, sources, progress) for each in subjects] if sources else []
    sets = tuple(compare(name, found, [said.sets[name] for said in answers]) for name, found in examples.items())
    written = page(
        subjects,
        answers or [Answers({}, 0.0, 0.0, ())] * len(subjects),
        sets,
        processor=_processor(),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    return Made(written, tuple(each.name for each in subjects), sets, tuple(answers))


def _ask(subject: Subject, sources: dict[str, list[str]], progress: Progress) -> Answers:
    few = [text for found in sources.values() for text in found if len(text.split()) in _SHORT][:EXPLAINED]
    total = sum(map(len, sources.values()))
    progress.line(f"{subject.name} translates {total} sentences")
    with progress.counted("sentences", total) as answered:
        return subject.ask(sources, few, answered)


def _processor() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
