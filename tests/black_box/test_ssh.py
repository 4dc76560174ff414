"""Engines of other machines, by way of a real sshd: this machine's, on loopback."""

import getpass
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from broker.node import free_port, listens
from images import BuildModel, Version, missing
from patience import until

from build_model.engine import Engine, EngineUnavailable

from .engines import podman
from .places import SENTENCE, Place

pytestmark = pytest.mark.long
SERVER = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
PermitRootLogin yes
UsePAM no
"""
CLIENT = """
IdentityFile {folder}/user
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile {folder}/known
"""


@pytest.fixture
def far(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """ssh://USER@HOST:PORT of this machine; `ssh` knows its key, and has one that it takes."""
    server, client = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin"), shutil.which("ssh")
    if server is None or client is None:
        missing(EngineUnavailable("sshd is missing: install openssh-server"))
    folder, port = tmp_path_factory.mktemp("ssh"), free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "server").write_text(SERVER.format(port=port, folder=folder))
    (folder / "client").write_text(CLIENT.format(folder=folder))
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    program = folder / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {client} -F {folder}/client "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd locks itself in, and what its package makes at boot
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([server, "-D", "-e", "-f", str(folder / "server")], stdout=log, stderr=log)
    try:
        until(lambda: listens(port), lambda: f"sshd: {(folder / 'log').read_text()}")
        yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def test_a_version_is_deployed_by_ssh_and_no_way_is_left_behind(
    far: str, place: Place, engine: Engine, released: Version
) -> None:
    there = f"{far}{engine.host.removeprefix('unix://')}"
    deployed = place.deploy("1.0.0", "--host", there)
    assert deployed.exit_code == 0, deployed.stdout + deployed.stderr
    assert place.ask(SENTENCE)[0].version == "1.0.0"
    assert place.versions() == ["1.0.0"]  # which is this very engine
    ways = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert far.rpartition(":")[2] not in ways.replace(str(os.getpid()), "")


def test_podmans_socket_is_reached_by_its_path(
    far: str, tmp_path: Path, registry: str, build_model: BuildModel
) -> None:
    with podman(tmp_path, registry) as other:
        there = f"{far}{other.host.removeprefix('unix://')}"
        looked = partial(build_model, environment={"DOCKER_HOST": there})("doctor", "--json")
        said = {one["what"]: one for one in looked.object["findings"]}
        assert said["engine"]["state"] == "ok", said
        assert said["engine"]["said"].startswith("Podman Engine 5.")
        assert far in said["engine"]["said"]


def test_a_socket_that_is_not_there_is_said(far: str, build_model: BuildModel) -> None:
    ran = build_model("status", "--host", f"{far}/run/no-such.sock", "--json")
    assert ran.object["error"] == "EngineUnavailable"
    assert "docker version" in ran.object["message"] or "Start one" in ran.object["message"]
    assert "Traceback" not in ran.stderr
