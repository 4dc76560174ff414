"""Manifests for other orchestrators: those of deploy/, with one version's digest in them."""

from __future__ import annotations

import re
from pathlib import Path

from build_model.image.reference import Reference
from model.errors import DragomanError

NAMED = "dragoman/fra-eng"
"""What the manifests in the repository call the image."""
_IMAGE = re.compile(rf"^(\s*(?:- )?image:\s*){re.escape(NAMED)}(?:[:@]\S+)?[ \t]*$", re.MULTILINE)
_VERSION = re.compile(r"^(\s*app\.kubernetes\.io/version:\s*)\S+[ \t]*$", re.MULTILINE)
_RESOURCE = re.compile(r"^\s+- (\S+\.ya?ml)\s*$", re.MULTILINE)


class ManifestsChanged(DragomanError):
    """The manifests in the repository aren't what this version of build-model knows."""


def kubernetes(image: Reference, folder: Path) -> str:
    """The resources of ``folder``'s kustomization as one YAML stream that runs ``image`` by digest."""
    kustomization = (folder / "kustomization.yaml").read_text(encoding="utf-8")
    resources = kustomization.partition("\nresources:")[2].partition("\nimages:")[0]
    texts = [(folder / name).read_text(encoding="utf-8").strip() for name in _RESOURCE.findall(resources)]
    stream, replaced = _IMAGE.subn(rf"\g<1>{image.pinned}", "\n---\n".join(texts))
    if not replaced:
        raise ManifestsChanged(f"No manifest in {folder} runs {NAMED}. Restore them: git checkout {folder.name}.")
    stream = _VERSION.sub(rf'\g<1>"{image.tag}"', stream)
    return f"# {image}, as `build-model render kubernetes {image.tag}` wrote it.\n{stream}\n"
