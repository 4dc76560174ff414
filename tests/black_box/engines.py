"""Other engines on this machine: a second one of the same kind, and Debian 13's, in a root of their own."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from broker.installation import NodeUnavailable, debian_13
from images import missing

from build_model.engine import Engine, EngineFailed, EngineUnavailable

START_SECONDS = 60
_ENTER = Path(__file__).with_name("enter.sh")
_PODMAN = ("podman", "crun", "netavark", "aardvark-dns", "iptables", "nftables", "passt", "uidmap", "ca-certificates")
_DOCKER = ("docker.io", "iptables", "ca-certificates")


# Not exec: who becomes another user no longer ends with `unshare`, and process 1 has to.
# A user as `useradd` makes one, with a range of numbers, and a device that everybody may use on other machines.
_AS_USER = """
folder=$1
shift
id dragoman > /dev/null 2>&1 || useradd --create-home --uid 1500 dragoman
mkdir -p /run/user/1500 /dev/net
chown dragoman /run/user/1500 "$folder"
mount -t tmpfs tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200
cd /home/dragoman
setpriv --reuid dragoman --regid dragoman --init-groups env HOME=/home/dragoman XDG_RUNTIME_DIR=/run/user/1500 "$@"
exit $?
"""


@contextmanager
def podman(folder: Path, registry: str, *, rootless: bool = False) -> Iterator[Engine]:
    """Debian 13's podman behind its Docker-compatible socket. ``registry`` is reached by plain HTTP, which it has to
    be told even of loopback."""
    root = _root("podman-5", *_PODMAN)
    registries = folder / "registries.conf"
    registries.write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    settings = folder / "containers.conf"
    settings.write_text('[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n')
    named = {"CONTAINERS_CONF": str(settings), "CONTAINERS_REGISTRIES_CONF": str(registries)}
    runs = "/run/user/1500/containers" if rootless else "/run/containers"
    serve = ("podman", "--root", f"{folder}/data", "--runroot", runs, "system", "service", "--time=0")
    user = ("sh", "-euc", _AS_USER, "sh", str(folder)) if rootless else ()
    with _served(root, folder, (*user, *serve, f"unix://{folder}/engine.sock"), named) as engine:
        yield engine


@contextmanager
def containerd(folder: Path, bridge: str, subnet: str) -> Iterator[Engine]:
    """Debian 13's Docker with its images in containerd's store, as Docker 29 has them without being asked."""
    root = _root("docker", *_DOCKER)
    settings = folder / "daemon.json"
    settings.write_text(json.dumps({"features": {"containerd-snapshotter": True}}))
    places = ("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid")
    network = ("--bridge", bridge, "--iptables=false", "--ip-masq=false")
    serve = ("dockerd", "--config-file", str(settings), "--host", f"unix://{folder}/engine.sock", *places, *network)
    with _bridge(bridge, subnet), _served(root, folder, serve, {}) as engine:
        yield engine


def _root(name: str, *packages: str) -> Path:
    try:
        return debian_13(name, *packages)
    except NodeUnavailable as error:
        missing(error)


@contextmanager
def _served(root: Path, folder: Path, command: tuple[str, ...], environment: dict[str, str]) -> Iterator[Engine]:
    """The engine that ``command`` starts in ``root``; all that it started ends with it."""
    namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*namespaces, str(_ENTER), str(root), str(folder), *command],
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **environment},
            stdout=log,
            stderr=log,
        )
    try:
        engine = connected(f"unix://{folder}/engine.sock", process, folder)
        yield engine
        for container in engine.containers({}):
            engine.remove(container.id)
    finally:
        process.kill()  # unshare's child, process 1 in there, goes with it
        process.wait(60)


@contextmanager
def _bridge(name: str, subnet: str) -> Iterator[None]:
    """A network bridge, for an engine that would otherwise take the first one's away."""
    ip = shutil.which("ip")
    if ip is None or os.geteuid() != 0:
        missing(EngineUnavailable("another engine needs ip, and root to start it"))
    subprocess.run([ip, "link", "add", name, "type", "bridge"], check=True)
    try:
        subprocess.run([ip, "address", "add", subnet, "dev", name], check=True)
        yield
    finally:
        subprocess.run([ip, "link", "delete", name], check=True)


@contextmanager
def second_engine(folder: Path, bridge: str, subnet: str) -> Iterator[Engine]:
    """An engine that keeps all of its own in ``folder``, on a bridge of its own: told to have none, it would take the
    first one's away."""
    dockerd = shutil.which("dockerd")
    if dockerd is None:
        missing(EngineUnavailable("a second engine needs dockerd"))
    with _bridge(bridge, subnet):
        yield from _second(dockerd, folder, bridge)


def _second(dockerd: str, folder: Path, bridge: str) -> Iterator[Engine]:
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
