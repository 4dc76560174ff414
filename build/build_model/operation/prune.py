"""Which of an engine's images of old versions may go: never one that runs, or that a rollback leads to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from build_model.container import Container
from build_model.engine import Engine, Image
from build_model.image.version import Version
from build_model.operation.labels import PREVIOUS, REFERENCE

VERSION_LABEL = "org.opencontainers.image.version"
IMAGES = "dragoman.artifact"
"""The label that every image of ours has."""


@dataclass(frozen=True)
class Fate:
    """What becomes of one image: ``kept`` says why it stays; empty, and it goes."""

    image: Image
    version: str
    kept: str

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"image": self.image.id, "version": self.version, "names": list(_names(self.image)), "kept": self.kept}


def fates(images: Sequence[Image], containers: Iterable[Container], repository: str, keep: int) -> list[Fate]:
    """What becomes of ``images`` of ``repository`` (in whatever registry, below whatever prefix), newest first.

    The ``keep`` newest versions stay, and whatever a container needs: what it is of, what its deploy was of, and what
    a rollback from it leads to. An image that no registry has stays too: it couldn't be pulled again.
    """
    ours = [
        (version, one)
        for one in images
        for version in Version.all_of([one.labels.get(VERSION_LABEL, "")])
        if any(_repository(name, repository) for name in _names(one))
    ]
    ordered = sorted(ours, key=lambda one: one[0], reverse=True)
    newest = set(sorted({version for version, _ in ours}, reverse=True)[:keep])
    running, rollback = _needed(containers)
    found = []
    for version, image in ordered:
        names = {image.id, *_names(image)}
        reasons = {
            "runs": names & running,
            "a rollback leads to it": names & rollback,
            f"one of the {keep} newest": version in newest,
            "no registry has it": not image.digests,
        }
        found.append(Fate(image, str(version), next((reason for reason, holds in reasons.items() if holds), "")))
    return found


def prune(engine: Engine, repository: str, keep: int, *, dry_run: bool = False) -> list[Fate]:
    """Remove what may go from ``engine``; what became of each image."""
    images = engine.images(IMAGES)
    found = fates(images, engine.containers({}), repository, keep)
    for fate in found:
        if not fate.kept and not dry_run:
            for name in _names(fate.image):
                if _repository(name, repository):
                    engine.remove_name(name)
    return found


def _needed(containers: Iterable[Container]) -> tuple[set[str], set[str]]:
    """(what runs, what rollbacks lead to), as IDs and as names by digest."""
    running, rollback = set(), set()
    for one in containers:
        running |= {one.image, one.image_id, _pinned(one.labels.get(REFERENCE, ""))}
        rollback.add(_pinned(one.labels.get(PREVIOUS, "")))
    return running - {""}, rollback - {""}


def _pinned(reference: str) -> str:
    """``name:tag@digest`` as the engine lists it: ``name@digest``."""
    tagged, at, digest = reference.partition("@")
    path, slash, last = tagged.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}@{digest}" if at else ""


def _names(image: Image) -> tuple[str, ...]:
    return (*image.tags, *image.digests)


def _repository(name: str, repository: str) -> bool:
    path, slash, last = name.partition("@")[0].rpartition("/")
    bare = f"{path}{slash}{last.partition(':')[0]}"
    return bare == repository or bare.endswith(f"/{repository}")
