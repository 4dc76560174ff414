"""Images that go from an engine to a registry and back without its push: as archives that we read and write.

An engine that keeps its images in containerd names no digest when it pushes, and every engine compresses as it likes.
"""

from __future__ import annotations

import json
import posixpath
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from build_model.engine import Engine, EngineFailed
from build_model.image import oci
from build_model.image.artifact import sha256
from build_model.image.context import Content, pack
from build_model.image.oci import Blob, Descriptor, Layer
from build_model.image.plan import Composed
from build_model.image.push import Part
from build_model.image.runtime import Recipe, Runtime, config_of
from build_model.report import Progress

RUNTIME_LEVEL = 6
"""Of libtorch_cpu.so, 345 MB, level 9 makes 106.1 MB where 6 makes 106.8, and takes 2.6 times as long."""


@dataclass(frozen=True)
class Unpacked:
    """A layer of an engine's image as a file: the tar that ``diff_id`` is the digest of, or that compressed."""

    file: Path
    diff_id: str


@dataclass(frozen=True)
class ComposedRuntime:
    """A runtime image as a registry has it; the blobs are files in a folder that somebody else removes."""

    manifest: Blob
    parts: tuple[Part, ...]


def composed_runtime(
    engine: Engine, image_id: str, runtime: Runtime, recipe: Recipe, folder: Path, progress: Progress
) -> ComposedRuntime:
    """The engine's runtime image, its layers compressed into ``folder``."""
    unpacked = save(engine, image_id, folder, progress)
    config = oci.document(config_of(runtime, recipe, engine.attributes(image_id)), oci.CONFIG)
    layers = []
    with progress.counted("Compressing its layers", len(unpacked)) as step:
        for number, one in enumerate(unpacked):
            layers.append(compress(one, folder / f"layer-{number}").blob)
            step()
    manifest = oci.manifest(config, [layer.descriptor for layer in layers], {})
    parts = [*(Part("runtime", layer.descriptor, layer) for layer in layers), Part("config", config.descriptor, config)]
    return ComposedRuntime(manifest, tuple(parts))


def save(engine: Engine, image_id: str, folder: Path, progress: Progress) -> list[Unpacked]:
    """Write an image's layers into ``folder``, lowest first."""
    progress.line("Reading the runtime image's layers from the engine")
    files: dict[str, Path] = {}
    links: dict[str, str] = {}
    with engine.saved(image_id) as archive, tarfile.open(fileobj=archive, mode="r|") as tar:
        for member in tar:
            if member.isfile() and (source := tar.extractfile(member)) is not None:
                files[member.name] = folder / f"saved-{len(files)}"  # never under a name that the archive chose
                with files[member.name].open("wb") as out:
                    shutil.copyfileobj(source, out)
            elif member.issym():  # a layer that the image has twice
                links[member.name] = posixpath.normpath(f"{posixpath.dirname(member.name)}/{member.linkname}")
    listed = json.loads(files["manifest.json"].read_text("utf-8"))[0]
    diff_ids = json.loads(files[listed["Config"]].read_text("utf-8"))["rootfs"]["diff_ids"]
    paths = [files[links.get(path, path)] for path in listed["Layers"]]
    return [Unpacked(path, diff_id) for path, diff_id in zip(paths, diff_ids, strict=True)]


def compress(unpacked: Unpacked, out: Path) -> Layer:
    """The layer as a registry has it, compressed into ``out``; EngineFailed if the engine gave another one."""
    with out.open("wb") as target:
        diff_id = oci.compress(oci.decompressed(oci.pieces(unpacked.file)), target, RUNTIME_LEVEL)
    if diff_id != unpacked.diff_id:
        raise EngineFailed(
            f"The engine has a layer {unpacked.diff_id} and wrote {diff_id} for it. Its storage is damaged: remove the "
            "runtime image and build again."
        )
    size, digest = out.stat().st_size, f"sha256:{sha256(out)}"
    return Layer(Blob(Descriptor(oci.LAYER, digest, size), out), diff_id)


def load(engine: Engine, runtime_id: str, composed: Composed, scratch: Path, progress: Progress) -> str:
    """Give the engine an image on top of its runtime image ``runtime_id``; the ID that it has there.

    An engine with Docker's own store looks at the layers that it lacks alone, so the runtime's are not sent; one that
    wants them all the same is given them.
    """
    tops = [(layer.diff_id, layer.blob.content) for _, layer in composed.layers]
    below = json.loads(b"".join(oci.pieces(composed.config.content)))["rootfs"]["diff_ids"][: -len(tops)]
    try:
        with archive(composed.config, [*((diff_id, None) for diff_id in below), *tops]) as file:
            return engine.load(file)
    except EngineFailed:
        layers = save(engine, runtime_id, scratch, progress)
        with archive(composed.config, [*((layer.diff_id, layer.file) for layer in layers), *tops]) as file:
            return engine.load(file)


@contextmanager
def archive(config: Blob, layers: Sequence[tuple[str, Content | None]]) -> Iterator[IO[bytes]]:
    """An image as `docker load` reads it; a layer without content is one that the engine has."""
    paths = [f"{diff_id.removeprefix('sha256:')}.tar" for diff_id, _ in layers]
    name = f"{config.digest.removeprefix('sha256:')}.json"
    listed = json.dumps([{"Config": name, "RepoTags": None, "Layers": paths}], sort_keys=True)
    files: dict[str, Content] = {"manifest.json": listed.encode(), name: config.content}
    held = {path: content for path, (_, content) in zip(paths, layers, strict=True) if content is not None}
    with pack({**files, **held}) as tar:
        yield tar
