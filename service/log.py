"""The log: one event a line, JSON or text, on standard error. No event holds a message body or a password."""

import json
import logging
import time
from typing import Any

_logger = logging.getLogger("dragoman")


def configure(log_format: str) -> None:
    """Sends every event to standard error.

    Args:
        log_format: ``json``, one object a line, or ``text`` for people.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    _logger.handlers = [handler]
    _logger.setLevel(logging.INFO)
    _logger.propagate = False
    # The library reports every failure to its caller too, who says it in one line instead of a traceback.
    logging.getLogger("pika").setLevel(logging.CRITICAL + 1)


def info(event: str, **fields: Any) -> None:
    """What an operator may like to know."""
    _logger.info(event, extra={"fields": fields})


def warning(event: str, **fields: Any) -> None:
    """What an operator may have to look at."""
    _logger.warning(event, extra={"fields": fields})


def error(event: str, *, bug: BaseException | None = None, **fields: Any) -> None:
    """What ends the service or costs a message.

    Args:
        bug: an exception that nobody expected; it is logged with its traceback.
    """
    _logger.error(event, extra={"fields": fields}, exc_info=bug)


class _Formatter(logging.Formatter):
    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields: dict[str, Any] = dict(getattr(record, "fields", {}))
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return fields

    @staticmethod
    def time(record: logging.LogRecord) -> str:
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


class _Json(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = {"time": self.time(record), "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps(event | self.fields(record), ensure_ascii=False, default=str)


class _Text(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={_shown(name, value)}" for name, value in self.fields(record).items())
        return f"{self.time(record)} {record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()


def _shown(name: str, value: Any) -> str:
    """A field as text. A client may write what it likes into a correlation id, but no lines of ours."""
    text = str(value)
    return text if name == "traceback" or text.isprintable() else repr(text)
