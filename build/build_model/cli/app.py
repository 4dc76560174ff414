"""The command line: parses, calls, prints. Nothing is decided here."""

from __future__ import annotations

import enum
import io
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, ClassVar

import typer

import model
from build_model import STOPPED, report
from build_model.engine import Engine
from build_model.image import base as base_image
from build_model.image import image
from build_model.image.reference import Address, Reference
from build_model.image.registry import Inspection, Registry
from build_model.image.version import Version
from build_model.operation import deploy as deploying
from build_model.operation import quarantine, rpc, smoke
from model.errors import DragomanError

ROOT = Path(model.__file__).resolve().parent.parent
ARTIFACTS = ROOT / "artifacts"
RELEASED = ROOT / "model" / "checkpoint"
DEPLOYMENT = "dragoman"
QUEUE = "rpc_queue"
LONGEST_QUEUE_NAME = 255  # bytes

app = typer.Typer(
    name="build-model",
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Device(enum.StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, errors too.")]
RegistryAddress = Annotated[
    str,
    typer.Option(
        "--registry",
        metavar="HOST:PORT[/PREFIX]",
        envvar="DRAGOMAN_REGISTRY",
        help="The image registry, and what its repositories' names begin with. Plain HTTP on loopback or after "
        "http://, else HTTPS; logins are docker login's.",
    ),
]


def _repository(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*", name):
        raise typer.BadParameter(
            f"{name!r} is no image name: lower-case words joined by / . _ -, like dragoman/fra-eng."
        )
    return name


def _name(name: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", name):
        raise typer.BadParameter(f"{name!r} can't name containers: letters, digits and _ . - only, like dragoman.")
    return name


def _queue(name: str | None) -> str | None:
    if name is not None and not 0 < len(name.encode(errors="surrogatepass")) <= LONGEST_QUEUE_NAME:
        raise typer.BadParameter(f"a queue's name has 1 to {LONGEST_QUEUE_NAME} bytes.")
    return name if name is None else _texts([name])[0]


def _writable(path: Path | None) -> Path | None:
    """Said before minutes of work, not after."""
    if path is not None and (path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)):
        raise typer.BadParameter(f"{path} can't be written. Name a file in a folder that is there.")
    return path


def _texts(texts: list[str]) -> list[str]:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise typer.BadParameter("the text is not UTF-8. Check the locale of the terminal.") from None
    return texts


Repository = Annotated[
    str, typer.Option(metavar="NAME", help="The image's name in the registry.", callback=_repository)
]
Name = Annotated[
    str, typer.Option(metavar="NAME", help="What the deployment is called on this engine.", callback=_name)
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
BrokerUrl = Annotated[
    str,
    typer.Option(
        metavar="URL",
        envvar=["DRAGOMAN_CLIENT_AMQP_URL", "DRAGOMAN_AMQP_URL"],
        help="The broker: amqp://USER:PASSWORD@HOST:5672/%2F.",
    ),
]
Queue = Annotated[str, typer.Option(metavar="NAME", help="The service's queue.", callback=_queue)]
Reason = Annotated[
    str | None, typer.Option(metavar="REASON", help="Only messages with this reason, as `list` shows it.")
]
Corpus = Annotated[
    str,
    typer.Option(
        metavar="FILE|tutorial",
        help="Lines of French, a tab, English, gzipped or not; or `tutorial`: the PyTorch tutorial's, fetched once.",
    ),
]
Dev = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The dev set, JSON lines of src and refs.", show_default="1 % held out"),
]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="Train so long, all runs together.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Or so many passes over the corpus.")]


class SystemRefused(DragomanError):
    """The system refused a file or a connection."""


class Interrupted(DragomanError):
    """Ctrl-C."""

    exit_code: ClassVar[int] = 130


@contextmanager
def reported(*, as_json: bool) -> Iterator[None]:
    """Errors that a user is meant to read become one message and an exit code; no traceback."""
    try:
        yield
    except DragomanError as error:
        report.print_error(error, as_json=as_json)
        raise typer.Exit(error.exit_code) from error
    except BrokenPipeError:
        raise  # `… | head`: Typer ends quietly
    except OSError as error:
        report.print_error(SystemRefused(str(error)), as_json=as_json)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        report.print_error(Interrupted(STOPPED), as_json=as_json)
        raise typer.Exit(Interrupted.exit_code) from error


@app.callback(invoke_without_command=True)
def build(
    context: typer.Context,
    version: Annotated[
        str, typer.Option(metavar="X.Y.Z", help="Build this version: a semantic version, it becomes the image's tag.")
    ] = "",
    checkpoint: Annotated[
        Path, typer.Option(metavar="DIR", help="The checkpoint to build from.", show_default="the released one")
    ] = RELEASED,
    registry: RegistryAddress = "",
    push: Annotated[
        bool, typer.Option("--push", help="Push it; a version that is there is never overwritten.")
    ] = False,
    repository: Repository = image.REPOSITORY,
    base_reference: Annotated[
        str,
        typer.Option(
            "--base-image", metavar="REF", help="The Debian image with Python 3.11 to build on.", show_default=False
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and plan, build nothing.")] = False,
    train_first: Annotated[
        bool, typer.Option("--train", help="Train the checkpoint first, into runs/X.Y.Z. Needs --corpus and a length.")
    ] = False,
    corpus: Corpus = "",
    dev: Dev = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    as_json: Json = False,
) -> None:
    """Cast a translation model into one container image, and take it from there to a queue.

    **build-model --version 1.0.0** checks the released checkpoint against the code, writes artifacts/1.0.0/, builds
    dragoman/fra-eng:1.0.0 and runs its self-test inside the finished image, with no network.

    Versions: a major step when old weights can't run in the new code, a minor one for new weights, a patch for anything
    else. Images are for linux/amd64.
    """
    if context.invoked_subcommand is not None:
        if version:
            raise typer.BadParameter(
                f"it builds an image; it doesn't go with {context.invoked_subcommand}.", param_hint="--version"
            )
        return
    if not version:
        print(context.get_help())
        return
    if push and not registry:
        raise typer.BadParameter("say where to: --registry HOST:PORT[/PREFIX].", param_hint="--push")
    if train_first:
        _check_length(minutes, epochs)
    if train_first != bool(corpus):
        raise typer.BadParameter("--train and --corpus go together.", param_hint="--train")
    with reported(as_json=as_json):
        number = Version.parse(version)
        if train_first:
            checkpoint = ROOT / "runs" / version
            facts = _train(corpus, dev, checkpoint, minutes, epochs, as_json=as_json)
            if not as_json:
                _print(facts, as_json=False)
        order = image.Order(number, checkpoint, registry, push, repository, base_reference or None)
        engine = Engine.connect()
        if dry_run:
            with tempfile.TemporaryDirectory() as scratch:
                plan, warning = image.prepare(order, ROOT, Path(scratch), engine, _progress(as_json))
                _print_plan(plan, warning, as_json=as_json)
            return
        _print_made(image.make(order, ROOT, ARTIFACTS, engine, _progress(as_json)), as_json=as_json)


@app.command()
def base(as_json: Json = False) -> None:
    """Make the base image from Debian's packages, for where none can be pulled. Takes a minute; needs root."""
    with reported(as_json=as_json):
        made = base_image.make_base(Engine.connect(), _progress(as_json))
        _print({"reference": made.name, "image": made.image_id, "digest": made.digest}, as_json=as_json)


@app.command()
def inspect(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="[HOST:PORT/]NAME:VERSION, or VERSION with --registry.")
    ],
    registry: RegistryAddress = "",
    repository: Repository = image.REPOSITORY,
    as_json: Json = False,
) -> None:
    """Show what is in an image: labels, manifest, layer sizes, scores.

    With a registry in REF or in --registry it is asked there and not pulled; else it is one of the engine's images.
    """
    with reported(as_json=as_json):
        wanted = _reference(reference, registry, repository)
        found = (
            Registry(registry or wanted.registry).inspect(wanted)
            if wanted.registry
            else image.inspect_local(Engine.connect(), wanted)
        )
        _print_inspection(found, as_json=as_json)


@app.command()
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
        wanted = deploying.Deployment(
            name=name,
            image=deploying.resolve(version, repository, registry),
            registry=registry,
            replicas=replicas,
            network=network,
            environment={**settings, "AMQP_URL": amqp_url},
            client_amqp_url=client_amqp_url or amqp_url,
        )
        _deploy(wanted, "deploy", as_json=as_json)


@app.command()
def rollback(
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="Where to.", show_default="what ran before")] = "",
    name: Name = DEPLOYMENT,
    as_json: Json = False,
) -> None:
    """Go back to the version that ran before, or to VERSION; rolling back twice returns.

    The image comes from the registry and passes the same smoke test as in a deploy; settings stay as they are.
    """
    with reported(as_json=as_json):
        running = deploying.Deployer(Engine.connect(), _progress(as_json)).running(name)
        _deploy(deploying.rollback_target(running, version or None), "rollback", as_json=as_json)


@app.command()
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


@app.command()
def unlock(name: Name = DEPLOYMENT, as_json: Json = False) -> None:
    """Remove the lock that a deploy left when it was cut off."""
    with reported(as_json=as_json):
        lock = deploying.Deployer(Engine.connect(), report.silent()).unlock(name)
        held = {label: lock.labels[label] for label in (deploying.WHO, deploying.WHEN, deploying.WHAT)} if lock else {}
        if lock is None and not as_json:
            print(f"{name} was not locked.")
            return
        _print({"unlocked": lock is not None, **held}, as_json=as_json)


@app.command(name="smoke")
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
        checks = smoke.run(trial, Engine.connect(), _progress(as_json))
        if as_json:
            rows = [{"check": check.name, "seconds": round(check.seconds, 2)} for check in checks]
            report.print_object({"reference": reference, "passed": True, "checks": rows})
            return
        report.print_facts(
            f"{reference} passes its smoke test", ((check.name, f"{check.seconds:.1f} s") for check in checks)
        )


@app.command()
def translate(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT…", help="French, as a person types it.", callback=_texts)],
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
            rows = [
                {
                    "source": source,
                    "text": one.text,
                    "version": one.version,
                    "architecture": one.architecture,
                    "error": one.error,
                }
                for source, one in zip(texts, answers, strict=True)
            ]
            report.print_object({"translations": rows})
            return
        for answer in answers:
            print(answer.text)


quarantine_app = typer.Typer(
    help="Look at what the service put into quarantine, put messages back, or throw them away.",
    rich_markup_mode="markdown",
    no_args_is_help=True,
)
app.add_typer(quarantine_app, name="quarantine")


@quarantine_app.command(name="list")
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
        print(f"{found.queue}: {_messages(found.total)}" + (f", {len(found.messages)} shown" * (found.total > limit)))
        if found.messages:
            report.print_table(quarantine.COLUMNS, (kept.row() for kept in found.messages))


@quarantine_app.command(name="requeue")
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
            callback=_queue,
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
    if reply_to in {queue, rpc.DIRECT_REPLY_TO}:
        raise typer.BadParameter("answers need a queue of their own.", param_hint="--reply-to")
    with reported(as_json=as_json), rpc.Broker(amqp_url) as broker:
        done = quarantine.requeue(
            broker,
            queue,
            reason=reason,
            limit=limit,
            reply_to=reply_to,
            dry_run=dry_run,
            audit=deploying.Audit.default(),
            progress=_progress(as_json),
        )
        if as_json:
            report.print_object(done.encode())
            return
        print(f"{_messages(done.requeued)} {'would go' if dry_run else 'went'} back to {queue}")
        for why, count in sorted(done.refused.items()):
            print(f"{_messages(count)} would only return, and stayed: {why}")


@quarantine_app.command(name="purge")
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
            which = f"those with reason {reason} among the {_messages(count)}" if reason else _messages(count)
            typer.confirm(f"Remove {which} in {name} for good?", abort=True, err=True)
        removed = quarantine.purge(
            broker, queue, reason=reason, audit=deploying.Audit.default(), progress=_progress(as_json)
        )
        _print({"queue": name, "removed": removed}, as_json=as_json)


@app.command()
def train(
    corpus: Corpus,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The training folder: checkpoint, metrics, plot, state.")],
    dev: Dev = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in --out.")] = False,
    seed: Annotated[int, typer.Option(help="Same seed, data and machine: same first 100 losses.")] = 1,
    width: Annotated[int, typer.Option(min=8, help="Features of embeddings and states; a multiple of 4.")] = 256,
    source_vocabulary: Annotated[int, typer.Option(min=100, help="Most source tokens.")] = 6000,
    target_vocabulary: Annotated[int, typer.Option(min=100, help="Most target tokens.")] = 4000,
    as_json: Json = False,
) -> None:
    """Train a checkpoint; Ctrl-C keeps the best so far, `--resume` goes on.

    The best weights on the dev set become the checkpoint in --out, for `build-model --version X --checkpoint DIR`.
    metrics.json and training.png beside it say how it went.
    """
    _check_length(minutes, epochs)
    if width % 4:
        raise typer.BadParameter("it must be a multiple of 4, the number of attention heads.", param_hint="--width")
    shape = {"width": width, "source_vocabulary": source_vocabulary, "target_vocabulary": target_vocabulary}
    with reported(as_json=as_json):
        facts = _train(corpus, dev, out, minutes, epochs, device, resume, as_json=as_json, seed=seed, **shape)
        _print(facts, as_json=as_json)


@app.command()
def evaluate(
    checkpoint: Annotated[
        Path, typer.Option(metavar="DIR", help="The checkpoint.", show_default="the released one")
    ] = RELEASED,
    test: Annotated[Path, typer.Option(metavar="FILE", help="JSON lines of src and refs, gzipped or not.")] = ...,  # type: ignore[assignment]
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the translations here, one a line.", callback=_writable),
    ] = None,
    beam: Annotated[
        int | None, typer.Option(min=1, help="Hypotheses a sentence; 1 is greedy.", show_default="the service's")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write the scores into the checkpoint's manifest too, for `inspect`.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Score a checkpoint: BLEU and chrF over all references, with sacreBLEU's signatures, and sentences a second."""
    from build_model.training import corpus as corpora  # noqa: PLC0415 (torch takes a second; no other command needs it)
    from build_model.training import evaluation  # noqa: PLC0415

    with reported(as_json=as_json):
        examples = corpora.read_examples(test)
        found = evaluation.evaluate(evaluation.load(checkpoint, beam), examples)
        if record:
            evaluation.record(checkpoint, test.name.split(".")[0], found.scores)
        if output:
            output.write_text("".join(line + "\n" for line in found.lines()), encoding="utf-8")
        _print(found.encode(), as_json=as_json)


@app.command()
def restamp(
    checkpoint: Annotated[
        Path, typer.Option(metavar="DIR", help="The checkpoint.", show_default="the released one")
    ] = RELEASED,
    dev: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The dev set of the training: its first 500 are compared too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a new manifest after a refactoring, if every output is what it was; else refuse."""
    from build_model.training import corpus as corpora  # noqa: PLC0415 (torch takes a second; no other command needs it)
    from build_model.training import restamp as restamping  # noqa: PLC0415

    with reported(as_json=as_json):
        done = restamping.restamp(checkpoint, corpora.read_examples(dev) if dev else ())
        _print(done.encode(), as_json=as_json)
        if not as_json and not done.outputs:
            print("Only the goldens were compared; --dev FILE compares 500 dev sources too.")


def main() -> None:
    """The entry point of ``build-model``."""
    # Without a handler, Python prints pika's own account of a failed connection, traceback and all.
    logging.getLogger("pika").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 sees the rest
    app(prog_name="build-model")


def _progress(as_json: bool) -> report.Progress:
    return report.silent() if as_json else report.on_terminal()


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def _check_length(minutes: float | None, epochs: int | None) -> None:
    if (minutes is None) == (epochs is None):
        raise typer.BadParameter("say how long: --minutes N or --epochs N, one of them.")


def _train(
    corpus: str,
    dev: Path | None,
    out: Path,
    minutes: float | None,
    epochs: int | None,
    device: Device = Device.auto,
    resume: bool = False,
    *,
    as_json: bool,
    seed: int = 1,
    **shape: int,
) -> dict[str, object]:
    """Train into ``out``; what came of it. ``shape`` is the part of the recipe that decides the network's size."""
    from build_model.training import corpus as corpora  # noqa: PLC0415 (torch takes a second; no other command needs it)
    from build_model.training import training  # noqa: PLC0415
    from build_model.training.view import training_view  # noqa: PLC0415
    from model.checkpoint import read_goldens  # noqa: PLC0415

    recipe = training.Recipe(seed=seed, minutes=minutes, epochs=epochs, **shape)
    with _progress(as_json).download(corpus) as fetched:
        pairs = corpora.read_corpus(corpus, progress=fetched)
    if dev is None:
        pairs, examples = corpora.hold_out(pairs, seed)
    else:
        examples = corpora.read_examples(dev)
    with training_view(quiet=as_json) as view:
        position = training.train(
            pairs,
            examples,
            recipe,
            out,
            device=device.value,
            resume=resume,
            report=view.show,
            stopped=lambda: view.interrupted,
        )
    best = max(position.dev, key=lambda entry: float(entry["bleu"]))
    facts = {"checkpoint": str(out), "steps": position.step, "minutes": round(position.seconds / 60, 2)}
    goldens = len(read_goldens(out))
    if not goldens:
        _warn("no translation was clear enough to be a golden sentence, so no image can be built of it. Train longer.")
    return {**facts, "dev_bleu": best["bleu"], "dev_chrf": best["chrf"], "goldens": goldens}


def _reference(text: str, registry: str, repository: str) -> Reference:
    """``text`` as a reference; a bare version stands for that tag of ``repository``."""
    wanted = Reference("", repository, text) if Version.all_of([text]) else Reference.parse(text)
    if wanted.registry or not registry:
        return wanted
    return Address.parse(registry).reference(wanted.repository, wanted.tag, wanted.digest)


def _settings(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair or pair.startswith("="):
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE.", param_hint="--env")
    return dict(pair.split("=", 1) for pair in pairs)


def _deploy(wanted: deploying.Deployment, what: str, *, as_json: bool) -> None:
    done = deploying.Deployer(Engine.connect(), _progress(as_json)).deploy(wanted, what)
    if as_json:
        report.print_object(done.encode())
        return
    print(f"{wanted.image} serves" if done.start else f"{wanted.image} was serving already")


def _translated_by_service(url: str, queue: str, texts: list[str], seconds: float) -> list[rpc.Answer]:
    with rpc.Broker(url) as broker:
        return broker.ask(queue, texts, seconds)


def _translated_here(checkpoint: Path, texts: list[str]) -> list[rpc.Answer]:
    from model.translator import Translator  # noqa: PLC0415 (torch takes a second; no other command needs it)

    translator = Translator.load(checkpoint)
    return [
        rpc.Answer(smoke.FALLBACK if one.error else one.text, translator.version, translator.architecture, one.error)
        for one in translator.translate(texts)
    ]


def _print(facts: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        report.print_object(facts)
        return
    for name, value in facts.items():
        print(f"{name}: {value}")


def _print_plan(plan: image.Plan, warning: str | None, *, as_json: bool) -> None:
    if as_json:
        report.print_object({**plan.encode(), "warning": warning})
        return
    report.print_facts(
        f"Would build {plan.references[-1]}", [("on", plan.runtime.reference), *sorted(plan.labels.items())]
    )
    report.print_facts("with these files", ((digest[:12], path) for path, digest in plan.layers.digests().items()))
    _warn(warning)


def _print_made(made: image.Made, *, as_json: bool) -> None:
    if as_json:
        report.print_object(made.encode())
        return
    reference = made.plan.references[-1]
    facts = [("architecture", made.plan.labels["dragoman.architecture"]), ("artifact", made.plan.identity)]
    if made.digest:
        facts.append(("digest", made.digest))
    if made.built is None:
        report.print_facts(f"{reference} is already in the registry, with this very content; nothing was done", facts)
    else:
        sizes = [(f"layer {holds}, on disk", report.size(count)) for holds, count in made.built.layers]
        report.print_facts(str(reference), [("image", made.built.image_id), *facts, *sizes])
    _warn(made.warning)


def _print_inspection(found: Inspection, *, as_json: bool) -> None:
    if as_json:
        report.print_object(found.encode())
        return
    report.print_facts(f"{found.reference}@{found.digest}", sorted(found.labels.items()))
    report.print_facts(
        f"layers, {'compressed' if found.compressed else 'on disk'}",
        ((holds, report.size(count)) for holds, count in found.layers),
    )
    training = {name: value for name, value in found.manifest.get("training", {}).items() if name != "scores"}
    report.print_facts("training", sorted((name, str(value)) for name, value in training.items()))
    scores = ((of, f"BLEU {score['bleu']:.1f}, chrF {score.get('chrf', 0):.1f}") for of, score in found.scores.items())
    report.print_facts("scores", scores)


def _warn(warning: str | None) -> None:
    if warning:
        report.print_warning(warning)


if __name__ == "__main__":
    main()
