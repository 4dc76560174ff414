"""Training a checkpoint, scoring it, signing off a refactoring."""

from __future__ import annotations

import enum
import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from build_model.cli.options import RELEASED, Json, print_object, progress_for, reported, warn
from model.folder import NETWORK

Corpus = Annotated[
    list[str],
    typer.Option(
        metavar="FILE[=SHARE]|tutorial",
        help="Lines of source, a tab, target, gzipped or not; or `tutorial`: the PyTorch tutorial's, fetched once. "
        "Several with the share of what is drawn that each has; or a TOML file with a table [share].",
    ),
]
Dev = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="A dev set, JSON lines of src and refs; the best on all of them is kept.",
        show_default="1 % held out",
    ),
]
Network = Annotated[
    Path, typer.Option(metavar="DIR", help="The network's folder (model/contract.py).", show_default="model/network")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A field of the network's config, e.g. width=128."),
]
Swap = Annotated[
    bool, typer.Option("--swap", help="The files are of the other direction: take each target for a source.")
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
    swap: Swap = False,
    minutes: Minutes = None,
    epochs: Epochs = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in --out.")] = False,
    seed: Annotated[int, typer.Option(help="Same seed, data and machine: same first 100 losses.")] = 1,
    source_vocabulary: Annotated[
        int, typer.Option(min=100, help="Most source tokens; of both languages where they share a vocabulary.")
    ] = 8000,
    target_vocabulary: Annotated[int, typer.Option(min=100, help="Most target tokens.")] = 8000,
    settings: Settings = None,
    network: Network = NETWORK,
    as_json: Json = False,
) -> None:
    """Train a checkpoint; Ctrl-C keeps the best so far, `--resume` goes on.

    The best weights on the dev set become the checkpoint in --out, for `build-model --version X --checkpoint DIR`.
    metrics.json and training.png beside it say how it went.
    """
    check_length(minutes, epochs)
    with reported(as_json=as_json):
        facts = train_into(
            corpus,
            dev,
            out,
            minutes,
            epochs,
            device,
            resume,
            as_json=as_json,
            network=network,
            swap=swap,
            seed=seed,
            source_vocabulary=source_vocabulary,
            target_vocabulary=target_vocabulary,
            settings=read_settings(settings or []),
        )
        print_object(facts, as_json=as_json)


def read_settings(settings: list[str]) -> dict[str, object]:
    """``name=value`` each; a value is a number, true, false, or else a text."""
    found: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"{setting!r} is no NAME=VALUE.", param_hint="--set")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


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
    swap: Swap = False,
    network: Network = NETWORK,
    as_json: Json = False,
) -> None:
    """Score a checkpoint: BLEU and chrF over all references, with sacreBLEU's signatures, and sentences a second."""
    from build_model.training import corpus as corpora  # noqa: PLC0415 (torch takes a second; no other command needs it)
    from build_model.training import evaluation  # noqa: PLC0415

    with reported(as_json=as_json):
        examples = corpora.read_examples(test, swap=swap)
        found = evaluation.evaluate(evaluation.load(checkpoint, beam, network), examples)
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
    swap: Swap = False,
    network: Network = NETWORK,
    as_json: Json = False,
) -> None:
    """Write a new manifest after a refactoring, if every output is what it was; else refuse."""
    from build_model.training import corpus as corpora  # noqa: PLC0415 (torch takes a second; no other command needs it)
    from build_model.training import restamp as restamping  # noqa: PLC0415

    with reported(as_json=as_json):
        done = restamping.restamp(checkpoint, corpora.read_examples(dev, swap=swap) if dev else (), network)
        print_object(done.encode(), as_json=as_json)
        if not as_json and not done.outputs:
            print("Only the goldens were compared; --dev FILE compares 500 dev sources too.")


def train_into(
    corpus: list[str],
    dev: list[Path] | None,
    out: Path,
    minutes: float | None,
    epochs: int | None,
    device: Device = Device.auto,
    resume: bool = False,
    *,
    as_json: bool,
    network: Path = NETWORK,
    swap: bool = False,
    **recipe: Any,
) -> dict[str, object]:
    """Train into ``out``; what came of it. ``recipe`` is the rest of `training.Recipe`."""
    from build_model.training import corpus as corpora  # noqa: PLC0415 (torch takes a second; no other command needs it)
    from build_model.training import mixture, training  # noqa: PLC0415
    from build_model.training.check import check  # noqa: PLC0415
    from build_model.training.view import training_view  # noqa: PLC0415
    from model.folder import load_model  # noqa: PLC0415

    plan = training.Recipe(minutes=minutes, epochs=epochs, **recipe)
    for _ in check(network):
        pass  # a rule that doesn't hold is raised, before hours of training rely on it
    model = load_model(network)
    languages = (model.source, model.target)
    with progress_for(as_json).download(" + ".join(corpus)) as fetched:
        found, shares = mixture.read_corpora(corpus, languages, swap=swap, progress=fetched)
    if dev:
        examples = {}
        for path in dev:
            read = examples[path.name.split(".")[0]] = corpora.read_examples(path, swap=swap)
            corpora.check_examples(path, read, languages)
    else:
        held = [corpora.hold_out(one, plan.seed) for one in found]
        found = [one for one, _ in held]
        examples = {"dev": tuple(example for _, part in held for example in part)}
    mixed = mixture.mix(found, languages, shares=shares, slots=hasattr(model.vocabulary, "slots"))
    with training_view(quiet=as_json) as view:
        position = training.train(
            mixed,
            examples,
            plan,
            out,
            code=network,
            device=device.value,
            resume=resume,
            report=view.show,
            stopped=lambda: view.interrupted,
        )
    best = max(position.dev, key=lambda entry: float(entry["bleu"]))
    facts = {"checkpoint": str(out), "steps": position.step, "minutes": round(position.seconds / 60, 2)}
    return {**facts, "dev_bleu": best["bleu"], "dev_chrf": best["chrf"], "goldens": warn_of(out)}


def warn_of(checkpoint: Path) -> int:
    """Warn of what no image is built of; the number of goldens."""
    from build_model.training.variety import Dull  # noqa: PLC0415 (torch takes a second; no other command needs it)
    from model.checkpoint import read_goldens  # noqa: PLC0415
    from model.fingerprint import Manifest  # noqa: PLC0415

    goldens = len(read_goldens(checkpoint))
    dull = Manifest.read(checkpoint).training.get("dull")
    if dull:
        warn(f"{Dull(**dull)}, so no image is built of it without --allow-poor. Train longer, or on more pairs.")
    elif not goldens:
        warn(
            "no translation was clear enough to be a golden sentence, so no image can be built of it. Train longer, or "
            "give more sentences."
        )
    return goldens
