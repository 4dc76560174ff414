"""What the command groups share: options, the way errors are said, and how one object is printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

import model
from build_model import STOPPED, report
from build_model.image.artifact import repository_of
from model.errors import DragomanError
from model.fingerprint import Manifest

ROOT = Path(model.__file__).resolve().parent.parent
RELEASED = ROOT / "model" / "checkpoint"
QUEUE = "rpc_queue"
DEPLOYMENT = "dragoman"
LONGEST_QUEUE_NAME = 255  # bytes

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


def _released_repository() -> str:
    """What the images of this clone's model are called; empty where it has none."""
    try:
        return repository_of(Manifest.read(RELEASED))
    except DragomanError:
        return ""


REPOSITORY = _released_repository()


def repository_name(name: str) -> str:
    if name and not re.fullmatch(r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*", name):
        raise typer.BadParameter(
            f"{name!r} is no image name: lower-case words joined by / . _ -, like {REPOSITORY or 'me/model'}."
        )
    return name


def deployment_name(name: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", name):
        raise typer.BadParameter(f"{name!r} can't name containers: letters, digits and _ . - only, like dragoman.")
    return name


def queue_name(name: str | None) -> str | None:
    if name is not None and not 0 < len(name.encode(errors="surrogatepass")) <= LONGEST_QUEUE_NAME:
        raise typer.BadParameter(f"a queue's name has 1 to {LONGEST_QUEUE_NAME} bytes.")
    return name if name is None else utf8([name])[0]


def utf8(texts: list[str]) -> list[str]:
    """``texts`` as they are, or refused: what came as other bytes can't be sent."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise typer.BadParameter("the text is not UTF-8. Check the locale of the terminal.") from None
    return texts


def size_in_bytes(text: str) -> int:
    """``60kB``, ``1.5 MB``, ``1000`` as bytes (decimal units, as everywhere here)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMG]?)B?", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no size. Expected a number and B, kB, MB or GB, such as 60kB.")
    return int(float(match[1]) * 1000 ** " kMG".index(match[2] or " "))


Repository = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        envvar="DRAGOMAN_REPOSITORY",
        help="The image's name in the registry; by default after the model's languages.",
        callback=repository_name,
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
Queue = Annotated[
    str, typer.Option(metavar="NAME", envvar="DRAGOMAN_QUEUE", help="The service's queue.", callback=queue_name)
]


Name = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        envvar="DRAGOMAN_NAME",
        help="What the deployment is called on this engine.",
        callback=deployment_name,
    ),
]
Host = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        help="The Docker engine, unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST. Repeated: all of them, or none.",
        show_default="DOCKER_HOST's",
    ),
]
Hosts = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The Docker engines, one a line.", exists=True, dir_okay=False)
]


def _public_key(envvar: str | None) -> Any:
    return typer.Option(
        "--require-signature",
        metavar="PUB",
        envvar=envvar,
        help="Only an image that this public key signed under this version (`build-model sign`).",
        show_default="any",
    )


RequireSignature = Annotated[Path | None, _public_key("DRAGOMAN_REQUIRE_SIGNATURE")]
"""For what is deployed; a setting too, so that no deploy forgets it."""
SignedBy = Annotated[Path | None, _public_key(None)]
"""For what is moved: images of others may be, so it is said each time."""


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
        report.print_error(SystemRefused(_said(error)), as_json=as_json)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        report.print_error(Interrupted(STOPPED), as_json=as_json)
        raise typer.Exit(Interrupted.exit_code) from error


def _said(error: OSError) -> str:
    """What the system refused, and how it says so; never a number alone."""
    said = f"{error.strerror or error}"
    return f"{error.filename}: {said}." if error.filename else f"{said}."


def progress_for(as_json: bool) -> report.Progress:
    """Progress on the terminal; with ``--json`` none."""
    return report.silent() if as_json else report.on_terminal()


def messages(count: int) -> str:
    """So many messages, in words."""
    return "1 message" if count == 1 else f"{count} messages"


def print_object(facts: dict[str, object], *, as_json: bool) -> None:
    """One JSON object, or a line for each of ``facts``."""
    if as_json:
        report.print_object(facts)
        return
    for name, value in facts.items():
        print(f"{name}: {value}")


def warn(warning: str | None) -> None:
    """Print ``warning`` on standard error, if there is one."""
    if warning:
        report.print_warning(warning)
