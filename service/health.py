"""Health: what the service writes about itself, and the probe that reads it without importing the model.

The loop's thread and the inference threads write the time to a file each, the latter that of the thread that has been
silent longest; and a file is there while the service takes requests. The time is that of the monotonic clock, which
every process on a machine shares, so that setting the clock harms nobody.
"""

import os
import time
from pathlib import Path

from service.tally import Tally

STALE_SECONDS = 60.0  # longer than the longest batch that is in order
_LEAST_INTERVAL_SECONDS = 1.0  # between two writes of one heartbeat
LOOP, INFERENCE, READY, TALLY = "loop", "inference", "ready", "tally"


def folder() -> Path:
    """Where the files are: in memory, which is there on a read-only file system too."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
    return Path(os.environ.get("TMPDIR") or memory) / f"dragoman-{os.getuid()}"


class Heartbeat:
    """A file that the time of the last sign of life is written to."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._last = float("-inf")
        self.beat()

    def beat(self, at: float | None = None) -> None:
        """Writes when the last sign of life was, now or ``at``, unless what stands there is hardly older."""
        at = time.monotonic() if at is None else at
        if at - self._last >= _LEAST_INTERVAL_SECONDS:
            self._last = at
            os.pwrite(self._file, f"{at:020.3f}".encode(), 0)


class Vitals:
    """The files of this process: a heartbeat for each thread, readiness, and what it answered."""

    def __init__(self) -> None:
        place = folder()
        place.mkdir(mode=0o700, exist_ok=True)
        self._ready_file = place / READY
        self._ready_file.unlink(missing_ok=True)  # of a process that was killed
        self.loop = Heartbeat(place / LOOP)
        self.inference = Heartbeat(place / INFERENCE)
        self.tally = Tally(place / TALLY)
        self._ready = False

    @property
    def ready(self) -> bool:
        """Whether the goldens passed, the consumer is registered and replies can be published."""
        return self._ready

    @ready.setter
    def ready(self, ready: bool) -> None:
        if ready == self._ready:
            return
        self._ready = ready
        if ready:
            self._ready_file.touch()
        else:
            self._ready_file.unlink(missing_ok=True)


def tally() -> str:
    """The numbers of the service on this machine, as JSON; FileNotFoundError where there is none."""
    return (folder() / TALLY).read_text(encoding="utf-8").strip()


def probe(kind: str) -> tuple[bool, str]:
    """Whether the service on this machine is ``live`` or ``ready``, and a line that says why."""
    place = folder()
    for thread in (LOOP, INFERENCE):
        try:
            age_seconds = time.monotonic() - float((place / thread).read_text())
        except (OSError, ValueError):
            return False, f"not {kind}: no heartbeat of the {thread} thread in {place}; is the service running?"
        if not -1 <= age_seconds <= STALE_SECONDS:  # in the future: left from before the machine started again
            return False, f"not {kind}: the {thread} thread's heartbeat is {age_seconds:.0f} s old"
    if kind == "ready" and not (place / READY).exists():
        return False, "live, not ready: not connected, blocked or draining; the log says which"
    return True, kind
