"""The model without us: a manifest as CNCF's ModelPack has it, beside the image, of the same blobs.

https://github.com/modelpack/model-spec: `modctl`, `kit` and KServe read weights from it. Its layers are the image's
own, under the media types of that specification, and the image's description: the model's manifest and goldens.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from build_model.image import oci
from build_model.image.artifact import CHECKPOINT
from build_model.image.iso639 import two_letters
from build_model.image.oci import OPEN_CONTAINERS, Blob, Descriptor, Layer
from model.fingerprint import MANIFEST

MODEL = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
WEIGHTS = "application/vnd.cncf.model.weight.v1.tar+gzip"
SETTINGS = "application/vnd.cncf.model.weight.config.v1.tar+gzip"
CODE = "application/vnd.cncf.model.code.v1.tar+gzip"
PATH = "org.cncf.model.filepath"
TAG = "modelpack-"
"""How the tag begins; the version follows."""

_PRECISIONS = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "I8": "int8"}
_TENSOR = re.compile(r"(\w+) \[([\d, ]*)\]")


def tag(version: str) -> str:
    """The tag of a version's twin: none that reads as a version."""
    return f"{TAG}{version}"


def layers(image: Sequence[tuple[str, Layer]], settings: Layer) -> list[tuple[Descriptor, str]]:
    """(descriptor, digest of the tar) of each layer: weights first, then ``settings``, then code."""
    ours = dict(image)
    model = str(CHECKPOINT)
    named = [(ours["model"], WEIGHTS, model), (settings, SETTINGS, MANIFEST)]
    named += [(layer, CODE, str(CHECKPOINT.parents[1])) for holds, layer in image if holds != "model"]
    return [
        (Descriptor(kind, layer.blob.digest, layer.blob.size, annotations={PATH: path}), layer.diff_id)
        for layer, kind, path in named
    ]


def config(repository: str, labels: Mapping[str, str], model: Mapping[str, Any], diff_ids: Sequence[str]) -> Blob:
    """What the specification asks of a model: who made it, what it is, what its layers hold.

    Args:
        repository: what the image is called, without its registry.
        labels: the image's.
        model: the JSON of the model's own manifest.
        diff_ids: of the layers' tars, in their order.
    """
    told = {name.removeprefix(OPEN_CONTAINERS): value for name, value in labels.items()}
    named = {"createdAt": "created", "version": "version", "revision": "revision", "title": "title"}
    named |= {"description": "description", "docURL": "documentation", "sourceURL": "source", "vendor": "vendor"}
    descriptor = {name: told[label] for name, label in named.items() if told.get(label)}
    tensors = [match for shape in model.get("tensors", {}).values() if (match := _TENSOR.fullmatch(shape))]
    languages = [two for code in (model.get("source"), model.get("target")) if (two := two_letters(str(code)))]
    return oci.document(
        {
            "descriptor": {
                **descriptor,
                "family": "dragoman",
                "name": repository.rpartition("/")[2],
                "licenses": [told["licenses"]],
                **({"authors": [told["authors"]]} if told.get("authors") else {}),
            },
            "config": {
                "architecture": f"dragoman:{labels['dragoman.architecture']}",
                "format": "safetensors",
                **_numbers(tensors),
                "capabilities": {
                    "inputTypes": ["text"],
                    "outputTypes": ["text"],
                    **({"languages": languages} if languages else {}),
                },
            },
            "modelfs": {"type": "layers", "diffIds": list(diff_ids)},
        },
        CONFIG,
    )


def _numbers(tensors: Sequence[re.Match[str]]) -> dict[str, str]:
    """How many parameters there are, and how most of them are held."""
    counted: Counter[str] = Counter()
    for kind, shape in (match.groups() for match in tensors):
        counted[kind] += math.prod(int(size) for size in shape.split(",") if size.strip())
    if not counted:
        return {}
    ((kind, _),) = counted.most_common(1)
    total = sum(counted.values())
    scale, letter = next(((scale, letter) for scale, letter in ((1e9, "B"), (1e6, "M")) if total >= scale), (1e3, "K"))
    return {"paramSize": f"{total / scale:.1f}{letter}", "precision": _PRECISIONS.get(kind, kind.lower())}
