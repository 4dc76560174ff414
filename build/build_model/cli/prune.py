"""What may go: old versions, from an engine or from the registry."""

from __future__ import annotations

from typing import Annotated

import typer

from build_model import report
from build_model.cli.options import REPOSITORY, Host, Hosts, Json, RegistryAddress, Repository, reported
from build_model.image.reference import Address
from build_model.store import removal

group = typer.Typer()


@group.command()
def prune(
    keep: Annotated[int, typer.Option(min=1, metavar="N", help="The newest versions that stay.")] = 3,
    in_registry: Annotated[
        bool, typer.Option("--in-registry", help="Remove versions from the registry, not from the engine.")
    ] = False,
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    host: Host = None,
    hosts: Hosts = None,
    as_json: Json = False,
) -> None:
    """Remove old versions' images from the engine; the registry keeps them, unless it is what `--in-registry` names.

    From the engine never one that runs, that a rollback leads to, or that no registry has. From the registry never one
    that has a name, that the last record of a deployment names, or that a rollback from there leads to; what refers to
    a version goes with it, its records too. The registry's own garbage collection then frees the space.
    """
    with reported(as_json=as_json):
        if in_registry:
            _prune_registry(registry, repository, keep, dry_run=dry_run, as_json=as_json)
            return
        # The registry's versions need no engine's client, which takes as long to load as they take to be told.
        from build_model.cli.operation import engines  # noqa: PLC0415
        from build_model.operation import prune as pruning  # noqa: PLC0415

        found = [
            fate for engine in engines(host, hosts) for fate in pruning.prune(engine, repository, keep, dry_run=dry_run)
        ]
        if as_json:
            report.print_object({"dry_run": dry_run, "images": [fate.encode() for fate in found]})
            return
        gone = "would go" if dry_run else "removed"
        report.print_table(
            ("version", "image", ""), ((one.version, one.image.id[7:19], one.kept or gone) for one in found)
        )


def _prune_registry(registry: str, repository: str, keep: int, *, dry_run: bool, as_json: bool) -> None:
    if not registry:
        raise typer.BadParameter("say which: --registry HOST:PORT[/PREFIX].", param_hint="--in-registry")
    where = Address.parse(registry).reference(repository)
    found = removal.prune(registry, where, keep, dry_run=dry_run)
    if as_json:
        versions = [fate.encode() for fate in found]
        report.print_object({"dry_run": dry_run, "repository": where.name, "versions": versions})
        return
    gone = "would go" if dry_run else "removed"
    rows = ((one.version.version.tag, one.version.version.digest[7:19], one.kept or gone) for one in found)
    report.print_table(("version", "digest", ""), rows)
