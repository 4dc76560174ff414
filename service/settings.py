"""The settings of the service, from the environment."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from model import url
from model.errors import DragomanError
from service.message import quarantine_of

QUEUE_TYPES = ("quorum", "classic", "transient")
ERRONEOUS_INPUT = ("exit", "continue")
LOG_FORMATS = ("json", "text")
MOST_PREFETCHED = 65_535  # AMQP's prefetch count has 16 bits
LONGEST_QUEUE_NAME = 255 - len(quarantine_of(""))  # bytes; AMQP allows 255


class SettingsError(DragomanError):
    """A setting has a value that the service can't work with; the message names the setting."""

    exit_code: ClassVar[int] = 78


@dataclass(frozen=True)
class Settings:
    """What an operator decides. Each field is read from the variable of its name in capitals, or from the file that
    the variable with ``_FILE`` appended names.

    Attributes:
        amqp_url: where the broker is and who asks; ``amqps`` verifies the broker's certificate. Several, separated by
            white space, are tried in turn. Never logged but as ``url.shown`` shows it.
        rpc_queue: the queue that requests come from.
        rpc_queue_type: what to declare where there is no such queue: ``quorum``, ``classic`` (durable), ``transient``.
        prefetch: requests in hand at most, for each worker.
        max_batch: requests translated together at most.
        max_characters: the longest text that is translated.
        on_erroneous_input: ``exit`` ends the service with 65 once the message is in quarantine, ``continue`` goes on.
        drain_seconds: how long a stop may take.
        connect_deadline_seconds: how long the broker may be unreachable before the service ends with 69; 0 is for ever.
        workers: threads that translate, each on one processor; they share the weights.
        metrics_port: where Prometheus may ask; None is nowhere.
        min_score: translations whose score is lower are answered with the fallback; 0 is off.
        log_format: ``json`` or ``text``, a line an event.
    """

    amqp_url: str = field(default="amqp://guest:guest@rabbitmq:5672/%2F", repr=False)
    rpc_queue: str = "rpc_queue"
    rpc_queue_type: str = "quorum"
    prefetch: int = 64
    max_batch: int = 32
    max_characters: int = 5000
    on_erroneous_input: str = "exit"
    drain_seconds: float = 8.0
    connect_deadline_seconds: float = 0.0
    workers: int = 1
    metrics_port: int | None = None
    min_score: float = 0.0
    log_format: str = "json"

    @property
    def in_hand(self) -> int:
        """Requests in hand at most."""
        return min(self.prefetch * self.workers, MOST_PREFETCHED)

    @property
    def quarantine_queue(self) -> str:
        """Where erroneous messages are put."""
        return quarantine_of(self.rpc_queue)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings in an environment; what isn't set, or is set to nothing, has its default.

        Raises:
            SettingsError: a value is refused, a file can't be read, a setting is given twice, or one is gone.
        """
        if environ.get("THREADS") or environ.get("THREADS_FILE"):
            raise SettingsError(
                "THREADS is gone: more threads for one product made it slower. Set WORKERS=N, for so many texts at a "
                "time, and unset THREADS."
            )
        given = {name: _lookup(environ, name.upper()) for name in _PARSERS}
        return cls(**{name: _PARSERS[name](name.upper(), text) for name, text in given.items() if text})  # type: ignore[arg-type]


def _lookup(environ: Mapping[str, str], name: str) -> str:
    """The text of a setting, from its variable or from the file that its twin names; empty where neither is set."""
    text, path = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if text and path:
        raise SettingsError(f"{name} and {name}_FILE are both set. Set one of them.")
    if not path:
        if any("\ud800" <= character <= "\udfff" for character in text):  # how Python keeps bytes that it can't decode
            raise SettingsError(f"{name} is not UTF-8. Set it again, in UTF-8.")
        return text
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE: {path} can't be read ({error}). Mount the file, or set {name}.") from None


def _url(name: str, text: str) -> str:
    try:
        return " ".join(url.each(text, name))
    except url.UrlRefused as refusal:
        raise SettingsError(str(refusal)) from None


def _queue(name: str, text: str) -> str:
    if len(text.encode()) > LONGEST_QUEUE_NAME:
        raise SettingsError(f"{name} is longer than {LONGEST_QUEUE_NAME} bytes. Choose a shorter name.")
    if text.startswith("amq."):
        raise SettingsError(f"{name} is {text!r}; names that start with 'amq.' are the broker's own. Choose another.")
    return text


def _one_of(choices: tuple[str, ...]) -> Callable[[str, str], str]:
    def parse(name: str, text: str) -> str:
        if text not in choices:
            raise SettingsError(f"{name} is {text!r}. Expected one of: {', '.join(choices)}.")
        return text

    return parse


def _count(least: int, most: int) -> Callable[[str, str], int]:
    def parse(name: str, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise SettingsError(f"{name} is {text!r}. Expected a whole number from {least} to {most}.")
        return int(text)

    return parse


def _share(name: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise SettingsError(f"{name} is {text!r}. Expected a number from 0 to 1.")
    return share


def _seconds(least: float) -> Callable[[str, str], float]:
    def parse(name: str, text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not least <= seconds < math.inf:
            raise SettingsError(f"{name} is {text!r}. Expected a number of seconds, at least {least:g}.")
        return seconds

    return parse


_PARSERS: dict[str, Callable[[str, str], object]] = {
    "amqp_url": _url,
    "rpc_queue": _queue,
    "rpc_queue_type": _one_of(QUEUE_TYPES),
    "prefetch": _count(1, MOST_PREFETCHED),
    "max_batch": _count(1, 65_535),
    "max_characters": _count(1, 100_000_000),
    "on_erroneous_input": _one_of(ERRONEOUS_INPUT),
    "drain_seconds": _seconds(0.1),
    "connect_deadline_seconds": _seconds(0.0),
    "workers": _count(1, 256),
    "metrics_port": _count(1, 65_535),
    "min_score": _share,
    "log_format": _one_of(LOG_FORMATS),
}
