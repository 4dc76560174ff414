"""What a person sees of a training: a bar with loss, speed and time left, and a line for each dev score."""

import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from build_model.training.training import DevScore, Stage, Step

_LINES_APART = 0.02  # without a terminal, a line each time so much of the training is behind


class TrainingView:
    """Shows the events of a training on standard error.

    Attributes:
        interrupted: whether Ctrl-C was pressed; the training asks after each step.
    """

    def __init__(self, bars: Progress | None, console: Console) -> None:
        self._bars = bars
        self._console = console
        self._task = bars.add_task("starting", total=1.0) if bars else None
        self._shown = -1.0
        self.interrupted = False

    def show(self, event: Step | DevScore | Stage) -> None:
        """Shows one event."""
        if isinstance(event, Stage):
            if self._bars and self._task is not None:
                self._bars.update(self._task, description=event.name)
            return
        if isinstance(event, DevScore):
            mark = "  kept: best so far" if event.best else ""
            scores = "; ".join(
                f"{name} BLEU {each.bleu:.1f}, chrF {each.chrf:.1f}" for name, each in event.scores.items()
            )
            self._console.print(f"{event.epochs:.1f} epochs, {event.minutes:.1f} min: {scores}{mark}", highlight=False)
            return
        left = "?" if math.isinf(event.seconds_left) else str(timedelta(seconds=round(event.seconds_left)))
        speed = f"{event.tokens_per_second:,.0f} tokens/s"
        text = f"epoch {event.epoch}, step {event.step}, loss {event.loss:.3f}, {speed}, {left} left"
        if self._bars and self._task is not None:
            self._bars.update(self._task, description=text, completed=event.done)
        elif event.done - self._shown >= _LINES_APART:
            self._shown = event.done
            self._console.print(f"{event.done:4.0%}  {text}", highlight=False)

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Ends the training after this step; pressed again, at once."""
        self.interrupted = True
        self._console.print("stopping after this step; the best checkpoint and the state are kept", highlight=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def training_view(*, quiet: bool) -> Iterator[TrainingView]:
    """A view for the time of a training, with Ctrl-C bound to it.

    Args:
        quiet: show nothing, for a script.
    """
    console = Console(stderr=True, quiet=quiet)
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    bars = Progress(*columns, console=console) if console.is_terminal and not quiet else None
    view = TrainingView(bars, console)
    before = signal.signal(signal.SIGINT, view.interrupt)
    try:
        if bars:
            with bars:
                yield view
        else:
            yield view
    finally:
        signal.signal(signal.SIGINT, before)
