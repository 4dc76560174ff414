"""What the system knows about a process: processor time, memory, files, threads."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """A process at one moment.

    Attributes:
        memory_mib: resident memory, shared pages included.
        files: open file descriptors.
    """

    memory_mib: float
    files: int
    threads: int


def sample(pid: int) -> Sample:
    """How a process is now."""
    process = psutil.Process(pid)
    with process.oneshot():
        return Sample(process.memory_info().rss / MIB, process.num_fds(), process.num_threads())


def cpu_seconds(pids: list[int]) -> float:
    """Processor time that processes have used since they began, all their threads together, in the system and out of
    it. In steps of 10 ms."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def cpu_seconds_by_thread(pid: int) -> dict[int, float]:
    """As ``cpu_seconds``, for each thread of a process by its number; that of the first is the process'."""
    return {thread.id: thread.user_time + thread.system_time for thread in psutil.Process(pid).threads()}


def peak_mib(pid: int) -> float:
    """The most resident memory that a process ever had (``VmHWM``)."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def listener(port: int) -> int | None:
    """The process that listens on a port of this machine, None where it isn't here or isn't ours to see."""
    with suppress(psutil.AccessDenied):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] == port:
                pid: int | None = connection.pid
                return pid
    return None
