"""What the service needs of the library for one connection to the broker: its parameters, bursts, and why it ended.

The library's exceptions end in ``Loss``.
"""

from __future__ import annotations

import re
import ssl
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pika
import pika.channel
import pika.data
from pika.exceptions import AMQPError, ChannelClosedByBroker, ConnectionClosedByBroker

from model import url
from service.settings import Settings, SettingsError

HEARTBEAT_SECONDS = 20
TCP_USER_TIMEOUT_MS = 20_000
CONNECTION_FORCED, ACCESS_REFUSED, NOT_FOUND, RESOURCE_LOCKED, PRECONDITION_FAILED = 320, 403, 404, 405, 406
NOT_ALLOWED, NOT_IMPLEMENTED, INTERNAL_ERROR = 530, 540, 541


@dataclass(frozen=True)
class Endpoint:
    """A broker, or a node of one.

    Attributes:
        shown: its URL, fit for a log.
        parameters: what pika needs to connect.
    """

    shown: str
    parameters: Any = field(repr=False)


def endpoints(settings: Settings, name: str) -> tuple[Endpoint, ...]:
    """Where to connect to, in the order in which it is tried; ``name`` is shown among the broker's connections.

    Raises:
        SettingsError: a URL can't be used, or asks for a connection to a broker that isn't verified.
    """
    return tuple(Endpoint(url.shown(each), _parameters(each, name)) for each in url.each(settings.amqp_url))


def _parameters(text: str, name: str) -> Any:
    try:
        parameters = pika.URLParameters(text)
    except (ValueError, TypeError, SyntaxError, AttributeError, OSError) as error:
        # Only files and certificates are worth repeating; what else there is to say may hold the password.
        detail = f" ({error})" if isinstance(error, OSError) else ""
        raise SettingsError(
            f"AMQP_URL can't be used: {url.shown(text)} has an option that pika can't use{detail}. "
            "See its URLParameters."
        ) from None
    if parameters.ssl_options is not None:
        context = parameters.ssl_options.context
        if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
            raise SettingsError("AMQP_URL's ssl_options don't verify the broker. Leave `protocol` out of them.")
    if parameters.heartbeat is None:
        parameters.heartbeat = HEARTBEAT_SECONDS
    if parameters.tcp_options is None:
        parameters.tcp_options = {"TCP_USER_TIMEOUT": TCP_USER_TIMEOUT_MS}
    parameters.client_properties = {"connection_name": name}
    return parameters


def guard_decoder() -> None:
    """Makes pika survive header values that Python can't hold.

    pika 1.4.4 raises inside its decoder on a timestamp past the year 9999 (pika issue 1698) and on tables nested
    hundreds deep. The connection is lost, the message comes again, and so for ever. To be removed with the first
    release that decodes both.
    """
    decode = pika.data.decode_value

    def decode_value(encoded: bytes, offset: int) -> tuple[Any, int]:
        try:
            value: tuple[Any, int] = decode(encoded, offset)
            return value
        except (ValueError, OverflowError, OSError, RecursionError):
            return _decode_oddity(encoded, offset)

    pika.data.decode_value = decode_value


def _decode_oddity(encoded: bytes, offset: int) -> tuple[Any, int]:
    """A header value that pika can't decode, and where it ends: the bare number, or a note in place of a table."""
    match encoded[offset : offset + 1]:
        case b"T":
            return struct.unpack_from(">Q", encoded, offset + 1)[0], offset + 9
        case b"A" | b"F":
            (length,) = struct.unpack_from(">I", encoded, offset + 1)
            return "dropped, nested too deep", offset + 5 + length
    raise  # noqa: PLE0704 - called while the exception is handled


@dataclass(frozen=True)
class Loss:
    """Why a connection or channel is gone, or never was.

    Attributes:
        reason: in a few words.
        code: AMQP's reply code, where the broker closed it; else None.
        channel_only: the broker closed the channel and left the connection open.
        undeclarable: the broker takes no queue of the kind that was declared.
    """

    reason: str
    code: int | None
    channel_only: bool
    undeclarable: bool = False

    @classmethod
    def of(cls, error: BaseException) -> Loss:
        """From the library's exception."""
        cause = next(iter(_causes(error)))
        reason = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
        return cls(reason, _reply_code(error), isinstance(error, ChannelClosedByBroker))

    @property
    def is_held(self) -> bool:
        """Whether another connection has the queue, or its only consumer, for itself."""
        return self.code == RESOURCE_LOCKED or (self.code == ACCESS_REFUSED and "exclusive use" in self.reason)


def _causes(error: BaseException) -> Iterable[BaseException]:
    """An exception of pika's and those it wraps, the innermost first."""
    inner = [*getattr(error, "exceptions", ())[-1:], getattr(error, "exception", None), *error.args[:1]]
    for cause in inner:
        if isinstance(cause, BaseException):
            yield from _causes(cause)
    yield error


def _reply_code(error: BaseException) -> int | None:
    """The code with which the broker closed a connection or channel, None where it wasn't the broker.

    While a connection is being opened, pika keeps the code only in the text of an exception of its own.
    """
    for cause in _causes(error):
        if isinstance(cause, ChannelClosedByBroker | ConnectionClosedByBroker):
            return int(cause.reply_code)
        if found := re.match(r"ConnectionClosedByBroker: \((\d+)\)", str(cause)):
            return int(found[1])
    return None


class Channel(pika.channel.Channel):  # type: ignore[misc]
    """A channel that leaves alone what is delivered after a cancel: it returns to the queue when the channel closes.

    Pika rejects each of these messages: so many commands to a quorum queue that the last acks may be held back and
    forgotten, as the ledger explains.
    """

    def _on_deliver(self, method_frame: Any, header_frame: Any, body: bytes) -> None:
        if method_frame.method.consumer_tag not in self._cancelled:
            super()._on_deliver(method_frame, header_frame, body)


class Connection(pika.SelectConnection):  # type: ignore[misc]
    """A connection that sends a burst of messages as one, where pika makes a system call of each frame, three a
    message (43 % of the service's processor time beside the model, by a profile); and that doesn't take an exception in
    a callback of ours for a broken link."""

    raised: Callable[[BaseException], None]
    _burst: list[bytes] | None = None

    @contextmanager
    def burst(self) -> Iterator[None]:
        """Holds frames back until the end of the block."""
        self._burst = []
        try:
            yield
        finally:
            frames, self._burst = self._burst, None
            if frames:
                self._output_marshaled_frames(frames)

    def _create_channel(self, channel_number: int, on_open_callback: Callable[[Any], None] | None) -> Channel:
        return Channel(self, channel_number, on_open_callback)

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        if self._burst is None:
            super()._output_marshaled_frames([b"".join(marshaled_frames)])
        else:
            self._burst.extend(marshaled_frames)

    def _proto_data_received(self, data: bytes) -> None:
        try:
            super()._proto_data_received(data)
        except AMQPError:
            raise
        except Exception as error:
            self.raised(error)
            raise
