"""Versions that were pushed, with all that lies beside them, and a key: each test has its own registry with them."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkpoints import write_checkpoint
from images import missing

from build_model.image import image, oci
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.image.signature import PrivateKey
from registry.node import RegistryNode, RegistryUnavailable
from registry.store import put_runtime
from registry.test_push import MODEL, Builder

from .documents import ELSEWHERE

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u13

Package: perl-base
Status: deinstall ok config-files
Architecture: amd64
Version: 5.36.0-7
"""
COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Files: *
License: LGPL-2.1+ or MIT/X11
"""
METADATA = """Metadata-Version: 2.4
Name: pika
Version: 1.4.4
License-Expression: BSD-3-Clause
"""
FILES: dict[str, oci.Content] = {
    "usr/lib/os-release": b'ID=debian\nVERSION_ID="12"\n',
    "usr/share/doc/libc6/copyright": COPYRIGHT.encode(),
    "var/lib/dpkg/status": STATUS.encode(),
    "opt/site-packages/pika-1.4.4.dist-info/METADATA": METADATA.encode(),
}


@dataclass(frozen=True)
class Store:
    """A registry's data, and what was pushed there: versions 1.0.0 and 1.0.1 of one checkpoint, 2.0.0 of another one.

    2.0.0 lies in another repository, and says there that it is 1.0.0.
    """

    data: Path
    made: Mapping[str, image.Made]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Pushed once, with a runtime image in which there are two packages; each test has a copy."""
    folder = tmp_path_factory.mktemp("store")
    checkpoint = write_checkpoint(folder / "checkpoint")
    other = write_checkpoint(folder / "other", fill=b"\1")
    with started(folder) as node:
        registry = Registry(node.address)
        put_runtime(registry, FILES)
        builder = Builder(registry, folder / "artifacts")
        made = {tag: builder.push(tag, checkpoint) for tag in ("1.0.0", "1.0.1")}
        made["2.0.0"] = builder.push("1.0.0", other, repository=ELSEWHERE)
    return Store(node.data, made)


@pytest.fixture
def node(store: Store, tmp_path: Path) -> Iterator[RegistryNode]:
    """A registry with what is in the store."""
    shutil.copytree(store.data, tmp_path / "data")
    with started(tmp_path) as running:
        yield running


@pytest.fixture
def registry(node: RegistryNode) -> Registry:
    """Asks it."""
    return Registry(node.address)


@pytest.fixture
def pushed(registry: Registry) -> Reference:
    """Version 1.0.0, by tag and digest."""
    return registry.resolve(registry.address.reference(MODEL, "1.0.0"))


@pytest.fixture
def next_one(registry: Registry) -> Reference:
    """Version 1.0.1, by tag and digest."""
    return registry.resolve(registry.address.reference(MODEL, "1.0.1"))


def started(folder: Path) -> RegistryNode:
    """A registry on the data in a folder."""
    try:
        return RegistryNode(folder)
    except RegistryUnavailable as error:
        missing(error)


@pytest.fixture
def key(tmp_path: Path) -> PrivateKey:
    """A key of ours."""
    private, _ = PrivateKey.generate(tmp_path / "ours")
    return PrivateKey.read(private)
