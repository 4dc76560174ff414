"""The model beside others that do its work: 1.0.0, and CTranslate2 in int8 with a network of Firefox's tiny size."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks.consumer import ROOT

PEER = Path(__file__).with_name("peer.py")
BATCH, ROUNDS = 32, 5
SENTENCES, ALONE = 1920, 200
MOVED = "model/lang.py"
"""The first file that the regrouping for 2.0.0 took away: the commit before that is 1.0.0's last."""
NAMES = ("dragoman", "dragoman 1.0.0", "ctranslate2 tiny int8")


def rows(sources: Sequence[str], say: Callable[[str], None]) -> list[Mapping[str, Any]]:
    """Processor time of each, in rounds that take turns, so that a machine that slows down slows them all: the best
    round of batches, the median sentence alone."""
    texts = list(sources[:SENTENCES])
    batches: dict[str, list[float]] = {name: [] for name in NAMES}
    alone: dict[str, list[float]] = {name: [] for name in NAMES}
    with (
        _first() as first,
        _peer("translator", ROOT) as ours,
        _peer("translator", first) as old,
        _peer("ctranslate2", ROOT) as other,
    ):
        for number in range(ROUNDS):
            say(f"round {number + 1} of {ROUNDS}")
            for name, ask in zip(NAMES, (ours, old, other), strict=True):
                batches[name].append(sum(ask(texts, BATCH)) / len(texts))
                alone[name] += ask(texts[:ALONE], 1)
    return [
        {
            "name": name,
            "batched_ms": 1000 * min(batches[name]),
            "alone_ms": 1000 * median(alone[name]),
            "batched_times": min(batches[name]) / min(batches[NAMES[0]]),
            "alone_times": median(alone[name]) / median(alone[NAMES[0]]),
        }
        for name in NAMES
    ]


@contextmanager
def _first() -> Iterator[Path]:
    """A folder with the code and the checkpoint of 1.0.0, from this clone's history."""
    found = _git("log", "-1", "--format=%H", "--diff-filter=D", "--", MOVED).decode().strip()
    if not found:
        raise SystemExit("This clone is shallow: it hasn't the commits of 1.0.0. Run git fetch --unshallow.")
    with TemporaryDirectory() as folder, tarfile.open(fileobj=BytesIO(_git("archive", f"{found}~", "model"))) as files:
        files.extractall(folder, filter="data")
        yield Path(folder)


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


@contextmanager
def _peer(kind: str, root: Path) -> Iterator[Callable[[Sequence[str], int], list[float]]]:
    """A process that translates with the code in ``root``: a function from texts and a batch size to the processor
    seconds of each batch."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(PEER), kind], cwd=root, env=environment, stdin=-1, stdout=-1, text=True
    )
    if process.stdin is None or process.stdout is None or not process.stdout.readline():
        raise SystemExit(f"{kind} didn't start; its last words stand above. CTranslate2: requirements/peers.txt.")
    told, said = process.stdin, process.stdout

    def ask(texts: Sequence[str], size: int) -> list[float]:
        told.write(json.dumps([list(texts), size]) + "\n")
        told.flush()
        seconds: list[float] = json.loads(said.readline())
        return seconds

    try:
        yield ask
    finally:
        told.close()
        process.wait()
