"""`python -m tests.benchmarks bench|peers|soak|profile|search`: what `make bench`, `make peers`, and so on, run.

Each command leaves its rows in reports/; with --write-docs the page docs/benchmarks.md is written of all that is there.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from model.checkpoint import RELEASED
from model.errors import DragomanError
from model.folder import NETWORK
from tests.benchmarks import bench, container, machine, page, peers, search, soak, stacks
from tests.benchmarks.bench import QUEUE_TYPES, WINDOW, Setting
from tests.benchmarks.consumer import DRAGOMAN, INSTANT, KINDS, ROOT, ConsumerEnded

REPORTS = ROOT / "reports"
DOCS = ROOT / "docs" / "benchmarks.md"
CORPUS = [ROOT.parent / "shared" / "data" / name for name in ("test.jsonl", "dev.jsonl")]
FIXTURES = [ROOT / "tests" / "fixtures" / name for name in ("dev.jsonl", "everyday.jsonl")]
NAMES = (*(kind.name for kind in KINDS), "container")

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_show_locals=False)
screen = Console() if sys.stdout.isatty() else Console(width=140)  # a log has room

Url = Annotated[str, typer.Option(envvar="AMQP_URL", metavar="URL", help="The broker.")]
Sources = Annotated[
    list[Path] | None, typer.Option(exists=True, dir_okay=False, help="JSON lines with `src`. May be repeated.")
]
WriteDocs = Annotated[bool, typer.Option("--write-docs", help="Write docs/benchmarks.md.")]


def _seconds(help_: str) -> Any:
    return typer.Option(min=1, help=help_)


def texts(paths: Sequence[Path] | None) -> list[str]:
    """The sources of JSON lines files: those given, else the corpus beside the clone, else the tests' own."""
    chosen = list(paths or (CORPUS if all(path.exists() for path in CORPUS) else FIXTURES))
    lines = [json.loads(line) for path in chosen for line in path.read_text("utf-8").splitlines()]
    screen.print(f"{len(lines):,} sources of {', '.join(map(str, chosen))}", highlight=False)
    return [line["src"] if "src" in line else line["source"] for line in lines]


def report(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Leaves rows in reports/."""
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def write_docs(url: str) -> None:
    """The page, of the reports that are there."""
    reports = {name: REPORTS / f"{name}.json" for name in ("bench", "peers", "soak", "profile", "search")}
    rows = {name: json.loads(path.read_text("utf-8")) if path.exists() else [] for name, path in reports.items()}
    DOCS.write_text(page.page(machine.facts(url), rows, WINDOW), "utf-8")
    screen.print(f"Wrote {DOCS.relative_to(ROOT)}")


@contextmanager
def steps(total: int) -> Iterator[tuple[Callable[[str], None], Callable[[int], None]]]:
    """A bar: a function that begins the next step by name, and one that says how much of all is done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen) as bar:
        task = bar.add_task("", total=total)
        yield (
            lambda name: bar.update(task, description=name, advance=1),
            lambda done: bar.update(task, completed=done),
        )


@app.command("bench")
def bench_(
    amqp_url: Url,
    container_amqp_url: Annotated[
        str, typer.Option(envvar="CONTAINER_AMQP_URL", help="The broker as a container sees it.")
    ],
    registry: Annotated[str, typer.Option(envvar="REGISTRY", help="Where the runtime layers of an image come from.")],
    sources: Sources = None,
    seconds: Annotated[float, _seconds("Of each phase.")] = 10,
    only: Annotated[
        list[str] | None, typer.Option(help=f"Rows that begin so: {', '.join(NAMES)}. May be repeated.")
    ] = None,
    queue: Annotated[list[str] | None, typer.Option(help=f"Types: {', '.join(QUEUE_TYPES)}. May be repeated.")] = None,
    image: Annotated[str, typer.Option(metavar="REF", help="Start this image, instead of one of this clone.")] = "",
    write_docs_: WriteDocs = False,
) -> None:
    """Compare consumers: throughput, latency, processor time, memory, start."""
    names = [name for name in NAMES if not only or name.startswith(tuple(only))]
    types = [name for name in QUEUE_TYPES if not queue or name in queue]
    if not names or not types:
        raise typer.BadParameter("there is no such row.")
    chosen = [kind for kind in KINDS if kind.name in names]
    starts_container = "container" in names
    setting = Setting.of(amqp_url, texts(sources), seconds)
    if starts_container and not image:
        image = container.released_image(registry)
    with steps(1 + bench.STEPS * len(chosen) * len(types) + container.STARTS * starts_container) as (say, _):
        say("one sentence in-process")
        alone, expected = bench.alone(setting)
        rows = [alone]
        if starts_container:
            rows.append(container.starts(setting, image, container_amqp_url, say))
        rows += [bench.row(setting, kind, each, expected, say) for each in types for kind in chosen]
    for table in (page.throughput(rows), page.latency(rows), page.ratios(rows)):
        if table.rows:
            table.show(screen)
    for remark in page.remarks(rows):
        screen.print(f"- {remark}", highlight=False)
    if not (only or queue):  # a part doesn't take the place of the whole
        report("bench", rows)
    if write_docs_:
        write_docs(amqp_url)


@app.command("peers")
def peers_(amqp_url: Url, sources: Sources = None, write_docs_: WriteDocs = False) -> None:
    """Compare the model with 1.0.0 and with CTranslate2: processor time of a sentence, in batches and alone."""
    with steps(peers.ROUNDS) as (say, _):
        rows = peers.rows(texts(sources), say)
    page.peers(rows).show(screen)
    report("peers", rows)
    if write_docs_:
        write_docs(amqp_url)


@app.command("soak")
def soak_(
    amqp_url: Url,
    sources: Sources = None,
    requests: Annotated[int, typer.Option(min=20_000, help="How many.")] = 200_000,
    write_docs_: WriteDocs = False,
) -> None:
    """Many requests through one replica: does its memory grow, does it leave files open?"""
    setting = Setting.of(amqp_url, texts(sources), 1)
    with steps(requests) as (_, done):
        row = soak.soak(setting, requests, done)
        done(requests)
    page.soak([row]).show(screen)
    report("soak", [row])
    if write_docs_:
        write_docs(amqp_url)


@app.command()
def profile(
    amqp_url: Url,
    sources: Sources = None,
    seconds: Annotated[float, _seconds("How long to look.")] = 20,
    write_docs_: WriteDocs = False,
) -> None:
    """Where the service's time goes at saturation. Needs the right to trace a process, as root has."""
    setting = Setting.of(amqp_url, texts(sources), seconds)
    rows = [row for kind in (DRAGOMAN, INSTANT) for row in stacks.profile(setting, kind)]
    for table in page.profile(rows):
        table.show(screen)
    report("profile", rows)
    if write_docs_:
        write_docs(amqp_url)


@app.command("search")
def search_(
    network: Annotated[list[Path] | None, typer.Option(metavar="DIR", help="A network. May be repeated.")] = None,
    checkpoint: Annotated[list[Path] | None, typer.Option(metavar="DIR", help="A checkpoint of each.")] = None,
    sources: Sources = None,
) -> None:
    """Ways of searching in batches of 32 beside each other, for any network. Asks no broker."""
    network, checkpoint = network or [NETWORK], checkpoint or [RELEASED]
    if len(network) != len(checkpoint):
        raise typer.BadParameter("give each --network its --checkpoint.")
    given = texts(sources)
    rows = [
        row for folder, held in zip(network, checkpoint, strict=True) for row in search.measure(folder, held, given)
    ]
    page.searches(rows).show(screen)
    report("search", rows)


def main() -> None:
    """What ended a measurement is said in a line."""
    try:
        app()
    except (bench.NoReport, ConsumerEnded, DragomanError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
