"""A small TCP proxy that does damage to what goes through it."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self

from pika import frame, spec

CHUNK_BYTES = 65_536
GREETING_BYTES = 4096
"""As much of what a client says first is kept, so that one connection can be told from another."""
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 s, so that closing sends RST


@dataclass(eq=False)
class Connection:
    """A client's connection and the one made for it."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    greeting: bytes = b""
    dropping: bool = False
    muted: bool = False
    unconfirmed: bool = False
    breaking: bool = False
    rest: bytes = b""

    def matches(self, said: bytes) -> bool:
        """Whether its client said this at the beginning; a RabbitMQ client says its connection's name there."""
        return said in self.greeting

    def without_confirms(self, data: bytes) -> bytes:
        """What the broker says, whole frames of it, without its confirms; what is cut off waits for its rest."""
        self.rest, kept = self.rest + data, b""
        while True:
            length, found = frame.decode_frame(self.rest)
            if found is None:
                return kept
            method = getattr(found, "method", None)
            self.unconfirmed &= not isinstance(method, spec.Channel.OpenOk)
            if not (self.unconfirmed and isinstance(method, spec.Basic.Ack)):
                kept += self.rest[:length]
            self.rest = self.rest[length:]

    def end(self, reset: bool) -> None:
        """Closes both sides, with FIN or with RST."""
        for writer in (self.near, self.far):
            if reset:
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
            else:
                writer.close()


class Proxy:
    """Listens on a port of its own and hands everything on, until it is told otherwise. Its loop has its own thread.

    Args:
        tls: where it is given, clients speak TLS to the proxy.

    Attributes:
        delay_seconds: how long each piece waits before it is handed on; the next one waits behind it.
        bytes_per_second: as much is handed on of each direction of a connection; None is without limit.
    """

    def __init__(self, host: str, port: int, listen_port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._target = (host, port)
        self._connections: set[Connection] = set()
        self._dropping = False
        self.delay_seconds = 0.0
        self.bytes_per_second: float | None = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda *_: None)  # of which a TLS handshake that fails is one
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._flowing = asyncio.Event()
        self._do(self._flowing.set)
        start = asyncio.start_server(self._serve, "127.0.0.1", listen_port, ssl=tls, limit=CHUNK_BYTES)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    # Damage

    def drop(self, said: bytes = b"") -> None:
        """Drops all traffic, on connections that stay open: those there are, of clients that said ``said``, and those
        that come, until ``pass_on``. One that lost something stays lost."""

        def drop() -> None:
            self._dropping = not said
            for connection in self._connections:
                connection.dropping |= connection.matches(said)

        self._do(drop)

    def mute(self, said: bytes) -> None:
        """Drops what clients that said ``said`` say from now on; what is said to them goes on."""

        def mute() -> None:
            for connection in self._connections:
                connection.muted |= connection.matches(said)

        self._do(mute)

    def withhold_confirms(self, said: bytes) -> None:
        """Drops confirms, nothing else, of clients that said ``said``, until they open another channel: so looks one
        that waits for a node that is gone. To be called while nothing is on its way."""

        def withhold() -> None:
            for connection in self._connections:
                connection.unconfirmed |= connection.matches(said)

        self._do(withhold)

    def pass_on(self) -> None:
        """Hands on what new connections say."""

        def pass_on() -> None:
            self._dropping = False

        self._do(pass_on)

    def stall(self) -> None:
        """Holds everything back until ``resume``; nothing is lost."""
        self._do(self._flowing.clear)

    def resume(self) -> None:
        """Hands on what was held back."""
        self._do(self._flowing.set)

    def cut(self) -> None:
        """Cuts every connection there is; new ones are taken."""
        self._do(lambda: self._end_all(reset=False))

    def reset(self) -> None:
        """Resets every connection there is; new ones are taken."""
        self._do(lambda: self._end_all(reset=True))

    def cut_mid_frame(self) -> None:
        """Cuts every connection there is inside the next thing that its client says."""

        def mark() -> None:
            for connection in self._connections:
                connection.breaking = True

        self._do(mark)

    def _end_all(self, reset: bool) -> None:
        for connection in self._connections:
            connection.end(reset)
        self._connections.clear()

    # Traffic

    async def _serve(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_reader, far = await asyncio.open_connection(*self._target, limit=CHUNK_BYTES)
        except OSError:
            near.transport.abort()
            return
        connection = Connection(near, far, dropping=self._dropping)
        self._connections.add(connection)
        try:
            await asyncio.gather(
                self._pump(connection, near_reader, far, upstream=True),
                self._pump(connection, far_reader, near, upstream=False),
            )
        except OSError:  # cut
            connection.end(reset=True)
        finally:
            self._connections.discard(connection)

    async def _pump(
        self, connection: Connection, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, upstream: bool
    ) -> None:
        while data := await source.read(self._piece_bytes()):
            if upstream and len(connection.greeting) < GREETING_BYTES:
                connection.greeting += data
            await self._wait(len(data))
            if connection.dropping or (upstream and connection.muted):
                continue
            if not upstream and (connection.unconfirmed or connection.rest):
                data = connection.without_confirms(data)
            if upstream and connection.breaking:
                target.write(data[:-3])  # a frame ends with a byte of its own after its payload
                await target.drain()
                connection.end(reset=False)
                return
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
        else:  # TLS has no half of a close
            target.close()

    def _piece_bytes(self) -> int:
        """Small where traffic is throttled: a piece is held back for a tenth of a second."""
        return CHUNK_BYTES if self.bytes_per_second is None else max(1, int(self.bytes_per_second / 10))

    async def _wait(self, length: int) -> None:
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        if self.bytes_per_second is not None:
            await asyncio.sleep(length / self.bytes_per_second)
        await self._flowing.wait()

    # The thread

    def _do(self, action: Callable[[], object]) -> None:
        """Does something in the loop's thread, and waits until it is done."""

        async def do() -> None:
            action()

        self._result(do())

    def _result(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._result(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        self._end_all(reset=False)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
