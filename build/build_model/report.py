"""What a person sees: progress on standard error, results on standard output, an object where a script asked."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from model.errors import DragomanError

_WIDEST = 1000

ShowLayer = Callable[[str, str, int, int], None]
"""(layer, status, bytes done, bytes in all or 0): called for each event of a push or a pull."""


class Progress:
    """Lines and transfer bars on one console; bars only where it is a terminal, nothing at all without one."""

    def __init__(self, console: Console | None) -> None:
        self._console = console

    def line(self, text: str) -> None:
        """Say one thing that happens now."""
        if self._console is not None:
            self._console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def download(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """A bar for one download, shown from its first bytes on; called with bytes done and in all."""
        if self._console is None or not self._console.is_terminal:
            yield lambda done, total: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with RichProgress(*columns, console=self._console, transient=True) as bars:
            task = bars.add_task(f"fetching {name}", total=None, visible=False)
            yield lambda done, total: bars.update(task, completed=done, total=total or None, visible=True)

    @contextmanager
    def counted(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """A bar for ``total`` things that are done one by one; called after each."""
        if self._console is None or not self._console.is_terminal:
            yield lambda: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with RichProgress(*columns, console=self._console, transient=True) as bars:
            task = bars.add_task(what, total=total)
            yield lambda: bars.advance(task)

    @contextmanager
    def transfers(self, title: str) -> Iterator[ShowLayer]:
        """Announce ``title``, then show one bar per layer until the block ends."""
        self.line(title)
        if self._console is None or not self._console.is_terminal:
            yield lambda layer, status, done, total: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with RichProgress(*columns, console=self._console, transient=True) as bars:
            tasks: dict[str, Any] = {}

            def show(layer: str, status: str, done: int, total: int) -> None:
                if layer not in tasks:
                    tasks[layer] = bars.add_task(layer, total=None)
                description = f"{layer} {status.lower()}"
                if total:
                    bars.update(tasks[layer], description=description, completed=done, total=total)
                else:
                    bars.update(tasks[layer], description=description)

            yield show


def on_terminal() -> Progress:
    """Progress for a person, on standard error."""
    return Progress(Console(stderr=True))


def silent() -> Progress:
    """Progress that nobody looks at."""
    return Progress(None)


def print_object(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))


def print_error(error: DragomanError, *, as_json: bool) -> None:
    """The message on standard error; with ``as_json`` an object on standard output: a script reads one stream."""
    if as_json:
        print_object({"error": type(error).__name__, "message": str(error), "exit_code": error.exit_code})
    else:
        Console(stderr=True).print(
            f"{type(error).__name__}: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )


def print_warning(text: str) -> None:
    """A warning on standard error."""
    Console(stderr=True).print(f"Warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def print_facts(title: str, facts: Iterable[tuple[str, str]]) -> None:
    """A title and two columns: what, and how much of it. Values are printed whole, never cut to the window."""
    console = Console()
    console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    rows = list(facts)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        console.print(f"  {name:<{width}}  {value}", markup=False, highlight=False, soft_wrap=True)


def print_finding(state: str, what: str, said: str) -> None:
    """One line: how it is (ok, warn, fail), of what, and what there is to say. Printed whole."""
    style = {"ok": "green", "warn": "yellow", "fail": "red"}[state]
    text = Text.assemble((f"{state:<4}", style), f"  {what:<16}  {said}")
    Console().print(text, highlight=False, soft_wrap=True)


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A small table with a header. Values are printed whole, however narrow the window."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(Text, row))  # never as markup
    Console(soft_wrap=True, width=_WIDEST).print(table)


def size(count: int) -> str:
    """``count`` bytes as a person reads them: ``434.0 MB`` (decimal units, as registries and the Docker CLI count)."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
