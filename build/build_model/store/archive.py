"""Images as files: OCI archives that skopeo, podman and `docker load` read, and back into a registry.

A tar of an OCI image layout (image-layout.md) with one image in its index, so that nobody has to say which, and beside
it `manifest.json`, which engines read that know no OCI. What refers to the image is there too: the index's annotation
``dragoman.referrers`` names, by its digest, a list of what refers to what.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from build_model.image import oci
from build_model.image.contents import Pieces
from build_model.image.context import member
from build_model.image.oci import Blob, Descriptor
from build_model.image.push import free, take
from build_model.image.reference import Reference
from build_model.image.registry import Registry, Stored, labels_of
from build_model.image.version import check_new_tag
from build_model.report import Progress
from build_model.store.copying import Accept, Copied, anything, children, filed_beside, parts, referrers, version_in
from model.errors import DragomanError

REFERRERS = "dragoman.referrers"
REF_NAME = f"{oci.OPEN_CONTAINERS}ref.name"
BLOBS = "blobs/sha256/"
_PIECE_BYTES = 1 << 20
_LARGEST_DOCUMENT = 1 << 24


class FileRefused(DragomanError):
    """An archive can't be written there."""


class ArchiveForeign(DragomanError):
    """The file is no OCI archive."""


class ArchiveFalse(DragomanError):
    """A part of an archive is missing, or isn't what its digest says."""


class TagMissing(DragomanError):
    """Neither the archive nor the command says what the image is to be called."""


@dataclass(frozen=True)
class Exported:
    """What was written: how many bytes, and how many manifests beside the image's."""

    reference: Reference
    file: Path
    size: int
    referrers: int

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "reference": str(self.reference),
            "digest": self.reference.digest,
            "file": str(self.file),
            "bytes": self.size,
            "referrers": self.referrers,
        }


def export(registry: Registry, reference: Reference, file: Path, progress: Progress) -> Exported:
    """Write an image and what refers to it; the same image gives the same file. An existing file is replaced.

    Raises FileRefused, and what the registry raises.
    """
    if file.exists() and not file.is_file():
        raise FileRefused(f"{file} is a device or the like, which an archive can't take the place of. Name a file.")
    found = registry.manifest(reference)
    pinned = replace(reference, digest=found.digest)
    manifests, beside = _gathered(registry, pinned, found)
    listed = oci.document({"manifests": beside}, "application/json")
    blobs = {part.digest: part for manifest in manifests for part in parts(manifest)}
    documents = {manifest.digest: manifest.content for manifest in manifests} | {listed.digest: _bytes(listed)}
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")  # its own: two may write at once
    progress.line(f"Writing {reference} to {file}")
    try:
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
            for name, content in _named(registry, pinned, found, listed).items():
                tar.addfile(member(name, len(content)), io.BytesIO(content))
            for digest in sorted({*blobs, *documents}):
                name = BLOBS + digest.removeprefix("sha256:")
                if digest in documents:
                    tar.addfile(member(name, len(documents[digest])), io.BytesIO(documents[digest]))
                else:
                    stream = registry.blobs(reference.repository).stream(digest)
                    tar.addfile(member(name, blobs[digest].size), Pieces(stream))
                    for _ in stream:
                        pass  # to its end, which proves it
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return Exported(pinned, file, file.stat().st_size, len(beside))


def _gathered(registry: Registry, pinned: Reference, found: Stored) -> tuple[list[Stored], list[dict[str, Any]]]:
    """All manifests of an image and beside it, and what those beside it are: referrers, or filed under a tag."""
    inner = [registry.manifest(replace(pinned, tag="", digest=child.digest)) for child in children(found)]
    manifests, beside = [found, *inner], []
    for subject, referrer in referrers(registry, pinned, found):
        manifests.append(referrer)
        beside.append({**referrer.descriptor.encode(), "subject": subject})
    for tag, filed in filed_beside(registry, pinned, found.digest):
        manifests.append(filed)
        beside.append({**filed.descriptor.encode(), "tag": tag})
    beside.sort(key=lambda one: str(one["digest"]))
    return manifests, beside


def _named(registry: Registry, pinned: Reference, found: Stored, listed: Blob) -> dict[str, bytes]:
    """The files of the archive that aren't named by a digest."""
    image = registry.image(found)
    name = replace(pinned, digest="")
    annotations = {"io.containerd.image.name": str(name), REF_NAME: pinned.tag} if pinned.tag else {}
    entry = replace(found.descriptor, artifact_type="", annotations=annotations).encode()
    index = {
        "schemaVersion": 2,
        "mediaType": oci.INDEX,
        "manifests": [entry],
        "annotations": {REFERRERS: listed.digest},
    }
    docker = {
        "Config": BLOBS + image.config.digest.removeprefix("sha256:"),
        "RepoTags": [str(name)] if pinned.tag else None,
        "Layers": [BLOBS + layer.digest.removeprefix("sha256:") for layer in image.layers],
    }
    return {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": _json(index),
        "manifest.json": _json([docker]),
    }


class Archive:
    """An OCI archive, ours or another's. A context manager. Raises ArchiveForeign, ArchiveFalse."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._tar = tarfile.open(file)  # noqa: SIM115 (closed by __exit__)
            self._members = {one.name.removeprefix("./"): one for one in self._tar if one.isfile()}
            self.index = json.loads(self._small("index.json"))
            self.images = [Descriptor.decode(entry) for entry in self.index["manifests"]]
        except (tarfile.TarError, EOFError, KeyError, TypeError, ValueError) as error:
            raise ArchiveForeign(
                f"{file} is no OCI archive: it has no index.json that names images. `build-model export`, "
                "`skopeo copy … oci-archive:FILE` and `docker save` of Docker 25 and later write such."
            ) from error

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def verify(self, progress: Progress) -> None:
        """Read every blob of it, and hold it against its name."""
        progress.line(f"Checking {self._file}")
        for name in self._members:
            if name.startswith(BLOBS):
                self._verify(name)

    def manifest(self, descriptor: Descriptor) -> Stored:
        """A manifest or an index in it."""
        if descriptor.size > _LARGEST_DOCUMENT:
            raise ArchiveFalse(f"{self._file} has a manifest of {descriptor.size} bytes, which none needs.")
        content = self._small(self._name(descriptor))
        document = json.loads(content)
        return Stored("", document.get("mediaType") or descriptor.media_type, content)

    def version(self, image: Descriptor) -> str:
        """Which version an image of ours says that it is; empty for anything else."""
        found = self.manifest(image)
        if "config" not in found.document:
            return ""
        try:
            return version_in(labels_of(json.loads(self._small(self._name(found.config)))))
        except ValueError:
            return ""

    def beside(self) -> list[dict[str, Any]]:
        """What lies beside its images, as ``export`` lists it: descriptors with ``subject`` or ``tag``."""
        digest = (self.index.get("annotations") or {}).get(REFERRERS)
        told = json.loads(self._small(self._name(Descriptor("", digest, 0))))["manifests"] if digest else []
        for entry in self.index["manifests"]:  # as oras has them
            subject = self.manifest(Descriptor.decode(entry)).document.get("subject")
            if subject:
                told.append({**entry, "subject": subject["digest"]})
        return list({(one["digest"], one.get("tag")): one for one in told}.values())

    def blob(self, part: Descriptor, folder: Path) -> Blob:
        """A blob of it as a file in ``folder``."""
        source = self._tar.extractfile(self._members[self._name(part)])
        assert source
        file = folder / "blob"
        with file.open("wb") as out:
            while piece := source.read(_PIECE_BYTES):
                out.write(piece)
        return Blob(part, file)

    def _name(self, descriptor: Descriptor) -> str:
        name = BLOBS + descriptor.digest.removeprefix("sha256:")
        if name not in self._members:
            raise ArchiveFalse(f"{self._file} names {descriptor.digest} and doesn't hold it. Export it again.")
        size = self._members[name].size
        if descriptor.size and size != descriptor.size:
            raise ArchiveFalse(f"{self._file} has {size} bytes of {descriptor.digest}, not {descriptor.size}.")
        return name

    def _small(self, name: str) -> bytes:
        source = self._tar.extractfile(self._members[name])
        assert source
        return source.read(_LARGEST_DOCUMENT)

    def _verify(self, name: str) -> None:
        source, sha256 = self._tar.extractfile(self._members[name]), hashlib.sha256()
        assert source
        try:
            while piece := source.read(_PIECE_BYTES):
                sha256.update(piece)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ArchiveFalse(f"{self._file} ends in the middle of {name}. Copy or export it again.") from error
        if name != BLOBS + sha256.hexdigest():
            raise ArchiveFalse(
                f"{self._file} is damaged, or somebody changed it: it has bytes with the digest "
                f"sha256:{sha256.hexdigest()} as {name}. Copy or export it again; nothing was imported."
            )


def import_archive(
    file: Path, registry: Registry, where: Reference, progress: Progress, accept: Accept = anything
) -> list[Copied]:
    """Put the images of an archive, and what refers to them, into the repository of ``where``; under its tag if it has
    one, else under the archive's. All of the file is verified before anything is sent, and what ``accept`` refuses
    gets no tag.

    Raises ArchiveForeign, ArchiveFalse, TagMissing, TagMoved, TagExists, and what ``accept`` does.
    """
    with Archive(file) as archive:
        archive.verify(progress)
        beside = archive.beside()
        subjects = {one["digest"] for one in beside}
        images = [one for one in archive.images if one.digest not in subjects]
        tags = [_tag(where, one) for one in images]
        if "" in tags or len(set(tags)) < len(tags):
            raise TagMissing(f"{file} doesn't say under which tag its image belongs. Say it: --tag VERSION.")
        done = []
        for image, tag in zip(images, tags, strict=True):
            check_new_tag(tag, file, archive.version(image))
            free(registry, replace(where, tag=tag), image.digest)
        for image, tag in zip(images, tags, strict=True):
            copied = Copied(replace(where, tag=tag, digest=image.digest))
            progress.line(f"Putting {copied.reference} into the registry")
            found = _put(archive, image, registry, where, copied)
            if image is images[-1]:
                _put_beside(archive, beside, registry, where, copied)
            accept(registry, copied.reference)
            take(registry, replace(where, tag=tag, digest=""), found.blob)
            done.append(copied)
        return done


def _tag(where: Reference, image: Descriptor) -> str:
    """``1.0.0`` of the archive's ``1.0.0`` or ``HOST/NAME:1.0.0``, unless one was given."""
    name = image.annotations.get(REF_NAME, "")
    return where.tag or name.rpartition("/")[2].rpartition(":")[2]


def _put(archive: Archive, image: Descriptor, registry: Registry, where: Reference, copied: Copied) -> Stored:
    """A manifest under its digest, after all that it names."""
    found = archive.manifest(image)
    for child in children(found):
        _put(archive, child, registry, where, copied)
    blobs = registry.blobs(where.repository)
    for part in parts(found):
        if not copied.first(part.digest):
            continue
        if blobs.has(part.digest):
            copied.taken_over += part.size
            continue
        with tempfile.TemporaryDirectory(prefix="dragoman-blob-") as folder:
            blobs.put(archive.blob(part, Path(folder)))
        copied.sent += part.size
    registry.put_manifest(replace(where, tag="", digest=""), found.blob)
    return found


def _put_beside(
    archive: Archive, beside: list[dict[str, Any]], registry: Registry, where: Reference, copied: Copied
) -> None:
    for entry in beside:
        filed = _put(archive, Descriptor.decode(entry), registry, where, copied)
        if entry.get("tag"):
            registry.put_manifest(replace(where, tag=entry["tag"], digest=""), filed.blob)
        else:
            registry.attach(replace(where, tag="", digest=entry["subject"]), filed.blob)
        copied.referrers += 1


def _bytes(blob: Blob) -> bytes:
    return b"".join(oci.pieces(blob.content))


def _json(value: Mapping[str, Any] | list[Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
