"""The Docker engine, and the network that joins its containers to this machine."""

import fcntl
import ipaddress
import json
import os
import shutil
import socket
import struct

from daemons import LocalError, say
from daemons.cause import cause
from daemons.packages import install
from daemons.process import run, wait
from daemons.started import Started


def engine_answers() -> bool:
    """Whether the engine that the `docker` command would use answers. LocalError when it turns this user away."""
    if not shutil.which("docker"):
        return False
    result = run(["docker", "version", "--format", "{{.Server.Version}}"], seconds=20)
    if "permission denied while trying to connect" in result.stderr:
        raise LocalError("the Docker engine turns this user away: run as root, or join the group `docker`")
    return result.returncode == 0


def docker(*arguments: str) -> str:
    """Output of a docker command; LocalError with what it said when it fails."""
    result = run(["docker", *arguments], seconds=30)
    if result.returncode != 0:
        raise LocalError(f"`docker {' '.join(arguments)}` failed: {cause(result.stderr)}")
    return result.stdout.strip()


def ensure_engine(started: Started) -> str:
    """The engine's URL, after starting one when none answers."""
    otherwise = "start Docker, or set DOCKER_HOST"
    if not engine_answers():
        if url := os.environ.get("DOCKER_HOST"):
            missing = "no engine answers there" if shutil.which("docker") else "the `docker` command is missing"
            raise LocalError(f"DOCKER_HOST is {url}, but {missing}: mend that, or unset DOCKER_HOST")
        install(
            "Docker engine",
            otherwise,
            {"dockerd": "docker.io", "docker": "docker.io", "iptables": "iptables"},
            started.log_path("apt"),
        )
    if not engine_answers():  # where there is systemd, the package has started it by now
        if os.geteuid() != 0:
            raise LocalError(f"no Docker engine answers, and only root can start one: {otherwise}")
        say("starting dockerd")
        pidfile = started.folder / "dockerd.pid"
        pidfile.unlink(missing_ok=True)  # after a reboot its number may be another process's, and dockerd won't start
        dockerd = started.spawn("dockerd", ["dockerd", "--pidfile", str(pidfile)])
        wait(dockerd, engine_answers)
    return docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")


def bridge_gateway() -> str:
    """This machine's IPv4 address as containers of the default network see it.

    An engine that started for the first time lists the network's subnet and no gateway until it is started again (moby
    26799). The bridge itself has the address by then; where it is on another machine, the engine took the first one.
    """
    network = json.loads(docker("network", "inspect", "bridge", "--format", "{{json .}}"))
    configs = network["IPAM"]["Config"] or []
    subnets = [ipaddress.ip_network(each["Subnet"], strict=False) for each in configs if each.get("Subnet")]
    gateways = [ipaddress.ip_address(each["Gateway"].partition("/")[0]) for each in configs if each.get("Gateway")]
    subnet = next((each for each in subnets if each.version == 4), None)
    if gateway := next((each for each in gateways if each.version == 4), None):
        if engine_is_podman() and not is_here(str(gateway)):
            raise LocalError(
                f"podman's containers would look for this machine at {gateway}, an address that it has only while a "
                "container of root's runs: set AMQP_URL and CONTAINER_AMQP_URL to a broker that containers reach, or "
                "DOCKER_HOST to a Docker engine"
            )
        return str(gateway)
    address = interface_address((network["Options"] or {}).get("com.docker.network.bridge.name", "docker0"))
    if address and (subnet is None or ipaddress.ip_address(address) in subnet):
        return address
    if subnet is None:
        raise LocalError(
            "the engine's network `bridge` has no IPv4 subnet, so no container can reach this machine: start it "
            "without `--bridge none`, or set AMQP_URL and CONTAINER_AMQP_URL to a broker that containers reach"
        )
    return str(next(subnet.hosts()))


def engine_is_podman() -> bool:
    """Whether podman answers as the engine."""
    return "podman" in docker("version", "--format", "{{json .Server.Components}}").lower()


def is_here(address: str) -> bool:
    """Whether an IPv4 address is this machine's."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as asked:
        try:
            asked.bind((address, 0))
        except OSError:
            return False
    return True


def interface_address(name: str) -> str | None:
    """The IPv4 address of a network interface of this machine (SIOCGIFADDR of netdevice(7)); None when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            answer = fcntl.ioctl(asked, 0x8915, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])
