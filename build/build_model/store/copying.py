"""Images from one registry to another, or from one repository to another, with all that refers to them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from build_model import report
from build_model.image import modelpack, oci
from build_model.image.blobs import BlobMissing
from build_model.image.description import IDENTITY
from build_model.image.oci import Blob, Descriptor
from build_model.image.push import free, take
from build_model.image.reference import Reference
from build_model.image.registry import Registry, Stored, VersionUnknown, labels_of
from build_model.image.version import check_new_tag, check_tag
from build_model.report import Progress

Accept = Callable[[Registry, Reference], object]
"""Raises where an image (by digest, with the tag that it was asked for by) may not be taken."""


@dataclass
class Copied:
    """What a copy moved; in bytes of blobs, manifests aside.

    Attributes:
        sent: bytes that went over the wire.
        taken_over: bytes that were there, or that the registry took from another repository of its own.
        referrers: how many manifests that refer to the image, or to one of these, came along.
    """

    reference: Reference
    sent: int = 0
    taken_over: int = 0
    referrers: int = 0
    _done: set[str] = field(default_factory=set)

    def first(self, digest: str) -> bool:
        """Whether it is the first time that this is met."""
        new = digest not in self._done
        self._done.add(digest)
        return new

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "reference": str(self.reference),
            "digest": self.reference.digest,
            "sent_bytes": self.sent,
            "total_bytes": self.sent + self.taken_over,
            "referrers": self.referrers,
        }

    def __str__(self) -> str:
        return f"sent {report.size(self.sent)} of {report.size(self.sent + self.taken_over)}"


def anything(registry: Registry, image: Reference) -> None:
    """Accepts every image."""


class Copy:
    """From ``source`` to ``target``, each a registry and a repository in it; nothing that ``accept`` refuses."""

    def __init__(
        self,
        source: tuple[Registry, Reference],
        target: tuple[Registry, Reference],
        progress: Progress,
        accept: Accept = anything,
    ) -> None:
        self._there, self._from = source
        self._here, self._to = target
        self._progress, self._accept = progress, accept
        self._same_registry = self._there.url == self._here.url

    def run(self) -> Copied:
        """Copy the image, then what refers to it, and then give it its tag, which nothing else may have.

        Raises VersionUnknown, TagExists, TagMoved, BlobMissing, BlobFalse, ManifestFalse, and what ``accept`` does.
        """
        found = self._there.manifest(self._from)
        wanted = self._to if self._to.tag else replace(self._to, tag=self._from.tag)
        copied = Copied(replace(wanted, digest=found.digest))
        pinned = replace(self._from, digest=found.digest)
        version = version_of(self._there, found)
        check_tag(pinned.tag, pinned, version, "says that it is")
        check_new_tag(wanted.tag, pinned, version)
        self._accept(self._there, pinned)
        if wanted.tag:
            free(self._here, wanted, found.digest)
        self._progress.line(f"Copying {self._from} to {wanted}")
        self._manifest(found, copied)
        self._beside(found, copied)
        if wanted.tag:
            take(self._here, replace(wanted, digest=""), found.blob)
        return copied

    def _manifest(self, found: Stored, copied: Copied) -> None:
        """A manifest under its digest, after all that it names."""
        for child in children(found):
            self._manifest(self._there.manifest(replace(self._from, tag="", digest=child.digest)), copied)
        for part in parts(found):
            if copied.first(part.digest):
                self._blob(part, copied)
        self._here.put_manifest(replace(self._to, tag="", digest=""), found.blob)

    def _blob(self, part: Descriptor, copied: Copied) -> None:
        blobs = self._here.blobs(self._to.repository)
        known = self._same_registry and blobs.mount(part.digest, self._there.blobs(self._from.repository).repository)
        if known or blobs.has(part.digest):
            copied.taken_over += part.size
            return
        with tempfile.TemporaryDirectory(prefix="dragoman-blob-") as folder:
            file = Path(folder) / "blob"
            with file.open("wb") as out:
                for piece in self._there.blobs(self._from.repository).stream(part.digest):
                    out.write(piece)
            blobs.put(Blob(part, file))
        copied.sent += part.size

    def _beside(self, found: Stored, copied: Copied) -> None:
        """What refers to a manifest and to those in it, and what refers to that in turn."""
        for subject, referrer in referrers(self._there, self._from, found):
            if copied.first(referrer.digest):
                for part in parts(referrer):
                    if copied.first(part.digest):
                        self._blob(part, copied)
                self._here.attach(replace(self._to, tag="", digest=subject), referrer.blob)
                copied.referrers += 1
        for tag, filed in filed_beside(self._there, self._from, found.digest):
            if copied.first(filed.digest):
                self._manifest(filed, copied)
                copied.referrers += 1
            self._here.put_manifest(replace(self._to, tag=tag, digest=""), filed.blob)


def version_of(registry: Registry, found: Stored) -> str:
    """Which version an image of ours says that it is; empty for anything else."""
    try:
        image = registry.image(found)
        told: Mapping[str, str] = image.document.get("annotations") or {}
        return version_in(told if IDENTITY in told else labels_of(registry.config(image)))
    except (VersionUnknown, BlobMissing, ValueError):  # no image, or none for our platform
        return ""


def version_in(labels: Mapping[str, str]) -> str:
    """Which version the labels of an image of ours say that it is; empty for anything else."""
    return labels.get(f"{oci.OPEN_CONTAINERS}version", "") if IDENTITY in labels else ""


def children(found: Stored) -> list[Descriptor]:
    """The manifests in an index; none of an image."""
    return [Descriptor.decode(entry) for entry in found.document.get("manifests") or ()]


def parts(found: Stored) -> list[Descriptor]:
    """The blobs that an image or a referrer names; none of an index."""
    return [] if "manifests" in found.document else [found.config, *found.layers]


def referrers(registry: Registry, where: Reference, found: Stored) -> Iterator[tuple[str, Stored]]:
    """(digest of the subject, manifest) of all that refers to ``found`` or to a manifest in it, and to that in turn."""
    for digest in (found.digest, *(child.digest for child in children(found))):
        for entry in registry.referrers(replace(where, tag="", digest=digest)):
            referrer = registry.find(replace(where, tag="", digest=entry.digest))
            if referrer is not None:  # a list may name what was removed
                yield digest, referrer
                yield from referrers(registry, where, referrer)


def filed_beside(
    registry: Registry, where: Reference, digest: str, tags: Sequence[str] | None = None
) -> Iterator[tuple[str, Stored]]:
    """(tag, manifest) of what has tags of its own: cosign's ``sha256-….sig`` and the like, a version's twin.

    ``tags`` are all of the repository, where the caller knows them.
    """
    begin, twin = f"{digest.replace(':', '-')}.", modelpack.tag(where.tag)
    for tag in registry.tags(where.repository) if tags is None else tags:
        beside = tag.startswith(begin) or (tag == twin and where.tag)
        if beside and (filed := registry.find(replace(where, tag=tag, digest=""))):
            yield tag, filed
