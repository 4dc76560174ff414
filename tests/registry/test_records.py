"""What was deployed can be read from the registry, on any machine."""

from dataclasses import replace

import pytest

from build_model.image import oci
from build_model.image.registry import Registry
from build_model.operation import record
from registry.node import RegistryNode

from .test_blobs import put_image


@pytest.fixture
def registry(node: RegistryNode) -> Registry:
    """A client of the test's registry."""
    return Registry(node.address)


FACTS = {"at": "2026-01-01T00:00:00+00:00", "who": "me@here", "what": "deploy", "name": "dragoman", "outcome": "done"}


def test_records_of_all_versions_come_oldest_first_and_only_of_the_deployment_asked_for(
    registry: Registry, node: RegistryNode
) -> None:
    for number in range(3):
        image = registry.address.reference("r", f"1.{number}.0")
        layer = oci.blob(f"layer {number}".encode(), oci.LAYER)
        pinned = replace(image, digest=put_image(registry, image, layer).digest)
        for name in ("dragoman", "other"):
            at = f"2026-01-0{3 - number}T00:00:00+00:00"
            record.leave(node.address, pinned, {**FACTS, "at": at, "name": name, "image": str(pinned)})
    found = record.history(node.address, "r", "dragoman")
    assert [entry["at"][:10] for entry in found] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert {entry["name"] for entry in found} == {"dragoman"}
    assert found[0]["who"] == "me@here"


def test_a_long_outcome_is_cut(registry: Registry, node: RegistryNode) -> None:
    image = registry.address.reference("r", "1.0.0")
    pinned = replace(image, digest=put_image(registry, image).digest)
    record.leave(node.address, pinned, {**FACTS, "outcome": "x" * 100_000})
    (entry,) = record.history(node.address, "r", "dragoman")
    assert len(entry["outcome"]) == 2000
