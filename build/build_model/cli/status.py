"""Looking at what runs and at what was done, and tidying up."""

from __future__ import annotations

from typing import Annotated

import typer

from build_model import report
from build_model.cli.operation import DEPLOYMENT, Host, Hosts, Name, engines
from build_model.cli.options import (
    REPOSITORY,
    Json,
    Repository,
    print_object,
    reported,
)
from build_model.operation import deploy as deploying
from build_model.operation import lock
from build_model.operation import prune as pruning
from build_model.operation import record as records
from build_model.operation.audit import Audit, history_row

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
def history(
    name: Name = DEPLOYMENT,
    registry: Annotated[
        str,
        typer.Option(metavar="HOST:PORT[/PREFIX]", help="Ask this registry, which has it from every machine."),
    ] = "",
    repository: Repository = REPOSITORY,
    limit: Annotated[int, typer.Option(min=1, help="The last so many.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what was deployed, when, by whom, and what came of it: from this machine, or with --registry from any."""
    with reported(as_json=as_json):
        kept = records.history(registry, repository, name) if registry else Audit.default().read()
        entries = [entry for entry in kept if entry.get("name") == name][-limit:]
        if as_json:
            report.print_object({"name": name, "entries": entries})
            return
        if not entries:
            print(f"Nothing was done to {name}{'' if registry else ' from this machine'}.")
            return
        report.print_table(("when", "who", "what", "version", "outcome"), map(history_row, entries))


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
    repository: Repository = REPOSITORY,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    host: Host = None,
    hosts: Hosts = None,
    as_json: Json = False,
) -> None:
    """Remove old versions' images from the engine; the registry keeps them.

    Never one that runs, that a rollback leads to, or that no registry has.
    """
    with reported(as_json=as_json):
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
