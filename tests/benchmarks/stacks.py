"""Where the service's time goes at saturation: what py-spy sees of its two threads."""

import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import process
from tests.benchmarks.bench import WINDOW, Setting, serving
from tests.benchmarks.consumer import Kind

SAMPLES_A_SECOND = 200
LEAD_SECONDS = 3.0  # of load before the recording, and after it
TRANSPORT, INFERENCE = "transport", "inference"
OTHER = "other"
LEAST_PERCENT = 0.5  # of a thread's time, for a line of its own
# What the work is, by the innermost frame of these files, and of this function where it is named; the model's work goes
# by its functions' names.
WORK = (
    ("pika/adapters/utils/io_services_utils.py", "", "socket reads and writes"),
    ("pika/adapters/select_connection.py", "", "event loop: poll, timers, callbacks"),
    ("pika/frame.py", "decode_frame", "decoding frames"),
    ("pika/spec.py", "decode", "decoding frames"),
    ("pika/data.py", "decode", "decoding frames"),
    ("pika/frame.py", "", "encoding frames"),
    ("pika/spec.py", "", "encoding frames"),
    ("pika/data.py", "encode", "encoding frames"),
    ("pika/amqp_object.py", "", "encoding frames"),
    ("pika/", "", "pika: dispatch to channels and callbacks"),
    ("service/ledger.py", "", "ledger: what may be acked"),
    ("service/message.py", "", "examining requests, writing replies"),
    ("service/metrics.py", "", "metrics"),
    ("service/batcher.py", "_take", "batcher: waiting, and taking a batch"),
    ("service/", "", "service: consumer and batcher"),
)


def profile(setting: Setting, kind: Kind) -> list[dict[str, Any]]:
    """Microseconds a request and share by thread and work, the most first.

    How much time a thread uses is the system's count; the samples say on what. To py-spy a thread that waits for a
    processor is one that works. The inference thread hardly waits. The transport thread does after every system call
    that wakes somebody, so of this one only what holds the interpreter counts.
    """
    recorded: dict[str, Recording] = {}
    with serving(setting, kind, "quorum") as (client, consumer, _):
        (pid,) = consumer.pids

        def look() -> None:
            recorded[INFERENCE] = record(pid, setting.seconds)
            recorded[TRANSPORT] = record(pid, setting.seconds, "--gil")

        recorder = threading.Timer(LEAD_SECONDS, look)
        recorder.start()
        # Load goes on a little longer than both recordings.
        report = client.run("saturate", consumer, window=WINDOW, seconds=2 * (setting.seconds + LEAD_SECONDS))
        recorder.join()
    microseconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    for thread, recording in recorded.items():
        works = {work: samples for (of, work), samples in count(recording.stacks).items() if of == thread}
        used = 1e6 * recording.cpu_seconds[thread] / recording.seconds / report.requests_per_second
        for work, samples in works.items():
            share = samples / sum(works.values())
            microseconds[thread, work if 100 * share >= LEAST_PERCENT else OTHER] += used * share
    whole = sum(microseconds.values())
    return [
        {"name": kind.name, "thread": thread, "work": work, "microseconds": each, "percent": 100 * each / whole}
        for (thread, work), each in sorted(microseconds.items(), key=lambda item: -item[1])
    ]


@dataclass(frozen=True)
class Recording:
    """What py-spy and the system saw of a process for so many seconds: stacks, and processor time by thread."""

    seconds: float
    stacks: list[str]
    cpu_seconds: dict[str, float]


def record(pid: int, seconds: float, *more: str) -> Recording:
    """Looks at a process, with ``more`` options of py-spy's."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as stacks:
        command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--output", stacks.name]
        # A process that is stopped for each sample does more in its event loop than it would otherwise.
        options = ["--nonblocking", "--threads", "--full-filenames", "--format", "raw", *more]
        often = ["--rate", str(SAMPLES_A_SECOND), "--duration", str(int(seconds))]
        begin, used = time.monotonic(), process.cpu_seconds_by_thread(pid)
        subprocess.run([*command, *options, *often], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end, used_at_the_end = time.monotonic(), process.cpu_seconds_by_thread(pid)
        spent = {thread: used_at_the_end[thread] - before for thread, before in used.items()}
        transport = spent.pop(pid)
        return Recording(end - begin, stacks.readlines(), {TRANSPORT: transport, INFERENCE: sum(spent.values())})


def count(lines: Iterable[str]) -> Counter[tuple[str, str]]:
    """Samples by thread and work, of py-spy's raw format: frames from the outermost on, and how often."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in lines:
        stack, _, samples = line.rpartition(" ")
        thread, *frames = stack.split(";")
        counts[TRANSPORT if "MainThread" in thread else INFERENCE, _work(frames)] += int(samples)
    return counts


def _work(frames: list[str]) -> str:
    for frame in reversed(frames):
        function, _, place = frame.partition(" (")
        if found := re.search(r"/model/(?:network/)?(\w+)\.py:", place):
            return f"model: {function.rpartition('.<locals>.')[2]} in {found[1]}"
        for file, name, work in WORK:
            if f"/{file}" in place and name in function:
                return work
    return OTHER
