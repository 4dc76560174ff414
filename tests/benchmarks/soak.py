"""A soak: many requests through one replica, and what of the process has grown by the end."""

import time
from collections.abc import Callable
from dataclasses import asdict
from statistics import median
from typing import Any

from tests.benchmarks import process
from tests.benchmarks.bench import WINDOW, Setting, serving
from tests.benchmarks.consumer import DRAGOMAN
from tests.benchmarks.process import Sample

PATIENCE_SECONDS = 6 * 3600.0
SETTLE_SECONDS = 3.0


def soak(setting: Setting, requests: int, answered: Callable[[int], None]) -> dict[str, Any]:
    """Memory after one half of the requests and after all of them, each the median of the samples, two a second, of the
    tenth of the requests before; files and threads before the load and after it."""
    samples: list[tuple[int, Sample]] = []
    with serving(setting, DRAGOMAN, "quorum") as (client, consumer, _):
        (pid,) = consumer.pids

        def take(count: int) -> None:
            samples.append((count, process.sample(pid)))
            answered(count)

        time.sleep(SETTLE_SECONDS)
        before = process.sample(pid)
        report = client.run(
            "saturate", consumer, answered=take, requests=requests, window=WINDOW, seconds=PATIENCE_SECONDS
        )
        time.sleep(SETTLE_SECONDS)
        after = process.sample(pid)
        peak_mib = process.peak_mib(pid)

    def memory_mib(count: int) -> float:
        """The typical memory in the last tenth before ``count`` requests."""
        near = [sample.memory_mib for number, sample in samples if count - requests / 10 <= number <= count]
        return median(near)

    half, whole = memory_mib(requests // 2), memory_mib(requests)
    return {
        "requests": requests,
        "lost": report.lost,
        "duplicates": report.duplicates,
        "requests_per_second": report.requests_per_second,
        "memory_mib_half": half,
        "memory_mib_whole": whole,
        "growth_percent": 100 * (whole / half - 1),
        "peak_mib": peak_mib,
        "before": asdict(before),
        "after": asdict(after),
    }
