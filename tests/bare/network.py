"""A network namespace behind a veth pair and masquerading, and relays from its loopback to this host's."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

CLONE_NEWNET = 0x40000000


class NetworkUnavailable(Exception):
    """No network namespace can be made here."""


def run(*command: str) -> str:
    """Output of a command; NetworkUnavailable with what it said when it fails."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NetworkUnavailable(f"`{' '.join(command)}` ended with {ran.returncode}: {ran.stderr.strip()}")
    return ran.stdout


def free_network() -> str:
    """The first three numbers of a /24 of 10.0.0.0/8 that no route of this host leads to."""
    taken = run("ip", "-4", "route", "show", "table", "all")
    for number in range(231, 255):
        if f"10.{number}." not in taken:
            return f"10.{number}.7"
    raise NetworkUnavailable("all networks from 10.231 to 10.254 are taken on this machine: free one")


@contextlib.contextmanager
def namespace(name: str) -> Iterator[None]:
    """The network namespace ``name`` (8 characters at most), with a way to wherever this host gets; gone at the end."""
    here, there = f"{name}-host", f"{name}-in"
    undo: list[tuple[str, ...]] = []

    def do(command: str, undone_by: str = "") -> None:
        run(*command.split())
        if undone_by:
            undo.append(tuple(undone_by.split()))

    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    forwarded = forwarding.read_text()
    with contextlib.suppress(NetworkUnavailable):
        run("ip", "netns", "delete", name)  # of a run that was killed
    network = free_network()
    try:
        do(f"ip netns add {name}", f"ip netns delete {name}")
        do(f"ip link add {here} type veth peer name {there} netns {name}", f"ip link delete {here}")
        do(f"ip address add {network}.1/24 dev {here}")
        do(f"ip link set {here} up")
        do(f"ip -n {name} address add {network}.2/24 dev {there}")
        do(f"ip -n {name} link set {there} up")
        do(f"ip -n {name} link set lo up")
        do(f"ip -n {name} route add default via {network}.1")
        for rule in (
            f"POSTROUTING --table nat --source {network}.0/24 ! --out-interface {here} --jump MASQUERADE",
            f"FORWARD --in-interface {here} --jump ACCEPT",  # an engine of this host's drops what it didn't ask for
            f"FORWARD --out-interface {here} --jump ACCEPT",
        ):
            do(f"iptables --wait --insert {rule}", f"iptables --wait --delete {rule}")
        forwarding.write_text("1\n")
        yield
    finally:
        for command in reversed(undo):
            with contextlib.suppress(NetworkUnavailable):
                run(*command)
        forwarding.write_text(forwarded)


def listener(name: str, port: int) -> socket.socket:
    """A socket that listens on the loopback of the network namespace ``name``; this thread stays where it is."""
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def make() -> None:
        with Path(f"/run/netns/{name}").open() as handle:
            if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), CLONE_NEWNET) != 0:
                failed.append(OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}"))
                return
        made.append(socket.create_server(("127.0.0.1", port)))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if failed or not made:
        raise NetworkUnavailable(f"nothing can listen in the namespace {name}: {failed}")
    return made[0]


@contextlib.contextmanager
def relays(name: str, ports: Iterable[int]) -> Iterator[None]:
    """Each port of the namespace's loopback leads to the same one of this host's: a mirror may run there."""
    sockets = [(listener(name, port), port) for port in ports]
    loop = asyncio.new_event_loop()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(listening: socket.socket, port: int) -> None:
        async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                there, back = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(pump(reader, back), pump(there, writer))

        await asyncio.start_server(join, sock=listening)

    for listening, port in sockets:
        loop.run_until_complete(serve(listening, port))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
