"""The image registry as a model store: its versions, their manifests and configs, and what refers to them."""

from __future__ import annotations

import copy
import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from typing import Any, TypeVar
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
FALLBACK = re.compile(r"sha256-[0-9a-f]{64}")
"""The tags that list referrers, no names of anything."""
_ATTEMPTS = 5
_AT_ONCE = 8  # a registry answers a few at a time as fast as one
_TAGS_SHOWN = 30


Item = TypeVar("Item")
Answer = TypeVar("Answer")


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

    @cached_property
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
        self._lists_referrers: bool | None = None

    def blobs(self, repository: str) -> Blobs:
        """The blobs of ``repository``."""
        return Blobs(self._connection, self._path(repository))

    # Names

    def tags(self, repository: str) -> list[str]:
        """All tags of ``repository``, however many pages of them there are; none when the registry doesn't know it."""
        return [tag for page in self._pages(f"{self._path(repository)}/tags/list") for tag in page.get("tags") or ()]

    def names(self, repository: str) -> list[str]:
        """The tags that are versions or names of versions: all but those that other things are filed under."""
        return [tag for tag in self.tags(repository) if not tag.startswith(BESIDE)]

    def each(self, ask: Callable[[Registry, Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """What ``ask``, given a registry, gives for each of ``items``, in their order; a few are asked at a time."""
        count = max(1, min(_AT_ONCE, len(items)))
        others = [self._twin() for _ in range(count)]  # a connection serves one thread
        with ThreadPoolExecutor(count) as threads:
            shares = threads.map(lambda nth: [ask(others[nth], item) for item in items[nth::count]], range(count))
            answers = list(shares)
        return [answers[number % count][number // count] for number in range(len(items))]

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
        entries = self._listed(reference, artifact_type) if self._lists_referrers is not False else None
        if entries is None:
            entries = self._filed(reference)
        return [entry for entry in entries if artifact_type in ("", entry.artifact_type)]

    def all_referrers(self, where: Reference, artifact_type: str) -> list[Descriptor]:
        """Those of one type to anything in the repository of ``where``, each once, in no order."""
        tags = self.tags(where.repository)
        names = [replace(where, tag=tag) for tag in tags if not tag.startswith(BESIDE)]
        if names:
            self.referrers(self.resolve(names[0]), artifact_type)  # whether the registry lists them itself
        if self._lists_referrers:
            found = self.each(lambda registry, name: registry.referrers(registry.resolve(name), artifact_type), names)
        else:
            filed = [replace(where, digest=tag.replace("-", ":")) for tag in tags if FALLBACK.fullmatch(tag)]
            found = self.each(lambda registry, image: registry.referrers(image, artifact_type), filed)
        return list({entry.digest: entry for entries in found for entry in entries}.values())

    def attach(self, reference: Reference, *manifests: Blob) -> None:
        """Put manifests whose ``subject`` is the one with the digest of ``reference``.

        Where the registry has no API for that, they are listed under the tag that the specification has for it.
        """
        failure: RegistryUnreachable | None = None
        for attempt in range(_ATTEMPTS):  # another may write the same; docker-registry answers 400 and 500 meanwhile
            time.sleep(attempt * random.uniform(0.1, 0.5))
            try:
                lost = self._attach(reference, manifests)
            except RegistryUnreachable as error:
                failure = error
                continue
            if not lost:
                return
            failure = RegistryUnreachable(
                f"{self.host} lost {', '.join(sorted(lost))} from its list {fallback(reference)}. Try again."
            )
        assert failure is not None
        raise failure

    def _attach(self, reference: Reference, manifests: Sequence[Blob]) -> set[str]:
        """The digests of those that aren't in the list afterwards, because another wrote it too."""
        where = replace(reference, tag="", digest="")
        unfiled = [manifest for manifest in manifests if not self.put_manifest(where, manifest)]
        if not unfiled:
            return set()
        entries = {
            manifest.digest: Stored(
                reference.repository, manifest.descriptor.media_type, b"".join(oci.pieces(manifest.content))
            ).descriptor
            for manifest in unfiled
        }
        listed = [one for one in self._filed(reference) if one.digest not in entries]
        everything = [one.encode() for one in (*listed, *entries.values())]
        index = {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": everything}
        self.put_manifest(fallback(reference), oci.document(index, oci.INDEX))
        return entries.keys() - {one.digest for one in self._filed(reference)}

    def _listed(self, reference: Reference, artifact_type: str) -> list[Descriptor] | None:
        """What the registry's own API for referrers says, None where it has none."""
        path = f"{self._path(reference.repository)}/referrers/{reference.digest}"
        query = f"?artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
        answer = self._connection.ask("GET", path + query, headers={"Accept": oci.INDEX})
        self._lists_referrers = answer.status_code != HTTPStatus.NOT_FOUND
        if not self._lists_referrers:
            return None
        pages = self._following(self._connection.checked(answer))
        return [Descriptor.decode(entry) for page in pages for entry in page.get("manifests") or ()]

    def _filed(self, reference: Reference) -> list[Descriptor]:
        filed = self.find(fallback(reference))
        return [Descriptor.decode(entry) for entry in filed.document.get("manifests") or ()] if filed else []

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
            tags = sorted(self.names(reference.repository))
        except (AccessRefused, RegistryUnreachable):  # that it isn't there is the answer
            tags = []
        shown = ", ".join([*tags[:_TAGS_SHOWN], *(["…"] if len(tags) > _TAGS_SHOWN else [])])
        has = f"It has {shown}." if tags else f"It has nothing named {reference.repository}."
        if not (reference.tag or reference.digest):
            return VersionUnknown(f"{reference} names no version, and {self.host} was asked for one. {has}")
        return VersionUnknown(f"{self.host} has no {reference.repository}:{reference.tag or reference.digest}. {has}")

    def _twin(self) -> Registry:
        """The same over a connection of its own, which nobody has to introduce or sign in again."""
        other = copy.copy(self)
        other._connection = self._connection.twin()
        return other

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
