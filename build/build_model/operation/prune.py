"""Which of an engine's images of old versions may go: never one that runs, or that a rollback leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from build_model.container import Container
from build_model.engine import Engine, Image
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.image.version import Version
from build_model.operation.labels import PREVIOUS, REFERENCE
from model.errors import DragomanError

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


def has_digest(image: Image) -> bool:
    """Whether ``image`` was pulled or pushed, where an engine gives digests to no other."""
    return bool(image.digests)


def is_in_registry(image: Image) -> bool:
    """Whether a registry that ``image`` is named after says that it has it; one that can't be asked doesn't."""
    for name in image.digests:
        reference = Reference.parse(name)
        try:
            if reference.registry and Registry(reference.registry).find(reference):
                return True
        except DragomanError:
            continue
    return False


def fates(
    images: Sequence[Image],
    containers: Iterable[Container],
    repository: str,
    keep: int,
    pushed: Callable[[Image], bool] = has_digest,
) -> list[Fate]:
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
        }
        kept = next((reason for reason, holds in reasons.items() if holds), "")
        found.append(Fate(image, str(version), kept or ("" if pushed(image) else "no registry has it")))
    return found


def prune(engine: Engine, repository: str, keep: int, *, dry_run: bool = False) -> list[Fate]:
    """Remove what may go from ``engine``; what became of each image."""
    images = engine.images(IMAGES)
    pushed = is_in_registry if engine.gives_digests_to_all() else has_digest
    found = fates(images, engine.containers({}), repository, keep, pushed)
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
