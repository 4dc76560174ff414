"""What people read: tables on the screen, and the page in docs/."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from tests.benchmarks.consumer import ECHO, INSTANT, TUTORIAL

Row = Mapping[str, Any]

INTRODUCTION = """# How fast it is

`make bench` measures and writes this page; it takes about ten minutes. `make peers`, `make soak` and `make profile`
renew their sections of it. The code is in `tests/benchmarks/`. Numbers are of one machine and one run: compare rows
with each other, not with another machine's.
"""

READING = """## How to read it

Every consumer is a process of its own, starts on an empty queue of its own, and is alone with the broker and the
load.

- **tutorial** is RabbitMQ's RPC tutorial in Python, line by line, with the model in place of `fib`:
  BlockingConnection, one request at a time, an ack after each reply, no confirms. One thread for the model.
- **echo** is the ceiling: SelectConnection, prefetch 256, confirms, mandatory replies, acks and frames in bursts, and
  no model.
- **dragoman without model** is the service with a model that hands every text back at once: what transport alone costs.
- **dragoman** is `python -m service` with `WORKERS=1`, with `WORKERS=2`, and as two replicas of one worker, whose
  processor time is added up and whose memory is that of the larger.

The queue is durable and requests are persistent. The load is a process that puts frames together from encoded parts
and reads no more of a reply than it must. At saturation it keeps {window} requests in flight, so that latency there
says how long the line is; the books open after a second. At 20 and 200 requests a second they go out at a fixed rate,
whether or not the last was answered, and latency counts from when a request was due, not from when it was sent: a
stall costs all that were due in it (no coordinated omission). "can't keep up" is a consumer that leaves more than a
tenth of a second's requests unanswered at the end.

Processor time is that of the whole process, in the system and out of it, for each request answered at saturation.
Memory is resident memory: *ready* after the first answer, *peak* is `VmHWM` after all phases. *Start* is from before
the process to the answer of a request that waits in the queue. Replies are compared with what the model says to each
sentence alone; lost, duplicated and differing ones are counted in `reports/bench.json` and, were there any, named
below the tables.
"""

PEERS = """Processor time of a sentence, one thread, in batches of 32 and alone, in rounds that take turns. Dragoman's
rows are from text to text: spans, spelling, names, search. CTranslate2's is from ids to ids, with random weights in a
Transformer of the size of Firefox's tiny models (6 and 2 layers, 256 wide, 32,000 words), which writes as many tokens
as it reads.
"""

PROFILE = """On a quorum queue at saturation, with the model (one replica, one thread) and without. py-spy looked at
both threads two hundred times a second; each sample counts for the innermost function of pika, the service or the
model, so that compiled code counts for who called it. How much time a thread used is what the system says. Of the
transport thread only samples in which it holds the interpreter count: its system calls are in the time, not in a line.
"""

SOAK = """One replica of one thread on a quorum queue. Memory at half and at the end is resident memory, the median
of the samples, two a second, of the tenth of all requests that came before. Files and threads are counted at rest,
three seconds before the load and three after.
"""


SEARCH = """`python -m tests.benchmarks search --network DIR --checkpoint DIR`: every way takes the same batches in
turn, five rounds; a number is how many times as fast as the first way of its network, in processor time, the median of
the rounds, and the least and the most. A network without a `fast.py` is served as *dynamic* where that changes no
golden and no dev output.
"""


@dataclass(frozen=True)
class Table:
    """A title, a header and cells."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """As GitHub shows it; names to the left, numbers to the right."""
        lines = [self.header, ["---", *["---:"] * (len(self.header) - 1)], *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def show(self, console: Console) -> None:
        """On the screen."""
        table = RichTable(title=self.title, title_justify="left", header_style="bold", title_style="bold")
        for number, name in enumerate(self.header):
            table.add_column(name, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)


def _of(rows: Iterable[Row], name: str, queue: str | None = None) -> Row | None:
    """The row of a consumer on a type of queue."""
    return next((row for row in rows if row["name"] == name and (queue is None or row["queue"] == queue)), None)


def _consumers(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if "queue" in row]


def _latency(latency: Mapping[str, float] | None) -> str:
    return "can't keep up" if latency is None else " / ".join(f"{latency[name]:.1f}" for name in ("p50", "p95", "p99"))


def throughput(rows: Sequence[Row]) -> Table:
    """Requests a second and what each costs."""
    header = ["", "queue", "requests/s", "consumer µs", "broker µs", "load µs", "ready MiB", "peak MiB", "start s"]
    return Table(
        "At saturation",
        header,
        [
            [
                row["name"],
                row["queue"],
                f"{row['requests_per_second']:,.0f}",
                *(f"{row[name]:,.0f}" for name in ("consumer_cpu_us", "broker_cpu_us", "load_cpu_us")),
                f"{row['ready_mib']:.0f}",
                f"{row['peak_mib']:.0f}",
                f"{row['start_seconds']:.2f}",
            ]
            for row in _consumers(rows)
        ],
    )


def latency(rows: Sequence[Row]) -> Table:
    """Milliseconds from when a request was due to its reply."""
    loads = ("20", "200", "saturation")
    cells = [
        [row["name"], row["queue"], *(_latency(row[f"latency_{load}"]) for load in loads)] for row in _consumers(rows)
    ]
    if (alone := _of(rows, "in-process")) is not None:
        cells.append(["one sentence in-process", "", _latency(alone["latency_20"]), "", ""])
    return Table("Latency, ms: p50 / p95 / p99", ["", "queue", "20/s", "200/s", "saturated"], cells)


def ratios(rows: Sequence[Row]) -> Table:
    """Dragoman beside the others of its queue, and beside the model alone."""
    cells = []
    for row in _consumers(rows):
        if row["name"].startswith("dragoman"):
            times = [_times(row, _of(rows, name, row["queue"])) for name in (TUTORIAL.name, ECHO.name)]
            light, alone = row["latency_20"], _of(rows, "in-process")
            tail = "" if light is None else f"{light['p99'] / light['p50']:.2f}"
            over = "" if light is None or alone is None else f"{light['p50'] - alone['latency_20']['p50']:+.1f} ms"
            if row["name"] == INSTANT.name:  # there is no model to compare
                times[0] = over = ""
            cells.append([row["name"], row["queue"], *times, tail, over])
    header = ["", "queue", "requests/s by tutorial's", "by echo's", "p99 by p50 at 20/s", "p50 at 20/s less in-process"]
    return Table("Ratios", header, cells)


def _times(row: Row, other: Row | None) -> str:
    return "" if other is None else f"{row['requests_per_second'] / other['requests_per_second']:.2f}"


def remarks(rows: Sequence[Row]) -> list[str]:
    """Sentences beside the tables."""
    said = []
    if (alone := _of(rows, "in-process")) is not None:
        tail = alone["latency_20"]["p99"] / alone["latency_20"]["p50"]
        said.append(f"In-process p99 is {tail:.2f} times p50, over the sentences of 20/s: they differ in length.")
    if (container := _of(rows, "container")) is not None:
        seconds, starts = container["start_seconds"], len(container["starts"])
        said.append(f"From `docker run` to the first answer: {seconds:.2f} s, the median of {starts} starts.")
    for row in _consumers(rows):
        said += [
            f"{row['name']} on {row['queue']}: {row[what]:,} {what} of {row['sent']:,}."
            for what in ("lost", "duplicates", "differing")
            if row[what]
        ]
    return said


def peers(rows: Sequence[Row]) -> Table:
    """The model beside others, and how many times its time they take."""
    header = ["", "ms in batches of 32", "times dragoman's", "ms alone", "times dragoman's"]
    return Table(
        "Beside other translators",
        header,
        [
            [row["name"], *(f"{row[what]:.2f}" for what in ("batched_ms", "batched_times", "alone_ms", "alone_times"))]
            for row in rows
        ],
    )


def soak(rows: Sequence[Row]) -> Table:
    """What has grown."""
    header = [
        "requests",
        "requests/s",
        "MiB at half",
        "MiB at the end",
        "growth",
        "files before, after",
        "threads before, after",
        "lost",
    ]
    cells = [
        [
            f"{row['requests']:,}",
            f"{row['requests_per_second']:,.0f}",
            f"{row['memory_mib_half']:.1f}",
            f"{row['memory_mib_whole']:.1f}",
            f"{row['growth_percent']:+.2f} %",
            *(f"{row['before'][what]}, {row['after'][what]}" for what in ("files", "threads")),
            str(row["lost"]),
        ]
        for row in rows
    ]
    return Table("Soak", header, cells)


def profile(rows: Sequence[Row]) -> list[Table]:
    """Where the processor's time goes, a table for each consumer."""
    header = ["work", "thread", "share", "µs a request"]
    return [
        Table(
            f"Where the time of {name} goes",
            header,
            [
                [row["work"], row["thread"], f"{row['percent']:.1f} %", f"{row['microseconds']:,.1f}"]
                for row in rows
                if row["name"] == name
            ],
        )
        for name in dict.fromkeys(row["name"] for row in rows)
    ]


def searches(rows: Sequence[Row]) -> Table:
    """Ways of searching, beside one that copies whenever a row ends."""
    cells = [
        [
            f"{row['network']}, {row['way']}",
            f"{row['times']:.2f}",
            f"{row['least']:.2f} - {row['most']:.2f}",
            f"{row['differ']} of {row['sentences']}",
        ]
        for row in rows
    ]
    return Table("The search in batches of 32", ["", "times as fast", "least - most", "other hypotheses"], cells)


def page(facts: Mapping[str, str], reports: Mapping[str, Sequence[Row]], window: int) -> str:
    """The page, of what was measured last: rows by the command that measured them."""
    names = ("bench", "peers", "soak", "profile", "search")
    rows, compared, soaked, profiled, searched = (reports[name] for name in names)
    parts = [
        INTRODUCTION,
        Table("", ["machine", ""], list(facts.items())).markdown().replace("---:", "---"),
    ]
    for table in (throughput(rows), latency(rows), ratios(rows)) if rows else ():
        parts += [f"## {table.title}", table.markdown()]
    parts.append("\n".join(f"- {remark}" for remark in remarks(rows)))
    parts.append(READING.format(window=window))
    if compared:
        parts += [f"## {peers(compared).title}", PEERS, peers(compared).markdown()]
    if profiled:
        parts += ["## Where the time goes", PROFILE]
        for table in profile(profiled):
            parts += [f"### {table.title}", table.markdown()]
    if searched:
        table = searches(searched)
        parts += [f"## {table.title}", SEARCH, table.markdown()]
    if soaked:
        table = soak(soaked)
        parts += [f"## {table.title}", SOAK, table.markdown()]
    return "\n\n".join(part.strip() for part in parts) + "\n"
