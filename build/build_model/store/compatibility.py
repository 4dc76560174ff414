"""Whether a checkpoint in an image and the code of this clone fit each other, by their architecture hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build_model.image.inspection import inspect
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from model.errors import GuardError
from model.fingerprint import Manifest, architecture_hash, code_digests
from model.folder import NETWORK


class CheckpointUnfit(GuardError):
    """The checkpoint in an image doesn't fit this clone's code."""


@dataclass(frozen=True)
class Fit:
    """How an image and a clone fit.

    Attributes:
        taken: what keeps the image's checkpoint from running in the clone's code; empty, and it runs.
        given: what keeps the clone's checkpoint from running in the image's code.
    """

    reference: str
    image_architecture: str
    architecture: str
    taken: tuple[str, ...]
    given: tuple[str, ...]

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "reference": self.reference,
            "architecture": {"image": self.image_architecture, "clone": self.architecture},
            "image_checkpoint_fits_clone": not self.taken,
            "clone_checkpoint_fits_image": not self.given,
            "image_checkpoint_in_clone": list(self.taken),
            "clone_checkpoint_in_image": list(self.given),
        }


def fit(registry: Registry, reference: Reference, checkpoint: Path, network: Path = NETWORK) -> Fit:
    """Compare an image with the code that is running, with the network in the folder ``network``, and the clone's
    ``checkpoint``; a few kilobytes are fetched.

    A difference in code that changes no translation is one too: ``build-model restamp`` is for that.
    """
    found = inspect(registry, reference)
    image, ours = found.manifest, Manifest.read(checkpoint)
    return Fit(
        found.reference,
        str(image.get("architecture", "")),
        ours.architecture,
        taken=_misfits(image, code_digests(str(image.get("source", "")), network)),
        given=_misfits(_fields(ours), image.get("code", {})),
    )


def _fields(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in ("code", "config", "tensors", "architecture")}


def _misfits(checkpoint: Mapping[str, Any], code: Mapping[str, str]) -> tuple[str, ...]:
    """Why a checkpoint with this manifest can't run in code with these digests, one line each."""
    meant: Mapping[str, str] = checkpoint.get("code", {})
    lines = [
        f"{name}: {_short(code.get(name))} in the code, {_short(meant.get(name))} meant by the checkpoint"
        for name in sorted({*meant, *code})
        if meant.get(name) != code.get(name)
    ]
    made = architecture_hash(code, checkpoint.get("config", {}), checkpoint.get("tensors", {}))
    if not lines and made != checkpoint.get("architecture"):
        lines.append(f"architecture: {_short(made)} of the code, {_short(checkpoint.get('architecture'))} recorded")
    return tuple(lines)


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
