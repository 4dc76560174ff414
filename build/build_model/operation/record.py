"""Deploys as records in the registry: each is a small manifest that refers to the image, so that any machine can read
what was done. All of it stands in annotations, which a list of referrers repeats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from build_model.image import oci
from build_model.image.oci import Blob, Descriptor
from build_model.image.reference import Address, Reference
from build_model.image.registry import Registry

DEPLOY = "application/vnd.dragoman.deploy.v1+json"
FACTS = ("at", "who", "what", "name", "image", "before", "hosts", "outcome")
_PREFIX = "dragoman.deploy."
_LONGEST = 2000  # characters of an outcome; it may end with a service's last words


def leave(address: str, image: Reference, facts: Mapping[str, Any]) -> None:
    """Attach a record to ``image`` (by digest) in the registry at ``address``; ``facts`` as FACTS names them."""
    registry = Registry(address)
    subject = registry.manifest(replace(image, tag="")).descriptor
    blobs = registry.blobs(image.repository)
    if not blobs.has(oci.EMPTY.digest):  # one that is there isn't put again beside somebody who reads it
        blobs.put(oci.EMPTY)
    registry.attach(image, document(subject, facts))


def document(subject: Descriptor, facts: Mapping[str, Any]) -> Blob:
    """The record as a manifest that refers to the image that ``subject`` describes."""
    given = {name: str(facts[name])[:_LONGEST] for name in FACTS if facts.get(name)}
    annotations = {_PREFIX + name: value for name, value in given.items()}
    annotations[f"{oci.OPEN_CONTAINERS}created"] = given.get("at", "")
    return oci.referrer(DEPLOY, subject, (), annotations)


def history(address: str, repository: str, name: str) -> list[dict[str, str]]:
    """The records of the deployment ``name`` over all versions of ``repository``, oldest first."""
    where = Address.parse(address).reference(repository)
    return [entry for entry in every(Registry(address), where) if entry.get("name") == name]


def every(registry: Registry, where: Reference) -> list[dict[str, str]]:
    """All records in the repository of ``where``, oldest first."""
    entries = map(_facts, registry.all_referrers(where, DEPLOY))
    return sorted(entries, key=lambda entry: entry.get("at", ""))


def _facts(entry: Descriptor) -> dict[str, str]:
    """A record, as ``leave`` was given it."""
    return {name.removeprefix(_PREFIX): value for name, value in entry.annotations.items() if name.startswith(_PREFIX)}
