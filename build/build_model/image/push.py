"""Putting an image into a registry: only what isn't there is sent, and a version is taken once."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from build_model import report
from build_model.image.oci import Blob, Descriptor
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.report import Progress
from model.errors import DragomanError


class TagExists(DragomanError):
    """The registry already has this version with other content."""


class TagRaced(DragomanError):
    """Somebody else pushed the same version at the same time."""


class PushTooLarge(DragomanError):
    """More would be sent than --max-push allows."""


@dataclass(frozen=True)
class Part:
    """A blob of an image and what it holds. Without ``content``, another repository of the registry has it."""

    holds: str
    descriptor: Descriptor
    content: Blob | None = None


@dataclass(frozen=True)
class Transfer:
    """What became of a part: ``sent``, or there already."""

    holds: str
    size: int
    sent: bool


@dataclass(frozen=True)
class Pushed:
    """What a push sent, in bytes of the registry's (compressed) blobs."""

    transfers: tuple[Transfer, ...]

    @property
    def sent(self) -> int:
        """Bytes that went over the wire."""
        return sum(one.size for one in self.transfers if one.sent)

    @property
    def total(self) -> int:
        """Bytes of the whole image."""
        return sum(one.size for one in self.transfers)

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"sent_bytes": self.sent, "total_bytes": self.total}

    def __str__(self) -> str:
        return f"sent {report.size(self.sent)} of {report.size(self.total)}"


def upload(
    registry: Registry,
    repository: str,
    parts: Sequence[Part],
    progress: Progress,
    *,
    source: str = "",
    max_bytes: int | None = None,
) -> Pushed:
    """Have ``repository`` hold all ``parts``: those that the repository ``source`` has are taken over from there.

    Raises PushTooLarge before anything is sent, where that would be more than ``max_bytes``.
    """
    blobs = registry.blobs(repository)
    absent = [
        part
        for part in parts
        if not blobs.has(part.descriptor.digest)
        and not (part.content is None and blobs.mount(part.descriptor.digest, source))
    ]
    needed = sum(part.descriptor.size for part in absent)
    if max_bytes is not None and needed > max_bytes:
        listed = "".join(f"\n  {part.holds}: {report.size(part.descriptor.size)}" for part in absent)
        raise PushTooLarge(
            f"{report.size(needed)} would be sent, and --max-push allows {report.size(max_bytes)}. "
            f"Not there yet:{listed}\nNothing was sent. Raise --max-push, or find out why these changed."
        )
    with progress.transfers(f"Pushing to {registry.host}/{repository}") as show:
        for part in absent:
            with tempfile.TemporaryDirectory(prefix="dragoman-blob-") as folder:
                content = part.content or _fetched(registry, source, part.descriptor, Path(folder))
                blobs.put(content, partial(show, part.holds, "sending"))
    sent = {id(part) for part in absent}
    return Pushed(tuple(Transfer(part.holds, part.descriptor.size, id(part) in sent) for part in parts))


def free(registry: Registry, reference: Reference, digest: str) -> None:
    """Refuse a tag that stands for anything else than ``digest``: TagExists, before anything is sent."""
    there = registry.find(replace(reference, digest=""))
    if there is not None and there.digest != digest:
        raise TagExists(
            f"{replace(reference, digest='')} is {there.digest} already, and was to be {digest}. A version is never "
            "overwritten: choose another repository, or another version."
        )


def take(registry: Registry, reference: Reference, manifest: Blob) -> None:
    """Give the tag of ``reference`` to a manifest that the registry has; TagExists if it is another's.

    No registry gives out a tag only once. So it is looked up before, and read back: TagRaced if somebody was faster.
    """
    there = registry.find(reference)
    if there is None:
        registry.put_manifest(reference, manifest)
    elif there.digest != manifest.digest:
        raise TagExists(
            f"{reference} was pushed by somebody else meanwhile: it is {there.digest}, this build {manifest.digest}. "
            "A pushed version is never overwritten. Choose another version."
        )
    after = registry.resolve(replace(reference, digest=""))
    if after.digest != manifest.digest:
        raise TagRaced(
            f"Somebody else pushed {reference} at the same moment: it is {after.digest} now, this build "
            f"{manifest.digest}. Agree on which of them it is to be, and choose another version for the other."
        )


def _fetched(registry: Registry, repository: str, descriptor: Descriptor, folder: Path) -> Blob:
    """A blob of another repository, for a registry that can't take it over by itself."""
    file = folder / "blob"
    with file.open("wb") as out:
        for piece in registry.blobs(repository).stream(descriptor.digest):
            out.write(piece)
    return Blob(descriptor, file)
