"""Services of a Docker Swarm: created, updated, watched. Beside `engine` the one place that calls the docker SDK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docker.types import (
    EndpointSpec,
    Mount,
    Resources,
    RestartPolicy,
    RollbackConfig,
    SecretReference,
    ServiceMode,
    UpdateConfig,
)

from build_model.container import LOG
from build_model.engine import Engine, EngineFailed, translated
from model.errors import DragomanError

NANOSECONDS = 1_000_000_000
STOP_GRACE_SECONDS = 15
"""Longer than the service's own DRAIN_SECONDS (8), so that no task is killed in the middle of a drain."""


class SwarmMissing(DragomanError):
    """The engine is no manager of a swarm."""


@dataclass(frozen=True)
class ServiceSpec:
    """A service before it exists. ``secret``: its file in ``/run/secrets``, its ID, its name."""

    name: str
    image: str
    replicas: int
    network: str
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    secret: tuple[str, str, str]
    memory_bytes: int | None
    monitor_seconds: float


@dataclass(frozen=True)
class Service:
    """A service as the swarm sees it. ``update``: Docker's word, such as ``completed``; none before the first."""

    id: str
    image: str
    labels: Mapping[str, str]
    replicas: int
    running: int
    update: str
    message: str
    network: str
    environment: Mapping[str, str]
    secret: tuple[str, str, str]
    memory_bytes: int | None


class Swarm:
    """The swarm that an engine manages; SwarmMissing where it manages none."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._services: Any = engine.client.services  # the SDK's types know little of it
        with translated("tell of its swarm"):
            state = engine.client.info()["Swarm"]
        if state.get("LocalNodeState") != "active" or not state.get("ControlAvailable"):
            raise SwarmMissing(f"The engine at {engine.host} manages no swarm. Make one: docker swarm init.")

    def find(self, name: str) -> Service | None:
        """The service ``name``, or None."""
        with translated(f"look up the service {name}"):
            found = [one for one in self._services.list(filters={"name": name}) if one.name == name]
            if not found:
                return None
            attributes, tasks = found[0].attrs, found[0].tasks()
        spec = attributes["Spec"]
        container = spec["TaskTemplate"]["ContainerSpec"]
        image = container["Image"]
        update = attributes.get("UpdateStatus") or {}
        running = [
            task
            for task in tasks
            if task["Status"]["State"] == "running" and task["DesiredState"] == "running"
            and task["Spec"]["ContainerSpec"]["Image"] == image
        ]  # fmt: skip
        return Service(
            id=attributes["ID"],
            image=image,
            labels=dict(spec.get("Labels") or {}),
            replicas=spec["Mode"]["Replicated"]["Replicas"],
            running=len(running),
            update=update.get("State", ""),
            message=update.get("Message", ""),
            network=next((one["Target"] for one in spec["TaskTemplate"].get("Networks") or ()), "bridge"),
            environment=dict(entry.split("=", 1) for entry in container.get("Env") or ()),
            secret=next(
                (one["File"]["Name"], one["SecretID"], one["SecretName"]) for one in container.get("Secrets") or ()
            ),
            memory_bytes=spec["TaskTemplate"].get("Resources", {}).get("Limits", {}).get("MemoryBytes"),
        )

    def failures(self, name: str) -> list[str]:
        """What tasks of ``name`` died of, newest first."""
        with translated(f"list the tasks of {name}"):
            tasks = self._services.get(name).tasks()
        tasks.sort(key=lambda task: str(task["Status"]["Timestamp"]), reverse=True)
        return [task["Status"]["Err"] for task in tasks if task["Status"].get("Err")]

    def add_secret(self, name: str, content: str, labels: Mapping[str, str]) -> str:
        """Keep ``content`` in the swarm; its ID."""
        with translated(f"keep the secret {name}"):
            made = self.engine.client.secrets.create(name=name, data=content.encode(), labels=dict(labels))
        return str(made.id)

    def remove_secrets(self, labels: Mapping[str, str], keep: frozenset[str]) -> None:
        """Remove the secrets with ``labels`` whose IDs aren't in ``keep``; one that is in use stays."""
        wanted = [f"{name}={value}" for name, value in labels.items()]
        with translated("list secrets"):
            found = self.engine.client.secrets.list(filters={"label": wanted})
        for secret in found:
            if secret.id not in keep:
                try:
                    with translated("remove a secret"):
                        secret.remove()
                except EngineFailed:
                    continue

    def put(self, spec: ServiceSpec) -> None:
        """Create the service, or update it to ``spec``: a new task is healthy before an old one ends, and what fails
        within ``monitor_seconds`` of its start takes the whole update back."""
        options = options_of(spec)
        with translated(f"put the service {spec.name}"):
            named = self._services.list(filters={"name": spec.name})
            existing = [one for one in named if one.name == spec.name]
            if existing:
                existing[0].update(image=spec.image, **options)
            else:
                self._services.create(spec.image, **options)

    def remove(self, name: str) -> None:
        """Remove a service and its tasks."""
        with translated(f"remove the service {name}"):
            self._services.get(name).remove()


def options_of(spec: ServiceSpec) -> dict[str, Any]:
    """What the SDK is told of ``spec``, beside its image."""
    file, secret_id, secret_name = spec.secret
    step: dict[str, Any] = {
        "parallelism": 1,
        "monitor": round(spec.monitor_seconds * NANOSECONDS),
        "order": "start-first",
    }
    return {
        "name": spec.name,
        "labels": dict(spec.labels),
        "container_labels": dict(spec.labels),
        "env": [f"{name}={value}" for name, value in spec.environment.items()],
        "secrets": [SecretReference(secret_id, secret_name, filename=file, uid="10001", gid="10001", mode=0o400)],
        "networks": [] if spec.network == "bridge" else [spec.network],
        "mode": ServiceMode("replicated", replicas=spec.replicas),
        "update_config": UpdateConfig(failure_action="rollback", **step),
        "rollback_config": RollbackConfig(failure_action="pause", **step),
        "restart_policy": RestartPolicy(condition="any", delay=NANOSECONDS),
        "resources": Resources(mem_limit=spec.memory_bytes),
        "stop_grace_period": STOP_GRACE_SECONDS * NANOSECONDS,
        "log_driver": LOG["Type"],
        "log_driver_options": LOG["Config"],
        "read_only": True,
        "cap_drop": ["ALL"],
        "mounts": [Mount("/tmp", source=None, type="tmpfs")],
        "endpoint_spec": EndpointSpec(mode="dnsrr"),
    }
