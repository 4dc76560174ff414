"""What an image says about itself, asked of a registry: of all its layers only those with the code are fetched."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from build_model.image.artifact import APPLICATION, CHECKPOINT, sha256
from build_model.image.reference import Reference
from build_model.image.registry import Registry, labels_of
from model.errors import DragomanError
from model.fingerprint import MANIFEST, WEIGHTS, lang_file

BY = "build-model: "
"""How the history of a layer begins that build-model wrote; what the layer holds follows."""
CODE = frozenset({"library", "code"})
"""The layers that hold code: ``model/``, and ``service/`` with the manifest."""


class ImageForeign(DragomanError):
    """The image is none that build-model made."""


@dataclass(frozen=True)
class Inspection:
    """What an image says about itself. ``layers``: (what it holds, bytes), lowest first; a registry has them
    ``compressed``, an engine doesn't. ``digests``: by path."""

    reference: str
    digest: str
    labels: Mapping[str, str]
    manifest: Mapping[str, Any]
    layers: tuple[tuple[str, int], ...]
    compressed: bool
    digests: Mapping[str, str]

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
    layers, blobs = image.layers, registry.blobs(reference.repository)
    steps = [str(step.get("created_by", "")) for step in config.get("history", ()) if not step.get("empty_layer")]
    names = layer_names(steps if len(steps) == len(layers) else [""] * len(layers))
    files: dict[str, bytes] = {}
    for name, layer in zip(names, layers, strict=True):
        if name in CODE:
            files |= files_in_layer(blobs.read(layer.digest), layer.media_type)
    model_manifest = json.loads(files[str(CHECKPOINT / MANIFEST)])
    return Inspection(
        reference=str(replace(reference, digest="")),
        digest=found.digest,
        labels=labels,
        manifest=model_manifest,
        layers=tuple(zip(names, (layer.size for layer in layers), strict=True)),
        compressed=True,
        digests=digests_of(files, model_manifest),
    )


def layer_names(steps: Sequence[str]) -> list[str]:
    """What each of an image's layers holds, lowest first, by the step that made it, as its history has that.

    In images of 1.0, which an engine built, the top two were ours and the others the runtime's.
    """
    told = [step.removeprefix(BY).split()[0] for step in steps if step.startswith(BY)]
    return told if len(told) == len(steps) else [*["runtime"] * (len(steps) - 2), "model", "code"]


def files_in_layer(blob: bytes, media_type: str) -> dict[str, bytes]:
    """The regular files of a layer, by path without leading slash."""
    if media_type.endswith("zstd"):
        raise ImageForeign(
            "The code layer is compressed with zstd, which build-model doesn't read. Pull it and inspect it."
        )
    content = gzip.decompress(blob) if blob[:2] == b"\x1f\x8b" else blob
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {
            member.name.removeprefix("./"): source.read()
            for member in tar
            if member.isfile() and (source := tar.extractfile(member)) is not None
        }


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
