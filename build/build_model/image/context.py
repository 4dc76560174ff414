"""The build context: a tar that is the same, byte for byte, wherever and whenever it is made."""

import io
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO

Content = bytes | Path

_IN_MEMORY_BYTES = 64 * 1024 * 1024


def directories(paths: Mapping[str, Content]) -> list[str]:
    """Every folder above the files of ``paths``, parents first.

    They are listed because a folder that COPY has to invent gets the time of the build, and with it a new layer digest.
    """
    found = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    return sorted(found - {"."})


def pack(files: Mapping[str, Content]) -> IO[bytes]:
    """A tar of ``files`` (path inside it to bytes or to a file on disk), rewound, backed by disk when it is large.

    Names sorted, times 0, owner 0, folders 0755, files 0644.
    """
    spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 (the caller reads and closes it)
    with tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in directories(files):
            tar.addfile(_member(folder, tarfile.DIRTYPE, 0o755))
        for path in sorted(files):
            _add(tar, path, files[path])
    spool.seek(0)
    return spool


def member(path: str, size: int) -> tarfile.TarInfo:
    """The header of a file of ``size`` bytes: the same for the same file at any time."""
    file = _member(path, tarfile.REGTYPE, 0o644)
    file.size = size
    return file


def _add(tar: tarfile.TarFile, path: str, content: Content) -> None:
    member = _member(path, tarfile.REGTYPE, 0o644)
    if isinstance(content, bytes):
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
        return
    with content.open("rb") as source:
        member.size = content.stat().st_size
        tar.addfile(member, source)


def _member(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.mtime, member.uid, member.gid = kind, mode, 0, 0, 0
    return member
