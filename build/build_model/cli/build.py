"""Building an image, and the base that images are built on."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from build_model import report
from build_model.cli.options import (
    RELEASED,
    REPOSITORY,
    ROOT,
    Json,
    RegistryAddress,
    Repository,
    print_object,
    progress_for,
    reported,
    size_in_bytes,
    warn,
)
from build_model.cli.references import stored
from build_model.cli.training import Corpus, Dev, Epochs, Minutes, Network, Swap, check_length, train_into
from build_model.engine import Engine
from build_model.image import base as base_image
from build_model.image import image
from build_model.image.plan import Plan
from build_model.image.version import Version
from build_model.store import checkout
from model.folder import NETWORK

ARTIFACTS = ROOT / "artifacts"

group = typer.Typer()


def build(
    context: typer.Context,
    version: Annotated[
        str, typer.Option(metavar="X.Y.Z", help="Build this version: a semantic version, it becomes the image's tag.")
    ] = "",
    checkpoint: Annotated[
        Path,
        typer.Option(
            metavar="DIR|REF",
            help="The checkpoint to build from: a folder, or that of an image, HOST:PORT/NAME:VERSION or VERSION.",
            show_default="the released one",
        ),
    ] = RELEASED,
    network: Network = NETWORK,
    registry: RegistryAddress = "",
    push: Annotated[
        bool, typer.Option("--push", help="Push it; a version that is there is never overwritten.")
    ] = False,
    repository: Repository = "",
    base_reference: Annotated[
        str,
        typer.Option(
            "--base-image", metavar="REF", help="The Debian image with Python 3.11 to build on.", show_default=False
        ),
    ] = "",
    test: Annotated[
        bool, typer.Option("--test/--no-test", help="Translate the goldens: here, and in the finished image.")
    ] = True,
    allow_poor: Annotated[
        bool, typer.Option("--allow-poor", help="Build a model that says the same to everything, too.")
    ] = False,
    max_push: Annotated[
        int | None,
        typer.Option(
            parser=size_in_bytes,
            metavar="SIZE",
            help="Send no more than that, such as 60kB or 15MB.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and plan, build nothing.")] = False,
    train_first: Annotated[
        bool, typer.Option("--train", help="Train the checkpoint first, into runs/X.Y.Z. Needs --corpus and a length.")
    ] = False,
    corpus: Corpus = [],  # noqa: B006 (Typer copies it)
    dev: Dev = None,
    swap: Swap = False,
    minutes: Minutes = None,
    epochs: Epochs = None,
    as_json: Json = False,
) -> None:
    """Cast a translation model into one container image, and take it from there to a queue.

    **build-model --version 1.0.0** checks the released checkpoint against the code, writes artifacts/1.0.0/, builds
    dragoman/fra-eng:1.0.0, named after the model's languages, and runs its self-test inside the finished image, with no
    network.

    Versions: a major step when old weights can't run in the new code, a minor one for new weights, a patch for anything
    else. Images are for linux/amd64.
    """
    if context.invoked_subcommand is not None:
        if version:
            raise typer.BadParameter(
                f"it builds an image; it doesn't go with {context.invoked_subcommand}.", param_hint="--version"
            )
        return
    if not version:
        print(context.get_help())
        return
    if push and not registry:
        raise typer.BadParameter("say where to: --registry HOST:PORT[/PREFIX].", param_hint="--push")
    if train_first:
        check_length(minutes, epochs)
    if train_first != bool(corpus):
        raise typer.BadParameter("--train and --corpus go together.", param_hint="--train")
    with reported(as_json=as_json), ExitStack() as stack:
        number = Version.parse(version)
        if train_first:
            checkpoint = ROOT / "runs" / version
            facts = train_into(corpus, dev, checkpoint, minutes, epochs, as_json=as_json, network=network, swap=swap)
            if not as_json:
                print_object(facts, as_json=False)
        else:
            name = repository or REPOSITORY  # an image to take the checkpoint from is one of this clone's by default
            checkpoint = stack.enter_context(checkpoint_folder(checkpoint, registry, name, progress_for(as_json)))
        order = image.Order(
            number, checkpoint, registry, push, repository, base_reference or None, test, max_push, network, allow_poor
        )
        connect = functools.cache(Engine.connect)
        if dry_run:
            with tempfile.TemporaryDirectory() as scratch:
                plan, warning = image.prepare(order, ROOT, Path(scratch), connect, progress_for(as_json))
                _print_plan(plan, warning, as_json=as_json)
            return
        _print_made(image.make(order, ROOT, ARTIFACTS, connect, progress_for(as_json)), as_json=as_json)


@group.command()
def base(as_json: Json = False) -> None:
    """Make the base image from Debian's packages, for where none can be pulled. Takes a minute; needs root."""
    with reported(as_json=as_json):
        made = base_image.make_base(Engine.connect(), progress_for(as_json))
        print_object({"reference": made.name, "image": made.image_id, "digest": made.digest}, as_json=as_json)


@contextmanager
def checkpoint_folder(named: Path, registry: str, repository: str, progress: report.Progress) -> Iterator[Path]:
    """The folder ``named``, or one with the checkpoint of the image that it names, for as long as the block lasts."""
    text = str(named)
    if named.exists() or not (Version.all_of([text]) or re.search("[:@]", text)):
        yield named
        return
    with checkout.checkpoint_of(*stored(text, registry, repository), progress) as folder:
        yield folder


def _print_plan(plan: Plan, warning: str | None, *, as_json: bool) -> None:
    if as_json:
        report.print_object({**plan.encode(), "warning": warning})
        return
    report.print_facts(f"Would build {plan.reference}", [("on", plan.runtime.reference), *sorted(plan.labels.items())])
    report.print_facts("with these files", ((digest[:12], path) for path, digest in plan.layers.digests().items()))
    warn(warning)


def _print_made(made: image.Made, *, as_json: bool) -> None:
    if as_json:
        report.print_object(made.encode())
        return
    reference = made.plan.reference
    facts = [("architecture", made.plan.labels["dragoman.architecture"]), ("artifact", made.plan.identity)]
    facts += [(f"BLEU on {name}", f"{bleu:.1f}") for name, bleu in made.plan.bleu.items()]
    if not made.plan.bleu:
        facts.append(("BLEU", "not measured; `evaluate --record` does"))
    if made.digest:
        facts.append(("digest", made.digest))
    if not made.made:
        report.print_facts(f"{reference} is already in the registry, with this very content; nothing was done", facts)
    elif made.pushed:
        parts = [
            (f"{one.holds}, compressed", f"{report.size(one.size)}, {'sent' if one.sent else 'was there'}")
            for one in made.pushed.transfers
        ]
        report.print_facts(f"{reference}: {made.pushed}", [("image", made.image_id), *facts, *parts])
    else:
        sizes = [(f"layer {holds}, on disk", report.size(count)) for holds, count in made.layers]
        report.print_facts(str(reference), [("image", made.image_id), *facts, *sizes])
    if made.made and not made.tested:
        warn("nothing was tried: no golden sentence was translated, here or in the image. `build-model smoke` does.")
    warn(made.warning)
