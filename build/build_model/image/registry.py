"""The image registry as a model store: its versions, their manifests and configs, and what refers to them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urljoin

import requests

from build_model.image import oci
from build_model.image.blobs import Blobs
from build_model.image.connection import AccessRefused, Connection, RegistryUnreachable
from build_model.image.oci import Blob, Descriptor
from build_model.image.reference import DOCKER_HUB, Address, Reference
from model.errors import DragomanError

MANIFEST_TYPES = (oci.MANIFEST, oci.INDEX, oci.DOCKER_MANIFEST, oci.DOCKER_INDEX)
SUBJECT_HEADER = "OCI-Subject"
"""How a registry says that it files what was put under what it refers to."""
BESIDE = ("sha256-", "modelpack-")
"""How the tags begin of what lies beside images: lists of referrers, signatures, the models' twins."""
_ATTEMPTS = 3
_TAGS_SHOWN = 30


class VersionUnknown(DragomanError):
    """The registry has no such version."""


class ManifestFalse(DragomanError):
    """What the registry has as a manifest isn't one, or not the one that its digest names."""


@dataclass(frozen=True)
class Stored:
    """A manifest or an index, byte for byte as the registry has it."""

    repository: str
    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """``sha256:...``"""
        return oci.digest(self.content)

    @property
    def descriptor(self) -> Descriptor:
        """What another document says of this one."""
        document = self.document
        config_type = (document.get("config") or {}).get("mediaType", "")
        artifact_type = document.get("artifactType") or config_type
        annotations = document.get("annotations") or {}
        return Descriptor(self.media_type, self.digest, len(self.content), artifact_type, annotations)

    @property
    def document(self) -> dict[str, Any]:
        """Its JSON."""
        value: dict[str, Any] = json.loads(self.content)
        return value

    @property
    def blob(self) -> Blob:
        """To be put somewhere else."""
        return Blob(self.descriptor, self.content)

    @property
    def config(self) -> Descriptor:
        """An image's config."""
        return Descriptor.decode(self.document["config"])

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """An image's layers, lowest first."""
        return tuple(Descriptor.decode(layer) for layer in self.document["layers"])


class Registry:
    """The registry at an address (``Address.parse``). Before all else it is asked whether it is one.

    Repositories are named as in references, with the address's prefix. Every method may raise RegistryUnreachable,
    AccessRefused and LoginUnreadable.
    """

    def __init__(self, address: str, environment: Mapping[str, str] = os.environ) -> None:
        self.address = Address.parse(address)
        self.host, self.url = self.address.host, self.address.url
        self._connection = Connection(self.address, environment)

    def blobs(self, repository: str) -> Blobs:
        """The blobs of ``repository``."""
        return Blobs(self._connection, self._path(repository))

    # Names

    def tags(self, repository: str) -> list[str]:
        """All tags of ``repository``, however many pages of them there are; none when the registry doesn't know it."""
        return [tag for page in self._pages(f"{self._path(repository)}/tags/list") for tag in page.get("tags") or ()]

    def resolve(self, reference: Reference) -> Reference:
        """``reference`` with the digest of its manifest; VersionUnknown when its tag isn't there."""
        return replace(reference, digest=self.manifest(reference).digest)

    def find(self, reference: Reference) -> Stored | None:
        """As ``manifest``, None when the registry says that it has no such thing."""
        wanted = reference.digest or reference.tag
        answer = self._connection.ask(
            "GET",
            f"{self._path(reference.repository)}/manifests/{wanted}",
            headers={"Accept": ", ".join(MANIFEST_TYPES)},
        )
        if self._connection.says_unknown(answer):
            return None
        return _stored(reference, self._connection.checked(answer))

    def manifest(self, reference: Reference) -> Stored:
        """What ``reference`` names: by its digest if it has one, else by its tag. VersionUnknown, ManifestFalse."""
        found = self.find(reference) if reference.tag or reference.digest else None
        if found is None:
            raise self._unknown(reference)
        return found

    def put_manifest(self, reference: Reference, manifest: Blob) -> bool:
        """Put it under the tag of ``reference``, or under its own digest where that has none.

        Whether the registry files it under its subject by itself; see ``attach``.
        """
        content = b"".join(oci.pieces(manifest.content))
        answer = self._connection.ask(
            "PUT",
            f"{self._path(reference.repository)}/manifests/{reference.tag or manifest.digest}",
            headers={"Content-Type": manifest.descriptor.media_type},
            body=lambda: content,
        )
        return SUBJECT_HEADER in self._connection.checked(answer).headers

    def delete(self, reference: Reference) -> None:
        """Remove the manifest with the digest of ``reference``, and with it every tag that names it."""
        path = f"{self._path(reference.repository)}/manifests/{reference.digest}"
        self._connection.checked(self._connection.ask("DELETE", path))

    # Images

    def image(self, found: Stored) -> Stored:
        """``found``, or where that is an index the image for linux/amd64 in it; VersionUnknown without one."""
        if "manifests" not in found.document:
            return found
        for entry in found.document["manifests"]:
            platform = entry.get("platform") or {}
            if all(platform.get(key) == value for key, value in oci.PLATFORM.items()):
                return self.manifest(Reference(self.host, found.repository, digest=entry["digest"]))
        raise VersionUnknown(
            f"{self.host}/{found.repository}@{found.digest} has no image for linux/amd64, the only platform that "
            "Dragoman builds for."
        )

    def config(self, image: Stored) -> dict[str, Any]:
        """An image's config; BlobMissing, BlobFalse."""
        document: dict[str, Any] = json.loads(self.blobs(image.repository).read(image.config.digest))
        return document

    def labels(self, reference: Reference) -> dict[str, str]:
        """The labels in the image's config; VersionUnknown, BlobMissing."""
        return labels_of(self.config(self.image(self.manifest(reference))))

    # What refers to a manifest (signatures, lists of packages, records)

    def referrers(self, reference: Reference, artifact_type: str = "") -> list[Descriptor]:
        """The manifests whose subject is the one with the digest of ``reference``, all or those of one type."""
        path = f"{self._path(reference.repository)}/referrers/{reference.digest}"
        query = f"?artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
        answer = self._connection.ask("GET", path + query, headers={"Accept": oci.INDEX})
        if answer.status_code == HTTPStatus.NOT_FOUND:  # the registry has no such API
            filed = self.find(fallback(reference))
            documents = [filed.document] if filed else []
        else:
            documents = list(self._following(self._connection.checked(answer)))
        entries = [Descriptor.decode(entry) for document in documents for entry in document.get("manifests") or ()]
        return [entry for entry in entries if artifact_type in ("", entry.artifact_type)]

    def attach(self, reference: Reference, *manifests: Blob) -> None:
        """Put manifests whose ``subject`` is the one with the digest of ``reference``.

        Where the registry has no API for that, they are listed under the tag that the specification has for it.
        """
        where = replace(reference, tag="", digest="")
        unfiled = [manifest for manifest in manifests if not self.put_manifest(where, manifest)]
        entries = {
            manifest.digest: Stored(
                reference.repository, manifest.descriptor.media_type, b"".join(oci.pieces(manifest.content))
            ).descriptor
            for manifest in unfiled
        }
        for _ in range(_ATTEMPTS if entries else 0):  # another may write the list too; nothing keeps us apart
            listed = [one for one in self._filed(reference) if one.digest not in entries]
            everything = [one.encode() for one in (*listed, *entries.values())]
            index = {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": everything}
            self.put_manifest(fallback(reference), oci.document(index, oci.INDEX))
            if entries.keys() <= {one.digest for one in self._filed(reference)}:
                return
        if entries:
            raise RegistryUnreachable(
                f"{self.host} lost {', '.join(entries)} from its list {fallback(reference)}. Try again."
            )

    def _filed(self, reference: Reference) -> list[Descriptor]:
        filed = self.find(fallback(reference))
        return [Descriptor.decode(entry) for entry in filed.document["manifests"]] if filed else []

    # Pages

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        answer = self._connection.ask("GET", path)
        if not self._connection.says_unknown(answer):
            yield from self._following(self._connection.checked(answer))

    def _following(self, answer: requests.Response) -> Iterator[dict[str, Any]]:
        """The JSON of ``answer`` and of the pages after it, as its header Link names them (RFC 5988)."""
        seen = {answer.url}
        while True:
            try:
                page = answer.json()
            except ValueError as error:
                raise RegistryUnreachable(f"{self.host} answered something else than JSON to {answer.url}.") from error
            yield page
            url = urljoin(answer.url, answer.links.get("next", {}).get("url", ""))
            if url in seen:
                return
            seen.add(url)
            answer = self._connection.checked(self._connection.ask("GET", url))

    def _unknown(self, reference: Reference) -> VersionUnknown:
        try:
            tags = sorted(tag for tag in self.tags(reference.repository) if not tag.startswith(BESIDE))
        except (AccessRefused, RegistryUnreachable):  # that it isn't there is the answer
            tags = []
        shown = ", ".join([*tags[:_TAGS_SHOWN], *(["…"] if len(tags) > _TAGS_SHOWN else [])])
        has = f"It has {shown}." if tags else f"It has nothing named {reference.repository}."
        if not (reference.tag or reference.digest):
            return VersionUnknown(f"{reference} names no version, and {self.host} was asked for one. {has}")
        return VersionUnknown(f"{self.host} has no {reference.repository}:{reference.tag or reference.digest}. {has}")

    def _path(self, repository: str) -> str:
        """Docker Hub keeps names of one word under another one."""
        return f"library/{repository}" if self.host == DOCKER_HUB and "/" not in repository else repository


def fallback(reference: Reference) -> Reference:
    """The tag under which referrers are listed where the registry has no API for them (distribution-spec)."""
    return replace(reference, tag=reference.digest.replace(":", "-"), digest="")


def labels_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The labels in an image's config."""
    return dict((config.get("config") or {}).get("Labels") or {})


def _stored(reference: Reference, answer: requests.Response) -> Stored:
    """The manifest in an answer; ManifestFalse when it isn't one, or not the one that was asked for."""
    named = reference.digest or answer.headers.get("Docker-Content-Digest") or oci.digest(answer.content)
    if named != oci.digest(answer.content):
        raise ManifestFalse(
            f"{reference} is not what the registry sends: its digest is {oci.digest(answer.content)}, not {named}. "
            "The registry's storage is damaged, or somebody changes what it sends."
        )
    try:
        document = answer.json()
        media_type = document.get("mediaType") or answer.headers.get("Content-Type", "").partition(";")[0]
        parts = document["manifests"] if "manifests" in document else [document["config"], *document["layers"]]
        [(part["mediaType"], part["digest"], part["size"]) for part in parts]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ManifestFalse(f"What the registry has as {reference} is no image manifest.") from error
    return Stored(reference.repository, media_type, answer.content)
