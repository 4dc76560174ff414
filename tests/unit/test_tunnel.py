"""An engine over ssh: the user's `ssh` makes the way, and nothing of it is left."""

import os
import socket
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from build_model import tunnel
from build_model.engine import Engine, EngineUnavailable

FAKE = """
#!{python}
import os, socket, sys, threading
if "refuse" in sys.argv: sys.exit(print("Permission denied (publickey).", file=sys.stderr) or 255)
here, there = sys.argv[sys.argv.index("-L") + 1].split(":")
open({log!r}, "w").write(" ".join(sys.argv[1:]))
server = socket.socket(socket.AF_UNIX); server.bind(here); server.listen()
def serve():
    while True:
        near, _ = server.accept()
        far = socket.socket(socket.AF_UNIX); far.connect(there)
        near.sendall(far.recv(100)); near.close()
threading.Thread(target=serve, daemon=True).start()
sys.stdin.read()
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `ssh` on the path that joins two sockets of this machine, and writes down how it was called."""
    program, log = tmp_path / "bin" / "ssh", tmp_path / "log"
    program.parent.mkdir()
    program.write_text(textwrap.dedent(FAKE).lstrip().format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return log


def test_what_is_said_there_is_heard_here(log: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(tmp_path / "engine"))
        engine.listen()
        threading.Thread(target=lambda: engine.accept()[0].sendall(b"hello"), daemon=True).start()
        url = tunnel.through_ssh(f"ssh://me@far.example:2222{tmp_path}/engine")
        with socket.socket(socket.AF_UNIX) as here:
            here.connect(url.removeprefix("unix://"))
            assert here.recv(100) == b"hello"
    assert "-p 2222" in log.read_text()
    assert log.read_text().endswith("me@far.example cat")


def test_a_refused_login_is_said_in_one_line_with_what_to_try(log: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"publickey\)\. Try `ssh ssh://refuse docker version`"):
        Engine.connect("ssh://refuse")


@pytest.mark.parametrize("url", ["ssh://", "ssh://-oProxyCommand=x", "ssh://me:pa55word@far.example"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(tunnel.TunnelFailed, match="expected ssh://"):
        tunnel.through_ssh(url)
