"""Looking at what runs, and who holds it."""

from __future__ import annotations

import typer

from build_model import report
from build_model.cli.operation import engines
from build_model.cli.options import (
    DEPLOYMENT,
    Host,
    Hosts,
    Json,
    Name,
    print_object,
    reported,
)
from build_model.operation import deploy as deploying
from build_model.operation import lock

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
