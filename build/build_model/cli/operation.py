"""What runs: deploying, rolling back, looking at it, trying an image."""

from __future__ import annotations

import enum
import re
from pathlib import Path
from typing import Annotated

import typer

from build_model import report
from build_model.cli.options import (
    DEPLOYMENT,
    QUEUE,
    REPOSITORY,
    Host,
    Hosts,
    Json,
    Name,
    RegistryAddress,
    Repository,
    RequireSignature,
    progress_for,
    queue_name,
    reported,
)
from build_model.engine import Engine
from build_model.image.signature import PublicKey
from build_model.operation import deploy as deploying
from build_model.operation import shadow as shadows
from build_model.operation import smoke, swarm
from build_model.operation.running import Deployment


class Orchestrator(enum.StrEnum):
    """What keeps replicas running."""

    docker = "docker"
    swarm = "swarm"


def memory_size(text: str) -> str:
    """``text`` as it is, or refused: a size in MB or GB."""
    if not re.fullmatch(r"[1-9][0-9]{0,6}[mg]", text):
        raise typer.BadParameter(f"{text!r} is no size. Expected a number and m or g, such as 512m or 2g.")
    return text


Network = Annotated[
    str,
    typer.Option(metavar="NAME", envvar="DRAGOMAN_NETWORK", help="The Docker network of the containers, or host."),
]
EngineKind = Annotated[
    Orchestrator, typer.Option(help="What keeps the replicas running: Docker, or the swarm that the engine manages.")
]
Observe = Annotated[
    float, typer.Option(metavar="SECONDS", min=0, help="How long new replicas are watched before the old ones go.")
]
Memory = Annotated[
    str, typer.Option(metavar="SIZE", help="What each replica may use, such as 512m or 2g.", callback=memory_size)
]
AmqpUrl = Annotated[
    str,
    typer.Option(
        metavar="URL",
        envvar="DRAGOMAN_AMQP_URL",
        help="The broker as a container sees it: amqp://USER:PASSWORD@HOST:5672/%2F. "
        "RabbitMQ lets the user guest in from loopback only.",
    ),
]
ClientAmqpUrl = Annotated[
    str,
    typer.Option(
        metavar="URL",
        envvar="DRAGOMAN_CLIENT_AMQP_URL",
        help="The broker as this command sees it, where that is another address. [default: that of --amqp-url]",
        show_default=False,
    ),
]

group = typer.Typer()


@group.command()
def deploy(
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="A version in the registry, or a name such as production.")
    ],
    amqp_url: AmqpUrl,
    registry: RegistryAddress,
    client_amqp_url: ClientAmqpUrl = "",
    queue: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            envvar="DRAGOMAN_QUEUE",
            help="The queue that it answers on: RPC_QUEUE of the service.",
            show_default=QUEUE,
            callback=queue_name,
        ),
    ] = None,
    replicas: Annotated[int, typer.Option(min=1, help="How many containers share the queue.")] = 1,
    network: Network = "bridge",
    memory: Memory = "1g",
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A setting of the service, such as MAX_BATCH=16. May be repeated."),
    ] = None,
    canary: Annotated[
        int, typer.Option(min=0, metavar="N", help="Start so many at first and watch them beside the old ones.")
    ] = 0,
    observe: Observe = deploying.OBSERVE_SECONDS,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Change nothing: let it answer copies of requests, and show what differs.")
    ] = False,
    require_signature: RequireSignature = None,
    repository: Repository = REPOSITORY,
    name: Name = DEPLOYMENT,
    host: Host = None,
    hosts: Hosts = None,
    engine: EngineKind = Orchestrator.docker,
    as_json: Json = False,
) -> None:
    """Deploy a version from the registry.

    By digest. A candidate is smoke-tested on a private queue; then the new replicas start, and when all are ready
    and were watched for a while, the old ones are drained. Whatever fails, the old version goes on serving: a new one
    that dies, fails more requests than the old one or is much slower is taken back. `build-model history` says why.
    """
    settings = {**({"RPC_QUEUE": queue} if queue else {}), **_settings(env or [])}
    if engine is Orchestrator.swarm and (canary or shadow):
        raise typer.BadParameter("a swarm has no canary and no shadow.", param_hint="--engine")
    with reported(as_json=as_json):
        wanted = Deployment(
            name=name,
            image=deploying.resolve(version, repository, registry),
            registry=registry,
            replicas=replicas,
            network=network,
            environment={**settings, "AMQP_URL": amqp_url},
            client_amqp_url=client_amqp_url or amqp_url,
            memory_bytes=_bytes(memory),
        )
        key = PublicKey.read(require_signature) if require_signature else None
        deployer = deploying.Deployer(engines(host, hosts), progress_for(as_json), key)
        if engine is Orchestrator.swarm:
            _print_rolled(deployer.to_swarm(wanted, observe), as_json=as_json)
            return
        if shadow:
            _print_shadow(deployer.shadow(wanted, observe), as_json=as_json)
            return
        _print_deployed(deployer.deploy(wanted, rollout=deploying.Rollout(canary, observe)), as_json=as_json)


@group.command()
def rollback(
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="Where to.", show_default="what ran before")] = "",
    observe: Observe = deploying.OBSERVE_SECONDS,
    require_signature: RequireSignature = None,
    name: Name = DEPLOYMENT,
    host: Host = None,
    hosts: Hosts = None,
    engine: EngineKind = Orchestrator.docker,
    as_json: Json = False,
) -> None:
    """Go back to the version that ran before, or to VERSION; rolling back twice returns.

    The image comes from the engine where it has it, else from the registry, and passes the same smoke test as in a
    deploy; settings stay as they are. A deploy that was cut off is undone, a rollback that was cut off is finished.
    """
    with reported(as_json=as_json):
        key = PublicKey.read(require_signature) if require_signature else None
        deployer = deploying.Deployer(engines(host, hosts), progress_for(as_json), key)
        if engine is Orchestrator.swarm:
            _print_rolled(deployer.back_in_swarm(name, observe), as_json=as_json)
            return
        wanted = deployer.rolled_back(name, version or None)
        rollout = deploying.Rollout(observe_seconds=observe)
        _print_deployed(deployer.deploy(wanted, "rollback", rollout), as_json=as_json)


@group.command(name="smoke")
def smoke_test(
    reference: Annotated[str, typer.Argument(metavar="REF", help="An image; pulled if the engine has it not.")],
    amqp_url: AmqpUrl,
    client_amqp_url: ClientAmqpUrl = "",
    network: Network = "bridge",
    observe: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long it must go on living.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Try an image on a queue of its own: goldens, an untranslatable text, erroneous input, a restart, SIGTERM."""
    with reported(as_json=as_json):
        trial = smoke.Trial(reference, amqp_url, client_amqp_url or amqp_url, network, steady_seconds=observe)
        checks = smoke.run(trial, Engine.connect(), progress_for(as_json))
        if as_json:
            rows = [{"check": check.name, "seconds": round(check.seconds, 2)} for check in checks]
            report.print_object({"reference": reference, "passed": True, "checks": rows})
            return
        report.print_facts(
            f"{reference} passes its smoke test", ((check.name, f"{check.seconds:.1f} s") for check in checks)
        )


def _settings(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair or pair.startswith("="):
            raise typer.BadParameter("expected NAME=VALUE, such as MAX_BATCH=16.", param_hint="--env")
    return dict(pair.split("=", 1) for pair in pairs)


def _bytes(memory: str) -> int:
    return int(memory[:-1]) << {"m": 20, "g": 30}[memory[-1]]


def engines(host: list[str] | None, hosts: Path | None) -> tuple[Engine, ...]:
    """The engines that were named, else the one of the environment; each once."""
    named = list(host or ())
    if hosts is not None:
        lines = (line.partition("#")[0].strip() for line in hosts.read_text(encoding="utf-8").splitlines())
        named += filter(None, lines)
    return tuple(Engine.connect(each) for each in dict.fromkeys(named)) or (Engine.connect(),)


def _print_rolled(done: swarm.Rolled, *, as_json: bool) -> None:
    if as_json:
        report.print_object(done.encode())
        return
    print(f"{done.reference} serves")


def _print_shadow(seen: shadows.Report, *, as_json: bool) -> None:
    if as_json:
        report.print_object(seen.encode())
        return
    print(seen.line)
    rows = ((pair.source, pair.now.text, pair.then.text) for pair in seen.different[: shadows.SHOWN])
    if seen.different:
        report.print_table(("request", "what serves", "this version"), rows)


def _print_deployed(done: deploying.Done, *, as_json: bool) -> None:
    if as_json:
        report.print_object(done.encode())
        return
    image = done.sites[0].plan.deployment.image
    print(f"{image} serves" if done.changed else f"{image} was serving already")
