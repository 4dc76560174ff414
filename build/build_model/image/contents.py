"""What is in a layer: its files, all of them or those that come first."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Collection, Iterator

from build_model.image.blobs import Blobs
from build_model.image.oci import Descriptor, decompressed
from model.errors import DragomanError

PART_BYTES = 1 << 16
UNREADABLE = (ValueError, EOFError, OSError, zlib.error, tarfile.TarError)
"""What comes of bytes that are no layer."""


class ImageForeign(DragomanError):
    """The image is none that build-model made."""


def files_in_layer(blob: bytes, media_type: str) -> dict[str, bytes]:
    """The regular files of a layer, by path without leading slash."""
    _readable(media_type)
    content = gzip.decompress(blob) if blob[:2] == b"\x1f\x8b" else blob
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {
            member.name.removeprefix("./"): source.read()
            for member in tar
            if member.isfile() and (source := tar.extractfile(member)) is not None
        }


def first_files(blobs: Blobs, layer: Descriptor, wanted: Collection[str]) -> dict[str, bytes]:
    """The files of a layer with these names, by name; no more of it is fetched than up to the last of them.

    Nothing proves them: that needs all of the layer. Whoever knows their digests can.
    """
    _readable(layer.media_type)
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=Pieces(decompressed(blobs.parts(layer, PART_BYTES))), mode="r|") as tar:
        for member in tar:
            name = member.name.rpartition("/")[2]
            if member.isfile() and name in wanted and (source := tar.extractfile(member)) is not None:
                found[name] = source.read()
            if len(found) == len(wanted):
                break
    return found


def _readable(media_type: str) -> None:
    if media_type.endswith("zstd"):
        raise ImageForeign("The layer is compressed with zstd, which build-model doesn't read. Pull the image instead.")


class Pieces(io.RawIOBase):
    """A file to read of bytes that come piece by piece; no piece is asked for before it is wanted."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Some more; fewer bytes than ``size`` at the end only."""
        held, length = [self._rest], len(self._rest)
        while (length < size or size < 0) and (piece := next(self._pieces, None)) is not None:
            held.append(piece)
            length += len(piece)
        whole = b"".join(held)
        end = len(whole) if size < 0 else size
        self._rest = whole[end:]
        return whole[:end]
