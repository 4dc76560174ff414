"""What a swarm is told: a new task is healthy before an old one ends, and no password is in it."""

from build_model.swarm import ServiceSpec, options_of

SPEC = ServiceSpec(
    name="dragoman",
    image="r:5000/dragoman/fra-eng@sha256:1",
    replicas=3,
    network="bridge",
    environment={"AMQP_URL_FILE": "/run/secrets/amqp_url", "RPC_QUEUE": "q"},
    labels={"dragoman.deployment": "dragoman"},
    secret=("amqp_url", "id", "dragoman-amqp_url-1"),
    memory_bytes=1 << 30,
    monitor_seconds=10,
)


def test_an_update_starts_first_watches_and_takes_itself_back() -> None:
    update = options_of(SPEC)["update_config"]
    assert (update["Order"], update["Parallelism"], update["FailureAction"]) == ("start-first", 1, "rollback")
    assert update["Monitor"] == 10_000_000_000


def test_a_task_is_hardened_as_every_container_of_ours_and_gets_time_to_drain() -> None:
    options = options_of(SPEC)
    assert (options["read_only"], options["cap_drop"]) == (True, ["ALL"])
    assert options["stop_grace_period"] > 8_000_000_000
    assert options["log_driver_options"] == {"max-size": "10m", "max-file": "3"}
    assert options["resources"]["Limits"]["MemoryBytes"] == 1 << 30


def test_the_secret_is_readable_for_the_service_alone_and_a_bridge_is_no_network_of_a_swarm() -> None:
    (secret,) = options_of(SPEC)["secrets"]
    assert secret["File"] == {"Name": "amqp_url", "UID": "10001", "GID": "10001", "Mode": 0o400}
    assert options_of(SPEC)["networks"] == []
