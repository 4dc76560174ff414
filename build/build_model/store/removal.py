"""Which versions in a registry may go: never one with a name, or that a deploy's record says is or may be needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from build_model.image.reference import Reference
from build_model.image.registry import Registry, fallback
from build_model.operation import record
from build_model.store.copying import filed_beside
from build_model.store.listing import Listed, listed

CHANGES = frozenset({"deploy", "rollback", "promote"})
"""The records of what changed what runs, or what a name stands for."""


@dataclass(frozen=True)
class Fate:
    """What becomes of a version: ``kept`` says why it stays; empty, and it goes."""

    version: Listed
    kept: str

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"version": self.version.version.tag, "digest": self.version.version.digest, "kept": self.kept}


def fates(versions: Sequence[Listed], records: Iterable[Mapping[str, str]], keep: int) -> list[Fate]:
    """What becomes of ``versions`` (newest first), by the records of deploys (oldest first).

    The ``keep`` newest stay, what has a name, and of each deployment what it was last and what a rollback leads to.
    """
    runs, rollback = _needed(records)
    newest = {one.version.digest for one in versions[:keep]}
    found = []
    for one in versions:
        digest = one.version.digest
        reasons = {
            f"is {', '.join(one.names)}": bool(one.names),
            "was deployed last": digest in runs,
            "a rollback leads to it": digest in rollback,
            f"one of the {keep} newest": digest in newest,
        }
        found.append(Fate(one, next((reason for reason, holds in reasons.items() if holds), "")))
    return found


def _needed(records: Iterable[Mapping[str, str]]) -> tuple[set[str], set[str]]:
    """Digests of what each deployment was made to run last, and of what ran before that. What failed, and what only
    looked, changed nothing."""
    done: dict[str, list[Mapping[str, str]]] = {}
    for entry in records:
        if entry.get("outcome") == "done" and entry.get("what") in CHANGES:
            done.setdefault(entry.get("name", ""), []).append(entry)
    runs = {_digest(entries[-1], "image") for entries in done.values()}
    before = ((_digest(entries[-1], "before"), entries[-2:-1]) for entries in done.values())
    rollback = {told or next((_digest(entry, "image") for entry in earlier), "") for told, earlier in before}
    return runs - {""}, rollback - {""}


def _digest(entry: Mapping[str, str], name: str) -> str:
    return entry.get(name, "").partition("@")[2]


def prune(address: str, where: Reference, keep: int, *, dry_run: bool = False) -> list[Fate]:
    """Remove what may go from the registry at ``address``, with all that refers to it; what became of each version."""
    registry = Registry(address)
    with ThreadPoolExecutor(1) as beside:
        records = beside.submit(record.every, Registry(address), where)
        found = fates(listed(registry, where), records.result(), keep)
    gone = {fate.version.version.digest: fate.version.version.tag for fate in found if not fate.kept}
    if gone and not dry_run:
        tags = registry.tags(where.repository)
        images = [replace(where, tag=tag, digest=digest) for digest, tag in gone.items()]
        registry.each(lambda there, image: remove(there, image, tags), images)
    return found


def remove(registry: Registry, image: Reference, tags: Sequence[str]) -> None:
    """Remove the manifest with the digest of ``image``, its tags, and what refers to it, and to that in turn.

    ``tags`` are all that the repository has. The blobs go when the registry collects its garbage.
    """
    referrers = registry.referrers(image)
    filed = {one.digest for _, one in filed_beside(registry, image, image.digest, tags)}
    listing = registry.find(fallback(image)) if fallback(image).tag in tags else None
    registry.delete(image)
    if listing:
        registry.delete(replace(image, digest=listing.digest))
    for digest in {one.digest for one in referrers} | filed:
        if registry.find(beside := replace(image, tag="", digest=digest)):
            remove(registry, beside, tags)
