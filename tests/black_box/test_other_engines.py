"""What holds on this machine's engine holds on others: podman's sockets, and Docker with containerd's store."""

import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from images import BuildModel, Urls, Version
from patience import until

from build_model.engine import Engine
from build_model.operation.prune import is_in_registry
from build_model.operation.rpc import Broker, Parcel

from .engines import containerd, podman
from .places import SENTENCE, Place

pytestmark = pytest.mark.long


@pytest.fixture(params=["podman", "rootless podman", "containerd"])
def other(request: pytest.FixtureRequest, tmp_path: Path, registry: str) -> Iterator[Engine]:
    """Another engine, with nothing in it."""
    kinds = {
        "podman": podman(tmp_path, registry),
        "rootless podman": podman(tmp_path, registry, rootless=True),
        "containerd": containerd(tmp_path, "dragoman-c", "10.213.89.1/24"),
    }
    with kinds[request.param] as engine:
        yield engine


@pytest.fixture
def there(other: Engine, registry: str, repository: str, urls: Urls, build_model: BuildModel) -> Iterator[Place]:
    """A place on that engine."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield Place(name, registry, repository, urls, partial(build_model, environment={"DOCKER_HOST": other.host}))
    with Broker(urls.client) as broker:
        for queue in (name, f"{name}.quarantine"):
            broker.delete(queue)


def test_versions_are_tried_deployed_and_rolled_back_and_a_replica_comes_back(
    there: Place, other: Engine, released: Version, second: Version
) -> None:
    where = ("--registry", there.registry, "--repository", there.repository)
    built = there.build_model("--version", "1.0.0", *where, "--push", "--json")
    assert built.exit_code == 0, built.stdout
    assert built.object["digest"] == released.built["digest"]  # and its goldens came out on this engine

    first = there.deploy("1.0.0", "--replicas", "2")
    assert first.exit_code == 0, first.stdout
    assert there.versions() == ["1.0.0", "1.0.0"]
    assert {answer.version for answer in there.ask(*[SENTENCE] * 10)} == {"1.0.0"}

    assert there.deploy("2.0.0", "--replicas", "2").exit_code == 0
    back = there.command("rollback", "--observe", "1")
    assert back.exit_code == 0, back.stdout
    assert set(there.versions()) == {"1.0.0"}

    def restarts() -> int:
        return sum(replica["restarts"] for replica in there.command("status").object["replicas"])

    with Broker(there.urls.client) as broker:
        (refused,) = broker.exchange(there.name, [Parcel(b"Bonjour \xff")], 60)
    assert refused.error == "not-utf8"
    assert there.ask(SENTENCE)[0].text
    until(lambda: restarts() == 1, "the replica that met erroneous input comes back")
    images = other.images("dragoman.artifact")
    assert [is_in_registry(one) for one in images] == [True, True]


def test_an_image_that_no_registry_has_is_whole_and_known_as_that(there: Place, other: Engine) -> None:
    where = ("--registry", there.registry, "--repository", there.repository)
    built = there.build_model("--version", "0.1.0", *where, "--json")
    assert built.exit_code == 0, built.stdout
    assert sum(layer["bytes"] for layer in built.object["layers"]) > 10**8
    container = other.client.containers.create(built.object["image"])
    assert container.attrs["Config"]["Healthcheck"]["Test"] == ["CMD", "python3", "-m", "service", "health"]
    (image,) = other.images("dragoman.artifact")
    assert other.gives_digests_to_all()
    assert not is_in_registry(image)
