"""RabbitMQ."""

import contextlib
import os
import secrets
import shutil
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from daemons import LocalError, say
from daemons.compose import compose_up
from daemons.engine import bridge_gateway, docker
from daemons.packages import install
from daemons.process import free_port, listens, wait
from daemons.started import Broker, Started

ADDRESS = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"  # of a container that is in one network
RABBITMQ_BIN = Path("/usr/lib/rabbitmq/bin")  # the wrappers in /usr/sbin insist on the host's own broker and its user


def address_of(url: str) -> str:
    """HOST:PORT of an AMQP URL, without its password; empty when there is none."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}" if parts.hostname else ""


def broker_answers(url: str) -> bool:
    """Whether the broker of an AMQP URL answers the AMQP 0-9-1 greeting (it begins with a method frame, type 1)."""
    host, _, port = address_of(url).rpartition(":")
    if not host:
        return False
    try:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
            if url.startswith("amqps:"):
                context = ssl.create_default_context()
                connection = stack.enter_context(context.wrap_socket(connection, server_hostname=host))
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False


def ensure_broker(started: Started) -> Broker:
    """The broker, after starting one when none answers."""
    if url := os.environ.get("AMQP_URL"):
        if not broker_answers(url):
            raise LocalError(f"no broker answers at AMQP_URL's {address_of(url)}: start it, or unset AMQP_URL")
        if not (started.broker and url == started.broker.url):
            return Broker(url, os.environ.get("CONTAINER_AMQP_URL") or from_container(url))
    if started.broker and broker_answers(started.broker.url):
        return started.broker
    port, password = free_port(5672), secrets.token_hex(16)
    environment = {"RABBITMQ_PORT": str(port), "RABBITMQ_PASSWORD": password}
    if container := compose_up(started, "rabbitmq", environment):
        address, inner_port = docker("inspect", "--format", ADDRESS, container), 5672
    else:
        address, inner_port = start_rabbitmq(started, port, password), port
    user = f"amqp://dragoman:{password}"
    started.broker = Broker(f"{user}@127.0.0.1:{port}/%2F", f"{user}@{address}:{inner_port}/%2F")
    started.write()
    return started.broker


def from_container(url: str) -> str:
    """An AMQP URL with the bridge's gateway in place of loopback, which a container would take for itself."""
    host = urlsplit(url).hostname or ""
    if not (host == "localhost" or host.startswith("127.")):
        return url
    user, at, place = urlsplit(url).netloc.rpartition("@")
    return urlsplit(url)._replace(netloc=user + at + place.replace(host, bridge_gateway(), 1)).geturl()


def start_rabbitmq(started: Started, port: int, password: str) -> str:
    """Debian's RabbitMQ as a private node: own name, ports, cookie, data and user. Returns its address for containers.

    It listens on loopback and on the bridge only, and registers with a port mapper (epmd) of its own, so that a broker
    of the host never sees it.
    """
    install(
        "broker",
        "set AMQP_URL to one",
        {str(RABBITMQ_BIN / "rabbitmq-server"): "rabbitmq-server"},
        started.log_path("apt"),
    )
    address = bridge_gateway()
    home = started.folder / "rabbitmq"
    shutil.rmtree(home, ignore_errors=True)  # the password is new, and an old database would keep the old one
    home.mkdir()
    (home / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\n"
        f"listeners.tcp.2 = {address}:{port}\n"
        f"default_user = dragoman\ndefault_pass = {password}\n"
    )
    (home / "rabbitmq.conf").chmod(0o600)
    (home / "environment").touch()
    epmd_port = free_port(0)
    say(f"starting RabbitMQ on 127.0.0.1:{port} and {address}:{port}")
    epmd = started.spawn("epmd", ["epmd", "-port", str(epmd_port), "-address", "127.0.0.1"])
    wait(epmd, lambda: listens(epmd_port))
    settings = {
        "HOME": str(home),  # the Erlang cookie
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODENAME": "dragoman@localhost",
        "RABBITMQ_DIST_PORT": str(free_port(0)),
        "RABBITMQ_CONF_ENV_FILE": str(home / "environment"),  # else /etc/rabbitmq's, which is the host's broker's
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        # Loopback for node-to-node traffic, and no busy waiting: an idle broker should cost no CPU.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} "
        "+sbwt none +sbwtdcpu none +sbwtdio none",
    }
    broker = started.spawn("rabbitmq", [str(RABBITMQ_BIN / "rabbitmq-server")], settings)
    wait(broker, lambda: broker_answers(f"amqp://127.0.0.1:{port}") and broker_answers(f"amqp://{address}:{port}"))
    return address
