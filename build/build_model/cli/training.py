"""Training a checkpoint, scoring it, signing off a refactoring."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Annotated

import typer

from build_model.cli.options import RELEASED, Json, print_object, progress_for, reported, warn

Corpus = Annotated[
    str,
    typer.Option(
        metavar="FILE|tutorial",
        help="Lines of French, a tab, English, gzipped or not; or `tutorial`: the PyTorch tutorial's, fetched once.",
    ),
]
Dev = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The dev set, JSON lines of src and refs.", show_default="1 % held out"),
]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="Train so long, all runs together.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Or so many passes over the corpus.")]


group = typer.Typer()


def writable(path: Path | None) -> Path | None:
    """Said before minutes of work, not after."""
    if path is not None and (path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)):
        raise typer.BadParameter(f"{path} can't be written. Name a file in a folder that is there.")
    return path


def check_length(minutes: float | None, epochs: int | None) -> None:
    """A training is so long or so many passes, not both and not neither."""
    if (minutes is None) == (epochs is None):
        raise typer.BadParameter("say how long: --minutes N or --epochs N, one of them.")


class Device(enum.StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@group.command()
def train(
    corpus: Corpus,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The training folder: checkpoint, metrics, plot, state.")],
    dev: Dev = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in --out.")] = False,
    seed: Annotated[int, typer.Option(help="Same seed, data and machine: same first 100 losses.")] = 1,
    width: Annotated[int, typer.Option(min=8, help="Features of embeddings and states; a multiple of 4.")] = 256,
    source_vocabulary: Annotated[int, typer.Option(min=100, help="Most source tokens.")] = 6000,
    target_vocabulary: Annotated[int, typer.Option(min=100, help="Most target tokens.")] = 4000,
    as_json: Json = False,
) -> None:
    """Train a checkpoint; Ctrl-C keeps the best so far, `--resume` goes on.

    The best weights on the dev set become the checkpoint in --out, for `build-model --version X --checkpoint DIR`.
    metrics.json and training.png beside it say how it went.
    """
    check_length(minutes, epochs)
    if width % 4:
        raise typer.BadParameter("it must be a multiple of 4, the number of attention heads.", param_hint="--width")
    shape = {"width": width, "source_vocabulary": source_vocabulary, "target_vocabulary": target_vocabulary}
    with reported(as_json=as_json):
        facts = train_into(corpus, dev, out, minutes, epochs, device, resume, as_json=as_json, seed=seed, **shape)
        print_object(facts, as_json=as_json)


@group.command()
def evaluate(
    checkpoint: Annotated[
        Path, typer.Option(metavar="DIR", help="The checkpoint.", show_default="the released one")
    ] = RELEASED,
    test: Annotated[Path, typer.Option(metavar="FILE", help="JSON lines of src and refs, gzipped or not.")] = ...,  # type: ignore[assignment]
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the translations here, one a line.", callback=writable),
    ] = None,
    beam: Annotated[
        int | None, typer.Option(min=1, help="Hypotheses a sentence; 1 is greedy.", show_default="the service's")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write the scores into the checkpoint's manifest too, for `inspect`.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Score a checkpoint: BLEU and chrF over all references, with sacreBLEU's signatures, and sentences a second."""
    from build_model.training import corpus as corpora  # noqa: PLC0415 (torch takes a second; no other command needs it)
    from build_model.training import evaluation  # noqa: PLC0415

    with reported(as_json=as_json):
        examples = corpora.read_examples(test)
        found = evaluation.evaluate(evaluation.load(checkpoint, beam), examples)
        if record:
            evaluation.record(checkpoint, test.name.split(".")[0], found.scores)
        if output:
            output.write_text("".join(line + "\n" for line in found.lines()), encoding="utf-8")
        print_object(found.encode(), as_json=as_json)


@group.command()
def restamp(
    checkpoint: Annotated[
        Path, typer.Option(metavar="DIR", help="The checkpoint.", show_default="the released one")
    ] = RELEASED,
    dev: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The dev set of the training: its first 500 are compared too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a new manifest after a refactoring, if every output is what it was; else refuse."""
    from build_model.training import corpus as corpora  # noqa: PLC0415 (torch takes a second; no other command needs it)
    from build_model.training import restamp as restamping  # noqa: PLC0415

    with reported(as_json=as_json):
        done = restamping.restamp(checkpoint, corpora.read_examples(dev) if dev else ())
        print_object(done.encode(), as_json=as_json)
        if not as_json and not done.outputs:
            print("Only the goldens were compared; --dev FILE compares 500 dev sources too.")


def train_into(
    corpus: str,
    dev: Path | None,
    out: Path,
    minutes: float | None,
    epochs: int | None,
    device: Device = Device.auto,
    resume: bool = False,
    *,
    as_json: bool,
    seed: int = 1,
    **shape: int,
) -> dict[str, object]:
    """Train into ``out``; what came of it. ``shape`` is the part of the recipe that decides the network's size."""
    from build_model.training import corpus as corpora  # noqa: PLC0415 (torch takes a second; no other command needs it)
    from build_model.training import training  # noqa: PLC0415
    from build_model.training.view import training_view  # noqa: PLC0415
    from model.checkpoint import read_goldens  # noqa: PLC0415

    recipe = training.Recipe(seed=seed, minutes=minutes, epochs=epochs, **shape)
    with progress_for(as_json).download(corpus) as fetched:
        pairs = corpora.read_corpus(corpus, progress=fetched)
    if dev is None:
        pairs, examples = corpora.hold_out(pairs, seed)
    else:
        examples = corpora.read_examples(dev)
    with training_view(quiet=as_json) as view:
        position = training.train(
            pairs,
            examples,
            recipe,
            out,
            device=device.value,
            resume=resume,
            report=view.show,
            stopped=lambda: view.interrupted,
        )
    best = max(position.dev, key=lambda entry: float(entry["bleu"]))
    facts = {"checkpoint": str(out), "steps": position.step, "minutes": round(position.seconds / 60, 2)}
    goldens = len(read_goldens(out))
    if not goldens:
        warn("no translation was clear enough to be a golden sentence, so no image can be built of it. Train longer.")
    return {**facts, "dev_bleu": best["bleu"], "dev_chrf": best["chrf"], "goldens": goldens}
