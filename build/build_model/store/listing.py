"""Which versions a repository has, and what names they go by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from build_model.image.blobs import BlobMissing
from build_model.image.description import IDENTITY
from build_model.image.oci import OPEN_CONTAINERS
from build_model.image.reference import Reference
from build_model.image.registry import Registry, VersionUnknown, labels_of
from build_model.image.version import Version

SCORES = "dragoman.scores"
_NO_VERSION = Version(0, 0, 0)


@dataclass(frozen=True)
class Tagged:
    """What a tag stands for. ``size``: bytes of the image's blobs; ``labels``: none where it isn't ours."""

    tag: str
    digest: str
    size: int
    labels: Mapping[str, str]

    @property
    def is_version(self) -> bool:
        """Whether the tag is a version's, and not a name that may move."""
        return bool(Version.all_of([self.tag]))


@dataclass(frozen=True)
class Listed:
    """A version, and the names that stand for the same image, such as ``production``."""

    version: Tagged
    names: tuple[str, ...]

    @property
    def scores(self) -> dict[str, float]:
        """BLEU by the set that it is of, as the push told it; none of older images."""
        scores: dict[str, float] = json.loads(self.version.labels.get(SCORES, "{}"))
        return scores

    @property
    def created(self) -> str:
        """When, as RFC 3339 has it."""
        return self.version.labels.get(f"{OPEN_CONTAINERS}created", "")

    @property
    def architecture(self) -> str:
        """The architecture hash."""
        return self.version.labels.get("dragoman.architecture", "")

    def encode(self) -> dict[str, Any]:
        """For ``list --json``."""
        return {
            "version": self.version.tag,
            "names": list(self.names),
            "digest": self.version.digest,
            "bytes": self.version.size,
            "created": self.created,
            "architecture": self.architecture,
            "weights": self.version.labels.get("dragoman.weights", ""),
            "scores": self.scores,
        }


def listed(registry: Registry, where: Reference) -> list[Listed]:
    """The versions in the repository of ``where``, newest first; what build-model didn't make is passed over."""
    tags = [replace(where, tag=tag) for tag in registry.names(where.repository)]
    return versions_of([one for one in registry.each(tagged, tags) if one is not None])


def versions_of(tags: Sequence[Tagged]) -> list[Listed]:
    """The versions among ``tags``, newest first, with the other tags of the same images as their names."""
    named: dict[str, list[str]] = {}
    for one in tags:
        if not one.is_version:
            named.setdefault(one.digest, []).append(one.tag)
    versions = [one for one in tags if one.is_version and IDENTITY in one.labels]
    versions.sort(key=lambda one: Version.parse(one.tag), reverse=True)
    return [Listed(one, tuple(sorted(named.get(one.digest, ())))) for one in versions]


def tagged(registry: Registry, reference: Reference) -> Tagged | None:
    """What the tag of ``reference`` stands for, asked once for what was pushed since 2.0; None where it's gone."""
    found = registry.find(reference)
    if found is None:
        return None
    try:
        image = registry.image(found)
    except VersionUnknown:  # an index of images for other machines
        return Tagged(reference.tag, found.digest, 0, {})
    labels: Mapping[str, str] = image.document.get("annotations") or {}
    if IDENTITY not in labels:
        try:
            labels = labels_of(registry.config(image))
        except (BlobMissing, ValueError):
            labels = {}
    size = image.config.size + sum(layer.size for layer in image.layers)
    return Tagged(reference.tag, found.digest, size, labels)
