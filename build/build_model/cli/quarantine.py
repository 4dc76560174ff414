"""Looking at the quarantine, putting messages back, throwing them away."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from build_model import report
from build_model.cli.options import (
    QUEUE,
    BrokerUrl,
    Json,
    Queue,
    messages,
    print_object,
    progress_for,
    queue_name,
    reported,
)
from build_model.operation import quarantine, rpc
from build_model.operation.audit import Audit
from dragoman.link import DIRECT_REPLY_TO

Reason = Annotated[
    str | None, typer.Option(metavar="REASON", help="Only messages with this reason, as `list` shows it.")
]

group = typer.Typer(
    help="Look at what the service put into quarantine, put messages back, or throw them away.",
    rich_markup_mode="markdown",
    no_args_is_help=True,
)


@group.command(name="list")
def quarantine_list(
    amqp_url: BrokerUrl,
    queue: Queue = QUEUE,
    limit: Annotated[int, typer.Option(min=1, help="Show so many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the messages in quarantine, and leave them there.

    Each is taken from the broker and given back, so for that moment nobody else sees it. A classic queue keeps its
    order; a quorum queue puts what was shown behind what wasn't, and counts a delivery of it: where a policy sets
    delivery-limit, or with RabbitMQ 4 (20 by itself), raise the limit of the quarantine. `requeue` and `purge --reason`
    do the same to what they pass over. See docs/operations.md.

    Reasons: **not-utf8**, **content-encoding**, **reply-to**, **crashed**; or the broker's, where a policy dead-letters
    into the quarantine.
    """
    with reported(as_json=as_json), rpc.Broker(amqp_url) as broker:
        found = quarantine.look(broker, queue, limit)
        if as_json:
            report.print_object(found.encode())
            return
        print(f"{found.queue}: {messages(found.total)}" + (f", {len(found.messages)} shown" * (found.total > limit)))
        if found.messages:
            report.print_table(quarantine.COLUMNS, (kept.row() for kept in found.messages))


@group.command(name="requeue")
def quarantine_requeue(
    amqp_url: BrokerUrl,
    queue: Queue = QUEUE,
    reason: Reason = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many at most.", show_default="all")] = None,
    reply_to: Annotated[
        str | None,
        typer.Option(
            metavar="QUEUE",
            help="Send the answers to this queue, for whom nobody waits any more.",
            show_default="where each message says",
            callback=queue_name,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Put messages back on the request queue, oldest first, their attempts forgotten.

    For texts that crashed a version, once another one is deployed. What the service would refuse again stays in
    quarantine and is counted: bytes that aren't UTF-8, another content encoding, no reply_to (unless --reply-to).

    A message leaves the quarantine when the broker has confirmed its copy: none is lost, and one that was under way
    when the connection broke may be translated twice. Messages no longer expire.
    """
    if reply_to in {queue, quarantine.quarantine_of(queue), DIRECT_REPLY_TO}:
        raise typer.BadParameter("answers need a queue of their own.", param_hint="--reply-to")
    with reported(as_json=as_json), rpc.Broker(amqp_url) as broker:
        done = quarantine.requeue(
            broker,
            queue,
            reason=reason,
            limit=limit,
            reply_to=reply_to,
            dry_run=dry_run,
            audit=Audit.default(),
            progress=progress_for(as_json),
        )
        if as_json:
            report.print_object(done.encode())
            return
        print(f"{messages(done.requeued)} {'would go' if dry_run else 'went'} back to {queue}")
        for why, count in sorted(done.refused.items()):
            print(f"{messages(count)} would only return, and stayed: {why}")


@group.command(name="purge")
def quarantine_purge(
    amqp_url: BrokerUrl,
    queue: Queue = QUEUE,
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: Json = False,
) -> None:
    """Throw away the messages in quarantine, for good."""
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter("nobody can be asked here; say that you mean it.", param_hint="--yes")
    with reported(as_json=as_json), rpc.Broker(amqp_url) as broker:
        name = quarantine.quarantine_of(queue)
        count = broker.depth(name)
        if count and not yes:
            which = f"those with reason {reason} among the {messages(count)}" if reason else messages(count)
            typer.confirm(f"Remove {which} in {name} for good?", abort=True, err=True)
        removed = quarantine.purge(broker, queue, reason=reason, audit=Audit.default(), progress=progress_for(as_json))
        print_object({"queue": name, "removed": removed}, as_json=as_json)
