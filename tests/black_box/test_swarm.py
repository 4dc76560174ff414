"""A swarm of one node rolls an update by itself, and rolls it back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from images import Derive, Version

from build_model.engine import Engine
from build_model.image.signature import PrivateKey
from build_model.report import silent

from .engines import second_engine
from .places import SENTENCE, Place
from .test_broken import BATCHER

pytestmark = pytest.mark.long
DIES_AT_WORK = """
import os, sys
if "candidate" not in os.environ["RPC_QUEUE"]:
    threading.Timer(4.0, os._exit, (139,)).start()
"""


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that manages a swarm of itself."""
    with second_engine(tmp_path_factory.mktemp("swarm"), "dragoman-swarm", "10.213.88.1/24") as engine:
        engine.client.swarm.init(advertise_addr="127.0.0.1", listen_addr="127.0.0.1:2399")
        yield engine
        for service in engine.client.services.list():
            service.remove()
        engine.client.swarm.leave(force=True)


def test_a_swarm_rolls_forward_and_back_and_takes_back_what_dies(
    place: Place, released: Version, second: Version, swarm: Engine, engine: Engine, derive: Derive, tmp_path: Path
) -> None:
    private, public = PrivateKey.generate(tmp_path / "ours")
    required = ("--require-signature", str(public))
    here = ("--engine", "swarm", "--host", swarm.host, "--observe", "5")
    where = (*here, "--network", "host", "--amqp-url", place.urls.client, "--replicas", "2")
    assert place.deploy("1.0.0", *where, *required).object["error"] == "SignatureMissing"
    assert swarm.client.services.list() == swarm.containers({}) == []
    assert swarm.image(released.reference) is None  # nothing was pulled
    first = place.deploy("1.0.0", *where)
    assert first.exit_code == 0, first.stdout + first.stderr
    assert place.ask(SENTENCE)[0].version == "1.0.0"
    service = swarm.client.services.get(place.name)
    assert place.urls.client not in str(service.attrs) + str(service.tasks())

    forward = place.deploy("2.0.0", *where)
    assert forward.exit_code == 0, forward.stdout + forward.stderr
    assert forward.object["previous"] == first.object["reference"]
    assert {answer.version for answer in place.ask(*[SENTENCE] * 20)} == {"2.0.0"}

    refused = place.command("rollback", *here, *required)
    assert refused.object["error"] == "SignatureMissing", refused.stdout
    assert {answer.version for answer in place.ask(*[SENTENCE] * 20)} == {"2.0.0"}
    assert place.build_model("sign", released.reference, "--key", str(private)).exit_code == 0
    for version, signed in (("1.0.0", required), ("2.0.0", ()), ("1.0.0", required)):
        back = place.command("rollback", *here, *signed)
        assert back.exit_code == 0, back.stdout + back.stderr
        assert {answer.version for answer in place.ask(*[SENTENCE] * 20)} == {version}

    repository = f"{place.repository}-swarm"
    code = engine.read_files(second.reference, [f"/{BATCHER}"])[f"/{BATCHER}"]
    tag = f"{place.registry}/{repository}:2.0.0"
    engine.tag(derive(second.reference, {BATCHER: code + DIES_AT_WORK.encode()}), tag)
    engine.push(tag, silent())
    broken = place.deploy("2.0.0", *where, repository=repository)
    assert broken.object["error"] == "Withdrawn", broken.stdout
    assert {answer.version for answer in place.ask(*[SENTENCE] * 20)} == {"1.0.0"}
    assert place.command("history").object["entries"][-1]["outcome"].startswith("Withdrawn")


def test_an_engine_without_a_swarm_says_how_to_make_one(place: Place, released: Version) -> None:
    ran = place.deploy("1.0.0", "--engine", "swarm")
    assert ran.object["error"] == "SwarmMissing"
    assert "docker swarm init" in ran.object["message"]
