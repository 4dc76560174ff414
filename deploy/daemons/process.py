"""Programs that run to their end, and daemons that are started, waited for and stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemons import LocalError
from daemons.cause import cause

START_SECONDS = 180.0
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Process:
    """A daemon that `up` started. A pid alone may belong to another process after a reboot; its start time tells."""

    name: str
    pid: int
    start_ticks: int
    log: str = ""  # a path

    def alive(self) -> bool:
        return start_ticks(self.pid) == self.start_ticks

    def session(self) -> list[int]:
        """The processes of its session that still run, itself among them: some outlive the one that started them."""
        if start_ticks(self.pid) not in (None, self.start_ticks):
            return []  # the pid is another's by now
        return [pid for pid, fields in processes() if fields[3] == str(self.pid)]


def processes() -> Iterator[tuple[int, list[str]]]:
    """Pid of each process that runs, and the fields of proc(5)'s stat from the third on."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = path.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                yield int(path.parent.name), fields


def start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot (field 22 of proc(5)'s stat); None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


def run(
    command: list[str], seconds: float, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; LocalError when that takes longer than `seconds`."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=os.environ | (environment or {}),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LocalError(f"`{' '.join(command)}` did not end within {seconds:.0f} s") from None


def wait(process: Process, answers: Callable[[], bool]) -> None:
    """Waits until a daemon answers; LocalError names its log when it ends first or takes longer than START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        why, log = None, Path(process.log).read_text(errors="replace")
        if not process.alive():
            why = f"{process.name} ended: {cause(log)}"
        elif time.monotonic() > deadline:
            why = f"{process.name} did not answer within {START_SECONDS:.0f} s; its log says: {cause(log)}"
        if why:
            raise LocalError(f"{why} (log: {process.log})")
        time.sleep(0.2)


def stop(process: Process) -> None:
    """SIGTERM, and SIGKILL to what of its session has not ended after STOP_SECONDS."""
    # A leader knows how to end what it started; where it ended before, nobody else tells the rest.
    send([process.pid] if process.alive() else process.session(), signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while left := process.session():
        if time.monotonic() > deadline:
            send(left, signal.SIGKILL)
            raise LocalError(f"{process.name} had to be killed after {STOP_SECONDS:.0f} s (log: {process.log})")
        time.sleep(0.1)


def send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def free_port(preferred: int) -> int:
    """`preferred` when nothing listens on it on any address, else one that the system picks."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
            return int(probe.getsockname()[1])
    raise LocalError("no free TCP port is left on this machine")


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
