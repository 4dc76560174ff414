"""Looking at what runs, and tidying up."""

from __future__ import annotations

from typing import Annotated

import typer

from build_model import report
from build_model.cli.operation import Host, Hosts, engines
from build_model.cli.options import (
    DEPLOYMENT,
    REPOSITORY,
    Json,
    Name,
    RegistryAddress,
    Repository,
    print_object,
    reported,
)
from build_model.image.reference import Address
from build_model.operation import deploy as deploying
from build_model.operation import lock
from build_model.operation import prune as pruning
from build_model.store import removal

group = typer.Typer()


@group.command()
def status(name: Name = DEPLOYMENT, host: Host = None, hosts: Hosts = None, as_json: Json = False) -> None:
    """Show which version runs, its replicas, what a rollback leads to, and who holds the lock."""
    with reported(as_json=as_json):
        found = []
        reached = engines(host, hosts)
        for engine in reached:
            where = f" on {engine.host}" if len(reached) > 1 else ""
            running, others = deploying.Deployer.status(engine, name), deploying.Deployer.others(engine, name)
            found.append({"host": engine.host, **running.encode(), "others": others})
            if as_json:
                continue
            report.print_facts(f"{name}{where}: {running.reference or 'nothing is deployed'}", running.facts())
            if running.replicas:
                report.print_table(("replica", "version", "state", "restarts", "since", "search"), running.rows())
            if others:
                print(f"Other deployments on this engine: {', '.join(others)}. See one with --name.")
        if as_json:
            report.print_object(found[0] if len(found) == 1 else {"hosts": found})


@group.command()
def unlock(name: Name = DEPLOYMENT, host: Host = None, hosts: Hosts = None, as_json: Json = False) -> None:
    """Remove the lock that a deploy left when it was cut off."""
    with reported(as_json=as_json):
        found = deploying.Deployer(engines(host, hosts), report.silent()).unlock(name)
        held = {label: found.labels[label] for label in (lock.WHO, lock.WHEN, lock.WHAT)} if found else {}
        if found is None and not as_json:
            print(f"{name} was not locked.")
            return
        print_object({"unlocked": found is not None, **held}, as_json=as_json)


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
