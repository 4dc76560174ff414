"""A client of the service, synchronous and asynchronous: texts out over RabbitMQ, translations back.

    from dragoman.client import Client

    with Client("amqp://user:password@broker:5672/%2F") as client:
        print(client.translate("Je vais dormir."))

Answers come by direct reply-to, as many at once as are asked for. A connection that breaks is made again and what was
under way is asked again, until the time-out: a translation is the same however often it is asked for.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import random
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from dragoman.address import Address
from dragoman.answer import Answer
from dragoman.errors import (
    AccessRefused,
    BrokerUnreachable,
    ClientClosed,
    ClientError,
    NoAnswer,
    PublishRefused,
    QueueMissing,
    TextInvalid,
    Untranslatable,
    UrlInvalid,
)
from dragoman.link import Link

__all__ = [
    "AccessRefused",
    "Answer",
    "AsyncClient",
    "BrokerUnreachable",
    "Client",
    "ClientClosed",
    "ClientError",
    "NoAnswer",
    "PublishRefused",
    "QueueMissing",
    "TextInvalid",
    "Untranslatable",
    "UrlInvalid",
]

QUEUE = "rpc_queue"
TIMEOUT_SECONDS = 30.0
RETRIES = 3
WINDOW = 64  # requests in flight at once: what one replica takes in hand
LONGEST_BYTES = 16 * 1024 * 1024  # of a message, as RabbitMQ 4 takes it by default
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 5.0
CAUSE_SECONDS = 2.0

Result = TypeVar("Result")


class AsyncClient:
    """A client for one event loop. Any number of tasks may ask at once, over one connection.

    Args:
        url: ``amqp[s]://user:password@host:port/vhost``; several, with white space between, are a cluster's nodes.
        queue: the service's.
        timeout_seconds: how long a request may take, all attempts together. It travels as the header ``x-deadline``, so
            that no service works for who has left; the clocks must agree better than that.
        retries: how often a request is sent again when the connection breaks or can't be made, or the queue is full.

    Raises:
        UrlInvalid: the URL can't be used.
    """

    def __init__(
        self, url: str, queue: str = QUEUE, *, timeout_seconds: float = TIMEOUT_SECONDS, retries: int = RETRIES
    ) -> None:
        self._address = Address.parse(url)
        self._queue = queue
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._connecting: asyncio.Task[Link] | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def translate(self, text: str, *, timeout_seconds: float | None = None) -> str:
        """The translation of ``text``; as ``ask``, but what isn't a translation is raised.

        Raises:
            Untranslatable: the service says why in ``reason``.
        """
        answer = await self.ask(text, timeout_seconds=timeout_seconds)
        return _translation(answer)

    async def ask(self, text: str, *, timeout_seconds: float | None = None) -> Answer:
        """What the service answers to ``text``, be it a translation or the fallback.

        Raises:
            TextInvalid: it can't be sent.
            NoAnswer: none came in time; the message says whether anybody consumes from the queue.
            QueueMissing: there is no such queue.
            PublishRefused, BrokerUnreachable, AccessRefused: after the last retry.
        """
        body = _encoded(text)
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        headers = {"x-deadline": round((time.time() + seconds) * 1000)}
        try:
            async with asyncio.timeout(seconds):
                return await self._asked(body, headers)
        except TimeoutError:
            raise await self._silence(seconds) from None

    async def ask_all(
        self, texts: Iterable[str], *, window: int = WINDOW, timeout_seconds: float | None = None
    ) -> AsyncIterator[Answer]:
        """The answers to ``texts``, in order, up to ``window`` requests in flight; ``texts`` is read no further than
        that. Each has the whole time-out. The first error ends it.
        """
        waiting: deque[asyncio.Task[Answer]] = deque()
        try:
            for text in texts:
                waiting.append(asyncio.create_task(self.ask(text, timeout_seconds=timeout_seconds)))
                if len(waiting) >= window:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def close(self) -> None:
        """Ends the connection. Requests that still wait fail with ``BrokerUnreachable``."""
        self._is_closed = True
        link = await self._current()
        if link is not None:
            await link.close()

    async def _asked(self, body: bytes, headers: dict[str, Any]) -> Answer:
        for delay in _delays(self._retries):
            try:
                return await (await self._linked()).exchange(body, headers)
            except (AccessRefused, UrlInvalid):
                raise
            except (BrokerUnreachable, PublishRefused):
                if self._is_closed:
                    raise
                await asyncio.sleep(delay)
        return await (await self._linked()).exchange(body, headers)

    async def _linked(self) -> Link:
        """The link, made if need be; who asks meanwhile waits for the same one."""
        if self._is_closed:
            raise ClientClosed("This client was closed. Make another one.")
        if self._connecting is None or (self._connecting.done() and not _is_usable(self._connecting)):
            self._connecting = asyncio.create_task(Link.open(self._address, self._queue))
            self._connecting.add_done_callback(_is_usable)  # looks at the error, where nobody waits for it any more
        return await asyncio.shield(self._connecting)

    async def _current(self) -> Link | None:
        """The link that there is, or that is being made."""
        task = self._connecting
        if task is None:
            return None
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        return None if task.cancelled() or task.exception() is not None else task.result()

    async def _silence(self, seconds: float) -> ClientError:
        """What to say when the time is up."""
        task = self._connecting
        if task is None or not task.done() or not _is_usable(task):
            return BrokerUnreachable(
                f"No broker answers at {self._address.shown} within {seconds:g} s. "
                "Check the AMQP URL; `deploy/local up` starts a broker."
            )
        link = task.result()
        if link.blocked:
            cause = "the broker takes no messages now (a memory or disk alarm)"
        else:
            try:
                async with asyncio.timeout(CAUSE_SECONDS):
                    consumers = await link.consumers()
            except TimeoutError:
                consumers = None
            cause = (
                "the broker doesn't say who consumes from it"
                if consumers is None
                else "no service consumes from it; see build-model status"
                if consumers == 0
                else "it is consumed from, too slowly, or this machine's clock is behind the services'"
            )
        return NoAnswer(
            f"A request to {self._queue!r} at {self._address.shown} was not answered within {seconds:g} s: {cause}."
        )


class Client:
    """A client for any number of threads: an ``AsyncClient`` in a thread of its own, which also keeps the connection
    alive between requests. Its arguments and errors are those of ``AsyncClient``.
    """

    def __init__(
        self, url: str, queue: str = QUEUE, *, timeout_seconds: float = TIMEOUT_SECONDS, retries: int = RETRIES
    ) -> None:
        self._client = AsyncClient(url, queue, timeout_seconds=timeout_seconds, retries=retries)
        self._process = os.getpid()
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def translate(self, text: str, *, timeout_seconds: float | None = None) -> str:
        """The translation of ``text``; raises ``Untranslatable`` where there is none. See ``AsyncClient.translate``."""
        return _translation(self.ask(text, timeout_seconds=timeout_seconds))

    def ask(self, text: str, *, timeout_seconds: float | None = None) -> Answer:
        """What the service answers to ``text``. See ``AsyncClient.ask``."""
        return self._submitted(self._client.ask(text, timeout_seconds=timeout_seconds)).result()

    def ask_all(
        self, texts: Iterable[str], *, window: int = WINDOW, timeout_seconds: float | None = None
    ) -> Iterator[Answer]:
        """The answers to ``texts``, in order. See ``AsyncClient.ask_all``."""
        waiting: deque[concurrent.futures.Future[Answer]] = deque()
        try:
            for text in texts:
                waiting.append(self._submitted(self._client.ask(text, timeout_seconds=timeout_seconds)))
                if len(waiting) >= window:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Ends the connection and the thread. Requests of other threads fail with ``BrokerUnreachable``."""
        with self._starting:
            self._is_closed = True
            if self._loop is None or self._thread is None or self._process != os.getpid():
                return
            loop, thread, self._loop = self._loop, self._thread, None
        asyncio.run_coroutine_threadsafe(self._client.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _submitted(self, work: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        with self._starting:
            if self._is_closed or self._process != os.getpid():
                work.close()
                raise ClientClosed("This client was closed, or made in another process. Make another one.")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="dragoman.client", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)


def _translation(answer: Answer) -> str:
    if answer.error is not None:
        raise Untranslatable(answer)
    return answer.text


def _encoded(text: str) -> bytes:
    try:
        body = text.encode()
    except UnicodeEncodeError:
        raise TextInvalid("The text is not UTF-8: it holds half of a surrogate pair. Read it as UTF-8.") from None
    if len(body) > LONGEST_BYTES:
        raise TextInvalid(f"The text has {len(body)} bytes; a message has at most {LONGEST_BYTES}. Send it in parts.")
    return body


def _delays(count: int) -> Iterator[float]:
    """Seconds before each retry: doubling, with jitter, so that clients don't come back all at once."""
    for number in range(count):
        yield min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**number) * random.uniform(0.5, 1)


def _is_usable(task: asyncio.Task[Link]) -> bool:
    return not task.cancelled() and task.exception() is None and task.result().usable
