"""What runs: deploying, rolling back, looking at it, trying an image, asking for a translation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from build_model import report
from build_model.cli.options import (
    QUEUE,
    BrokerUrl,
    Json,
    Queue,
    RegistryAddress,
    Repository,
    print_object,
    progress_for,
    reported,
    utf8,
)
from build_model.engine import Engine
from build_model.image import image
from build_model.operation import deploy as deploying
from build_model.operation import lock, smoke
from build_model.operation.plan import Deployment
from dragoman.client import Answer, Client

DEPLOYMENT = "dragoman"


def deployment_name(name: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", name):
        raise typer.BadParameter(f"{name!r} can't name containers: letters, digits and _ . - only, like dragoman.")
    return name


Name = Annotated[
    str, typer.Option(metavar="NAME", help="What the deployment is called on this engine.", callback=deployment_name)
]
Network = Annotated[str, typer.Option(metavar="NAME", help="The Docker network of the containers, or host.")]
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
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version that the registry has.")],
    amqp_url: AmqpUrl,
    registry: RegistryAddress,
    client_amqp_url: ClientAmqpUrl = "",
    replicas: Annotated[int, typer.Option(min=1, help="How many containers share the queue.")] = 1,
    network: Network = "bridge",
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A setting of the service, such as MAX_BATCH=16. May be repeated."),
    ] = None,
    repository: Repository = image.REPOSITORY,
    name: Name = DEPLOYMENT,
    as_json: Json = False,
) -> None:
    """Deploy a version from the registry.

    By digest. A candidate is smoke-tested on a private queue; then the new replicas start, and when all are ready
    the old ones are drained. Whatever fails, the old version goes on serving.
    """
    settings = _settings(env or [])
    with reported(as_json=as_json):
        wanted = Deployment(
            name=name,
            image=deploying.resolve(version, repository, registry),
            registry=registry,
            replicas=replicas,
            network=network,
            environment={**settings, "AMQP_URL": amqp_url},
            client_amqp_url=client_amqp_url or amqp_url,
        )
        _deploy(wanted, "deploy", as_json=as_json)


@group.command()
def rollback(
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="Where to.", show_default="what ran before")] = "",
    name: Name = DEPLOYMENT,
    as_json: Json = False,
) -> None:
    """Go back to the version that ran before, or to VERSION; rolling back twice returns.

    The image comes from the registry and passes the same smoke test as in a deploy; settings stay as they are.
    """
    with reported(as_json=as_json):
        running = deploying.Deployer(Engine.connect(), progress_for(as_json)).running(name)
        _deploy(deploying.rollback_target(running, version or None), "rollback", as_json=as_json)


@group.command()
def status(name: Name = DEPLOYMENT, as_json: Json = False) -> None:
    """Show which version runs, its replicas, what a rollback leads to, and who holds the lock."""
    with reported(as_json=as_json):
        deployer = deploying.Deployer(Engine.connect(), report.silent())
        found, others = deployer.status(name), deployer.others(name)
        if as_json:
            report.print_object({**found.encode(), "others": others})
            return
        report.print_facts(f"{name}: {found.reference or 'nothing is deployed'}", found.facts())
        if found.replicas:
            report.print_table(("replica", "version", "state", "restarts", "since"), found.rows())
        if others:
            print(f"Other deployments on this engine: {', '.join(others)}. See one with --name.")


@group.command()
def unlock(name: Name = DEPLOYMENT, as_json: Json = False) -> None:
    """Remove the lock that a deploy left when it was cut off."""
    with reported(as_json=as_json):
        found = deploying.Deployer(Engine.connect(), report.silent()).unlock(name)
        held = {label: found.labels[label] for label in (lock.WHO, lock.WHEN, lock.WHAT)} if found else {}
        if found is None and not as_json:
            print(f"{name} was not locked.")
            return
        print_object({"unlocked": found is not None, **held}, as_json=as_json)


@group.command(name="smoke")
def smoke_test(
    reference: Annotated[str, typer.Argument(metavar="REF", help="An image; pulled if the engine has it not.")],
    amqp_url: AmqpUrl,
    client_amqp_url: ClientAmqpUrl = "",
    network: Network = "bridge",
    as_json: Json = False,
) -> None:
    """Try an image on a queue of its own: goldens, an untranslatable text, erroneous input, a restart, SIGTERM."""
    with reported(as_json=as_json):
        trial = smoke.Trial(reference, amqp_url, client_amqp_url or amqp_url, network)
        checks = smoke.run(trial, Engine.connect(), progress_for(as_json))
        if as_json:
            rows = [{"check": check.name, "seconds": round(check.seconds, 2)} for check in checks]
            report.print_object({"reference": reference, "passed": True, "checks": rows})
            return
        report.print_facts(
            f"{reference} passes its smoke test", ((check.name, f"{check.seconds:.1f} s") for check in checks)
        )


@group.command()
def translate(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT…", help="French, as a person types it.", callback=utf8)],
    amqp_url: BrokerUrl = "",
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Ask nobody: translate here, with this checkpoint.")
    ] = None,
    queue: Queue = QUEUE,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for the answers.")] = 30.0,
    as_json: Json = False,
) -> None:
    """Translate: over the queue with --amqp-url, or here with --checkpoint."""
    if bool(amqp_url) == (checkpoint is not None) and checkpoint is None:
        raise typer.BadParameter("say whom to ask: --amqp-url URL or --checkpoint DIR.")
    with reported(as_json=as_json):
        answers = (
            _translated_here(checkpoint, texts)
            if checkpoint
            else _translated_by_service(amqp_url, queue, texts, timeout)
        )
        if as_json:
            rows = [{"source": source, **one.encode()} for source, one in zip(texts, answers, strict=True)]
            report.print_object({"translations": rows})
            return
        for answer in answers:
            print(answer.text)


def _settings(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair or pair.startswith("="):
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE.", param_hint="--env")
    return dict(pair.split("=", 1) for pair in pairs)


def _deploy(wanted: Deployment, what: str, *, as_json: bool) -> None:
    done = deploying.Deployer(Engine.connect(), progress_for(as_json)).deploy(wanted, what)
    if as_json:
        report.print_object(done.encode())
        return
    print(f"{wanted.image} serves" if done.start else f"{wanted.image} was serving already")


def _translated_by_service(url: str, queue: str, texts: list[str], seconds: float) -> list[Answer]:
    with Client(url, queue, timeout_seconds=seconds, retries=0) as client:
        return list(client.ask_all(texts))


def _translated_here(checkpoint: Path, texts: list[str]) -> list[Answer]:
    from model.translator import Translator  # noqa: PLC0415 (torch takes a second; no other command needs it)

    translator = Translator.load(checkpoint)
    return [
        Answer(smoke.FALLBACK if one.error else one.text, translator.version, translator.architecture, one.error)
        for one in translator.translate(texts)
    ]
