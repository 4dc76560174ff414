"""An engine on another machine, by way of ``ssh``: the user's own program, with its keys, agent and configuration."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

SCHEME = "ssh://"
ENGINE_SOCKET = "/var/run/docker.sock"
CONNECT_SECONDS = 20


class TunnelFailed(Exception):
    """``ssh`` couldn't make the way; the message is its last word."""


def through_ssh(url: str) -> str:
    """The engine at ``ssh://[USER@]HOST[:PORT][/PATH/TO/SOCKET]`` as a socket's URL here, while this process lives.

    The far end runs `cat`, whose input ends with this process, however that ends: no tunnel is left behind.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.hostname.startswith("-") or parts.password:
        raise TunnelFailed("expected ssh://[USER@]HOST[:PORT], without a password: ssh asks its agent")
    program = shutil.which("ssh")
    if program is None:
        raise TunnelFailed("there is no `ssh` here; install openssh-client")
    folder = Path(tempfile.mkdtemp(prefix="dragoman-"))
    socket = folder / "docker.sock"
    where = ["-p", str(parts.port)] if parts.port else []
    name = f"{parts.username}@{parts.hostname}" if parts.username else parts.hostname
    there = parts.path.rstrip("/") or ENGINE_SOCKET
    options = ["BatchMode=yes", "ExitOnForwardFailure=yes", f"ConnectTimeout={CONNECT_SECONDS // 2}"]
    process = subprocess.Popen(
        [program, "-T", *(f"-o{option}" for option in options), *where, "-L", f"{socket}:{there}", name, "cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us: what was started there is taken back through the tunnel
    )
    atexit.register(_close, process, folder)
    deadline = time.monotonic() + CONNECT_SECONDS
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            said = (process.communicate()[1] or "").strip().splitlines()
            raise TunnelFailed(said[-1] if said else f"no answer within {CONNECT_SECONDS} s")
        time.sleep(0.05)
    return f"unix://{socket}"


def _close(process: subprocess.Popen[str], folder: Path) -> None:
    process.terminate()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)
