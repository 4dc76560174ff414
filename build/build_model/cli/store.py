"""Asking the registry and the engine about images."""

from __future__ import annotations

from typing import Annotated

import typer

from build_model import report
from build_model.cli.options import REPOSITORY, Json, RegistryAddress, Repository, reported
from build_model.engine import Engine
from build_model.image import image, inspection
from build_model.image.inspection import Inspection
from build_model.image.reference import Address, Reference
from build_model.image.registry import Registry
from build_model.image.version import Version

group = typer.Typer()


@group.command()
def inspect(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="[HOST:PORT/]NAME:VERSION, or VERSION with --registry.")
    ],
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    as_json: Json = False,
) -> None:
    """Show what is in an image: labels, manifest, layer sizes, scores.

    With a registry in REF or in --registry it is asked there and not pulled; else it is one of the engine's images.
    """
    with reported(as_json=as_json):
        wanted = reference_of(reference, registry, repository)
        found = (
            inspection.inspect(registry_of(wanted, registry), wanted)
            if wanted.registry
            else image.inspect_local(Engine.connect(), wanted)
        )
        _print_inspection(found, as_json=as_json)


def reference_of(text: str, registry: str, repository: str) -> Reference:
    """``text`` as a reference; a bare version stands for that tag of ``repository``."""
    wanted = Reference("", repository, text) if Version.all_of([text]) else Reference.parse(text)
    if wanted.registry or not registry:
        return wanted
    return Address.parse(registry).reference(wanted.repository, wanted.tag, wanted.digest)


def registry_of(reference: Reference, registry: str) -> Registry:
    """The registry that ``reference`` names, reached as ``--registry`` says where that names the same."""
    same = registry and Address.parse(registry).host == reference.registry
    return Registry(registry if same else reference.registry)


def _print_inspection(found: Inspection, *, as_json: bool) -> None:
    if as_json:
        report.print_object(found.encode())
        return
    report.print_facts(f"{found.reference}@{found.digest}", sorted(found.labels.items()))
    report.print_facts(
        f"layers, {'compressed' if found.compressed else 'on disk'}",
        ((holds, report.size(count)) for holds, count in found.layers),
    )
    if serving := found.manifest.get("serving"):
        report.print_facts(
            "served by",
            [
                ("path", serving["path"]),
                ("goldens", f"{serving['sentences_per_second']:g} sentences/s, {serving['times_plain']:g} times plain"),
            ],
        )
    training = {name: value for name, value in found.manifest.get("training", {}).items() if name != "scores"}
    report.print_facts("training", sorted((name, str(value)) for name, value in training.items()))
    scores = ((of, f"BLEU {score['bleu']:.1f}, chrF {score.get('chrf', 0):.1f}") for of, score in found.scores.items())
    report.print_facts("scores", scores)
