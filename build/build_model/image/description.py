"""What an image says of itself in a few kilobytes beside it: a referrer with its manifest, its goldens and the digests
of its files, so that no layer has to be fetched to ask what is in it.

It proves itself: the digests make the image's label ``dragoman.artifact``, and the manifest and the goldens are among
the files. Images that have none, of an older build-model say, are read from their layers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from build_model.image import artifact, oci
from build_model.image.artifact import APPLICATION, CHECKPOINT, Layers, sha256
from build_model.image.blobs import BlobFalse, BlobMissing
from build_model.image.contents import UNREADABLE, ImageForeign, files_in_layer
from build_model.image.oci import Blob, Descriptor, Layer
from build_model.image.reference import Reference
from build_model.image.registry import Registry, Stored
from model.errors import DragomanError
from model.fingerprint import GOLDEN, MANIFEST

DESCRIPTION = "application/vnd.dragoman.description.v1+json"
FILES = "files.json"
RUNTIME = "dragoman.runtime"
IDENTITY = "dragoman.artifact"
_FOLDER = CHECKPOINT.relative_to(APPLICATION)


class DescriptionFalse(DragomanError):
    """What lies beside an image as its description is that of something else."""


@dataclass(frozen=True)
class Description:
    """Manifest and goldens, byte for byte, and the sha256 of each file below the application's folder by its path."""

    manifest: bytes
    goldens: bytes
    files: Mapping[str, str]

    @classmethod
    def of(cls, layers: Layers) -> Description:
        """Of an image with these layers."""
        files = {path: content for held in layers.by_name().values() for path, content in held.items()}
        held = [b"".join(oci.pieces(files[str(CHECKPOINT / name)])) for name in (MANIFEST, GOLDEN)]
        return cls(held[0], held[1], layers.digests())

    @cached_property
    def model(self) -> dict[str, Any]:
        """The manifest's JSON: not a ``Manifest``, for it may be of a version whose code had other fields."""
        value: dict[str, Any] = json.loads(self.manifest)
        return value

    @cached_property
    def translations(self) -> dict[str, str]:
        """The golden sentences and what the model makes of each."""
        lines = (json.loads(line) for line in self.goldens.decode().splitlines())
        return {line["source"]: line["target"] for line in lines}

    @cached_property
    def layer(self) -> Layer:
        """It as a blob: a few kilobytes."""
        files = json.dumps(dict(self.files), indent=1, sort_keys=True).encode()
        return oci.layer({MANIFEST: self.manifest, GOLDEN: self.goldens, FILES: files})

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """What has to be in the repository before the referrer is put."""
        return (oci.EMPTY, self.layer.blob)

    def referrer(self, image: Descriptor) -> Blob:
        """The manifest that ties it to an image."""
        created = image.annotations.get(f"{oci.OPEN_CONTAINERS}created")
        annotations = {f"{oci.OPEN_CONTAINERS}created": created} if created else {}
        return oci.referrer(DESCRIPTION, image, [self.layer.blob.descriptor], annotations)

    def describes(self, labels: Mapping[str, str]) -> bool:
        """Whether it is that of an image with these labels, and nothing in it was changed."""
        inside = {str(_FOLDER / MANIFEST): sha256(self.manifest), str(_FOLDER / GOLDEN): sha256(self.goldens)}
        return all(self.files.get(path) == digest for path, digest in inside.items()) and artifact.identity(
            self.files, labels.get(RUNTIME, "")
        ) == labels.get(IDENTITY)


def attach(registry: Registry, image: Reference, description: Description) -> None:
    """Put it beside the image with the digest of ``image``, unless it is there."""
    subject = registry.manifest(replace(image, tag="")).descriptor
    referrer = description.referrer(subject)
    if referrer.digest in {one.digest for one in registry.referrers(image, DESCRIPTION)}:
        return
    for blob in description.blobs:
        if not registry.blobs(image.repository).has(blob.digest):
            registry.blobs(image.repository).put(blob)
    registry.attach(image, referrer)


def read(registry: Registry, image: Reference, labels: Mapping[str, str]) -> Description | None:
    """What lies beside the image with the digest of ``image`` and is of an image with these ``labels``.

    None where nothing is: then the layers have to be asked. What says otherwise than the labels counts for nothing.
    """
    for entry in registry.referrers(image, DESCRIPTION):
        found = registry.find(replace(image, tag="", digest=entry.digest))
        description = _decoded(registry, found) if found else None
        if description and description.describes(labels):
            return description
    return None


def check(registry: Registry, image: Reference, labels: Mapping[str, str]) -> None:
    """Read all descriptions beside ``image`` (by digest); images that were pushed before there were any have none.

    Raises DescriptionFalse, and what reading raises.
    """
    for entry in registry.referrers(image, DESCRIPTION):
        found = registry.manifest(replace(image, tag="", digest=entry.digest))
        for part in (found.config, *found.layers):
            registry.blobs(image.repository).read(part.digest)
        described = _decoded(registry, found)
        if described is None or not described.describes(labels):
            raise DescriptionFalse(
                f"What {entry.digest} beside {image} says is in the image isn't in it. `inspect` and `diff` pass it "
                "over; find out who put it there."
            )


def _decoded(registry: Registry, found: Stored) -> Description | None:
    """What a referrer holds; None where that isn't a description, or is damaged."""
    try:
        (layer,) = found.layers
        files = files_in_layer(registry.blobs(found.repository).read(layer.digest), layer.media_type)
        return Description(files[MANIFEST], files[GOLDEN], json.loads(files[FILES]))
    except (BlobMissing, BlobFalse, ImageForeign, KeyError, *UNREADABLE):
        return None
