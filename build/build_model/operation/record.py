"""Deploys as records in the registry: each is a small manifest that refers to the image, so that any machine can read
what was done. All of it stands in annotations, which a list of referrers repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from build_model.image import oci
from build_model.image.reference import Address, Reference
from build_model.image.registry import BESIDE, Registry

DEPLOY = "application/vnd.dragoman.deploy.v1+json"
FACTS = ("at", "who", "what", "name", "image", "before", "hosts", "outcome")
_PREFIX = "dragoman.deploy."
_LONGEST = 2000  # characters of an outcome; it may end with a service's last words
_AT_ONCE = 4


def leave(address: str, image: Reference, facts: Mapping[str, Any]) -> None:
    """Attach a record to ``image`` (by digest) in the registry at ``address``; ``facts`` as FACTS names them."""
    registry = Registry(address)
    subject = registry.manifest(replace(image, tag="")).descriptor
    given = {name: str(facts[name])[:_LONGEST] for name in FACTS if facts.get(name)}
    annotations = {_PREFIX + name: value for name, value in given.items()}
    annotations[f"{oci.OPEN_CONTAINERS}created"] = given.get("at", "")
    registry.blobs(image.repository).put(oci.EMPTY)
    registry.attach(image, oci.referrer(DEPLOY, subject, (), annotations))


def history(address: str, repository: str, name: str) -> list[dict[str, str]]:
    """The records of the deployment ``name`` over all versions of ``repository``, oldest first."""
    registry = Registry(address)
    where = Address.parse(address).reference(repository)
    versions = [tag for tag in registry.tags(where.repository) if not tag.startswith(BESIDE)]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        parts = [versions[start::_AT_ONCE] for start in range(_AT_ONCE)]
        each = threads.map(lambda tags: _records(address, where, tags), parts)
        found = [entry for entries in each for entry in entries]
    ours = {tuple(sorted(entry.items())): entry for entry in found if entry.get("name") == name}  # two tags, one image
    return sorted(ours.values(), key=lambda entry: entry.get("at", ""))


def _records(address: str, where: Reference, tags: Sequence[str]) -> list[dict[str, str]]:
    registry = Registry(address)  # a connection of the thread's own
    return [
        {name.removeprefix(_PREFIX): value for name, value in entry.annotations.items() if name.startswith(_PREFIX)}
        for tag in tags
        for entry in registry.referrers(registry.resolve(replace(where, tag=tag)), DEPLOY)
    ]
