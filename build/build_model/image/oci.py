"""Images as bytes: from files to layers, config and manifest. Pure functions: the same in gives the same out, anywhere.

Formats: https://github.com/opencontainers/image-spec (layer.md, config.md, manifest.md). Documents are written with
sorted keys and no spaces; a layer is gzipped with no time and no name in its header. What zlib itself makes of the same
bytes at the same level is the same for every zlib 1.2.11 to 1.3, and another for zlib-ng.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import IO, Any

from build_model.image.context import Content, pack

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
OPEN_CONTAINERS = "org.opencontainers.image."
"""How the labels and annotations begin whose meaning the image-spec gives."""
PLATFORM = {"architecture": "amd64", "os": "linux"}

_GZIP_HEADER = b"\x1f\x8b\x08" + bytes(5) + b"\x02\xff"  # RFC 1952: no flags, no time, best compression, unknown system
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Descriptor:
    """What one document says of another or of a blob: its type, digest (``sha256:...``) and size in bytes."""

    media_type: str
    digest: str
    size: int
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> dict[str, Any]:
        """As JSON has it; what is empty is left out."""
        optional = {
            "artifactType": self.artifact_type,
            "annotations": dict(self.annotations),
            "platform": dict(self.platform),
        }
        told = {name: value for name, value in optional.items() if value}
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **told}

    @classmethod
    def decode(cls, document: Mapping[str, Any]) -> Descriptor:
        """From JSON; KeyError where a field is missing."""
        return cls(
            document["mediaType"],
            document["digest"],
            document["size"],
            document.get("artifactType", ""),
            document.get("annotations") or {},
            document.get("platform") or {},
        )


@dataclass(frozen=True)
class Blob:
    """Bytes, in memory or in a file, and what they are called."""

    descriptor: Descriptor
    content: Content

    @property
    def digest(self) -> str:
        """``sha256:...``"""
        return self.descriptor.digest

    @property
    def size(self) -> int:
        """In bytes."""
        return self.descriptor.size


@dataclass(frozen=True)
class Layer:
    """A compressed layer; ``diff_id`` is the digest of its tar, by which a config names it."""

    blob: Blob
    diff_id: str


class Digest:
    """``sha256:...`` of bytes that come piece by piece."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        """The next ones."""
        self._hash.update(piece)

    def __str__(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def digest(content: bytes) -> str:
    """``sha256:...``"""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def blob(content: bytes, media_type: str) -> Blob:
    """``content`` under the name of its digest."""
    return Blob(Descriptor(media_type, digest(content), len(content)), content)


def document(value: Mapping[str, Any], media_type: str) -> Blob:
    """A JSON document."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return blob(text.encode(), media_type)


EMPTY = blob(b"{}", "application/vnd.oci.empty.v1+json")
"""What stands where a manifest needs a config or a layer and has none (image-spec, manifest.md)."""


def layer(files: Mapping[str, Content]) -> Layer:
    """A layer of ``files``, by path from the root; see ``context.pack`` for owners, modes and times."""
    compressed = io.BytesIO()
    with pack(files) as tar:
        diff_id = compress(iter(lambda: tar.read(_PIECE_BYTES), b""), compressed)
    return Layer(blob(compressed.getvalue(), LAYER), diff_id)


def compress(tar: Iterable[bytes], out: IO[bytes], level: int = 9) -> str:
    """Gzip ``tar`` into ``out``; the digest of the tar."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    sha256, checksum, size = hashlib.sha256(), 0, 0
    out.write(_GZIP_HEADER)
    for piece in tar:
        sha256.update(piece)
        checksum, size = zlib.crc32(piece, checksum), size + len(piece)
        out.write(deflate.compress(piece))
    out.write(deflate.flush())
    out.write(checksum.to_bytes(4, "little") + (size % (1 << 32)).to_bytes(4, "little"))
    return f"sha256:{sha256.hexdigest()}"


def decompressed(content: Iterable[bytes]) -> Iterator[bytes]:
    """The tar of a layer, gzipped or not, piece by piece. Raises zlib.error for what is neither, EOFError when cut."""
    inflate = None
    for index, piece in enumerate(content):
        if index == 0 and piece[:2] == b"\x1f\x8b":
            inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        yield inflate.decompress(piece) if inflate else piece
    if inflate:
        yield inflate.flush()
        if not inflate.eof:
            raise EOFError("the layer ends before its end")


def pieces(content: Content) -> Iterator[bytes]:
    """``content`` in pieces of a size that fits in memory."""
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as source:
        while piece := source.read(_PIECE_BYTES):
            yield piece


def config(
    below: Mapping[str, Any], layers: Sequence[tuple[str, str]], labels: Mapping[str, str], created: datetime
) -> Blob:
    """The config of an image: that of the one ``below``, and ``layers`` on top: (digest of the tar, what it holds)."""
    inner = {**below["config"], "Labels": {**(below["config"].get("Labels") or {}), **labels}}
    time = timestamp(created)
    history = [{"created": time, "created_by": f"build-model: {holds}"} for _, holds in layers]
    diff_ids = [*below["rootfs"]["diff_ids"], *(diff_id for diff_id, _ in layers)]
    return document(
        {
            **below,
            "created": time,
            "config": inner,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [*below.get("history", []), *history],
        },
        CONFIG,
    )


def manifest(config_blob: Blob, layers: Sequence[Descriptor], annotations: Mapping[str, str]) -> Blob:
    """The manifest of an image."""
    return document(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config_blob.descriptor.encode(),
            "layers": [one.encode() for one in layers],
            "annotations": dict(annotations),
        },
        MANIFEST,
    )


def referrer(
    artifact_type: str,
    subject: Descriptor,
    layers: Sequence[Descriptor],
    annotations: Mapping[str, str],
    config_of: Descriptor | None = None,
) -> Blob:
    """A manifest that says something of the one that ``subject`` describes: in its layers, or in its annotations alone.

    EMPTY has to be there before it is put.
    """
    described = Descriptor(subject.media_type, subject.digest, subject.size)
    manifest_blob = document(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": artifact_type,
            "config": (config_of or EMPTY.descriptor).encode(),
            "layers": [one.encode() for one in layers] or [EMPTY.descriptor.encode()],
            "subject": described.encode(),
            "annotations": dict(annotations),
        },
        MANIFEST,
    )
    return replace(manifest_blob, descriptor=replace(manifest_blob.descriptor, artifact_type=artifact_type))


def timestamp(time: datetime) -> str:
    """As configs and annotations have it (RFC 3339)."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
