"""The blobs of one repository: layers, configs and whatever else a manifest names by digest."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO
from urllib.parse import urljoin

import requests

from build_model.image.connection import Connection, RegistryUnreachable
from build_model.image.oci import Blob, Descriptor
from model.errors import DragomanError

OCTETS = "application/octet-stream"
_PIECE_BYTES = 1 << 18

Show = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


class BlobMissing(DragomanError):
    """The registry has a manifest and not what it names: somebody removed a part of an image."""


class BlobFalse(DragomanError):
    """What the registry has under a digest isn't what the digest says."""


class Blobs:
    """Reads and writes the blobs of ``repository``."""

    def __init__(self, connection: Connection, repository: str) -> None:
        self._connection = connection
        self.repository = repository

    def has(self, digest: str) -> bool:
        """Whether the repository has it: the registry may well have it elsewhere only."""
        answer = self._connection.ask("HEAD", f"{self.repository}/blobs/{digest}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return False
        self._connection.checked(answer)
        return True

    def read(self, digest: str) -> bytes:
        """The whole of a small one. Raises BlobMissing, and BlobFalse when it isn't what its digest says."""
        return b"".join(self.stream(digest))

    def stream(self, digest: str) -> Iterator[bytes]:
        """Piece by piece; raises as ``read``, BlobFalse only after the last piece."""
        sha256 = hashlib.sha256()
        with self._connection.ask("GET", f"{self.repository}/blobs/{digest}", stream=True) as answer:
            self._present(answer, digest)
            try:
                for piece in answer.iter_content(_PIECE_BYTES):
                    sha256.update(piece)
                    yield piece
            except requests.RequestException as error:
                raise self._broken(digest) from error
        if digest != f"sha256:{sha256.hexdigest()}":
            raise BlobFalse(
                f"{self._connection.address.host} has other bytes under {digest} in {self.repository}: their digest is "
                f"sha256:{sha256.hexdigest()}. Its storage is damaged, or somebody changes what it sends."
            )

    def parts(self, blob: Descriptor, size: int) -> Iterator[bytes]:
        """The blob in parts of ``size`` bytes, each asked for when it is wanted. Nothing is proved: see ``stream``."""
        for start in range(0, blob.size, size):
            wanted = {"Range": f"bytes={start}-{min(start + size, blob.size) - 1}"}
            path = f"{self.repository}/blobs/{blob.digest}"
            with self._connection.ask("GET", path, headers=wanted, stream=True) as answer:
                self._present(answer, blob.digest)
                partial = answer.status_code == HTTPStatus.PARTIAL_CONTENT
                try:
                    yield from answer.iter_content(size)
                except requests.RequestException as error:
                    raise self._broken(blob.digest) from error
                if not partial:  # a registry that knows no ranges gave all of it
                    return

    def _present(self, answer: requests.Response, digest: str) -> None:
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise BlobMissing(
                f"{self._connection.address.host}/{self.repository} lacks its part {digest}: somebody removed it."
            )
        self._connection.checked(answer)

    def _broken(self, digest: str) -> RegistryUnreachable:
        return RegistryUnreachable(f"{self._connection.address.host} broke off in the middle of {digest}. Try again.")

    def mount(self, digest: str, source: str) -> bool:
        """Have the registry take it over from the repository ``source``, without sending it; whether it did."""
        if source == self.repository:
            return False
        answer = self._connection.ask("POST", f"{self.repository}/blobs/uploads/?mount={digest}&from={source}")
        if answer.status_code == HTTPStatus.CREATED:
            return True
        if answer.status_code == HTTPStatus.ACCEPTED:  # an upload was begun instead
            self._connection.ask("DELETE", self._location(answer)).close()
        return False

    def put(self, blob: Blob, show: Show = lambda done, total: None) -> None:
        """Upload it; an upload that is cut off goes on once, where the registry says that it stopped."""
        location = self._begin()
        try:
            self._finish(self._send(location, blob, 0, show), blob)
        except RegistryUnreachable as error:
            if not isinstance(error.__cause__, requests.RequestException):
                raise
            location, start = self._left_off(location)
            self._finish(self._send(location, blob, start, show), blob)

    def begin_and_cancel(self) -> None:
        """Nothing, where the repository may be written; else AccessRefused."""
        self._connection.ask("DELETE", self._begin()).close()

    def _begin(self) -> str:
        answer = self._connection.ask("POST", f"{self.repository}/blobs/uploads/")
        return self._location(self._connection.checked(answer))

    def _send(self, location: str, blob: Blob, start: int, show: Show) -> str:
        """Send the bytes from ``start`` on; where to end the upload.

        In one piece: some registries (Google's, GitHub's) take no more than one, and none needs several.
        """
        if start == blob.size:
            return location
        headers = {"Content-Type": OCTETS}
        if start:
            headers["Content-Range"] = f"{start}-{blob.size - 1}"
        with _opened(blob) as source:
            answer = self._connection.ask(
                "PATCH", location, headers=headers, body=lambda: _Rest(source, start, blob.size, show)
            )
        return self._location(self._connection.checked(answer))

    def _finish(self, location: str, blob: Blob) -> None:
        separator = "&" if "?" in location else "?"
        answer = self._connection.ask(
            "PUT", f"{location}{separator}digest={blob.digest}", headers={"Content-Length": "0"}
        )
        self._connection.checked(answer)

    def _left_off(self, location: str) -> tuple[str, int]:
        """Where an upload goes on: (its address, bytes that the registry has of it); a new one where it can't."""
        answer = self._connection.ask("GET", location)
        _, dash, last = answer.headers.get("Range", "").partition("-")
        if answer.status_code == HTTPStatus.NO_CONTENT and dash and last.isdigit() and int(last):
            return self._location(answer), int(last) + 1
        return self._begin(), 0

    def _location(self, answer: requests.Response) -> str:
        """Where an upload goes on; RegistryUnreachable where the answer doesn't say."""
        if not answer.headers.get("Location"):
            raise RegistryUnreachable(f"{self._connection.address.host} doesn't say where to upload to.")
        return urljoin(answer.url, answer.headers["Location"])


class _Rest(io.RawIOBase):
    """The bytes of ``source`` from ``start`` on, as requests sends a file of a known length."""

    def __init__(self, source: IO[bytes], start: int, end: int, show: Show) -> None:
        super().__init__()
        source.seek(start)
        self._source, self._start, self._end, self._show = source, start, end, show

    def __len__(self) -> int:
        return self._end - self._start

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Some more, and say how far that is."""
        piece = self._source.read(size)
        self._show(self._source.tell(), self._end)
        return piece


def _opened(blob: Blob) -> IO[bytes]:
    return blob.content.open("rb") if isinstance(blob.content, Path) else io.BytesIO(blob.content)
