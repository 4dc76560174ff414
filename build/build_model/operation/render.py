"""Manifests for other orchestrators: those of deploy/, with one version's digest in them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from build_model.image.reference import Reference
from model.errors import DragomanError

IMAGE, NAME, QUEUE = "translator", "dragoman", "rpc_queue"
"""What the manifests in the repository call the image, the deployment and the queue."""
_IMAGE = re.compile(rf"^(\s*(?:- )?image:\s*){IMAGE}(?:[:@]\S+)?[ \t]*$", re.MULTILINE)
_VERSION = re.compile(r"^(\s*app\.kubernetes\.io/version:\s*)\S+[ \t]*$", re.MULTILINE)
_NAME = re.compile(rf"^(\s*(?:name|app\.kubernetes\.io/(?:name|instance)):\s*){NAME}$", re.MULTILINE)
_QUEUE = re.compile(rf"^(\s*(?:queueName|value):\s*){QUEUE}$", re.MULTILINE)
_RESOURCE = re.compile(r"^\s+- (\S+\.ya?ml)\s*$", re.MULTILINE)


class ManifestsChanged(DragomanError):
    """The manifests in the repository aren't what this version of build-model knows."""


def kubernetes(image: Reference, folder: Path, name: str = NAME, queue: str = QUEUE) -> str:
    """The resources of ``folder``'s kustomization as one YAML stream that runs ``image`` by digest.

    Args:
        name: of the resources, so that several models run side by side; the broker's secret is everybody's.
        queue: that they answer on, and are scaled by.
    """
    kustomization = (folder / "kustomization.yaml").read_text(encoding="utf-8")
    resources = kustomization.partition("\nresources:")[2].partition("\nimages:")[0]
    texts = [(folder / name).read_text(encoding="utf-8").strip() for name in _RESOURCE.findall(resources)]
    stream, replaced = _IMAGE.subn(rf"\g<1>{image.pinned}", "\n---\n".join(texts))
    if not replaced:
        raise ManifestsChanged(
            f"No manifest in {folder} runs the image {IMAGE}. Restore them: git checkout {folder.name}."
        )
    stream = _VERSION.sub(rf'\g<1>"{image.tag}"', stream)
    stream = _NAME.sub(rf"\g<1>{name}", _QUEUE.sub(lambda found: found[1] + json.dumps(queue), stream))
    return f"# {image}, as `build-model render kubernetes {image.tag}` wrote it.\n{stream}\n"
