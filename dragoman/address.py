"""Where the broker is: one URL or several, as pika's parameters, and as a person may see it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any

import pika

from dragoman.errors import UrlInvalid
from model.url import UrlRefused, each, shown

CONNECT_SECONDS = 10
HEARTBEAT_SECONDS = 20


@dataclass(frozen=True)
class Address:
    """A broker, or the nodes of one.

    Attributes:
        shown: fit for a screen or a log: no password.
        parameters: of each node, in the order in which they are tried.
    """

    shown: str
    parameters: tuple[Any, ...] = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Address:
        """``url``, or several with white space between: those of a cluster's nodes, tried in turn.

        Raises:
            UrlInvalid: one of them can't be used, or asks for TLS that verifies nothing. The message has no password.
        """
        try:
            urls = each(url)
        except UrlRefused as refusal:
            raise UrlInvalid(str(refusal)) from None
        return cls(shown(url), tuple(map(_parameters, urls)))


def _parameters(url: str) -> pika.URLParameters:
    try:
        parameters = pika.URLParameters(url)
    except (ValueError, TypeError, SyntaxError, AttributeError, OSError) as error:
        # What pika says may hold the password, but not what the system says of a file.
        cause = error if isinstance(error, OSError) else type(error).__name__
        raise UrlInvalid(
            f"The broker's URL can't be used: {shown(url)} has an option that pika can't use ({cause}). See its "
            "URLParameters."
        ) from None
    if parameters.ssl_options is not None:
        context = parameters.ssl_options.context
        if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
            raise UrlInvalid("The URL's ssl_options don't verify the broker. Leave `protocol` out of them.")
    parameters.socket_timeout = CONNECT_SECONDS
    parameters.stack_timeout = CONNECT_SECONDS
    if parameters.heartbeat is None:
        parameters.heartbeat = HEARTBEAT_SECONDS
    return parameters
