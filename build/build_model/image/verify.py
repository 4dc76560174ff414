"""Whether an image in a registry is what it says: every byte of it, without running it."""

from __future__ import annotations

import json
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from build_model.image import artifact, attached, description, oci, packages, trust
from build_model.image.artifact import APPLICATION, CHECKPOINT, sha256
from build_model.image.contents import ImageForeign
from build_model.image.inspection import BY
from build_model.image.oci import OPEN_CONTAINERS, Descriptor
from build_model.image.plan import SCORES, Composed, Plan, bleu_of, score_annotation
from build_model.image.reference import Reference
from build_model.image.registry import Registry, Stored, labels_of
from build_model.image.sbom import Content
from build_model.image.signature import PublicKey
from build_model.image.version import Version
from build_model.report import Progress
from model.errors import DragomanError, GuardError
from model.fingerprint import GOLDEN, MANIFEST, Manifest, verify


class ImageFalse(DragomanError):
    """An image isn't what it says."""


class RebuildDiffers(DragomanError):
    """Another image comes of the code here than the one in the registry."""


@dataclass(frozen=True)
class Verified:
    """An image that holds; ``checked``: (what, how many bytes or files or sentences of it)."""

    reference: Reference
    checked: tuple[tuple[str, str], ...]

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "reference": str(self.reference),
            "digest": self.reference.digest,
            "verified": True,
            "checked": dict(self.checked),
        }


def verify_image(
    registry: Registry, reference: Reference, progress: Progress, key: PublicKey | None = None
) -> Verified:
    """Read all of an image: digests of its blobs and of what is in them, labels, annotations, the model's own guard,
    and what lies beside it: bills of materials, provenance, signatures, one of them by ``key`` if that is given.

    Raises VersionUnknown, ManifestFalse, BlobMissing, BlobFalse, ImageForeign, ImageFalse, DescriptionFalse; what
    ``trust.check`` and ``attached.check`` raise.
    """
    found = registry.manifest(reference)
    pinned = replace(reference, digest=found.digest)
    if key:
        trust.check(registry, pinned, key)
    image = registry.image(found)
    config = registry.config(image)
    labels = labels_of(config)
    if "dragoman.artifact" not in labels:
        raise ImageForeign(f"{reference} has no label dragoman.artifact: build-model didn't make it.")
    diff_ids = config["rootfs"]["diff_ids"]
    tops = len([step for step in config.get("history", ()) if _is_ours(str(step.get("created_by", "")))])
    if len(diff_ids) != len(image.layers) or not tops:
        raise ImageFalse(f"{reference} has {len(image.layers)} layers, and its config names {len(diff_ids)}.")
    files: dict[str, bytes] = {}
    below: dict[str, bytes] = {}
    for number, (layer, diff_id) in enumerate(zip(image.layers, diff_ids, strict=True)):
        progress.line(f"Reading layer {number + 1} of {len(diff_ids)}")
        if number < len(diff_ids) - tops:
            below |= _read_layer(registry, reference, layer, diff_id, packages.wanted)
        else:
            files |= _read_layer(registry, reference, layer, diff_id, lambda path: True)
    told = image.document.get("annotations") or {}
    false = [name for name, value in told.items() if name in labels and labels[name] != value]
    false += [
        name for name in told if name.startswith((OPEN_CONTAINERS, "dragoman.")) and name not in {*labels, SCORES}
    ]
    if false:
        raise ImageFalse(f"The annotations of {reference} aren't its labels: {', '.join(sorted(false))}.")
    goldens = _check_content(reference, labels, files)
    training = json.loads(files[str(CHECKPOINT / MANIFEST)]).get("training", {})
    if told.get(SCORES, "") not in {"", *score_annotation(bleu_of(training)).values()}:
        raise ImageFalse(f"The scores in the manifest of {reference}, {told[SCORES]}, aren't those of its checkpoint.")
    description.check(registry, pinned, labels)
    held = packages.packages(below)
    held_on_top = [(str(number), layer.digest) for number, layer in enumerate(image.layers[-tops:], 1)]
    content = Content(reference.repository, labels, image.digest, held_on_top, "")
    beside = attached.check(registry, pinned, content, held)
    total = sum(layer.size for layer in image.layers)
    checked = (
        ("manifest", found.digest),
        ("bytes", str(total)),
        ("files", str(len(files))),
        ("goldens", str(goldens)),
        ("artifact", labels["dragoman.artifact"]),
        ("packages", f"{len(held)}, as its SBOM lists them"),
        ("provenance", beside.statement.digest),
        ("signatures", _signed(trust.look(registry, pinned), key)),
    )
    return Verified(pinned, checked)


def compare_rebuilt(plan: Plan, registry: Registry, found: Stored, composed: Composed) -> None:
    """RebuildDiffers, with what differs, unless ``composed`` is the image ``found`` in the registry, digest and all."""
    if composed.manifest.digest == found.digest:
        return
    there = registry.config(found)
    here = json.loads(b"".join(oci.pieces(composed.config.content)))
    labels, theirs = labels_of(here), labels_of(there)
    lines = [
        f"label {name}: {labels.get(name, 'none')} here, {theirs.get(name, 'none')} there"
        for name in sorted({*labels, *theirs})
        if labels.get(name) != theirs.get(name)
    ]
    ours_named = [holds for holds, _ in composed.layers]
    names = [*["runtime"] * (len(here["rootfs"]["diff_ids"]) - len(ours_named)), *ours_named]
    lines += [
        f"layer {name}: {ours} here, {others} there"
        for name, ours, others in zip(names, here["rootfs"]["diff_ids"], there["rootfs"]["diff_ids"], strict=False)
        if ours != others
    ]
    if here["created"] != there.get("created"):
        lines.append(f"created: {here['created']} here, {there.get('created')} there")
    if not lines:
        lines.append("the same files, compressed by another zlib, or a manifest of an older build-model")
    raise RebuildDiffers(
        f"{plan.reference} isn't what this clone builds, {composed.manifest.digest}. What differs:"
        + "".join(f"\n  {line}" for line in lines)
        + "\nCheck out the commit of the label org.opencontainers.image.revision, and give the same --checkpoint."
    )


def _read_layer(
    registry: Registry, reference: Reference, layer: Descriptor, diff_id: str, wanted: Callable[[str], bool]
) -> dict[str, bytes]:
    """Read a layer to its end; its ``wanted`` files. ImageFalse when it isn't what the config names."""
    counted = _Counted(registry.blobs(reference.repository).stream(layer.digest))
    digest = oci.Digest()

    def read() -> Iterator[bytes]:
        for piece in oci.decompressed(counted):
            digest.add(piece)
            yield piece

    pieces = read()
    try:
        with tarfile.open(fileobj=packages.Stream(pieces), mode="r|", bufsize=packages.BUFFER_BYTES) as tar:
            files = packages.read(tar, wanted)
        for _ in pieces:
            pass  # what follows the archive's end
    except (zlib.error, EOFError, tarfile.TarError) as error:
        for _ in counted:
            pass  # to the end, where it shows whether these are the bytes that were pushed
        raise ImageFalse(f"The layer {layer.digest} of {reference} can't be read ({error}).") from error
    if str(digest) != diff_id or counted.bytes != layer.size:
        raise ImageFalse(
            f"A layer of {reference} isn't the one that its config names: {digest} of {counted.bytes} bytes, not "
            f"{diff_id} of {layer.size}."
        )
    return files


def _is_ours(step: str) -> bool:
    return step.startswith(BY) and not step.startswith(f"{BY}runtime")


def _signed(count: int, key: PublicKey | None) -> str:
    """In words."""
    if key:
        return f"{count}, one of them by the key given"
    return f"{count}, not checked: no --key" if count else "none"


def _check_content(reference: Reference, labels: Mapping[str, str], files: Mapping[str, bytes]) -> int:
    """Compare labels and files, and have the model's guard look at them; how many golden sentences there are."""
    outside = [path for path in files if not PurePosixPath(path).is_relative_to(APPLICATION)]
    if outside:
        raise ImageFalse(f"The layers of {reference} hold files outside /{APPLICATION}: {', '.join(sorted(outside))}.")
    digests = {str(PurePosixPath(path).relative_to(APPLICATION)): sha256(content) for path, content in files.items()}
    with tempfile.TemporaryDirectory(prefix="dragoman-verify-") as folder:
        for path, content in files.items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        checkpoint = Path(folder) / CHECKPOINT
        try:
            manifest = verify(checkpoint, checkpoint.parent / "network", checkpoint.parent)
        except GuardError as error:
            raise ImageFalse(f"{reference} fails its guard: {error}".replace(f"{folder}/", "/")) from error
        goldens = len((checkpoint / GOLDEN).read_text("utf-8").splitlines())
    expected = _labels_of_content(manifest, artifact.identity(digests, labels.get("dragoman.runtime", "")))
    false = [
        f"{name} is {labels.get(name)}, and {value} is inside"
        for name, value in expected.items()
        if labels.get(name) != value
    ]
    if Version.all_of([reference.tag]) and manifest.version != reference.tag:
        false.append(f"its tag is {reference.tag}, and version {manifest.version} is inside")
    if false:
        raise ImageFalse(f"The labels of {reference} aren't true: {'; '.join(false)}.")
    return goldens


def _labels_of_content(manifest: Manifest, identity: str) -> dict[str, str]:
    return {
        f"{OPEN_CONTAINERS}version": manifest.version or "",
        "dragoman.architecture": manifest.architecture,
        "dragoman.weights": manifest.weights,
        "dragoman.langs": artifact.langs_digest(manifest.langs),
        "dragoman.artifact": identity,
    }


class _Counted:
    """Iterates over pieces and counts their bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        self.bytes += len(piece)
        return piece
