"""The checkpoint out of an image again, byte for byte."""

from __future__ import annotations

import errno
import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from build_model.image import inspection, oci
from build_model.image.artifact import CHECKPOINT, sha256
from build_model.image.contents import UNREADABLE, Pieces
from build_model.image.inspection import model_digests
from build_model.image.reference import Reference
from build_model.image.registry import Registry, labels_of
from build_model.image.version import check_tag
from build_model.report import Progress
from build_model.store.copying import Accept, anything, version_in
from model.errors import CheckpointFormatError, DragomanError
from model.fingerprint import GOLDEN, MANIFEST, Manifest

_PIECE_BYTES = 1 << 20


class FolderTaken(DragomanError):
    """Something is where the checkpoint is to be."""


class CheckpointFalse(DragomanError):
    """What an image holds as its checkpoint isn't what its manifest says."""


@dataclass(frozen=True)
class Pulled:
    """A checkpoint that was taken out of an image. ``files``: sha256 by name."""

    reference: Reference
    folder: Path
    files: Mapping[str, str]

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "reference": str(self.reference),
            "digest": self.reference.digest,
            "folder": str(self.folder),
            "files": dict(self.files),
        }


def pull(
    registry: Registry, reference: Reference, folder: Path, progress: Progress, accept: Accept = anything
) -> Pulled:
    """Write the checkpoint of an image into ``folder``, which is empty or isn't there; verified, all of it or nothing.

    The manifest is the checkpoint's again: an artifact's has the version besides. Raises FolderTaken, CheckpointFalse,
    TagMoved, what ``inspect`` does, and what ``accept`` does.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderTaken(f"{folder} is there already and not an empty folder. Name another one, or remove it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(folder) as scratch:
        found = registry.manifest(reference)
        image = registry.image(found)
        config = registry.config(image)
        pinned = Reference(reference.registry, reference.repository, reference.tag, found.digest)
        check_tag(reference.tag, pinned, version_in(labels_of(config)), "says that it is")
        accept(registry, pinned)
        told = inspection.told(registry, image, config)
        expected = {**model_digests(told.model), GOLDEN: told.model.get("golden", "")}
        progress.line(f"Taking the checkpoint out of {reference}")
        (scratch / GOLDEN).write_bytes(told.goldens)
        layer = image.layers[inspection.layer_names_of(image, config).index("model")]
        try:
            _unpack(registry.blobs(image.repository).stream(layer.digest), scratch)
        except UNREADABLE as error:
            raise CheckpointFalse(f"The layer {layer.digest} of {reference} can't be read ({error}).") from error
        digests = {name: _digest(scratch / name) for name in expected}
        false = [name for name, digest in expected.items() if digests[name] != digest]
        if false:
            raise CheckpointFalse(
                f"{', '.join(false)} of {reference} isn't what its manifest says. Its layers were changed: "
                f"`build-model verify {reference}` says more."
            )
        manifest = without_version(told.manifest)
        (scratch / MANIFEST).write_bytes(manifest)
        try:
            if folder.exists():
                folder.rmdir()
            scratch.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise FolderTaken(f"{folder} came to be meanwhile. Name another one, or remove it.") from error
    return Pulled(pinned, folder, {MANIFEST: sha256(manifest), **digests})


@contextmanager
def checkpoint_of(registry: Registry, reference: Reference, progress: Progress) -> Iterator[Path]:
    """The checkpoint of an image as a folder, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="dragoman-checkpoint-") as scratch:
        yield pull(registry, reference, Path(scratch) / "checkpoint", progress).folder


def without_version(manifest: bytes) -> bytes:
    """A checkpoint's manifest from that of the artifact which was made of it, as it was where this code can tell."""
    try:
        held = Manifest.decode(manifest)
    except CheckpointFormatError:
        return manifest  # of a version whose code had other fields
    if held.encode() != manifest or held.version is None:
        return manifest
    return replace(held, version=None).encode()


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder``, gone afterwards unless it was renamed."""
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    scratch.chmod(0o755)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _unpack(layer: Iterator[bytes], folder: Path) -> None:
    """Write the files of the checkpoint in a layer into ``folder``; the layer is read to its end, which proves it."""
    with tarfile.open(fileobj=Pieces(oci.decompressed(layer)), mode="r|") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if member.isfile() and path.parent == CHECKPOINT and (source := tar.extractfile(member)) is not None:
                with (folder / path.name).open("wb") as out:
                    shutil.copyfileobj(source, out, _PIECE_BYTES)
    for _ in layer:
        pass


def _digest(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
