"""The consumers that are compared, each as processes of their own."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Kind:
    """A consumer before it runs.

    Attributes:
        name: its row in the table.
        module: what Python runs.
        settings: environment variables beside the broker's URL and the queue.
    """

    name: str
    module: str
    replicas: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    translates: bool = True


TUTORIAL = Kind("tutorial", "tests.benchmarks.tutorial")
ECHO = Kind("echo", "tests.benchmarks.echo", translates=False)
DRAGOMAN = Kind("dragoman 1 worker", "service", settings={"WORKERS": "1"})
INSTANT = Kind("dragoman without model", "tests.benchmarks.instant", translates=False)
KINDS = (
    TUTORIAL,
    ECHO,
    INSTANT,
    DRAGOMAN,
    Kind("dragoman 2 workers", "service", settings={"WORKERS": "2"}),
    Kind("dragoman 2 replicas", "service", replicas=2, settings={"WORKERS": "1"}),
)


class ConsumerEnded(Exception):
    """A consumer ended while it was measured, or never answered; the message is what it said last."""


@dataclass(frozen=True)
class Running:
    """A consumer's processes.

    Attributes:
        started: ``time.monotonic()`` just before the first of them.
    """

    processes: list[subprocess.Popen[bytes]]
    started: float
    log: Path

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    def check(self) -> None:
        """Raises ConsumerEnded where one doesn't run any more."""
        for process in self.processes:
            if process.poll() is not None:
                raise ConsumerEnded(f"A consumer ended with {process.returncode}. {self.last_words}")

    @property
    def last_words(self) -> str:
        """The end of what all of them wrote."""
        return "It said last: " + self.log.read_text("utf-8", "replace")[-2000:]


def environment(**settings: str) -> dict[str, str]:
    """What a process of ours finds: these settings, and none that the user's own environment may hold for a service."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


@contextmanager
def running(kind: Kind, url: str, queue: str) -> Iterator[Running]:
    """Starts a consumer's processes, and ends them with the block."""
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as scratch:
        log = Path(scratch) / "log"
        begin = monotonic()
        processes: list[subprocess.Popen[bytes]] = []
        with log.open("wb") as output:
            for replica in range(kind.replicas):
                heartbeats = Path(scratch) / str(replica)
                heartbeats.mkdir()
                settings = environment(AMQP_URL=url, RPC_QUEUE=queue, TMPDIR=str(heartbeats), **kind.settings)
                command = [sys.executable, "-m", kind.module]
                processes.append(subprocess.Popen(command, cwd=ROOT, env=settings, stdout=output, stderr=output))
        try:
            yield Running(processes, begin, log)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
