"""Registries of these tests' own. Where docker-registry isn't installed: a skip on a laptop, a failure in CI."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from images import missing

from registry.node import RegistryNode, RegistryUnavailable

Start = Callable[..., RegistryNode]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a registry; see `RegistryNode`."""
    with ExitStack() as nodes:

        def started(**settings: object) -> RegistryNode:
            try:
                return nodes.enter_context(RegistryNode(tmp_path, **settings))
            except RegistryUnavailable as error:
                missing(error)

        yield started


@pytest.fixture
def node(start: Start) -> RegistryNode:
    """A registry that lets everybody in."""
    return start()
