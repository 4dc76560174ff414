"""Start, stop, lost connections and what exists already."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gate import Gate
from patience import AT_ONCE_SECONDS, PATIENCE_SECONDS
from proxy import Proxy
from refusing_broker import RefusingBroker
from service_process import GROUND, Client, Service, until

from service.metrics import WITHOUT_PREFIX

Start = Callable[..., Service]
Through = Callable[[int], str]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# Start


def test_readiness_follows_the_service(start: Start, client: Client) -> None:
    service = start(STAND_IN_LOAD_SECONDS="3")
    until(lambda: service.health("live"), "live while loading")
    assert not service.health("ready")
    service.ready()
    assert service.health("ready")
    client.send("wait 2")
    service.send(signal.SIGTERM)
    service.says("asked to stop")
    assert service.health("live")
    assert not service.health("ready")
    assert service.exit_code() == 0


@pytest.mark.parametrize(
    ("kind", "durable", "arguments"),
    [
        ("transient", False, {}),
        ("classic", True, {}),
        ("quorum", True, {"x-queue-type": "quorum"}),
        ("classic with dead-lettering", True, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "elsewhere"}),
    ],
)
def test_a_queue_that_exists_is_taken_as_it_is(
    start: Start, client: Client, kind: str, durable: bool, arguments: dict[str, str]
) -> None:
    client.channel.queue_declare(client.request_queue, durable=durable, arguments=arguments)
    client.send("early")
    start().ready()
    assert client.receive()[0].text == "EARLY", kind


@pytest.mark.parametrize(
    ("kind", "durable", "arguments"),
    [("quorum", True, {"x-queue-type": "quorum"}), ("classic", True, {}), ("transient", False, {})],
)
def test_a_queue_that_does_not_exist_is_declared(
    start: Start, client: Client, kind: str, durable: bool, arguments: dict[str, str]
) -> None:
    start(RPC_QUEUE_TYPE=kind).ready()
    client.channel.queue_declare(client.request_queue, durable=durable, arguments=arguments)  # 406 if it differs


@pytest.mark.parametrize("kind", ["transient", "classic"])
def test_a_kind_of_queue_that_the_broker_refuses_is_78_by_the_name_of_its_setting(start: Start, kind: str) -> None:
    with RefusingBroker() as broker:
        service = start(AMQP_URL=f"amqp://u:hunter2@127.0.0.1:{broker.port}/%2F", RPC_QUEUE_TYPE=kind)
        assert service.exit_code() == 78
    assert service.events[-1]["event"].startswith(f"RPC_QUEUE_TYPE is '{kind}'")
    assert "transient_nonexcl_queues" in service.events[-1]["event"]
    assert "hunter2" not in "".join(service.lines)


def test_it_waits_for_a_broker_that_comes_later(start: Start, client: Client, amqp_url: str, through: Through) -> None:
    port = free_port()
    service = start(AMQP_URL=through(port)).says("no connection to the broker")
    assert service.health("live")
    assert not service.health("ready")
    host, broker_port = amqp_url.rsplit("@", 1)[1].split("/", maxsplit=1)[0].split(":")
    with Proxy(host, int(broker_port), listen_port=port):
        service.ready()
        assert client.ask("late").text == "LATE"


def test_of_several_brokers_the_first_that_answers_is_taken_and_the_next_when_it_is_gone(
    start: Start, client: Client, through: Through, amqp_url: str
) -> None:
    dead = through(free_port())
    host, broker_port = amqp_url.rsplit("@", 1)[1].split("/", maxsplit=1)[0].split(":")
    with Proxy(host, int(broker_port)) as proxy:
        service = start(AMQP_URL=f"{dead} {through(proxy.port)} {amqp_url}").ready()
        assert client.ask("one").text == "ONE"
        failed = [event["broker"] for event in service.events if "no connection" in event["event"]]
    assert failed
    assert all(f"@127.0.0.1:{dead.rsplit(':', 1)[1]}" in broker for broker in failed)
    until(lambda: len([event for event in service.events if event["event"] == "serving"]) == 2, "serving again", 5)
    client.send("two")
    until(lambda: client.receive()[0].text == "TWO", "the reply")  # the first may come again
    password = amqp_url.split("@", maxsplit=1)[0].rsplit(":", 1)[1]
    assert password not in "".join(service.lines)


def test_a_broker_that_never_comes_is_69_where_there_is_a_deadline(start: Start, through: Through) -> None:
    service = start(AMQP_URL=through(free_port()), CONNECT_DEADLINE_SECONDS="1")
    assert service.exit_code() == 69
    assert "couldn't be reached for 1 s" in service.events[-1]["event"]
    assert "Connection refused" in service.events[-1]["event"]


def test_a_wrong_password_is_77(start: Start, amqp_url: str) -> None:
    host = amqp_url.rsplit("@", 1)[1]
    service = start(AMQP_URL=f"amqp://nobody:wrong@{host}")
    assert service.exit_code() == 77
    assert "ACCESS_REFUSED" in service.events[-1]["event"]
    assert "wrong" not in "".join(service.lines)


def test_an_unknown_virtual_host_is_77(start: Start, amqp_url: str) -> None:
    service = start(AMQP_URL=amqp_url.rsplit("/", 1)[0] + "/no-such-vhost")
    assert service.exit_code() == 77
    assert "no-such-vhost" in service.events[-1]["event"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREFETCH", "none"),
        ("THREADS", "2"),
        ("AMQP_URL", "amqp://u:hunter2@host:port/"),
        ("AMQP_URL", "amqp://u:hunter2@host/?nonsense=1"),
        ("AMQP_URL", "amqp://u:pre/hunter2@host:5672/%2F"),
        ("AMQP_URL", "amqp://u:12#hunter2@host:5672/%2F"),
        ("AMQP_URL", "u:hunter2@host:5672/%2F"),
        ("AMQP_URL", "amqp://u:hunter2@one:5672,two:5672/%2F"),
        ("AMQP_URL", "amqp://u:p@host/ amqp://u:hunter2@host/?nonsense=1"),
        ("AMQP_URL", "amqps://u:hunter2@host/?ssl_options={'protocol': 2}"),
        ("AMQP_URL", "amqps://u:hunter2@host/?ssl_options={'ca_certs': '/no/such/file'}"),
    ],
)
def test_a_bad_setting_is_78_by_name(start: Start, name: str, value: str) -> None:
    service = start(**{name: value})
    assert service.exit_code() == 78
    (event,) = service.events
    assert event["event"].startswith(name)
    assert "hunter2" not in service.lines[0]


def test_a_setting_may_come_from_a_file(start: Start, client: Client, amqp_url: str, tmp_path: Path) -> None:
    secret = tmp_path / "amqp-url"
    secret.write_text(amqp_url + "\n", encoding="utf-8")
    start(AMQP_URL="", AMQP_URL_FILE=str(secret)).ready()
    assert client.ask("a").text == "A"


@pytest.mark.parametrize(("given", "is_json"), [("json", True), ("", True), ("text", False)])
def test_the_log_is_as_it_was_asked_for(start: Start, tmp_path: Path, given: str, is_json: bool) -> None:
    named = tmp_path / "log-format"
    named.write_text(given, encoding="utf-8")
    for setting in ({"LOG_FORMAT": given}, {"LOG_FORMAT_FILE": str(named)}):
        service = start(**setting)
        until(lambda started=service: started.lines, "a line")
        assert service.lines[0].startswith("{") is is_json


def test_a_guard_that_fails_is_78_before_any_connection(application: Path, start: Start, tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "service").symlink_to(application / "service")
    (broken / "model").mkdir()
    for name in GROUND:
        (broken / "model" / name).symlink_to(application / "model" / name)
    (broken / "model" / "translator.py").write_text(
        "from model.errors import ChecksumMismatch\n"
        "class Translator:\n"
        "    @classmethod\n"
        "    def load(cls, folder, *, threads=None):\n"
        "        raise ChecksumMismatch('weights.safetensors is 12…, the manifest says 34…. Restore it.')\n",
        encoding="utf-8",
    )
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    environment["AMQP_URL"] = f"amqp://a:b@127.0.0.1:{listener.getsockname()[1]}/"
    for command in ([], ["self-test"]):
        ended = subprocess.run(
            [sys.executable, "-m", "service", *command],
            cwd=broken,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 78
        assert "the manifest says 34" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert ended.stderr.count("\n") == 1
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.close()


def test_metrics_are_served_where_a_port_is_given(start: Start, client: Client) -> None:
    port = free_port()
    start(METRICS_PORT=str(port), ON_ERRONEOUS_INPUT="continue").ready()
    client.ask("a")
    client.ask(" ")
    client.ask(b"\xff")
    client.send("b", reply_to="gone")
    client.ask("c")

    def metrics() -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    until(lambda: metrics()["dragoman_replies_returned_total"] == 1, "the return")
    found = metrics()
    assert found["dragoman_received_messages_total"] == 5
    assert found['dragoman_received_processed_messages_total{status="ok"}'] == 3
    assert found['dragoman_received_processed_messages_total{status="empty"}'] == 1
    assert found['dragoman_received_processed_messages_total{status="not-utf8"}'] == 1
    assert found["dragoman_processing_duration_seconds_count"] == 5
    assert found["dragoman_batch_size_sum"] == 5
    assert found["dragoman_quarantined_messages_total"] == 1
    assert found["dragoman_redelivered_messages_total"] == 0
    assert found["dragoman_connection_blocked"] == 0
    assert (
        found[f'dragoman_model_info{{architecture="{"0123abcd" * 8}",source="fra",target="eng",version="9.8.7"}}'] == 1
    )
    deprecated = {name: value for name, value in found.items() if f"dragoman_{name}" in found}
    assert {re.split(r"_total|_info|_bucket|_sum|_count|_created|{", name)[0] for name in deprecated} == WITHOUT_PREFIX
    assert deprecated == {name: found[f"dragoman_{name}"] for name in deprecated}


def test_a_metrics_port_that_is_taken_is_78(start: Start) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        service = start(METRICS_PORT=str(taken.getsockname()[1]))
        assert service.exit_code() == 78
        assert "METRICS_PORT" in service.events[-1]["event"]


# Stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_the_batch_in_progress(start: Start, client: Client, number: signal.Signals) -> None:
    service = start(MAX_BATCH="1").ready()
    client.send("wait 3")
    for rest in range(10):
        client.send(f"rest {rest}")
    service.waits(3).send(number)
    assert service.exit_code() == 0
    assert client.receive()[0].text == "WAIT 3"
    assert client.nothing_comes()
    assert until(lambda: client.depth(client.request_queue) == 10, "the rest is back in the queue")


def test_an_idle_service_stops_at_once(start: Start, client: Client) -> None:
    service = start().ready()
    began = time.monotonic()
    service.send(signal.SIGTERM)
    assert service.exit_code() == 0
    assert time.monotonic() - began < AT_ONCE_SECONDS


def test_a_service_without_a_broker_stops_at_once(start: Start, through: Through) -> None:
    service = start(AMQP_URL=through(free_port())).says("no connection to the broker")
    service.send(signal.SIGTERM)
    assert service.exit_code(AT_ONCE_SECONDS) == 0, service.lines


def test_a_service_that_loads_stops_before_it_connects(start: Start, client: Client) -> None:
    service = start(STAND_IN_LOAD_SECONDS="1")
    until(lambda: service.health("live"), "live while loading")
    service.send(signal.SIGTERM)
    assert service.exit_code() == 0
    assert not any("serving" in event["event"] for event in service.events)


def test_a_batch_that_takes_too_long_is_75_and_nothing_is_lost(start: Start, client: Client) -> None:
    service = start(DRAIN_SECONDS="0.5").ready()
    client.send("wait 60")
    service.waits(60).send(signal.SIGTERM)
    assert service.exit_code(30) == 75
    assert until(lambda: client.depth(client.request_queue) == 1, "the request is back in the queue")


def test_a_service_before_a_broker_that_says_nothing_stops_at_once(
    start: Start, proxy: Proxy, through: Through
) -> None:
    proxy.drop()
    service = start(AMQP_URL=through(proxy.port)).says("loaded")
    time.sleep(0.5)
    service.send(signal.SIGTERM)
    assert service.exit_code(AT_ONCE_SECONDS) == 0, service.lines


def test_a_connection_lost_while_draining_is_no_failure(
    start: Start, client: Client, proxy: Proxy, through: Through
) -> None:
    service = start(AMQP_URL=through(proxy.port)).ready()
    client.send("wait 3")
    service.waits(3).send(signal.SIGTERM)
    service.says("asked to stop")
    proxy.cut()
    assert service.exit_code() == 0
    assert until(lambda: client.depth(client.request_queue) == 1, "the request is back in the queue")


def test_a_stop_at_any_moment_of_the_start_is_0(start: Start, client: Client) -> None:
    for tenths in range(8):
        service = start(STAND_IN_LOAD_SECONDS="0").says("loaded")
        time.sleep(tenths / 100)
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0, service.lines


def test_without_a_place_for_heartbeats_it_is_78(start: Start) -> None:
    service = start(TMPDIR="/no/such/folder")
    assert service.exit_code() == 78
    assert service.events[-1]["event"].startswith("TMPDIR")


# Connections


def test_a_lost_connection_is_made_again_and_nothing_is_lost(
    start: Start, client: Client, proxy: Proxy, through: Through
) -> None:
    service = start(AMQP_URL=through(proxy.port)).ready()
    sent = {client.send(f"wait 0.01 {number}") for number in range(200)}
    answered: set[str] = set()
    for _ in range(3):
        answered |= {reply.properties.correlation_id for reply in client.receive(20)}
        proxy.cut()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while answered != sent:
        assert time.monotonic() < deadline, f"{len(sent - answered)} of {len(sent)} not answered"
        answered |= {reply.properties.correlation_id for reply in client.receive()}
    assert until(lambda: client.depth(client.request_queue) == 0, "the queue is empty")
    assert service.process.poll() is None
    service.send(signal.SIGTERM)
    assert service.exit_code() == 0


@pytest.mark.parametrize("number", range(2, 24, 3))
def test_a_stop_between_any_two_things_that_the_broker_says_is_0(
    start: Start, amqp_url: str, through: Callable[[int], str], number: int
) -> None:
    """From the greeting to the consumer there are some 22 of them, in any order of the two connections."""
    services: list[Service] = []

    def stop() -> None:
        until(lambda: services, "the service")
        services[0].send(signal.SIGTERM)
        services[0].says("asked to stop")

    broker = urlsplit(amqp_url)
    with Gate(broker.hostname or "", broker.port or 5672, number, stop) as gate:
        services.append(start(AMQP_URL=through(gate.port)))
        assert services[0].exit_code() == 0
    assert not [event for event in services[0].events if event["level"] != "info"]


@pytest.mark.parametrize(("silent", "code"), [(b" replies", 0), (b" requests", 75)])
def test_a_drain_needs_the_brokers_word_on_acks_and_on_nothing_else(
    start: Start, client: Client, proxy: Proxy, through: Callable[[int], str], silent: bytes, code: int
) -> None:
    service = start(AMQP_URL=through(proxy.port), DRAIN_SECONDS="1").ready()
    assert client.ask("a").text == "A"
    until(lambda: client.depth(client.request_queue) == 0, "it is in hand, or done")
    time.sleep(0.5)  # acked
    proxy.drop(silent)
    service.send(signal.SIGTERM)
    assert service.exit_code() == code
    assert code == 0 or service.events[-1]["open_connections"] == ["requests"]


def test_what_the_broker_does_not_confirm_goes_out_again_on_another_channel(
    start: Start, client: Client, proxy: Proxy, through: Callable[[int], str]
) -> None:
    service = start(AMQP_URL=through(proxy.port)).ready()
    assert client.ask("before").text == "BEFORE"
    time.sleep(0.5)  # confirmed
    proxy.withhold_confirms(b" replies")
    client.send("twice")
    assert client.receive()[0].text == "TWICE"
    service.says("the broker confirms nothing")
    assert client.receive()[0].text == "TWICE"
    assert client.ask("after").text == "AFTER"
    service.send(signal.SIGTERM)
    assert service.exit_code() == 0
    assert client.depth(client.request_queue) == 0


def test_a_deleted_queue_is_declared_again(start: Start, client: Client) -> None:
    service = start().ready()
    client.channel.queue_delete(client.request_queue)
    service.says("declaring it again")
    service.says_again("serving", 2)
    assert client.ask("again").text == "AGAIN"


def test_requests_in_hand_are_answered_though_their_queue_is_deleted(start: Start, client: Client) -> None:
    service = start().ready()
    client.send("wait 1")
    service.waits(1)
    client.channel.queue_delete(client.request_queue)
    service.says_again("serving", 2)  # by a consumer's cancellation or a refusal of its next step, whichever came first
    assert client.receive()[0].text == "WAIT 1"
    assert client.ask("again").text == "AGAIN"


@pytest.mark.parametrize("kind", ["classic", "quorum"])
@pytest.mark.parametrize("single", [False, True])
def test_a_replica_has_one_consumer_that_names_it(start: Start, client: Client, kind: str, single: bool) -> None:
    arguments = {"x-queue-type": kind, "x-single-active-consumer": single}
    client.channel.queue_declare(client.request_queue, durable=True, arguments=arguments)
    client.send("early", delivery_mode=2)
    services = [start().ready() for _ in range(2)]
    sent = {client.send(f"text {number}", delivery_mode=2) for number in range(600)}
    answered = {reply.properties.correlation_id for reply in client.receive(601)}
    assert sent < answered
    found = client.channel.queue_declare(client.request_queue, passive=True).method.consumer_count
    assert found == (1 if single and kind == "quorum" else 2)  # such a queue counts the active one alone
    assert [service.process.poll() for service in services] == [None, None]
    services[0].send(signal.SIGTERM)
    assert services[0].exit_code() == 0
    assert client.ask("last").text == "LAST"


def test_a_queue_that_somebody_holds_is_waited_for(start: Start, client: Client) -> None:
    client.channel.queue_declare(client.request_queue, durable=True)
    tag = client.channel.basic_consume(client.request_queue, lambda *_: None, exclusive=True)
    service = start(CONNECT_DEADLINE_SECONDS="2").says("holds the request queue for itself; waiting")
    time.sleep(3)
    assert service.process.poll() is None
    assert not any("no connection" in event["event"] for event in service.events)
    client.channel.basic_cancel(tag)
    service.ready()
    assert client.ask("a").text == "A"


def test_several_workers_answer_every_request_once(start: Start, client: Client) -> None:
    start(WORKERS="3", MAX_BATCH="1").ready()
    client.send("wait 2")
    sent = {client.send(f"text {number}"): f"TEXT {number}" for number in range(200)}
    assert {reply.properties.correlation_id: reply.text for reply in client.receive(200)} == sent  # beside the slow one
    assert client.receive()[0].text == "WAIT 2"
    assert client.nothing_comes()


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate authority, and certificates that it signed: `here` is for 127.0.0.1 and localhost,
    `there` for another host, `client` for a client."""
    folder = tmp_path_factory.mktemp("tls")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout"
    _openssl(folder, f"req -x509 {key} ca.key -out ca.pem -days 2 -subj /CN=tests")
    for name, hosts in (
        ("here", "DNS:localhost,IP:127.0.0.1"),
        ("there", "DNS:there.example"),
        ("client", "DNS:client"),
    ):
        (folder / "names").write_text(f"subjectAltName={hosts}", encoding="ascii")
        _openssl(folder, f"req {key} {name}.key -out {name}.csr -subj /CN={name}")
        sign = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names"
        _openssl(folder, f"x509 -req -in {name}.csr -out {name}.pem {sign}")
    return folder


def _openssl(folder: Path, command: str) -> None:
    subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


def tls_proxy(amqp_url: str, authority: Path, name: str, *, asks_for_client: bool = False) -> Proxy:
    """Speaks TLS with a certificate of the authority and hands on to the broker."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / f"{name}.pem", authority / f"{name}.key")
    if asks_for_client:
        context.load_verify_locations(authority / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    host, port = amqp_url.rsplit("@", 1)[1].split("/", maxsplit=1)[0].split(":")
    return Proxy(host, int(port), tls=context)


@pytest.fixture
def tls_port(authority: Path, amqp_url: str) -> Iterator[int]:
    """A port that speaks TLS and hands on to the broker."""
    with tls_proxy(amqp_url, authority, "here") as proxy:
        yield proxy.port


def test_amqps_with_a_known_authority_is_served(
    start: Start, client: Client, through: Through, tls_port: int, authority: Path
) -> None:
    url = through(tls_port).replace("amqp://", "amqps://", 1)
    start(AMQP_URL=url, SSL_CERT_FILE=str(authority / "ca.pem")).ready()
    assert client.ask("a").text == "A"


def test_amqps_with_an_authority_in_the_url_is_served(
    start: Start, client: Client, through: Through, tls_port: int, authority: Path
) -> None:
    url = through(tls_port).replace("amqp://", "amqps://", 1)
    start(AMQP_URL=f"{url}?ssl_options={{'cafile':'{authority / 'ca.pem'}'}}").ready()
    assert client.ask("a").text == "A"


def test_amqps_with_an_unknown_authority_is_not_connected_to(start: Start, through: Through, tls_port: int) -> None:
    url = through(tls_port).replace("amqp://", "amqps://", 1)
    service = start(AMQP_URL=url, CONNECT_DEADLINE_SECONDS="1")
    assert service.exit_code() == 69
    assert "CERTIFICATE_VERIFY_FAILED" in service.lines[-1] or "certificate" in service.lines[-1].lower()


def test_amqps_with_a_certificate_of_another_host_is_not_connected_to(
    start: Start, through: Through, amqp_url: str, authority: Path
) -> None:
    with tls_proxy(amqp_url, authority, "there") as proxy:
        url = through(proxy.port).replace("amqp://", "amqps://", 1)
        service = start(AMQP_URL=url, SSL_CERT_FILE=str(authority / "ca.pem"), CONNECT_DEADLINE_SECONDS="1")
        assert service.exit_code() == 69
        assert "CERTIFICATE_VERIFY_FAILED" in service.lines[-1]


def test_amqps_with_a_certificate_of_the_client_is_served_and_without_it_is_not(
    start: Start, client: Client, through: Through, amqp_url: str, authority: Path
) -> None:
    with tls_proxy(amqp_url, authority, "here", asks_for_client=True) as proxy:
        url = through(proxy.port).replace("amqp://", "amqps://", 1)
        files = {"cafile": "ca.pem", "certfile": "client.pem", "keyfile": "client.key"}
        options = {option: str(authority / name) for option, name in files.items()}
        start(AMQP_URL=f"{url}?ssl_options={options}").ready()
        assert client.ask("a").text == "A"
        stranger = start(AMQP_URL=url, SSL_CERT_FILE=str(authority / "ca.pem"), CONNECT_DEADLINE_SECONDS="1")
        assert stranger.exit_code() == 69
