"""A report on one model, or on two side by side."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from build_model.cli.options import REPOSITORY, Json, RegistryAddress, Repository, print_object, progress_for, reported
from build_model.cli.references import stored
from build_model.cli.training import Swap, writable
from model.folder import NETWORK

if TYPE_CHECKING:
    from build_model.image.reference import Reference
    from build_model.image.registry import Registry
    from build_model.reporting.subject import Subject

Model = Annotated[
    str, typer.Argument(metavar="A", help="A checkpoint's folder, or an image: HOST:PORT/NAME:VERSION, or VERSION.")
]
Other = Annotated[str, typer.Argument(metavar="[B]", help="Another, to be set beside it.", show_default=False)]

group = typer.Typer()


@group.command()
def report(
    one: Model,
    other: Other = "",
    test: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="JSON lines of src and refs, gzipped or not; several, each a set."),
    ] = None,
    output: Annotated[Path, typer.Option(metavar="FILE", help="Where the page goes.", callback=writable)] = Path(
        "report.html"
    ),
    swap: Swap = False,
    network: Annotated[
        Path, typer.Option(metavar="DIR", help="The network's folder, of checkpoints.", show_default="model/network")
    ] = NETWORK,
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    as_json: Json = False,
) -> None:
    """Write what a model is worth, or what two are side by side, as one HTML page.

    Scores by set and by length, whether a difference may be chance, the sentences that differ most and the worst, where
    each word comes from, curves, sizes, speed. The page fetches nothing and runs no script.

    An image is run by the code in it, as a process on this machine and not in a container: report on images that you
    would deploy. `build-model verify REF --key` says whose they are.
    """
    from build_model.reporting import making  # noqa: PLC0415 (torch takes a second; no other command needs it)

    def found(text: str) -> tuple[Registry, Reference]:
        if "/" in text and ":" not in text and "@" not in text:
            raise typer.BadParameter(f"{text} is no folder with a checkpoint in it, and an image has a version.")
        return stored(text, registry, repository)

    with reported(as_json=as_json), ExitStack() as kept:
        progress = progress_for(as_json)
        subjects: list[Subject] = [
            kept.enter_context(making.subject(each, network, progress, found)) for each in (one, other) if each
        ]
        made = making.make(subjects, test or [], swap=swap, progress=progress)
        output.write_text(made.page, encoding="utf-8")
        if as_json:
            print_object({"output": str(output), **made.encode()}, as_json=True)
            return
        for line in made.summary:
            print(line)
        print(f"The report is in {output}.")
