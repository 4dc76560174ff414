"""A network's folder: written to start from, checked, and filled with a notebook's weights."""

from __future__ import annotations

import enum
import shutil
from pathlib import Path
from typing import Annotated

import typer

from build_model import report
from build_model.cli.options import ROOT, Json, print_object, reported
from build_model.cli.training import Network
from model.errors import DragomanError
from model.folder import NETWORK

group = typer.Typer()


class Start(enum.StrEnum):
    """The folders to start from."""

    start = "start"
    tutorial = "tutorial"
    transformer = "transformer"


class FolderTaken(DragomanError):
    """A folder that would be written is there."""


@group.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write.")],
    example: Annotated[Start, typer.Option("--from", help="What to copy.")] = Start.start,
    as_json: Json = False,
) -> None:
    """Write a network's folder to start from: small, trained in seconds, and it passes `check`."""
    with reported(as_json=as_json):
        if folder.exists():
            raise FolderTaken(f"{folder} is there. Choose another folder, or edit that one.")
        source = ROOT / "examples" / example.value
        inner = source / "network"
        shutil.copytree(inner if inner.is_dir() else source, folder, ignore=shutil.ignore_patterns("__pycache__"))
        print_object({"network": str(folder), "next": f"build-model check --network {folder}"}, as_json=as_json)


@group.command()
def check(
    network: Network = NETWORK,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A checkpoint of it, to be tried too.", show_default="none")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try each rule of model/contract.py on a network's folder. Takes seconds.

    It runs by itself before `train`, `adopt` and every build.
    """
    from build_model.training import check as checking  # noqa: PLC0415 (torch takes a second; no other command needs it)

    with reported(as_json=as_json):
        held = []
        for rule in checking.check(network, checkpoint):
            held.append(rule.name)
            if not as_json:
                print(f"holds: {rule.name}")
        if as_json:
            report.print_object({"network": str(network), "holds": held})
