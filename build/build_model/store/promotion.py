"""Names that move from version to version, such as ``production``, and a record of where each stood before."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from build_model.image.connection import AccessRefused, RegistryUnreachable
from build_model.image.contents import ImageForeign
from build_model.image.description import IDENTITY
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.image.version import is_name
from build_model.operation import record
from build_model.operation.audit import now, who
from model.errors import DragomanError

_LIKE_A_VERSION = re.compile(r"[vV]?[0-9].*")


class NameRefused(DragomanError):
    """A name that can't move: it looks like a version, or stands for something else."""


class NameRaced(DragomanError):
    """Somebody else moved the name at the same moment."""


@dataclass(frozen=True)
class Promoted:
    """Where a name stands now, and the digest that it stood for before; empty if there was none.

    ``unrecorded`` says why the registry keeps no record of it.
    """

    image: Reference
    name: str
    before: str
    moved: bool
    unrecorded: str = ""

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "name": self.name,
            "reference": str(self.image),
            "digest": self.image.digest,
            "before": self.before or None,
            "moved": self.moved,
            "warning": self.unrecorded or None,
        }


def promote(address: str, version: Reference, name: str) -> Promoted:
    """Have ``name`` stand for ``version`` in the registry at ``address``, and record where it stood before.

    Raises NameRefused, VersionUnknown, ImageForeign, NameRaced.
    """
    check(name)
    registry = Registry(address)
    found = registry.manifest(version)
    if IDENTITY not in registry.labels(version):
        raise ImageForeign(f"{version} has no label {IDENTITY}: build-model didn't make it.")
    moving, image = replace(version, tag=name, digest=""), replace(version, digest=found.digest)
    there = registry.find(moving)
    before = there.digest if there else ""
    if before == found.digest:
        return Promoted(image, name, before, moved=False)
    registry.put_manifest(moving, found.blob)
    after = registry.resolve(moving)
    if after.digest != found.digest:
        raise NameRaced(
            f"Somebody else moved {name} at the same moment: it is {after.digest} now, and was to be {found.digest}. "
            "Agree on which it is to be, and promote that."
        )
    facts = {"at": now(), "who": who(), "what": "promote", "name": name, "image": image, "outcome": "done"}
    if before:
        facts["before"] = replace(version, tag="", digest=before)
    try:
        record.leave(address, image, facts)
    except (AccessRefused, RegistryUnreachable) as error:
        return Promoted(image, name, before, moved=True, unrecorded=str(error))
    return Promoted(image, name, before, moved=True)


def check(name: str) -> None:
    """Refuse a name that a version could have, or that the registry files something else under."""
    if _LIKE_A_VERSION.fullmatch(name):
        raise NameRefused(f"{name!r} looks like a version, and a version never moves. Choose a word, like production.")
    if not is_name(name):
        raise NameRefused(
            f"{name!r} can't be a name. Expected letters, digits and _ . - with a letter first, like production."
        )
