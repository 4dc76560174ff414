"""What a body is, by what its sender says of it: text, JSON with a string in ``text``, or neither."""

import json
from enum import Enum
from typing import Any, Protocol

UTF_8 = frozenset({"", "utf-8", "utf8", "identity"})  # content encodings, in lower case, that leave UTF-8 as it is
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_JSON = frozenset({"application/json", "text/json"})
_AMQP_1_0 = "amqp-1.0"  # the type that RabbitMQ gives to a message of AMQP 1.0 whose body isn't bytes: it stays encoded


class Described(Protocol):
    """The AMQP basic properties that describe a body."""

    content_type: Any
    content_encoding: Any
    type: Any


class Form(Enum):
    """How a text is written into a body, by the content type of the reply."""

    TEXT = "text/plain"
    JSON = "application/json"


class NotText(ValueError):
    """A body isn't what its content type says, or has no text in it."""


def is_encoded(properties: Described) -> bool:
    """Whether a body is compressed, or in another encoding than UTF-8, by its content encoding."""
    encoding = properties.content_encoding
    return bool(encoding) and (not isinstance(encoding, str) or encoding.lower() not in UTF_8)


def form_of(properties: Described) -> Form | None:
    """How a text is in a body; None where it isn't text, by its content type. Without one it is."""
    if properties.type == _AMQP_1_0:
        return None
    content_type = properties.content_type
    if not content_type:
        return Form.TEXT
    if not isinstance(content_type, str):
        return None
    kind, *parameters = (part.strip() for part in content_type.lower().split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip("\"'") not in _CHARSETS:
            return None
    if kind in _JSON:
        return Form.JSON
    return Form.TEXT if kind.startswith("text/") else None


def read(form: Form, body: bytes) -> str:
    """The text in a body.

    Raises:
        UnicodeDecodeError: it isn't UTF-8.
        NotText: it isn't JSON, or has no string in ``text``, or one that no text can hold.
    """
    text = body.decode()
    return text if form is Form.TEXT else _text_of(text)


def write(form: Form, text: str) -> bytes:
    """The body that holds a text."""
    return (text if form is Form.TEXT else json.dumps({"text": text}, ensure_ascii=False)).encode()


def _text_of(document: str) -> str:
    try:
        found = json.loads(document.removeprefix("\ufeff"), object_pairs_hook=_without_twins, parse_int=float)
    except (ValueError, RecursionError):
        raise NotText from None
    text = found.get("text") if isinstance(found, dict) else None
    if not isinstance(text, str) or any("\ud800" <= character <= "\udfff" for character in text):
        raise NotText
    return text


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotText
    return found
