"""Programs that run to their end, and daemons that are started, waited for and stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemons import LocalError

START_SECONDS = 90.0
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


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no output"


def wait(process: Process, answers: Callable[[], bool]) -> None:
    """Waits until a daemon answers; LocalError names its log when it ends first or takes longer than START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        why = None
        if not process.alive():
            why = f"{process.name} ended: {last_line(Path(process.log).read_text(errors='replace'))}"
        elif time.monotonic() > deadline:
            why = f"{process.name} did not answer within {START_SECONDS:.0f} s"
        if why:
            raise LocalError(f"{why} (log: {process.log})")
        time.sleep(0.2)


def stop(process: Process) -> None:
    """SIGTERM, and SIGKILL to its whole session when it has not ended after STOP_SECONDS."""
    if not process.alive():
        return
    os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while process.alive():
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            raise LocalError(f"{process.name} had to be killed after {STOP_SECONDS:.0f} s (log: {process.log})")
        time.sleep(0.1)


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
