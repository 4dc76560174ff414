"""`build-model doctor` where an engine, a registry and a broker answer."""

from images import BuildModel, Urls

from build_model.engine import Engine


def test_everything_that_answers_is_in_order_and_nothing_secret_is_shown(
    build_model: BuildModel, engine: Engine, registry: str, urls: Urls
) -> None:
    addresses = ("--registry", registry, "--amqp-url", urls.container, "--client-amqp-url", urls.client)
    ran = build_model("doctor", *addresses, "--queue", "nobody-serves-this", "--json")
    assert ran.exit_code == 0, ran.stdout
    state = {one["what"]: one["state"] for one in ran.object["findings"]}
    assert {state[what] for what in ("python", "model", "engine", "login", "registry", "push", "broker")} == {"ok"}
    assert state["queue"] == "warn"
    said = {one["what"]: one["said"] for one in ran.object["findings"]}
    assert "linux/x86_64" in said["engine"]
    assert said["broker"].startswith("RabbitMQ ")
    password = urls.client.partition("://")[2].partition("@")[0].partition(":")[2]
    assert password not in ran.stdout


def test_a_broker_at_a_containers_own_loopback_is_warned_of(build_model: BuildModel, urls: Urls) -> None:
    ran = build_model("doctor", "--amqp-url", "amqp://me:pw@127.0.0.1/%2F", "--client-amqp-url", urls.client)
    lines = [line for line in ran.stdout.splitlines() if "broker's address" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warn")
    assert "--client-amqp-url" in lines[0]
