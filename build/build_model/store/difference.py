"""What two versions differ in, in terms of what they mean: config, tensors, vocabulary, scores, goldens, layers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from build_model.image.artifact import sha256
from build_model.image.contents import first_files
from build_model.image.inspection import Inspection, inspect
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from model.errors import DragomanError
from model.fingerprint import lang_file

Changed = Mapping[str, tuple[Any, Any]]
"""What differs, by name: (before, after), None where one side has no such thing."""


class VocabularyFalse(DragomanError):
    """A vocabulary in an image isn't the one that its manifest names."""


@dataclass(frozen=True)
class Words:
    """What came and went of one vocabulary."""

    name: str
    gone: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """From one version to another. Empty mappings where they are the same.

    Attributes:
        goldens: of the sentences that both have, those that are answered differently.
        asked: how many golden sentences both have.
        files: digests of the files of code.
        shared, fetched: bytes of the later one's layers that the earlier one has too, and that it hasn't.
        layers: (what it holds, bytes, whether the earlier one has it), of the later one.
    """

    before: str
    after: str
    labels: Changed
    config: Changed
    tensors: Changed
    vocabularies: tuple[Words, ...]
    scores: Changed
    goldens: Changed
    asked: int
    files: Changed
    layers: tuple[tuple[str, int, bool], ...]

    @property
    def shared(self) -> int:
        """Bytes of the later one's layers that the earlier one has too."""
        return sum(size for _, size, both in self.layers if both)

    @property
    def fetched(self) -> int:
        """Bytes of the later one's layers that whoever has the earlier one lacks."""
        return sum(size for _, size, both in self.layers if not both)

    def encode(self) -> dict[str, Any]:
        """For ``diff --json``."""
        named = {name: getattr(self, name) for name in ("labels", "config", "tensors", "scores", "goldens", "files")}
        return {
            "before": self.before,
            "after": self.after,
            **{name: _encoded(changed) for name, changed in named.items()},
            "goldens_asked": self.asked,
            "vocabularies": {one.name: {"gone": list(one.gone), "new": list(one.new)} for one in self.vocabularies},
            "layers": [{"holds": holds, "bytes": size, "shared": both} for holds, size, both in self.layers],
            "shared_bytes": self.shared,
            "fetched_bytes": self.fetched,
        }


def difference(one: tuple[Registry, Reference], other: tuple[Registry, Reference]) -> Difference:
    """Compare two images, each in a registry. Raises as ``inspect`` does, and VocabularyFalse."""
    before, after = inspect(*one), inspect(*other)
    layers = {layer.digest for layer in before.blobs}
    goldens = {source: answer for source, answer in before.goldens.items() if source in after.goldens}
    return Difference(
        before=before.reference,
        after=after.reference,
        labels=changed(_told(before), _told(after)),
        config=changed(before.manifest.get("config", {}), after.manifest.get("config", {})),
        tensors=changed(before.manifest.get("tensors", {}), after.manifest.get("tensors", {})),
        vocabularies=_vocabularies(one[0], before, other[0], after),
        scores=changed(_scores(before), _scores(after)),
        goldens=changed(goldens, {source: after.goldens[source] for source in goldens}),
        asked=len(goldens),
        files=changed(_code(before), _code(after)),
        layers=tuple(
            (holds, layer.size, layer.digest in layers)
            for (holds, _), layer in zip(after.layers, after.blobs, strict=True)
        ),
    )


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs, sorted by name."""
    names = sorted({*before, *after})
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _told(found: Inspection) -> dict[str, str]:
    """The labels that say something of their own: the digests say what is compared in full."""
    told = ("org.opencontainers.image.revision", "org.opencontainers.image.base.digest", "dragoman.runtime")
    return {
        **{name: found.labels[name] for name in told if name in found.labels},
        "architecture": found.manifest.get("architecture", ""),
        "weights": found.manifest.get("weights", ""),
    }


def _scores(found: Inspection) -> dict[str, float]:
    """``test bleu`` and the like to a number with two decimals."""
    return {
        f"{of} {measure}": round(score[measure], 2)
        for of, score in found.scores.items()
        for measure in ("bleu", "chrf")
        if measure in score
    }


def _code(found: Inspection) -> dict[str, str]:
    """The digests of the files that are code: the checkpoint's are compared by what is in them."""
    return {path: digest for path, digest in found.digests.items() if "/checkpoint/" not in path}


def _vocabularies(here: Registry, before: Inspection, there: Registry, after: Inspection) -> tuple[Words, ...]:
    """What differs; only vocabularies that do are fetched, from the beginning of the layer with the model."""
    before_langs, after_langs = before.manifest.get("langs", {}), after.manifest.get("langs", {})
    if before_langs == after_langs:
        return ()
    old, new = _tokens(here, before), _tokens(there, after)
    found = []
    for name in sorted({*old, *new}):
        gone, come = old.get(name, frozenset()), new.get(name, frozenset())
        if gone != come:
            found.append(Words(name, tuple(sorted(gone - come)), tuple(sorted(come - gone))))
    return tuple(found)


def _tokens(registry: Registry, found: Inspection) -> dict[str, frozenset[str]]:
    """The tokens of each vocabulary in an image, by its name: ``fra``, or ``fra-eng`` where it serves both."""
    repository = Reference.parse(found.reference).repository
    (layer,) = (blob for (holds, _), blob in zip(found.layers, found.blobs, strict=True) if holds == "model")
    langs: dict[str, str] = found.manifest.get("langs", {})
    # Names are sorted in a layer: most vocabularies come before the weights, which then aren't fetched.
    files = first_files(registry.blobs(repository), layer, {lang_file(name) for name in langs})
    tokens = {}
    for name, digest in langs.items():
        content = files.get(lang_file(name), b"")
        if sha256(content) != digest:
            raise VocabularyFalse(
                f"The vocabulary {lang_file(name)} of {found.reference} has the digest {sha256(content)}, and its "
                f"manifest names {digest}. `build-model verify {found.reference}` says more."
            )
        tokens[name] = words_of(content)
    return tokens


def words_of(content: bytes) -> frozenset[str]:
    """The words in a vocabulary's file, however its network writes them: JSON with ``tokens``, or with one long list or
    table, or a list, or a table of words to numbers; else its lines."""
    try:
        held = json.loads(content)
    except ValueError:
        return frozenset(content.decode(errors="replace").splitlines())
    if isinstance(held, dict):
        several = [each for each in held.values() if isinstance(each, list | dict)]
        held = held.get("tokens") or max(several, key=len, default=held)
    return frozenset(map(str, held if isinstance(held, list | dict) else [held]))


def _encoded(changes: Changed) -> dict[str, dict[str, Any]]:
    return {name: {"before": before, "after": after} for name, (before, after) in changes.items()}
