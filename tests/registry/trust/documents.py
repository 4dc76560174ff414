"""What refers to an image: reading it, taking it off the list, putting something else there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import model
from build_model.image import oci
from build_model.image.oci import Blob
from build_model.image.reference import Reference
from build_model.image.registry import Registry, fallback

ROOT = Path(model.__file__).parent.parent
ELSEWHERE = "elsewhere/fra-eng"


def documents(registry: Registry, image: Reference, artifact_type: str) -> list[bytes]:
    """What the referrers of a type hold."""
    manifests = [
        registry.manifest(replace(image, tag="", digest=entry.digest))
        for entry in registry.referrers(image, artifact_type)
    ]
    return [registry.blobs(image.repository).read(one.layers[0].digest) for one in manifests]


def unattach(registry: Registry, image: Reference, gone: Callable[[oci.Descriptor], bool]) -> None:
    """Takes referrers off the list."""
    kept = [entry.encode() for entry in registry.referrers(image) if not gone(entry)]
    index = {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": kept}
    registry.put_manifest(fallback(image), oci.document(index, oci.INDEX))


def attach(registry: Registry, image: Reference, artifact_type: str, blob: Blob, annotations: dict[str, str]) -> None:
    """Puts a document beside an image."""
    registry.blobs(image.repository).put(blob)
    subject = registry.manifest(replace(image, tag="")).descriptor
    registry.attach(image, oci.referrer(artifact_type, subject, [blob.descriptor], annotations))
