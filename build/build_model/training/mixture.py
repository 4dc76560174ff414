"""Mixtures: several corpora, and the share of what is drawn that each has."""

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from build_model.training.corpus import Corpus, CorpusFormatError, Progress, read_corpus
from build_model.training.substitution import Pair, carry_over


@dataclass(frozen=True)
class Part:
    """A corpus and its share of a mixture.

    Attributes:
        share: relative to those of the other parts.
        kept: its pairs as they are drawn, a slot for what both sides carry over.
    """

    corpus: Corpus
    share: float
    kept: tuple[Pair, ...]


@dataclass(frozen=True)
class Mixture:
    """What a training draws from.

    Attributes:
        name: what the manifest calls it.
        sha256: of the parts' digests and shares.
        parts: in the order in which they were given.
    """

    name: str
    sha256: str
    parts: tuple[Part, ...]

    @property
    def pairs(self) -> int:
        """How many pairs all parts have."""
        return sum(len(part.kept) for part in self.parts)

    def draw(self, count: int, random: Random) -> list[Pair]:
        """So many pairs, each part by its share and evenly: none twice more often than another of its part."""
        total = sum(part.share for part in self.parts)
        drawn: list[Pair] = []
        for number, part in enumerate(self.parts, 1):
            upto = round(count * sum(each.share for each in self.parts[:number]) / total)
            whole, rest = divmod(upto - len(drawn), len(part.kept))
            drawn += part.kept * whole + tuple(random.sample(part.kept, rest))
        random.shuffle(drawn)
        return drawn


def mix(
    corpora: Sequence[Corpus], languages: tuple[str, str], *, shares: Sequence[float] = (), slots: bool = False
) -> Mixture:
    """Corpora as a mixture.

    Args:
        languages: ISO 639-3 codes of source and target.
        shares: one a corpus; by size where there are none.
        slots: whether the network has slots; a pair whose sides don't carry over the same is left out then.

    Raises:
        CorpusFormatError: no pair of a corpus can be kept.
    """
    parts = []
    for corpus, share in zip(corpora, shares or [len(corpus.pairs) for corpus in corpora], strict=True):
        kept = tuple(
            found for pair in corpus.pairs if (found := carry_over(pair, languages) if slots else pair) is not None
        )
        if not kept:
            raise CorpusFormatError(f"{corpus.name}: no pair carries over the same numbers and links on both sides.")
        parts.append(Part(corpus, share, kept))
    digest = hashlib.sha256("".join(f"{part.corpus.sha256} {part.share}\n" for part in parts).encode()).hexdigest()
    if len(parts) == 1:
        return Mixture(corpora[0].name, corpora[0].sha256, tuple(parts))
    return Mixture(" + ".join(part.corpus.name for part in parts), digest, tuple(parts))


def read_corpora(
    where: Sequence[str], languages: tuple[str, str], *, swap: bool = False, progress: Progress | None = None
) -> tuple[list[Corpus], list[float]]:
    """Corpora and their shares: ``FILE``, ``FILE=SHARE``, or a TOML file with a table ``[share]`` of files, relative to
    it, and numbers. No shares come back where none is given. ``swap``: their lines are target, then source.

    Raises:
        CorpusFormatError: a file is missing or malformed, or some have a share and others haven't.
    """
    named: list[tuple[str, float | None]] = []
    for each in where:
        if each.endswith(".toml"):
            named += _read_shares(Path(each))
        else:
            path, equals, share = each.rpartition("=")
            if equals and not Path(each).exists():
                named.append((path, _share(share, each)))
            else:
                named.append((each, None))
    given = [share for _, share in named if share is not None]
    if given and len(given) < len(named):
        raise CorpusFormatError("Some corpora have a share and others haven't. Give each one: --corpus FILE=SHARE.")
    return [read_corpus(path, languages, swap=swap, progress=progress) for path, _ in named], given


def _read_shares(path: Path) -> list[tuple[str, float | None]]:
    try:
        shares = tomllib.loads(path.read_text(encoding="utf-8"))["share"]
        return [(str(path.parent / name), _share(share, f"{path}: {name}")) for name, share in shares.items()]
    except OSError as error:
        raise CorpusFormatError(f"{path}: {error.strerror or error}. Give an existing file.") from None
    except (ValueError, KeyError, AttributeError) as error:
        raise CorpusFormatError(
            f'{path} is no mixture ({error}). Expected a table [share] of lines like "train.tsv.gz" = 45.'
        ) from None


def _share(share: object, where: str) -> float:
    try:
        found = float(share)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = 0.0
    if not 0 < found < float("inf"):
        raise CorpusFormatError(f"{where}: the share must be a number above 0, found {share!r}.")
    return found
