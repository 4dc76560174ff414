"""A second Docker engine on this machine."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from images import missing

from build_model.engine import Engine, EngineFailed, EngineUnavailable

START_SECONDS = 60


@contextmanager
def second_engine(folder: Path, bridge: str, subnet: str) -> Iterator[Engine]:
    """An engine that keeps all of its own in ``folder``, on a bridge of its own: told to have none, it would take the
    first one's away."""
    dockerd, ip = shutil.which("dockerd"), shutil.which("ip")
    if dockerd is None or ip is None or os.geteuid() != 0:
        missing(EngineUnavailable("a second engine needs dockerd and ip, and root to start it"))
    subprocess.run([ip, "link", "add", bridge, "type", "bridge"], check=True)
    subprocess.run([ip, "address", "add", subnet, "dev", bridge], check=True)
    socket = f"unix://{folder}/docker.sock"
    places = ("--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid")
    network = ("--bridge", bridge, "--iptables=false", "--ip-masq=false")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([dockerd, "--host", socket, *map(str, places), *network], stdout=log, stderr=log)
    try:
        engine = connected(socket, process, folder)
        yield engine
        for container in engine.containers({}):
            with suppress(EngineFailed):  # the swarm is removing it already
                engine.remove(container.id)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        subprocess.run([ip, "link", "delete", bridge], check=True)
        for line in Path("/proc/mounts").read_text().splitlines():
            if line.split()[1].startswith(f"{folder}/"):  # namespaces that it leaves
                subprocess.run(["umount", line.split()[1]], check=False)


def connected(socket: str, process: subprocess.Popen[bytes], folder: Path) -> Engine:
    """The engine, as soon as it answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return Engine.connect(socket)
        except EngineUnavailable as error:
            if process.poll() is not None or time.monotonic() > deadline:
                missing(EngineUnavailable(f"{error} {(folder / 'log').read_text()[-500:]}"))
            time.sleep(0.5)
