"""What an image says about itself, asked of a registry: of what lies beside it, or of its layers with the code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from build_model.image import description
from build_model.image.artifact import APPLICATION, CHECKPOINT, sha256
from build_model.image.contents import ImageForeign, files_in_layer
from build_model.image.description import Description
from build_model.image.oci import Descriptor
from build_model.image.reference import Reference
from build_model.image.registry import Registry, Stored, labels_of
from model.fingerprint import GOLDEN, MANIFEST, WEIGHTS, lang_file

BY = "build-model: "
"""How the history of a layer begins that build-model wrote; what the layer holds follows."""
CODE = frozenset({"network", "text", "library", "service", "guard", "code"})
"""The layers that hold code, and the manifest; until 2.2 ``code`` was what ``service`` and ``guard`` are."""


@dataclass(frozen=True)
class Inspection:
    """What an image says about itself. ``layers``: (what it holds, bytes), lowest first; a registry has them
    ``compressed``, an engine doesn't. ``digests``: by path. ``goldens``: source to target. ``blobs``: the layers'."""

    reference: str
    digest: str
    labels: Mapping[str, str]
    manifest: Mapping[str, Any]
    layers: tuple[tuple[str, int], ...]
    compressed: bool
    digests: Mapping[str, str]
    goldens: Mapping[str, str] = field(default_factory=dict)
    blobs: tuple[Descriptor, ...] = ()

    @property
    def scores(self) -> dict[str, Mapping[str, Any]]:
        """What the manifest records of the training's scores, by the set that they are of."""
        scores: dict[str, Mapping[str, Any]] = self.manifest.get("training", {}).get("scores", {})
        return scores

    def encode(self) -> dict[str, Any]:
        """For ``inspect --json``."""
        return {
            "reference": self.reference,
            "digest": self.digest,
            "labels": dict(self.labels),
            "manifest": dict(self.manifest),
            "scores": self.scores,
            "serving": self.manifest.get("serving"),
            "layers": [{"holds": holds, "bytes": count} for holds, count in self.layers],
            "layers_compressed": self.compressed,
            "goldens": dict(self.goldens),
            "files": dict(self.digests),
        }


def inspect(registry: Registry, reference: Reference) -> Inspection:
    """Labels, model manifest and layer sizes of an image.

    Raises VersionUnknown for an unknown tag and ImageForeign for an image that build-model didn't make.
    """
    found = registry.manifest(reference)
    image = registry.image(found)
    config = registry.config(image)
    labels = labels_of(config)
    if "dragoman.artifact" not in labels:
        raise ImageForeign(f"{reference} has no label dragoman.artifact: build-model didn't make it.")
    names = layer_names_of(image, config)
    described = told(registry, image, config)
    return Inspection(
        reference=str(replace(reference, digest="")),
        digest=found.digest,
        labels=labels,
        manifest=described.model,
        layers=tuple(zip(names, (layer.size for layer in image.layers), strict=True)),
        compressed=True,
        digests=described.files,
        goldens=described.translations,
        blobs=image.layers,
    )


def told(registry: Registry, image: Stored, config: Mapping[str, Any]) -> Description:
    """What lies beside an image with this config; of one that nothing lies beside, the layers with the code are read.

    Raises ImageForeign.
    """
    pinned, labels = Reference(registry.host, image.repository, digest=image.digest), labels_of(config)
    if description.IDENTITY not in labels:
        raise ImageForeign(f"{pinned} has no label {description.IDENTITY}: build-model didn't make it.")
    return description.read(registry, pinned, labels) or _from_layers(registry, image, layer_names_of(image, config))


def _from_layers(registry: Registry, image: Stored, names: Sequence[str]) -> Description:
    blobs, files = registry.blobs(image.repository), dict[str, bytes]()
    for name, layer in zip(names, image.layers, strict=True):
        if name in CODE:
            files |= files_in_layer(blobs.read(layer.digest), layer.media_type)
    manifest = files[str(CHECKPOINT / MANIFEST)]
    return Description(manifest, files.get(str(CHECKPOINT / GOLDEN), b""), digests_of(files, json.loads(manifest)))


def layer_names_of(image: Stored, config: Mapping[str, Any]) -> list[str]:
    """What each layer of an image with this config holds, lowest first."""
    steps = [str(step.get("created_by", "")) for step in config.get("history", ()) if not step.get("empty_layer")]
    return layer_names(steps if len(steps) == len(image.layers) else [""] * len(image.layers))


def layer_names(steps: Sequence[str]) -> list[str]:
    """What each of an image's layers holds, lowest first, by the step that made it, as its history has that.

    In images of 1.0, which an engine built, the top two were ours and the others the runtime's.
    """
    told = [step.removeprefix(BY).split()[0] for step in steps if step.startswith(BY)]
    return told if len(told) == len(steps) else [*["runtime"] * (len(steps) - 2), "model", "code"]


def digests_of(code: Mapping[str, bytes], manifest: Mapping[str, Any]) -> dict[str, str]:
    """``Layers.digests`` of a pushed image: the code layer's files are hashed, the manifest has the others."""
    hashed = {str(PurePosixPath(path).relative_to(APPLICATION)): sha256(content) for path, content in code.items()}
    folder = CHECKPOINT.relative_to(APPLICATION)
    return {**hashed, **{str(folder / name): digest for name, digest in model_digests(manifest).items()}}


def model_digests(manifest: Mapping[str, Any]) -> dict[str, str]:
    """sha256 by file name of weights and vocabularies, from a manifest's JSON.

    Not through ``Manifest``: this one may be of a version whose code had other fields.
    """
    langs = {lang_file(code): digest for code, digest in manifest.get("langs", {}).items()}
    return {WEIGHTS: manifest.get("weights", ""), **langs}
