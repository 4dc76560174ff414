"""Several engines as one: a version is on all of them, or on none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from images import Version

from build_model.engine import Engine
from build_model.operation import lock
from build_model.operation.labels import DEPLOYMENT

from .engines import second_engine
from .places import SENTENCE, Place

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def other_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A second engine on this machine."""
    with second_engine(tmp_path_factory.mktemp("engine"), "dragoman-two", "10.213.87.1/24") as engine:
        yield engine


def test_a_version_is_on_all_hosts_or_on_none(
    place: Place, released: Version, second: Version, engine: Engine, other_engine: Engine, tmp_path: Path
) -> None:
    both = ("--host", engine.host, "--host", other_engine.host)

    def versions() -> list[list[str]]:
        hosts = place.command("status", *both).object["hosts"]
        return [[one["version"] for one in each["replicas"]] for each in hosts]

    first = place.deploy("1.0.0", *both, "--replicas", "2")
    assert first.exit_code == 0, first.stdout + first.stderr
    assert first.object["hosts"] == [engine.host, other_engine.host]
    assert len(first.object["started"]) == 4
    assert versions() == [["1.0.0", "1.0.0"], ["1.0.0", "1.0.0"]]

    pinned = f"{released.reference.rpartition(':')[0]}@{released.built['digest']}"
    with lock.held(other_engine, place.name, pinned, "deploy 9.9.9"):
        refused = place.deploy("2.0.0", *both)
        assert refused.object["error"] == "DeployLocked"
    assert versions() == [["1.0.0", "1.0.0"], ["1.0.0", "1.0.0"]]
    assert lock.find(engine, place.name) is None

    hosts = tmp_path / "hosts"
    hosts.write_text(f"{engine.host}  # here\n\n{other_engine.host}\n")
    assert place.deploy("2.0.0", "--hosts", str(hosts)).exit_code == 0
    assert versions() == [["2.0.0"], ["2.0.0"]]
    assert place.ask(SENTENCE)[0].version == "2.0.0"

    back = place.command("rollback", *both, "--observe", "1")
    assert back.exit_code == 0, back.stdout + back.stderr
    assert versions() == [["1.0.0"], ["1.0.0"]]
    for container in other_engine.containers({DEPLOYMENT: place.name}):
        other_engine.remove(container.id)
