"""The plot of a training: loss and dev scores over steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def plot_training(losses: Sequence[tuple[int, float]], dev: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes a PNG with the training loss and the dev BLEU and chrF.

    Args:
        losses: step and loss in nats a token.
        dev: objects with ``step``, ``bleu`` and ``chrf``.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="training loss (nats a token)")
    axes.plot([step for step, _ in losses], [loss for _, loss in losses], color="tab:gray", label="loss")
    scores = axes.twinx()
    scores.set_ylabel("dev score")
    steps = [entry["step"] for entry in dev]
    for name, title, color in (("bleu", "dev BLEU", "tab:blue"), ("chrf", "dev chrF", "tab:orange")):
        scores.plot(steps, [entry[name] for entry in dev], color=color, marker="o", label=title)
    figure.legend(loc="outside upper center", ncols=3)
    figure.savefig(path)
