"""Adopting what a notebook saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from build_model.cli.options import Json, print_object, reported
from build_model.cli.training import Settings, read_settings, warn_of

group = typer.Typer()


@group.command()
def adopt(
    network: Annotated[Path, typer.Option(metavar="DIR", help="The network's folder (model/contract.py).")],
    weights: Annotated[
        list[str],
        typer.Option(
            metavar="[PART=]FILE",
            help="A state dict that torch.save wrote, of the network or of a part of it: encoder=encoder.pt.",
        ),
    ],
    vocabularies: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="The pickled vocabularies, in one file, or one each, the source's first."),
    ],
    sources: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Sentences to choose the goldens of, one a line; with translations behind tabs, or as JSON lines of "
            "src and refs, they are scored too. Not those of the training.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The checkpoint to write.")],
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Make a checkpoint of what a notebook saved: its state dicts, its vocabularies.

    Nothing of a file is run: weights are loaded as tensors alone, and a pickle that names anything but the folder's
    vocabulary class and plain containers is refused. The checkpoint is one like any other:
    `build-model --version X --network DIR --checkpoint OUT`.
    """
    from build_model.training import adopt as adopting  # noqa: PLC0415 (torch takes a second; no other command needs it)

    parts = [one.rpartition("=") for one in weights]
    notebook = adopting.Notebook(
        [(part, Path(path)) for part, _, path in parts], vocabularies, read_settings(settings or [])
    )
    with reported(as_json=as_json):
        examples = adopting.read_sources(sources)
        manifest = adopting.adopt(notebook, examples, out, network, sources.name.split(".")[0])
        scores = manifest.training.get("scores", {})
        facts = {
            "checkpoint": str(out),
            "architecture": manifest.architecture,
            "goldens": warn_of(out),
            **{f"{of}_bleu": round(score["bleu"], 1) for of, score in scores.items()},
            "next": f"build-model --version X.Y.Z --network {network} --checkpoint {out}",
        }
        print_object(facts, as_json=as_json)
