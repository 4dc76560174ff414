"""Whether everything is there that building, pushing and deploying need."""

from __future__ import annotations

import typer

from build_model import report
from build_model.cli.operation import AmqpUrl, ClientAmqpUrl, Network
from build_model.cli.options import (
    QUEUE,
    RELEASED,
    REPOSITORY,
    ROOT,
    Json,
    Queue,
    RegistryAddress,
    Repository,
    reported,
)
from build_model.operation import doctor as doctors
from build_model.operation.doctor import Finding, State, Surroundings

group = typer.Typer()


@group.command()
def doctor(
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    amqp_url: AmqpUrl = "",
    client_amqp_url: ClientAmqpUrl = "",
    queue: Queue = QUEUE,
    network: Network = "bridge",
    as_json: Json = False,
) -> None:
    """Look at Python, packages, model, disk, engine, registry, login and broker, and say what to do about each.

    Nothing is changed, and no password is shown. What is only a warning may be meant so; with a failure it ends with 1.
    """
    with reported(as_json=as_json):
        around = Surroundings(ROOT, RELEASED, registry, repository, amqp_url, client_amqp_url, queue, network)
        found = []
        for one in doctors.examine(around):
            found.append(one)
            if not as_json:
                report.print_finding(one.state.value, one.what, f"{one.said} {one.mend}".strip())
        failed = [one for one in found if one.state is State.fail]
        if as_json:
            report.print_object({"ok": not failed, "findings": [one.encode() for one in found]})
        else:
            print(_summary(found))
        if failed:
            raise typer.Exit(1)


def _summary(found: list[Finding]) -> str:
    count = {state: sum(one.state is state for one in found) for state in State}
    return f"{count[State.ok]} in order, {count[State.warn]} to look at, {count[State.fail]} to mend"
