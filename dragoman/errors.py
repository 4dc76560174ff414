"""What can come of a request besides an answer. Each is a ``DragomanError`` whose message ends with what mends it."""

from dragoman.answer import Answer
from model.errors import DragomanError


class ClientError(DragomanError):
    """Base of what a client raises."""


class BrokerUnreachable(ClientError):
    """No broker answers, or the connection to it broke."""


class UrlInvalid(BrokerUnreachable):
    """This can't be the URL of a broker."""


class AccessRefused(BrokerUnreachable):
    """The broker refuses the user, the password, the virtual host, or what that user wants to do."""


class QueueMissing(ClientError):
    """The broker has no such queue: no service has ever run on it."""


class PublishRefused(ClientError):
    """The broker took responsibility for a message neither in the queue nor otherwise."""


class NoAnswer(ClientError):
    """The time-out passed."""


class TextInvalid(ClientError):
    """The text can't be sent: it is not UTF-8, or longer than a message may be."""


class ClientClosed(ClientError):
    """The client was closed, or is used in a process that it wasn't made in."""


class Untranslatable(ClientError):
    """The service answered, but not with a translation.

    Attributes:
        answer: what came: the fallback text, and who answered.
        reason: ``x-error`` of the reply, such as ``empty``, ``no-letters``, ``not-french`` or ``too-long``.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.reason = answer.error or ""
        super().__init__(
            f"The text was not translated ({self.reason}). Send sentences of the source language; `ask` returns "
            "such answers instead of raising."
        )
