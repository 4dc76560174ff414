"""deploy/local: what it takes for an answer, what it remembers, what it refuses. Starts nothing but a `sleep`."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from answering import answering

from daemons import LocalError, broker, engine
from daemons.broker import broker_answers, from_container
from daemons.engine import bridge_gateway, interface_address
from daemons.packages import install
from daemons.process import Process, free_port, start_ticks, stop, wait
from daemons.registry import registry_answers
from daemons.started import Broker, Started

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "local"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def listening(answer: bytes) -> Iterator[int]:
    """A TCP server on loopback that says ``answer`` to whatever it is told first."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(64)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        thread.join(timeout=5)


def always(status: int) -> type[BaseHTTPRequestHandler]:
    """What answers a GET so, whatever it asks for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

    return Handler


def test_a_broker_is_one_that_answers_the_amqp_greeting() -> None:
    with listening(b"\x01\x00\x00") as port:
        assert broker_answers(f"amqp://user:secret@127.0.0.1:{port}/%2F")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n", b"AMQP\x00\x00\x09\x01", b""])
def test_another_service_on_the_port_is_no_broker(answer: bytes) -> None:
    with listening(answer) as port:
        assert not broker_answers(f"amqp://127.0.0.1:{port}")


@pytest.mark.parametrize("url", ["", "amqp://", "amqp://127.0.0.1:1"])
def test_no_address_or_a_closed_port_is_no_broker(url: str) -> None:
    assert not broker_answers(url)


@pytest.mark.parametrize(("status", "is_registry"), [(200, True), (401, True), (404, False), (500, False)])
def test_a_registry_is_one_that_answers_or_wants_a_login(status: int, is_registry: bool) -> None:
    with answering(always(status)) as port:
        assert registry_answers(f"127.0.0.1:{port}") is is_registry


def test_a_port_taken_on_loopback_alone_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert free_port(taken) != taken


@pytest.mark.parametrize(
    ("seen_here", "seen_by_a_container"),
    [
        ("amqp://u:localhost@localhost:5672/%2F", "amqp://u:localhost@172.17.0.1:5672/%2F"),
        ("amqp://127.0.0.1", "amqp://172.17.0.1"),
        ("amqps://broker.example:5671/v", "amqps://broker.example:5671/v"),
    ],
)
def test_a_container_sees_the_bridge_where_this_machine_sees_loopback(
    monkeypatch: pytest.MonkeyPatch, seen_here: str, seen_by_a_container: str
) -> None:
    monkeypatch.setattr(broker, "bridge_gateway", lambda: "172.17.0.1")
    assert from_container(seen_here) == seen_by_a_container


SUBNET = {"Subnet": "172.30.0.0/16"}
SIX = {"Subnet": "fd00:1::/64", "Gateway": "fd00:1::1"}


@pytest.mark.parametrize(
    ("configs", "interface", "gateway"),
    [
        ([{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}], None, "172.17.0.1"),
        ([SIX, {"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}], None, "172.17.0.1"),
        ([{"Subnet": "172.17.0.5/24", "Gateway": "172.17.0.5"}], None, "172.17.0.5"),
        # an engine that was never started before: a subnet and no gateway
        ([SUBNET], "172.30.0.9", "172.30.0.9"),  # --bip 172.30.0.9/16
        ([SUBNET], None, "172.30.0.1"),  # the engine is on another machine
        ([SUBNET], "10.0.0.7", "172.30.0.1"),  # this machine has a bridge of that name, and it isn't the engine's
        ([SUBNET | {"Gateway": ""}], None, "172.30.0.1"),
        ([SIX, SUBNET], None, "172.30.0.1"),
    ],
)
def test_a_bridge_without_a_gateway_has_its_own_address_or_the_first_of_its_subnet(
    monkeypatch: pytest.MonkeyPatch, configs: list[Any], interface: str | None, gateway: str
) -> None:
    network = {"IPAM": {"Config": configs}, "Options": {"com.docker.network.bridge.name": "docker0"}}
    monkeypatch.setattr(engine, "docker", lambda *_: json.dumps(network))
    monkeypatch.setattr(engine, "interface_address", {"docker0": interface}.get)
    assert bridge_gateway() == gateway


def test_podman_whose_bridge_is_not_there_yet_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """What podman 5.4 says; no machine has an address of 192.0.2.0/24 (RFC 5737)."""
    network = {"IPAM": {"Config": [{"Subnet": "192.0.2.0/24", "Gateway": "192.0.2.1"}]}, "Options": {}}
    said = {"network": json.dumps(network), "version": '[{"Name":"Podman Engine","Version":"5.4.2"}]'}
    monkeypatch.setattr(engine, "docker", lambda command, *_: said[command])
    with pytest.raises(LocalError, match=r"192\.0\.2\.1.* set AMQP_URL and CONTAINER_AMQP_URL"):
        bridge_gateway()


@pytest.mark.parametrize("configs", [None, [], [SIX]])
def test_an_engine_without_a_bridge_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, configs: list[Any] | None
) -> None:
    monkeypatch.setattr(engine, "docker", lambda *_: json.dumps({"IPAM": {"Config": configs}, "Options": None}))
    monkeypatch.setattr(engine, "interface_address", lambda _: None)
    with pytest.raises(LocalError, match=r"no IPv4 subnet.* set AMQP_URL and CONTAINER_AMQP_URL"):
        bridge_gateway()


def test_an_interface_is_asked_for_its_own_address() -> None:
    assert interface_address("lo") == "127.0.0.1"
    assert interface_address("no-such-one") is None


def test_what_was_started_is_remembered_and_stopped(tmp_path: Path) -> None:
    Started(tmp_path, processes=[], compose=["registry"]).spawn("sleeper", ["sleep", "60"])
    remembered = Started.read(tmp_path)
    assert remembered.compose == ["registry"]
    (process,) = remembered.processes
    assert process.alive()
    stop(process)
    assert not process.alive()
    assert Started.read(tmp_path).processes == []


def test_another_process_with_a_remembered_pid_is_left_alone() -> None:
    ours = Process("pytest", os.getpid(), start_ticks(os.getpid()) - 1)
    assert not ours.alive()
    stop(ours)  # this test would not live to tell otherwise


def test_the_state_that_holds_the_password_is_for_its_owner_alone(tmp_path: Path) -> None:
    Started(tmp_path, processes=[], compose=[], broker=Broker("amqp://u:p@h", "amqp://u:p@c")).write()
    assert (tmp_path / "started.json").stat().st_mode & 0o077 == 0
    assert Started.read(tmp_path).broker.container_url == "amqp://u:p@c"


def test_a_daemon_that_ends_at_once_is_named_with_its_last_words_and_its_log(tmp_path: Path) -> None:
    process = Started(tmp_path, processes=[], compose=[]).spawn("daemon", ["sh", "-c", "echo no room left; exit 1"])
    with pytest.raises(LocalError, match=r"daemon ended: no room left \(log: .*/daemon\.log\)"):
        wait(process, lambda: False)


def test_what_outlives_the_process_that_started_it_is_stopped_too(tmp_path: Path) -> None:
    process = Started(tmp_path, processes=[], compose=[]).spawn("daemon", ["sh", "-c", "sleep 60 & sleep 61"])
    until(lambda: len(process.session()) == 3)
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not process.alive())
    (remembered,) = Started.read(tmp_path).processes
    stop(remembered)
    assert process.session() == []
    assert Started.read(tmp_path).processes == []


def test_a_log_that_says_why_is_quoted_and_not_its_last_line(tmp_path: Path) -> None:
    log = "ERROR: no room for 5 MB\n  - on /var\n\nCrash dump is being written to: erl_crash.dump...done"
    process = Started(tmp_path, processes=[], compose=[]).spawn("daemon", ["sh", "-c", f"echo '{log}'; exit 1"])
    with pytest.raises(LocalError, match=r"daemon ended: ERROR: no room for 5 MB: on /var \(log: "):
        wait(process, lambda: False)


def test_a_service_that_is_missing_needs_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "apt-get").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LocalError) as refusal:
        install("broker", "set AMQP_URL to one", {"rabbitmq-server": "rabbitmq-server"}, tmp_path / "apt.log")
    assert str(refusal.value) == (
        "no broker answers, and only root can `apt-get install rabbitmq-server`: set AMQP_URL to one"
    )


def test_a_service_that_is_missing_needs_debian(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match="without apt-get none can be installed: set AMQP_URL to one"):
        install("broker", "set AMQP_URL to one", {"rabbitmq-server": "rabbitmq-server"}, tmp_path / "apt.log")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a copy of the script, with a state of its own, where there is no Docker."""
    copy = tmp_path / "deploy" / "local"
    shutil.copytree(SCRIPT.parent, copy.parent)

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, copy, *arguments],
            env={"PATH": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_up_where_docker_host_does_not_answer_says_so_in_one_line(
    elsewhere: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ended = elsewhere("up", DOCKER_HOST="tcp://127.0.0.1:1")
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "deploy/local: DOCKER_HOST is tcp://127.0.0.1:1, but the `docker` command is missing: "
        "mend that, or unset DOCKER_HOST"
    ]


def test_status_where_nothing_is_up_fails(elsewhere: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    ended = elsewhere("status")
    assert ended.returncode == 1
    assert [line.split() for line in ended.stdout.splitlines()] == [
        ["engine", "down"],
        ["registry", "down"],
        ["broker", "down"],
    ]


def test_down_stops_the_rest_where_one_thing_can_not_be_stopped(
    elsewhere: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    state = tmp_path / ".local"
    state.mkdir()
    process = Started(state, processes=[], compose=["registry"]).spawn("sleeper", ["sleep", "60"])
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    ended = elsewhere("down")
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "deploy/local: stopping sleeper",
        "deploy/local: `docker compose down` failed: Cannot connect to the Docker daemon",
    ]
    assert not process.session()
    assert Started.read(state).compose == ["registry"]  # for the next `down`


def test_down_where_nothing_was_started_does_nothing(
    elsewhere: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ended = elsewhere("down")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
