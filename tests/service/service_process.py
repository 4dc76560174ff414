"""`python -m service` as a process of its own, and a client that talks to it over a real broker."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pika
from patience import PATIENCE_SECONDS, until

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).parent / "stand_in"
GROUND = ("__init__.py", "errors.py", "url.py")  # of model, what the service stands on beside the translator


def application_folder(folder: Path) -> Path:
    """A folder like the one in the image, with the service as it is and a model that obeys."""
    (folder / "model").mkdir(parents=True)
    for source in (*(ROOT / "model" / name for name in GROUND), STAND_IN / "translator.py"):
        shutil.copy(source, folder / "model")
    shutil.copytree(ROOT / "service", folder / "service", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


class Service:
    """A running `python -m service`."""

    def __init__(self, application: Path, scratch: Path, environment: dict[str, str]) -> None:
        scratch.mkdir()
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = inherited | {"TMPDIR": str(scratch), "PYTHONDONTWRITEBYTECODE": "1"} | environment
        self._application = application
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service"], cwd=application, env=self.environment, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log so far."""
        return [json.loads(line) for line in self.lines]

    def says(self, text: str) -> Self:
        """Waits for an event."""
        return self.says_again(text, 1)

    def says_again(self, text: str, times: int) -> Self:
        """Waits until events said that so often."""
        until(
            lambda: sum(text in event["event"] for event in self.events) >= times,
            lambda: f"{text!r}, {times} time(s), in the log: {self.lines}",
        )
        return self

    def waits(self, seconds: float) -> Self:
        """Waits until a translation of `wait SECONDS` is under way."""
        return self.says(f"waits {seconds:g} s")

    def ready(self) -> Self:
        """Waits until the service serves."""
        return self.says("serving")

    def health(self, kind: str) -> bool:
        """What the probe says."""
        command = [sys.executable, "-m", "service", "health", kind]
        return subprocess.run(command, cwd=self._application, env=self.environment, check=False).returncode == 0

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def exit_code(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Waits for the end."""
        code = self.process.wait(seconds)
        self._reader.join(PATIENCE_SECONDS)
        assert code in {75, -9} or not any("deadline" in event["event"] for event in self.events), self.lines
        return code

    def end(self) -> None:
        """Ends the process in any case."""
        self.process.kill()
        self.exit_code()


@dataclass(frozen=True)
class Reply:
    """What a client got."""

    body: bytes
    properties: Any

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def error(self) -> str | None:
        return self.properties.headers.get("x-error")


class Client:
    """A client of the official tutorial's kind: an exclusive reply queue, correlation ids."""

    def __init__(self, url: str, request_queue: str) -> None:
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.request_queue = request_queue
        self.reply_queue = self.channel.queue_declare("", exclusive=True).method.queue
        self.replies: queue.Queue[Reply] = queue.Queue()
        self._answered: set[str] = set()
        self.channel.basic_consume(self.reply_queue, self._on_reply, auto_ack=True)

    @property
    def broker_release(self) -> int:
        """The first number of the broker's version."""
        version: bytes | str = self.connection._impl.server_properties["version"]
        return int((version.decode() if isinstance(version, bytes) else version).split(".")[0])

    def _on_reply(self, _: Any, __: Any, properties: Any, body: bytes) -> None:
        self.replies.put(Reply(body, properties))

    def send(self, body: str | bytes, **properties: Any) -> str:
        """Sends a request; the correlation id."""
        given = {"reply_to": self.reply_queue, "correlation_id": uuid.uuid4().hex} | properties
        data = body.encode() if isinstance(body, str) else body
        self.channel.basic_publish("", self.request_queue, data, pika.BasicProperties(**given))
        return str(given["correlation_id"])

    def receive(self, count: int = 1, seconds: float = PATIENCE_SECONDS) -> list[Reply]:
        """The next replies, in the order in which they came."""
        deadline = time.monotonic() + seconds
        while self.replies.qsize() < count:
            assert time.monotonic() < deadline, f"{self.replies.qsize()} of {count} replies within {seconds:g} s"
            self.connection.process_data_events(0.05)
        replies = [self.replies.get() for _ in range(count)]
        self._answered |= {reply.properties.correlation_id for reply in replies}
        return replies

    def ask(self, body: str | bytes, **properties: Any) -> Reply:
        """Sends a request and waits for its reply. An earlier reply may come again, after a connection broke."""
        answered = set(self._answered)
        self.send(body, **properties)
        while (reply := self.receive()[0]).properties.correlation_id in answered:
            pass
        return reply

    def nothing_comes(self, seconds: float = 0.5) -> bool:
        """Whether no reply comes for so long."""
        self.connection.process_data_events(seconds)
        return self.replies.empty()

    def depth(self, name: str) -> int:
        """Messages ready in a queue."""
        return int(self.channel.queue_declare(name, passive=True).method.message_count)

    def quarantine(self, count: int = 1) -> list[Reply]:
        """Takes messages out of the quarantine."""
        found: list[Reply] = []

        def take() -> bool:
            method, properties, body = self.channel.basic_get(f"{self.request_queue}.quarantine", auto_ack=True)
            if method is not None:
                found.append(Reply(body, properties))
            return len(found) == count

        until(take, f"{count} messages in quarantine")
        return found

    def close(self) -> None:
        """Ends the connection."""
        if self.connection.is_open:
            self.connection.close()
