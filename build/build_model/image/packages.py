"""Which packages a layer's files are of: Debian's, Python's, and what was compiled into Python's.

Read from what is in the image itself: dpkg's status and the packages' copyright files, the wheels' metadata, and the
bills of materials that wheels bring along (PEP 770).
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from build_model.image import licences, oci

BUFFER_BYTES = 1 << 18
_STATUS = "var/lib/dpkg/status"
_RELEASE = "usr/lib/os-release"
_COPYRIGHT = re.compile(r"usr/share/doc/([^/]+)/copyright")
_METADATA = re.compile(r"(?:.*/)?(?:site|dist)-packages/([^/]+\.dist-info)/METADATA")
_BILL = re.compile(r"(?:.*/)?(?:site|dist)-packages/([^/]+\.dist-info)/sboms/[^/]+\.json")
_PYTHON = re.compile(r"usr/local/lib/libpython3\.\d+\.so\.1\.0")
_PYTHON_VERSION = re.compile(rb"\0(3\.\d{1,2}\.\d{1,2})\0")
"""Python that no package manager installed, as in the official image; the library holds its version as a string."""


@dataclass(frozen=True)
class Package:
    """A package: ``purl`` names it everywhere (https://github.com/package-url); ``parts`` were compiled into it.

    ``licences``: SPDX's names, or one SPDX expression, or names that SPDX doesn't have.
    """

    name: str
    version: str
    purl: str
    licences: tuple[str, ...] = ()
    parts: tuple[Package, ...] = field(default=())


def wanted(path: str) -> bool:
    """Whether ``packages`` looks into the file at this path."""
    return path in (_STATUS, _RELEASE) or any(
        pattern.fullmatch(path) for pattern in (_COPYRIGHT, _METADATA, _BILL, _PYTHON)
    )


def packages(files: Mapping[str, bytes]) -> tuple[Package, ...]:
    """The packages that ``files`` (by path, without leading slash) are of, Debian's first, each sorted by name."""
    debian, python = list(_debian(files)), [*_interpreter(files), *_wheels(files)]
    return tuple(sorted(debian, key=_order)) + tuple(sorted(python, key=_order))


def of_layers(layers: Iterable[Iterable[bytes]]) -> tuple[Package, ...]:
    """The packages in an image's layers, each compressed and in pieces, lowest first."""
    files: dict[str, bytes] = {}
    for pieces in layers:
        with tarfile.open(fileobj=Stream(oci.decompressed(pieces)), mode="r|", bufsize=BUFFER_BYTES) as tar:
            files |= read(tar, wanted)
    return packages(files)


def read(tar: tarfile.TarFile, choose: Callable[[str], bool]) -> dict[str, bytes]:
    """The files of a layer that are chosen, by path without leading slash."""
    return {
        path: source.read()
        for member in tar
        if member.isfile()
        and choose(path := member.name.removeprefix("./"))
        and (source := tar.extractfile(member)) is not None
    }


class Stream(io.RawIOBase):
    """Pieces of bytes, read as from a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._piece, self._position = b"", 0

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes, fewer at the end."""
        parts: list[bytes] = []
        lacking = size if size >= 0 else sys.maxsize
        while lacking > 0:
            if self._position == len(self._piece):  # a piece may well be empty
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._piece, self._position = piece, 0
            parts.append(self._piece[self._position : self._position + lacking])
            self._position += len(parts[-1])
            lacking -= len(parts[-1])
        return b"".join(parts)


def _debian(files: Mapping[str, bytes]) -> Iterator[Package]:
    told = files.get(_RELEASE, b"").decode("utf-8", "replace")
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', told, re.MULTILINE))
    system = release.get("ID") or "debian"
    suite = f"&distro={system}-{release['VERSION_ID']}" if release.get("VERSION_ID") else ""
    for paragraph in files.get(_STATUS, b"").decode("utf-8", "replace").split("\n\n"):
        fields = dict(re.findall(r"^(\S+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").split()[-1:] != ["installed"]:
            continue
        name, version = fields["Package"], fields["Version"]
        told = files.get(f"usr/share/doc/{name}/copyright", b"").decode("utf-8", "replace")
        where = f"arch={fields.get('Architecture', 'all')}{suite}"
        purl = f"pkg:deb/{system}/{quote(name, safe='')}@{quote(version, safe='')}?{where}"
        yield Package(name, version, purl, licences.of_debian(told))


def _wheels(files: Mapping[str, bytes]) -> Iterator[Package]:
    bills: dict[str, list[bytes]] = {}
    for path in sorted(files):
        if match := _BILL.fullmatch(path):
            bills.setdefault(match[1], []).append(files[path])
    for path in sorted(files):
        if not _METADATA.fullmatch(path):
            continue
        headers = HeaderParser().parsestr(files[path].decode("utf-8", "replace"))
        name, version = str(headers["Name"]), str(headers["Version"])
        purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{quote(version, safe='')}"
        parts = tuple(part for bill in bills.get(PurePosixPath(path).parent.name, ()) for part in _parts(bill))
        told = [(key, str(value)) for key, value in headers.items()]
        yield Package(name, version, purl, licences.of_wheel(told), tuple(sorted(set(parts), key=_order)))


def _parts(bill: bytes) -> Iterator[Package]:
    """The components in a wheel's own bill of materials (CycloneDX); none where it isn't one."""
    try:
        components: list[dict[str, Any]] = json.loads(bill)["components"]
        for one in components:
            choices = one.get("licenses") or ()
            told = [each.get("expression") or each["license"].get("id") or each["license"]["name"] for each in choices]
            if one.get("version") and one.get("purl"):
                yield Package(one["name"], one["version"], one["purl"].partition("?")[0], tuple(told[:1]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return


def _interpreter(files: Mapping[str, bytes]) -> Iterator[Package]:
    for path in sorted(files):
        if _PYTHON.fullmatch(path):
            found = _PYTHON_VERSION.search(files[path])
            version = found[1].decode() if found else path.rpartition("libpython")[2].removesuffix(".so.1.0")
            yield Package("python", version, f"pkg:generic/python@{version}", ("PSF-2.0",))


def _order(package: Package) -> tuple[str, str]:
    return package.name.lower(), package.purl
