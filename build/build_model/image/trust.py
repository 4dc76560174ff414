"""Signing an image in a registry, and refusing one whose signature isn't there, isn't true, or is of something else.

A signature lies where cosign looks for it, at the tag ``sha256-<digest>.sig``, and refers to the image, so that what
copies an image with all that refers to it copies its signature too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from build_model.image import attached, oci
from build_model.image.attached import Beside
from build_model.image.oci import Blob, Descriptor
from build_model.image.reference import Reference
from build_model.image.registry import Registry, Stored, fallback
from build_model.image.signature import (
    ANNOTATION,
    ARTIFACT,
    SIMPLE_SIGNING,
    Payload,
    PrivateKey,
    PublicKey,
)
from build_model.image.version import TagMoved, check_tag
from model.errors import DragomanError

VERSION = "dragoman.version"
"""The claim that says which version an image was signed as."""
SUFFIX = ".sig"
_SEARCHED = 500  # signatures, when it is asked which image a moved tag belongs to


class SignatureMissing(DragomanError):
    """An image has no signature by the key that is asked for."""


class SignatureForeign(DragomanError):
    """The signature beside an image is of another image."""


class AttachedChanged(DragomanError):
    """What lies beside an image isn't what lay there when it was signed."""


@dataclass(frozen=True)
class Signed:
    """A signature that holds. ``reference``: tag and digest; ``claims``: what it says of the image."""

    reference: Reference
    claims: dict[str, str]
    tag: str
    new: bool = False

    def encode(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "reference": str(self.reference),
            "digest": self.reference.digest,
            "signature": self.tag,
            "claims": self.claims,
            "new": self.new,
        }


def place(image: Reference) -> Reference:
    """Where cosign looks for the signatures of ``image`` (by digest)."""
    tagged = fallback(image)
    return replace(tagged, tag=f"{tagged.tag}{SUFFIX}")


def sign(registry: Registry, reference: Reference, key: PrivateKey) -> Signed:
    """Sign what ``reference`` names now: the image, the version that it says it is, and what lies beside it.

    Raises SbomMissing and ProvenanceMissing: what isn't there can't be signed; TagMoved where the tag is another
    version's. Signatures by other keys stay.
    """
    image = registry.resolve(reference)
    version = registry.labels(image).get(f"{oci.OPEN_CONTAINERS}version", "")
    check_tag(image.tag, image, version, "says that it is")
    claims = {**attached.find(registry, image).claims, VERSION: version}
    found = Signed(image, claims, place(image).tag)
    return replace(found, new=put_signature(registry, image, Payload(image.name, image.digest, claims), key))


def put_signature(registry: Registry, image: Reference, payload: Payload, key: PrivateKey) -> bool:
    """Put a signature of ``payload`` beside ``image``, in place of an older one by the same key; whether it is new."""
    blob = payload.encode()
    ours = replace(blob.descriptor, annotations={ANNOTATION: key.sign(b"".join(oci.pieces(blob.content)))})
    there = registry.find(place(image))
    kept = [one for one in there.layers if _is_signature(one)] if there else []
    if ours in kept:
        return False
    others = [one for one in kept if not _by(registry, image, one, key.public)]
    _put(registry, image, blob, [*others, ours])
    return True


def check(registry: Registry, image: Reference, key: PublicKey) -> Signed:
    """The signature of ``image`` (by digest, with the tag that it was asked for by) by ``key``.

    Raises SignatureMissing, SignatureFalse, SignatureForeign, TagMoved, and AttachedChanged, SbomMissing and
    ProvenanceMissing for what was signed with it.
    """
    payloads = [
        Payload.decode(content)
        for descriptor, content in signatures(registry, image)
        if key.holds(content, descriptor.annotations.get(ANNOTATION, ""))
    ]
    ours = [payload for payload in payloads if payload.digest == image.digest]
    if payloads and not ours:
        raise SignatureForeign(
            f"The signature beside {image} is of another image, {payloads[0].digest}: somebody copied it there. "
            "Sign this one if it is what it should be: build-model sign."
        )
    if not ours:
        raise _missing(registry, image, key)
    payload = ours[-1]
    check_tag(image.tag, image, payload.claims.get(VERSION, ""), "was signed as")
    _check_claims(attached.find(registry, image), payload, image)
    return Signed(image, dict(payload.claims), place(image).tag)


def signatures(registry: Registry, image: Reference) -> Iterator[tuple[Descriptor, bytes]]:
    """(descriptor, payload) of every signature beside ``image``: at cosign's tag, else among what refers to it."""
    there = registry.find(place(image))
    manifests = [there] if there else []
    if not manifests:
        listed = registry.referrers(image, ARTIFACT)
        manifests = [registry.manifest(replace(image, tag="", digest=one.digest)) for one in listed]
    blobs = registry.blobs(image.repository)
    for manifest in manifests:
        for layer in manifest.layers:
            if _is_signature(layer):
                yield layer, blobs.read(layer.digest)


def look(registry: Registry, image: Reference) -> int:
    """How many signatures lie beside ``image``, whoever made them; SignatureForeign, SignatureFalse."""
    found = [Payload.decode(content) for _, content in signatures(registry, image)]
    if there := registry.find(place(image)):
        registry.config(there)
    if found and all(payload.digest != image.digest for payload in found):
        raise SignatureForeign(f"The signature beside {image} is of another image, {found[0].digest}.")
    return len(found)


def _check_claims(beside: Beside, payload: Payload, image: Reference) -> None:
    false = [name for name, value in beside.claims.items() if payload.claims.get(name, value) != value]
    if false:
        what = " and ".join("bill of materials" if "sbom" in name else "provenance" for name in false)
        raise AttachedChanged(
            f"The {what} beside {image} was exchanged after the image was signed. Look at it, and sign again if it is "
            "right: build-model sign."
        )


def _missing(registry: Registry, image: Reference, key: PublicKey) -> DragomanError:
    """Why no signature by ``key`` was found beside ``image``."""
    if moved := _signed_as(registry, image, key):
        return TagMoved(
            f"{image.name}:{image.tag} was signed as {moved}, and names {image.digest} now, which isn't signed. "
            "Somebody moved the tag; a pushed version is never overwritten."
        )
    found = [content for _, content in signatures(registry, image)]
    if not found:
        return SignatureMissing(f"{image} isn't signed. Sign it: build-model sign {image.name}:{image.tag} --key KEY.")
    if all(Payload.decode(content).digest != image.digest for content in found):
        return SignatureForeign(f"The signature beside {image} is of another image, and not by this key.")
    return SignatureMissing(
        f"{image} is signed, and not by this key: {len(found)} signature(s) by others, or changed since. "
        "Name the right public key, or sign it with yours: build-model sign."
    )


def _signed_as(registry: Registry, image: Reference, key: PublicKey) -> str | None:
    """The digest that this key signed under the tag of ``image``, where that is another one."""
    if not image.tag:
        return None
    tags = [tag for tag in registry.tags(image.repository) if tag.startswith("sha256-") and tag.endswith(SUFFIX)]
    blobs = registry.blobs(image.repository)
    for tag in tags[:_SEARCHED]:
        for layer in registry.manifest(replace(image, tag=tag, digest="")).layers:
            if not _is_signature(layer):
                continue
            content = blobs.read(layer.digest)
            if key.holds(content, layer.annotations.get(ANNOTATION, "")):
                payload = Payload.decode(content)
                if payload.claims.get(VERSION) == image.tag and payload.digest != image.digest:
                    return payload.digest
    return None


def _put(registry: Registry, image: Reference, payload: Blob, layers: list[Descriptor]) -> None:
    """The manifest with these signatures, under cosign's tag and as a referrer."""
    rootfs = {"type": "layers", "diff_ids": [layer.digest for layer in layers]}
    nothing = {"architecture": "", "os": "", "config": {}, "history": [], "rootfs": rootfs}
    config = oci.document({**nothing, "created": oci.timestamp(datetime.fromtimestamp(0, UTC))}, oci.CONFIG)
    blobs = registry.blobs(image.repository)
    for blob in (payload, config):
        blobs.put(blob)
    subject: Stored = registry.manifest(replace(image, tag=""))
    manifest = oci.referrer(ARTIFACT, subject.descriptor, layers, {}, config.descriptor)
    registry.attach(image, manifest)
    registry.put_manifest(place(image), manifest)


def _by(registry: Registry, image: Reference, layer: Descriptor, key: PublicKey) -> bool:
    content = registry.blobs(image.repository).read(layer.digest)
    return key.holds(content, layer.annotations.get(ANNOTATION, ""))


def _is_signature(layer: Descriptor) -> bool:
    return layer.media_type == SIMPLE_SIGNING
