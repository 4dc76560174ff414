"""What was done, from this machine or from any."""

from __future__ import annotations

from typing import Annotated

import typer

from build_model import report
from build_model.cli.options import DEPLOYMENT, REPOSITORY, Json, Name, Repository, reported
from build_model.operation import record as records
from build_model.operation.audit import Audit, history_row

group = typer.Typer()


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
