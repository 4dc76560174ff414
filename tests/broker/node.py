"""A RabbitMQ of the suite's own, which may be killed, restarted and alarmed: no other broker is touched."""

import os
import secrets
import signal
import subprocess
from pathlib import Path
from typing import Self

from patience import until

from daemons import LocalError
from daemons.broker import RABBITMQ_BIN, broker_answers, start_rabbitmq
from daemons.process import free_port, listens, stop, wait
from daemons.started import Started

CONTROL_SECONDS = 60.0


class NodeUnavailable(Exception):
    """No private node can be started here."""


class BrokerNode:
    """A private node: name, ports, data, log, user and port mapper of its own. A context manager.

    Args:
        state: an empty folder for all of it.

    Attributes:
        url: as this machine sees it.
        bridge_url: as a container of the bridge network does.

    Raises:
        NodeUnavailable: there is no RabbitMQ here, and none can be installed.
    """

    def __init__(self, state: Path) -> None:
        self._started = Started(state, processes=[], compose=[])
        self._port = free_port(0)
        password = secrets.token_hex(16)
        try:
            address = start_rabbitmq(self._started, self._port, password)
        except LocalError as error:
            self.end()
            raise NodeUnavailable(str(error)) from None
        self._process = self._started.processes[-1]
        # What it was started with, for the next start.
        variables = Path(f"/proc/{self._process.pid}/environ").read_bytes().split(b"\0")
        self._environment = dict(os.fsdecode(each).split("=", 1) for each in variables if b"=" in each)
        self.url = f"amqp://dragoman:{password}@127.0.0.1:{self._port}/%2F"
        self.bridge_url = f"amqp://dragoman:{password}@{address}:{self._port}/%2F"

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return self._port

    def kill(self) -> None:
        """Ends it with SIGKILL, in the middle of whatever it does."""
        os.killpg(self._process.pid, signal.SIGKILL)  # it leads a session: the wrapper and the Erlang machine
        # The machine may outlive its wrapper by a moment.
        until(lambda: not self._process.alive() and not listens(self._port), "the broker's end")

    def stop(self) -> None:
        """Ends it in order."""
        stop(self._process)

    def start(self) -> None:
        """Starts it on the data that it left."""
        command = [str(RABBITMQ_BIN / "rabbitmq-server")]
        self._process = self._started.spawn("rabbitmq", command, self._environment)
        wait(self._process, lambda: broker_answers(self.url))

    def revive(self) -> None:
        """Starts it where a test that failed has left it dead."""
        if not self._process.alive():
            self.start()

    def control(self, *arguments: str) -> str:
        """What `rabbitmqctl` says to that."""
        command = [str(RABBITMQ_BIN / "rabbitmqctl"), "--quiet", *arguments]
        ran = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=CONTROL_SECONDS, check=False
        )
        assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def end(self) -> None:
        """Ends all of it."""
        for process in reversed(self._started.processes):
            if process.alive():
                os.killpg(process.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
