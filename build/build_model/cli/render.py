"""Manifests for other orchestrators."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from build_model import report
from build_model.cli.options import (
    REPOSITORY,
    ROOT,
    Json,
    Queue,
    RegistryAddress,
    Repository,
    RequireSignature,
    reported,
)
from build_model.image import trust
from build_model.image.registry import Registry
from build_model.image.signature import PublicKey
from build_model.operation import render
from build_model.operation.deploy import resolve

KUBERNETES = ROOT / "deploy" / "kubernetes"

group = typer.Typer(
    help="Write manifests that run a version by its digest.", rich_markup_mode="markdown", no_args_is_help=True
)


def _name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,52}[a-z0-9])?", name):
        raise typer.BadParameter(f"{name!r} is no name in Kubernetes: lower-case letters, digits and - inside.")
    return name


@group.callback()
def orchestrators() -> None:
    """Write manifests that run a version by its digest."""  # without it Typer makes the one command the group


@group.command(name="kubernetes")
def render_kubernetes(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version that the registry has, or a name.")],
    registry: RegistryAddress,
    repository: Repository = REPOSITORY,
    folder: Annotated[
        Path,
        typer.Option(
            "--from",
            metavar="DIR",
            help="The kustomization to take.",
            show_default="deploy/kubernetes",
            exists=True,
            file_okay=False,
        ),
    ] = KUBERNETES,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="What to call it: several models run side by side.", callback=_name)
    ] = render.NAME,
    queue: Queue = render.QUEUE,
    require_signature: RequireSignature = None,
    as_json: Json = False,
) -> None:
    """Write Kubernetes manifests to standard output: `build-model render kubernetes 1.1.0 | kubectl apply -f -`."""
    with reported(as_json=as_json):
        wanted = resolve(version, repository, registry)
        if require_signature:
            trust.check(Registry(registry), wanted, PublicKey.read(require_signature))
        manifests = render.kubernetes(wanted, folder, name, queue)
        if as_json:
            report.print_object({"reference": str(wanted), "manifests": manifests})
            return
        print(manifests, end="")
