"""Deploying where things are not as they should be: what is broken never serves, what is cut off is put right."""

import urllib.request
from contextlib import suppress

from images import Urls, Version
from proxy import Proxy

from build_model.engine import Engine
from build_model.operation import lock
from build_model.operation.labels import DEPLOYMENT, ROLE
from build_model.report import silent

from .places import SENTENCE, Place, asking


def replicas(engine: Engine, place: Place) -> list[dict[str, object]]:
    """All that `docker inspect` says of the replicas of a place."""
    ids = [one.id for one in engine.containers({DEPLOYMENT: place.name, ROLE: "replica"})]
    return [engine.client.containers.get(each).attrs for each in ids]


def scraped(port: int, host: str = "127.0.0.1") -> str:
    """What a replica tells Prometheus."""
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_a_replica_shows_no_password_writes_no_endless_log_and_takes_no_endless_memory(
    place: Place, released: Version, engine: Engine
) -> None:
    ran = place.deploy("1.0.0", "--memory", "700m")
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    (replica,) = replicas(engine, place)
    password = place.urls.container.rpartition("@")[0].rpartition(":")[2]
    assert password
    assert password not in str(replica)
    host = replica["HostConfig"]
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert host["Memory"] == 700 << 20
    (volume,) = [mount["Name"] for mount in replica["Mounts"] if mount["Destination"] == "/run/secrets"]
    # The image has no `stat`.
    asked = "import os; found = os.stat('/run/secrets/amqp_url'); print(oct(found.st_mode)[-3:], found.st_uid)"
    assert engine.execute(replica["Id"], ("python3", "-c", asked)).log.split() == ["400", "10001"]

    assert place.deploy("1.0.0", "--memory", "800m").exit_code == 0
    assert volume not in [each.name for each in engine.client.volumes.list()]


def test_a_lock_stays_whatever_is_pruned(place: Place, released: Version, engine: Engine) -> None:
    with lock.held(engine, place.name, released.reference, "deploy 1.0.0"):
        only_ours = {"label": f"{DEPLOYMENT}={place.name}"}
        engine.client.containers.prune(filters=only_ours)
        engine.client.volumes.prune(filters=only_ours)
        engine.client.networks.prune(filters=only_ours)
        refused = place.deploy("1.0.0")
        assert refused.object["error"] == "DeployLocked"
    assert lock.find(engine, place.name) is None


def test_a_rollback_needs_no_registry_where_the_engine_has_the_image(
    place: Place, released: Version, second: Version, registry: str
) -> None:
    host, _, port = registry.partition(":")
    with Proxy(host, int(port)) as proxy:
        way = ("--registry", f"127.0.0.1:{proxy.port}")
        for version in ("1.0.0", "2.0.0"):
            ran = place.deploy(version, *way)
            assert ran.exit_code == 0, ran.stdout + ran.stderr
    assert place.deploy("1.0.0", *way).object["error"] == "RegistryUnreachable"
    for wanted, arguments in (("1.0.0", ()), ("2.0.0", ("2.0.0",))):
        back = place.command("rollback", *arguments, "--observe", "1")
        assert back.exit_code == 0, back.stdout + back.stderr
        assert place.ask(SENTENCE)[0].version == wanted


def test_on_the_hosts_network_every_replica_can_be_scraped_and_upgrades_and_rollbacks_find_ports(
    place: Place, released: Version, second: Version, urls: Urls
) -> None:
    where = ("--network", "host", "--env", "METRICS_PORT=19300", "--amqp-url", urls.client, "--replicas", "2")
    for step in (("deploy", "1.0.0"), ("deploy", "2.0.0"), ("rollback", "1.0.0")):
        ran = place.deploy(step[1], *where) if step[0] == "deploy" else place.command("rollback", "--observe", "1")
        assert ran.exit_code == 0, ran.stdout + ran.stderr
        ports = [int(one["metrics_port"]) for one in place.command("status").object["replicas"]]
        assert len(set(ports)) == 2
        for port in ports:
            assert f'version="{step[1]}"' in scraped(port)
            with suppress(OSError):  # where the machine has IPv6
                assert f'version="{step[1]}"' in scraped(port, "[::1]")


def test_a_shadow_answers_copies_says_what_differs_and_changes_nothing(
    place: Place, released: Version, second: Version, engine: Engine
) -> None:
    assert place.deploy("1.0.0").exit_code == 0
    before = place.command("status").object
    with asking(place) as answers, asking(place):
        ran = place.deploy("2.0.0", "--shadow", "--observe", "10")
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    assert 1 <= ran.object["compared"] <= 10 * 5 + 1
    assert ran.object["different"] == ran.object["compared"]  # 2.0.0 learnt another corpus in seconds
    difference = ran.object["differences"][0]
    assert difference["source"] == SENTENCE
    assert (difference["now"]["version"], difference["then"]["version"]) == ("1.0.0", "2.0.0")
    assert difference["now"]["text"] == answers[0].text
    assert {answer.version for answer in answers} == {"1.0.0"}
    assert place.command("status").object == before
    assert len(engine.containers({DEPLOYMENT: place.name})) == 1
    last = place.command("history").object["entries"][-1]
    assert (last["what"], last["outcome"]) == ("shadow", ran.object["line"])
    assert SENTENCE not in str(last)
    where = ("--registry", place.registry, "--repository", place.repository)
    from_any_machine = place.command("history", *where).object["entries"]
    assert [entry["what"] for entry in from_any_machine][-1] == "shadow"
    assert from_any_machine[-1]["outcome"] == ran.object["line"]


def test_old_images_go_but_not_what_runs_or_what_a_rollback_leads_to(
    place: Place, released: Version, second: Version, engine: Engine
) -> None:
    prune = ("prune", "--keep", "1", "--repository", place.repository, "--json")
    for version in ("1.0.0", "2.0.0"):
        assert place.deploy(version).exit_code == 0
    kept = {one["version"]: one["kept"] for one in place.build_model(*prune).object["images"]}
    assert kept == {"2.0.0": "runs", "1.0.0": "a rollback leads to it"}

    for container in engine.containers({DEPLOYMENT: place.name}):
        engine.remove(container.id)
    assert place.deploy("2.0.0").exit_code == 0
    try:
        would = place.build_model(*prune, "--dry-run").object["images"]
        assert {one["version"]: one["kept"] for one in would} == {"2.0.0": "runs", "1.0.0": ""}
        assert engine.image(released.reference) is not None
        assert place.build_model(*prune).exit_code == 0
        assert engine.image(released.reference) is None
        assert place.ask(SENTENCE)[0].version == "2.0.0"
    finally:
        engine.pull(released.reference, silent())
