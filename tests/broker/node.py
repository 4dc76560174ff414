"""A node of RabbitMQ, and several that are one broker."""

import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Self

from patience import until

from broker.installation import PATH, Installation, NodeUnavailable

START_SECONDS = 90.0
STOP_SECONDS = 30.0
CONTROL_SECONDS = 60.0
LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that nobody listens on, on any address."""
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])


class Realm:
    """What nodes share that are to find one another, and no others: a port mapper (epmd), a cookie, a user. A context
    manager.

    Args:
        folder: an empty one, for all that they keep.
        installation: whose programs they are.
    """

    def __init__(self, folder: Path, installation: Installation) -> None:
        self.folder = folder
        self.installation = installation
        self.epmd_port = free_port()
        self.cookie = secrets.token_hex(16)
        self.password = secrets.token_hex(16)

    def run(
        self, home: Path, program: str, *arguments: str, output: int | IO[bytes], **settings: str
    ) -> subprocess.Popen[bytes]:
        """Starts a program in a session of its own, for the node whose folder is ``home``."""
        environment = os.environ | {"PATH": PATH, "ERL_EPMD_PORT": str(self.epmd_port)} | settings
        command = self.installation.command(home, program, *arguments)
        return subprocess.Popen(
            command,
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        arguments = ("-port", str(self.epmd_port), "-address", LOOPBACK)
        self._epmd = self.run(self.folder, "epmd", *arguments, output=subprocess.DEVNULL)
        until(lambda: listens(self.epmd_port), "the port mapper")
        return self

    def __exit__(self, *_: object) -> None:
        self._epmd.kill()
        self._epmd.wait()


class BrokerNode:
    """A private node: name, ports, data and log of its own.

    Args:
        addresses: where it listens, beside loopback.
        peers: the names of all nodes of its cluster.

    Attributes:
        port: where it listens.
        url: as this machine sees it.
        bridge_url: as a container does, where one of the addresses is the bridge's.
    """

    def __init__(
        self, realm: Realm, name: str = "dragoman", *, addresses: Sequence[str] = (), peers: Sequence[str] = ()
    ) -> None:
        self.name = f"{name}@localhost"
        self.port = free_port()
        self._realm = realm
        self._home = realm.folder / name
        self._home.mkdir()
        self._configure(addresses, peers)
        self._settings = self._environment(realm.installation.seen(self._home))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self.url_at(LOOPBACK)
        self.bridge_url = self.url_at([LOOPBACK, *addresses][-1])

    def url_at(self, address: str) -> str:
        """The URL of this node where it listens on an address."""
        return f"amqp://dragoman:{self._realm.password}@{address}:{self.port}/%2F"

    def begin(self) -> None:
        """Starts it on the data that it left, and doesn't wait for it."""
        with (self._home / "node.log").open("ab") as log:
            self._process = self._realm.run(self._home, "rabbitmq-server", output=log, **self._settings)

    def wait(self) -> None:
        """Waits until it answers."""
        until(self._answers, lambda: f"an answer of {self.name}: {self._last_words()}", START_SECONDS)

    def start(self) -> None:
        """Starts it on the data that it left."""
        self.begin()
        self.wait()

    def kill(self) -> None:
        """Ends it with SIGKILL, in the middle of whatever it does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)  # it leads a session: the wrapper and the Erlang machine
            self._process.wait()
            until(lambda: not listens(self.port), "the broker's end")  # the machine may outlive its wrapper by a moment
            self._process = None

    def stop(self) -> None:
        """Ends it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
            self._process = None

    def revive(self) -> None:
        """Starts it where a test that failed has left it dead."""
        if self._process is None or self._process.poll() is not None:
            self.start()

    def control(self, *arguments: str) -> str:
        """What `rabbitmqctl` says to that."""
        log = self._home / "control.log"
        with log.open("wb") as output:
            ran = self._realm.run(self._home, "rabbitmqctl", "--quiet", *arguments, output=output, **self._settings)
            ran.wait(CONTROL_SECONDS)
        said = log.read_text(encoding="utf-8", errors="replace")
        assert ran.returncode == 0, f"rabbitmqctl {arguments}: {said}"
        return said

    def _configure(self, addresses: Sequence[str], peers: Sequence[str]) -> None:
        lines = [
            f"listeners.tcp.{number} = {each}:{self.port}" for number, each in enumerate([LOOPBACK, *addresses], 1)
        ]
        lines += ["default_user = dragoman", f"default_pass = {self._realm.password}"]
        if peers:
            lines.append("cluster_formation.peer_discovery_backend = classic_config")
        lines += [
            f"cluster_formation.classic_config.nodes.{number} = {peer}@localhost"
            for number, peer in enumerate(peers, 1)
        ]
        (self._home / "rabbitmq.conf").write_text("".join(f"{line}\n" for line in lines))
        (self._home / "environment").touch()
        (self._home / ".erlang.cookie").write_text(self._realm.cookie)
        (self._home / ".erlang.cookie").chmod(0o400)

    def _environment(self, home: Path) -> dict[str, str]:
        return {
            "HOME": str(home),  # the Erlang cookie
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": str(
                home / "environment"
            ),  # else /etc/rabbitmq's, which is the machine's broker's
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            # Loopback for node-to-node traffic, and no busy waiting: an idle broker should cost no CPU.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} "
            "+sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise NodeUnavailable(f"{self.name} ended: {self._last_words()}")
        return greets(self.port)

    def _last_words(self) -> str:
        log = self._home / "node.log"
        return f"{log.read_text(encoding='utf-8', errors='replace')[-2000:]} ({log})"


@contextmanager
def private_node(folder: Path, installation: Installation, addresses: Sequence[str] = ()) -> Iterator[BrokerNode]:
    """A node that is a broker of its own, for the block.

    Raises:
        NodeUnavailable: it doesn't start.
    """
    with cluster(folder, installation, 1, addresses) as (node,):
        yield node


@contextmanager
def cluster(
    folder: Path, installation: Installation, size: int = 3, addresses: Sequence[str] = ()
) -> Iterator[list[BrokerNode]]:
    """So many nodes that are one broker, for the block.

    Raises:
        NodeUnavailable: one doesn't start.
    """
    names = [f"dragoman-{number}" for number in range(1, size + 1)]
    with ExitStack() as stack:
        realm = stack.enter_context(Realm(folder, installation))
        nodes = [BrokerNode(realm, name, addresses=addresses, peers=names if size > 1 else ()) for name in names]
        for node in nodes:
            stack.callback(node.kill)
            node.begin()
        for node in nodes:
            node.wait()
        yield nodes


def listens(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=5).close()
    except OSError:
        return False
    return True


def greets(port: int) -> bool:
    """Whether who listens there answers the AMQP 0-9-1 greeting (it begins with a method frame, type 1)."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False
