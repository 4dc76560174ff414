"""Replicas of the image: containers, hardened as they are deployed, that a supervisor starts again at once."""

import json
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from patience import PATIENCE_SECONDS, until
from proxy import Proxy

from build_model.engine import ContainerSpec, Engine

MEGABYTE = 1_000_000


class Replica:
    """A container of an image, with this machine's network, so that it reaches brokers and proxies on loopback.

    Args:
        settings: the service's environment.
        supervised: whether it is started again whenever it ends. At once, unlike Docker, which backs off: what is
            tested is what an instance leaves to the next, and not how long Docker waits between the two.
        networked: else it starts on the bridge network with its cable out, until ``connect``.

    Attributes:
        exit_codes: of each run that ended, in order; 137 is SIGKILL.
    """

    def __init__(
        self,
        engine: Engine,
        image: str,
        name: str,
        settings: Mapping[str, str],
        *,
        supervised: bool = False,
        networked: bool = True,
    ) -> None:
        self._engine = engine
        self.image = image
        self.name = name
        self._supervised = supervised
        self.exit_codes: list[int] = []
        self._runs = 0
        network = "host" if networked else "bridge"
        spec = ContainerSpec(name, image, network, False, settings, {"dragoman.test": "faults"})
        self.container = engine.create(spec)
        if not networked:
            engine.client.networks.get("bridge").disconnect(self.container)
        self._supervisor = threading.Thread(target=self._supervise, name=name, daemon=True)
        self._start()
        self._supervisor.start()

    # The supervisor

    def _supervise(self) -> None:
        handle = Engine.connect().client.containers.get(self.container)  # a connection of the thread's own
        while True:
            exit_code = handle.wait()["StatusCode"]
            if self._supervised:
                self._start()
            self.exit_codes.append(exit_code)
            if not self._supervised:
                return

    def _start(self) -> None:
        self._engine.start(self.container)
        self._runs += 1

    # What it says

    @property
    def log(self) -> list[dict[str, Any]]:
        """The events of all runs, oldest first."""
        lines = self._engine.log(self.container, 100_000).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, text: str) -> int:
        """How often an event said that."""
        return sum(text in event["event"] for event in self.log)

    def says(self, text: str, times: int = 1, seconds: float = PATIENCE_SECONDS) -> Self:
        """Waits until an event said that, so often."""
        until(lambda: self.said(text) >= times, lambda: f"{text!r} in the log of {self.name}: {self.log}", seconds)
        return self

    def ready(self) -> Self:
        """Waits until the run of now serves."""

        def serves() -> bool:
            events = [event["event"] for event in self.log]
            if events.count("loaded") < self._runs:
                return False
            return "serving" in events[max(index for index, event in enumerate(events) if event == "loaded") :]

        until(serves, lambda: f"{self.name} serves: {self.log}", PATIENCE_SECONDS)
        return self

    @property
    def is_ready(self) -> bool:
        """What the health check says."""
        return self._engine.execute(self.container, ("python3", "-m", "service", "health", "ready")).exit_code == 0

    @property
    def is_running(self) -> bool:
        """Whether it hasn't ended."""
        return self._engine.container(self.container).exit_code is None

    def metrics(self, port: int) -> dict[str, float]:
        """What it tells Prometheus."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    # What is done to it

    def kill(self) -> None:
        """SIGKILL."""
        self.signal("SIGKILL")

    def signal(self, name: str) -> None:
        """Any other signal."""
        self._engine.client.containers.get(self.container).kill(name)

    def connect(self) -> None:
        """Plugs the cable in."""
        self._engine.client.networks.get("bridge").connect(self.container)

    def ended(self, times: int = 1, seconds: float = 30.0) -> int:
        """Waits until it ended so often; the last exit code."""
        until(lambda: len(self.exit_codes) >= times, lambda: f"the end of {self.name}: {self.log}", seconds)
        return self.exit_codes[-1]

    def stop(self) -> int:
        """SIGTERM, and no new run; the exit code."""
        self._supervised = False
        ends = len(self.exit_codes)
        self.signal("SIGTERM")
        return self.ended(ends + 1)

    def remove(self) -> None:
        """Ends it in any case, and leaves nothing."""
        self._supervised = False
        self._engine.remove(self.container)
        self._supervisor.join(30)

    def execute(self, *command: str) -> int:
        """The exit code of a command beside it."""
        return self._engine.execute(self.container, command).exit_code

    # What it costs

    @property
    def pid(self) -> int:
        """Its process on this machine."""
        pid: int = self._engine.client.containers.get(self.container).attrs["State"]["Pid"]
        return pid

    def memory_mb(self, what: str = "VmRSS") -> float:
        """Resident memory now, or at its peak (``VmHWM``), in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace")
        (line,) = (line for line in status.splitlines() if line.startswith(what))
        return int(line.split()[1]) * 1024 / MEGABYTE

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """Its resident memory while the block runs, in MB, ten times a second."""
        status = Path(f"/proc/{self.pid}/statm")
        found = [self.memory_mb()]
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                found.append(int(status.read_text(encoding="ascii").split()[1]) * 4096 / MEGABYTE)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield found
        finally:
            done.set()
            thread.join()


def through(url: str, proxy: Proxy) -> str:
    """A broker's URL by way of a proxy."""
    user, _, rest = url.rpartition("@")
    return f"{user}@127.0.0.1:{proxy.port}/{rest.split('/', 1)[1]}"
