"""A network's folder: written to start from, checked, and filled with a notebook's weights."""

from __future__ import annotations

import enum
import json
import re
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


def _code(code: str) -> str:
    if not re.fullmatch("[a-z]{3}", code):
        raise typer.BadParameter(f"{code!r} is no ISO 639-3 code: three lower-case letters, such as fra.")
    return code


@group.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write.")],
    start: Annotated[Start, typer.Option("--from", help="What to copy.")] = Start.start,
    source: Annotated[
        str, typer.Option(metavar="CODE", help="The language that it reads, in ISO 639-3.", callback=_code)
    ] = "fra",
    target: Annotated[str, typer.Option(metavar="CODE", help="The language that it writes.", callback=_code)] = "eng",
    example: Annotated[
        str, typer.Option(metavar="SENTENCE", help="A sentence of the source that any training learns.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Write a network's folder to start from: small, trained in seconds, and it passes `check`."""
    if source != "fra" and not example.strip():
        raise typer.BadParameter(f"give one in {source}; clients are shown it.", param_hint="--example")
    with reported(as_json=as_json):
        if folder.exists():
            raise FolderTaken(f"{folder} is there. Choose another folder, or edit that one.")
        there = ROOT / "examples" / start.value
        inner = there / "network"
        shutil.copytree(inner if inner.is_dir() else there, folder, ignore=shutil.ignore_patterns("__pycache__"))
        _say(folder / "__init__.py", source=source, target=target, example=example)
        print_object({"network": str(folder), "next": f"build-model check --network {folder}"}, as_json=as_json)


def _say(path: Path, **fields: str) -> None:
    """Writes the fields that aren't empty into a folder's MODEL."""
    text = path.read_text(encoding="utf-8")
    for name, value in fields.items():
        if value:
            said = json.dumps(value, ensure_ascii=False)
            text = re.sub(rf"^(    {name}=).*(,)$", lambda found: found[1] + said + found[2], text, flags=re.MULTILINE)  # noqa: B023 (called at once)
    path.write_text(text, encoding="utf-8")


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
