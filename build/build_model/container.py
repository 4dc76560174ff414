"""A container as a value: what to create, and what the engine says of one that is there."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import docker.types

HARDENING: Mapping[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": ""},
}
"""How every container of ours runs: the image must work so, and what is tested is what is deployed."""

LOG = docker.types.LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"})
"""What a container that lives may write before its oldest words go."""

PLATFORM = "linux/amd64"
"""Asked for by name, so that an engine of another kind emulates it, or says that it can't."""

SECRETS = "/run/secrets"


@dataclass(frozen=True)
class ContainerSpec:
    """A container before it exists. ``restart``: the engine starts it again whenever it ends by itself.

    ``secrets`` are files by name: they are in ``/run/secrets`` when the container starts, on a volume that goes with
    it, and in nothing that ``docker inspect`` shows. ``command``: what to run instead of the image's own; it is not
    asked for its health then. ``memory_bytes``: None is as much as there is.
    """

    name: str
    image: str
    network: str
    restart: bool
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    command: tuple[str, ...] = ()
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Container:
    """A container as the engine sees it. ``exit_code`` is None while it hasn't ended; times are ISO 8601.

    ``secrets`` stays empty until somebody reads them: ``Engine.secrets``.
    """

    id: str
    name: str
    image: str
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    network: str
    status: str
    health: str
    exit_code: int | None
    restarts: int
    started_at: str
    created_at: str
    image_id: str = ""
    memory_bytes: int | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Outcome:
    """How a container that ran to its end did end; ``log`` is its standard output and error, oldest first."""

    exit_code: int
    log: str


def explained(log: str) -> str:
    """The words of a container that ended, with what to do where they say only that another machine is wanted."""
    if "exec format error" not in log.lower():
        return log
    return (
        f"{log.rstrip().rstrip('.')}. The engine's machine isn't {PLATFORM} and emulates none: install binfmt support "
        "there (Debian's qemu-user-static), or name an engine on such a machine in DOCKER_HOST."
    )


def options_of(spec: ContainerSpec) -> dict[str, Any]:
    """What the engine is told of ``spec``, beside image and name."""
    options: dict[str, Any] = {
        "platform": PLATFORM,
        "environment": dict(spec.environment),
        "labels": dict(spec.labels),
        "network_mode": spec.network,
        "log_config": LOG,
        "restart_policy": {"Name": "unless-stopped" if spec.restart else "no"},
        **HARDENING,
    }
    if spec.memory_bytes is not None:
        options |= {"mem_limit": spec.memory_bytes, "memswap_limit": spec.memory_bytes}
    if spec.command:
        options |= {"command": list(spec.command), "healthcheck": {"test": ["NONE"]}}
    if spec.secrets:
        options["mounts"] = [docker.types.Mount(SECRETS, source=None, type="volume")]
    return options


def secret_files(secrets: Mapping[str, str], user: str) -> bytes:
    """A tar of ``secrets``, readable by ``user`` (``UID[:GID]``, as the image has it) and by nobody else.

    Where the image names its user by a word nobody here knows the number, and everybody in the container may read.
    """
    uid, _, gid = user.partition(":")
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as tar:
        for name, content in secrets.items():
            member = tarfile.TarInfo(name)
            member.uid, member.gid = int(uid) if uid.isdigit() else 0, int(gid) if gid.isdigit() else 0
            member.mode = 0o400 if uid.isdigit() or not uid else 0o444
            member.size = len(content.encode())
            tar.addfile(member, io.BytesIO(content.encode()))
    return files.getvalue()


def container_of(attributes: Mapping[str, Any]) -> Container:
    """What the engine's ``inspect`` says."""
    state, config = attributes["State"], attributes["Config"]
    ended = state["Status"] in ("exited", "dead")
    return Container(
        id=attributes["Id"],
        name=attributes["Name"].lstrip("/"),
        image=config["Image"],
        labels=dict(config.get("Labels") or {}),
        environment=dict(entry.split("=", 1) for entry in config.get("Env") or () if "=" in entry),
        network=attributes["HostConfig"]["NetworkMode"],
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        exit_code=state["ExitCode"] if ended else None,
        restarts=attributes.get("RestartCount", 0),
        started_at=state["StartedAt"],
        created_at=attributes["Created"],
        image_id=attributes["Image"],
        memory_bytes=attributes["HostConfig"].get("Memory") or None,
    )
