"""What lies beside every image in the registry, and refers to it: bills of materials, provenance, the model's twin.

All of it is a function of the image and what is below it: two pushes of one commit attach the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from build_model.image import modelpack, oci, packages, provenance, sbom
from build_model.image.connection import AccessRefused
from build_model.image.description import Description
from build_model.image.oci import OPEN_CONTAINERS, Blob, Descriptor
from build_model.image.packages import Package
from build_model.image.plan import Composed, Plan
from build_model.image.provenance import ProvenanceFalse
from build_model.image.push import Part, upload
from build_model.image.reference import Reference
from build_model.image.registry import Registry, Stored, labels_of
from build_model.image.runtime import KEY
from build_model.image.sbom import Content, SbomFalse
from build_model.report import Progress
from model.errors import DragomanError

RUNTIME_BILL, BILL = "runtime.cdx.json", "image.cdx.json"
BELOW = "runtime's SBOM"
TITLE = f"{OPEN_CONTAINERS}title"
PREDICATE_TYPE = "in-toto.io/predicate-type"
_MEND = "Push the same version again from its commit, which attaches it: build-model --version X --registry … --push"


class SbomMissing(DragomanError):
    """An image has no bill of materials beside it."""


class ProvenanceMissing(DragomanError):
    """An image has no provenance beside it."""


@dataclass(frozen=True)
class Attachment:
    """A manifest that refers to an image, and the blobs that it needs beside those that the image has anyway."""

    manifest: Blob
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Beside:
    """The manifests that are found beside an image; ``statement`` is that of the provenance."""

    runtime_bill: Stored
    bill: Stored
    statement: Stored

    @property
    def claims(self) -> dict[str, str]:
        """What a signature says of them, so that none can be exchanged."""
        return {
            "dragoman.sbom": f"{self.runtime_bill.digest} {self.bill.digest}",
            "dragoman.provenance": self.statement.digest,
        }


def of_image(
    planned: Plan, composed: Composed, below: Stored, runtime_bill: Part, description: Description
) -> tuple[Attachment, ...]:
    """All that is attached to the image ``composed`` on the runtime image ``below``, whose bill is given."""
    repository, subject = planned.references[0].repository, composed.manifest.descriptor
    labels = labels_of(json.loads(b"".join(oci.pieces(composed.config.content))))
    told = {f"{OPEN_CONTAINERS}created": labels[f"{OPEN_CONTAINERS}created"]}
    held = [(holds, layer.blob.digest) for holds, layer in composed.layers]
    content = Content(repository, labels, subject.digest, held, below.digest)
    bill = sbom.of_image(content, runtime_bill.descriptor)
    statement = provenance.statement(repository, labels, subject.digest, below.digest)

    def attachment(kind: str, part: Part, annotations: Mapping[str, str]) -> Attachment:
        return Attachment(oci.referrer(kind, subject, [part.descriptor], {**told, **annotations}), (part,))

    return (
        attachment(sbom.CYCLONEDX, runtime_bill, {TITLE: RUNTIME_BILL}),
        attachment(sbom.CYCLONEDX, Part("SBOM", bill.descriptor, bill), {TITLE: BILL}),
        attachment(
            provenance.IN_TOTO,
            Part("provenance", statement.descriptor, statement),
            {PREDICATE_TYPE: provenance.PREDICATE},
        ),
        _twin(composed, repository, labels, description),
    )


def _twin(composed: Composed, repository: str, labels: Mapping[str, str], told: Description) -> Attachment:
    layers = modelpack.layers(composed.layers, told.layer)
    config = modelpack.config(repository, labels, told.model, [diff_id for _, diff_id in layers])
    kept = {name: value for name, value in labels.items() if name.startswith(OPEN_CONTAINERS)}
    manifest = oci.referrer(
        modelpack.MODEL, composed.manifest.descriptor, [one for one, _ in layers], kept, config.descriptor
    )
    small = (("description", told.layer.blob), ("ModelPack's config", config))
    return Attachment(manifest, tuple(Part(holds, blob.descriptor, blob) for holds, blob in small))


def attach(registry: Registry, image: Reference, attachments: Sequence[Attachment]) -> None:
    """Put them beside ``image`` (by digest), whose repository has their parts."""
    blobs = registry.blobs(image.repository)
    if not blobs.has(oci.EMPTY.digest):
        blobs.put(oci.EMPTY)
    registry.attach(image, *(one.manifest for one in attachments))


def name_twin(registry: Registry, image: Reference, attachments: Sequence[Attachment]) -> None:
    """Give the twin of ``image``, which has its version's tag by now, a tag of its own."""
    twin = next(one.manifest for one in attachments if one.manifest.descriptor.artifact_type == modelpack.MODEL)
    registry.put_manifest(replace(image, tag=modelpack.tag(image.tag), digest=""), twin)


def complete(planned: Plan, registry: Registry, digest: str, progress: Progress) -> str | None:
    """Put beside an image that is there already what it lacks, if this clone builds the same; else a warning."""
    assert planned.shared_runtime
    reference = replace(planned.reference, digest=digest)
    try:
        find(registry, reference)
    except (SbomMissing, ProvenanceMissing) as lacking:
        below = registry.find(planned.shared_runtime)
        composed = planned.compose(registry.config(below), below.layers) if below else None
        if below is None or composed is None or composed.manifest.digest != digest:
            return f"{lacking} This clone builds it otherwise: only the commit that it was built from can."
        bill = runtime_bill(registry, below, progress)
        beside = of_image(planned, composed, below, bill, Description.of(planned.layers))
        parts = [part for one in beside for part in one.parts]
        upload(registry, reference.repository, parts, progress, source=below.repository)
        attach(registry, replace(reference, tag=""), beside)
        name_twin(registry, planned.reference, beside)
    return None


def runtime_bill(registry: Registry, below: Stored, progress: Progress) -> Part:
    """The bill of a runtime image: the one beside it, else made of its layers, once, and put there."""
    if there := _bill_beside(registry, below):
        return Part(BELOW, there)
    progress.line(f"Listing the packages of {registry.host}/{below.repository}, once for these dependencies")
    blobs = registry.blobs(below.repository)
    bill = list_packages(registry, below, (blobs.stream(layer.digest) for layer in below.layers))
    try:
        put_bill(registry, below, bill)
    except AccessRefused:  # whoever may only read there makes the list again next time
        return Part(BELOW, bill.descriptor, bill)
    return Part(BELOW, bill.descriptor)


def copy_bill(registry: Registry, source: Stored, below: Stored) -> None:
    """Put the bill that lies beside ``source``, if one does, beside the same runtime image in another repository."""
    if there := _bill_beside(registry, source):
        put_bill(registry, below, Blob(there, registry.blobs(source.repository).read(there.digest)))


def _bill_beside(registry: Registry, below: Stored) -> Descriptor | None:
    image = Reference(registry.host, below.repository, digest=below.digest)
    for entry in registry.referrers(image, sbom.CYCLONEDX):
        if found := registry.find(replace(image, digest=entry.digest)):
            return found.layers[0]
    return None


def list_packages(registry: Registry, below: Stored, layers: Iterable[Iterable[bytes]]) -> Blob:
    """The bill of a runtime image whose layers are these, compressed and in pieces, lowest first."""
    return sbom.of_runtime(packages.of_layers(layers), labels_of(registry.config(below)).get(KEY, ""))


def put_bill(registry: Registry, below: Stored, bill: Blob) -> None:
    """Put a runtime image's bill beside it."""
    blobs = registry.blobs(below.repository)
    for blob in (bill, oci.EMPTY):
        blobs.put(blob)
    manifest = oci.referrer(sbom.CYCLONEDX, below.descriptor, [bill.descriptor], {TITLE: RUNTIME_BILL})
    registry.attach(Reference(registry.host, below.repository, digest=below.digest), manifest)


def find(registry: Registry, image: Reference) -> Beside:
    """What lies beside ``image`` (by digest); SbomMissing, ProvenanceMissing."""

    def there(entry: Descriptor | None) -> Stored | None:
        # A list may name what somebody removed: docker-registry's garbage collector, say, told to take what has no tag.
        return registry.find(replace(image, tag="", digest=entry.digest)) if entry else None

    bills = {one.annotations.get(TITLE): one for one in registry.referrers(image, sbom.CYCLONEDX)}
    below, own = (there(bills.get(title)) for title in (RUNTIME_BILL, BILL))
    if below is None or own is None:
        what = "its own" if below else "its packages"
        raise SbomMissing(f"{image} has no bill of materials (SBOM) of {what} beside it. {_MEND}.")
    statements = {one.annotations.get(PREDICATE_TYPE): one for one in registry.referrers(image, provenance.IN_TOTO)}
    statement = there(statements.get(provenance.PREDICATE))
    if statement is None:
        raise ProvenanceMissing(f"{image} has no provenance beside it. {_MEND}.")
    return Beside(below, own, statement)


def check(registry: Registry, image: Reference, content: Content, held: Sequence[Package]) -> Beside:
    """What lies beside ``image`` (by digest), read and held against the image.

    Raises SbomMissing, SbomFalse, ProvenanceMissing, ProvenanceFalse, and what reading raises.
    """
    found = find(registry, image)
    try:
        bill = _read(registry, found.runtime_bill)
        sbom.check_runtime(bill, held)
        sbom.check_image(_read(registry, found.bill), content, oci.blob(bill, sbom.CYCLONEDX).descriptor)
    except SbomFalse as error:
        raise SbomFalse(f"{image}: {error}") from error
    try:
        provenance.check(_read(registry, found.statement), content.labels, content.manifest)
    except ProvenanceFalse as error:
        raise ProvenanceFalse(f"{image}: {error}") from error
    for entry in registry.referrers(image, modelpack.MODEL):
        twin = registry.manifest(replace(image, tag="", digest=entry.digest))
        for part in (twin.config, *twin.layers):
            if part.digest not in dict(content.layers).values():
                registry.blobs(image.repository).read(part.digest)
    return found


def _read(registry: Registry, manifest: Stored) -> bytes:
    blobs = registry.blobs(manifest.repository)
    blobs.read(manifest.config.digest)
    return blobs.read(manifest.layers[0].digest)
