"""A broker's URL: what it must look like, and what of it may be shown.

The one place that knows: the service's log, the client's and the command line's errors, and a deploy's audit all show a
URL as ``shown`` does. It stands here because it is below all three; it knows no library of the broker's.
"""

import re
from typing import ClassVar

from model.errors import DragomanError

UNPARSABLE = "***"

# RFC 3986, less than the broker's library would take. With one character out of place a URL reads as another one, in
# which the password is a port or a virtual host (`user:12/34@host`): so what doesn't match is refused, and not shown.
_ESCAPED = r"[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}"
_URL = re.compile(
    rf"""(?P<scheme>(?i:amqps?))://
    (?:(?P<user>(?:{_ESCAPED})*):(?P<password>(?:{_ESCAPED}|:)*)@)?
    (?P<host>[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])
    (?::(?P<port>[0-9]{{1,5}}))?
    (?P<vhost>/(?:{_ESCAPED})*)?
    (?:\?(?P<options>(?:[^@\#%\x00-\x1f\x7f-\U0010ffff]|%[0-9A-Fa-f]{{2}})*))?""",
    re.VERBOSE,
)
_NEXT = re.compile(r"\s+(?=\S*?://)")
_LIST = re.compile(r"[,;]\s*amqps?://", re.IGNORECASE)
_SEVERAL_HOSTS = re.compile(r"@[^@/?#]*[,;][^@]*@|(?:@|://)[^@/?#]*[,;][^@]*$")


class UrlRefused(DragomanError):
    """A broker's URL can't be used; the message says why, and never what it is."""

    exit_code: ClassVar[int] = 78


def shown(text: str) -> str:
    """One or several URLs, fit for a screen or a log: scheme, user, host, port and virtual host.

    Whatever can't be read as a URL is ``***``.
    """
    return " ".join(_shown(url) for url in _split(text))


def each(text: str, name: str = "The broker's URL") -> tuple[str, ...]:
    """The URLs in a text, which white space separates; one at least.

    Args:
        name: what a refusal calls them.

    Raises:
        UrlRefused: one of them isn't well-formed.
    """
    urls = tuple(_split(text))
    for url in urls:
        if _parts(url) is None:
            raise UrlRefused(f"{name} can't be used: {_refusal(url)}")
    return urls


def _split(text: str) -> list[str]:
    return [text] if _LIST.search(text) else _NEXT.split(text.strip())


def _parts(url: str) -> re.Match[str] | None:
    parts = _URL.fullmatch(url)
    return parts if parts is not None and 0 < int(parts["port"] or 5672) < 65_536 else None


def _shown(url: str) -> str:
    parts = _parts(url)
    if parts is None:
        return UNPARSABLE
    user = f"{parts['user']}@" if parts["user"] else ""
    port = f":{parts['port']}" if parts["port"] else ""
    return f"{parts['scheme']}://{user}{parts['host']}{port}{parts['vhost'] or ''}"


def _refusal(url: str) -> str:
    """Why a URL is refused, and what mends it, without a word of it."""
    if _LIST.search(url) or _SEVERAL_HOSTS.search(url):
        return (
            "it names several hosts in one URL. Give each broker a URL of its own, separated by white space: they are "
            "tried in turn."
        )
    return (
        "expected amqp[s]://USER:PASSWORD@HOST:PORT/VHOST. In user, password and virtual host whatever isn't a letter, "
        "a digit or one of -._~ must be percent-encoded, such as / as %2F, @ as %40, # as %23, ? as %3F and % as %25: "
        """python3 -c 'import urllib.parse as u; print(u.quote(input(), ""))'"""
    )
