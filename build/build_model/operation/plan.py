"""What a deploy does, decided as a value: what runs, what shall run, and the way from one to the other.

All state lives in the labels of containers, so any machine that reaches the engine can go on from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from build_model.engine import Container, ContainerSpec
from build_model.image.reference import Reference
from build_model.operation import smoke
from build_model.operation.labels import (
    CLIENT_AMQP_URL,
    DEPLOYMENT,
    PREVIOUS,
    REFERENCE,
    REGISTRY,
    ROLE,
    SETTINGS,
    version_of,
)


@dataclass(frozen=True)
class Deployment:
    """What shall run. ``environment`` holds the service's settings, among them ``AMQP_URL`` as a container sees it.

    ``image`` has tag and digest; ``registry`` is its registry's address as it was given, with a scheme if it had one.
    """

    name: str
    image: Reference
    registry: str
    replicas: int
    network: str
    environment: Mapping[str, str]
    client_amqp_url: str

    @property
    def version(self) -> str:
        """The model version."""
        return self.image.tag


@dataclass(frozen=True)
class Running:
    """What runs now, as the containers' labels say; newest replica first."""

    deployment: Deployment
    previous: Reference | None
    replicas: tuple[Container, ...]

    @classmethod
    def of(cls, containers: Sequence[Container]) -> Running | None:
        """From the replicas of one deployment; None when there are none.

        After a deploy that was cut off two versions may run: the newest replica then says which one it is.
        """
        if not containers:
            return None
        replicas = tuple(sorted(containers, key=lambda one: one.created_at, reverse=True))
        labels, newest = replicas[0].labels, replicas[0]
        environment = {name: newest.environment[name] for name in labels[SETTINGS].split(",")}
        deployment = Deployment(
            name=labels[DEPLOYMENT],
            image=Reference.parse(labels[REFERENCE]),
            registry=labels[REGISTRY],
            replicas=sum(one.labels[REFERENCE] == labels[REFERENCE] for one in replicas),
            network=newest.network,
            environment=environment,
            client_amqp_url=labels.get(CLIENT_AMQP_URL) or environment["AMQP_URL"],
        )
        previous = Reference.parse(labels[PREVIOUS]) if labels.get(PREVIOUS) else None
        return cls(deployment, previous, replicas)

    def serves(self, wanted: Deployment) -> bool:
        """Whether exactly ``wanted`` runs already, every replica of it up."""
        up = all(one.status == "running" and one.health != "unhealthy" for one in self.replicas)
        return up and self.deployment == wanted and len(self.replicas) == wanted.replicas


@dataclass(frozen=True)
class Plan:
    """One deploy: the trial, what is started, what is drained then. Nothing to start: the version serves already."""

    deployment: Deployment
    trial: smoke.Trial
    start: tuple[ContainerSpec, ...]
    drain: tuple[Container, ...]
    discard: tuple[Container, ...]

    def lines(self) -> list[str]:
        """The plan for a person."""
        left = [f"remove {one.name}, left by a deploy that was cut off" for one in self.discard]
        if not self.start:
            return [*left, f"{self.deployment.image} already serves, {self.deployment.replicas} replica(s) of it."]
        return [
            *left,
            f"smoke-test {self.deployment.image} on a private queue",
            *(f"start {spec.name}" for spec in self.start),
            *(f"drain {one.name} ({version_of(one)})" for one in self.drain),
        ]

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "reference": str(self.deployment.image),
            "version": self.deployment.version,
            "changed": bool(self.start),
            "started": [spec.name for spec in self.start],
            "drained": [one.name for one in self.drain] if self.start else [],
            "previous": self.start[0].labels.get(PREVIOUS) if self.start else None,
        }


def plan(wanted: Deployment, containers: Sequence[Container], generation: str) -> Plan:
    """Decide how to get from ``containers`` (all of this deployment's, of any role) to ``wanted``.

    ``generation`` keeps the names of new containers apart from those of old ones.
    """
    replicas = [one for one in containers if one.labels[ROLE] == "replica"]
    running = Running.of(replicas)
    trial = smoke.Trial(
        image=wanted.image.pinned,
        amqp_url=wanted.environment["AMQP_URL"],
        client_amqp_url=wanted.client_amqp_url,
        network=wanted.network,
        name=f"{wanted.name}-candidate",
        environment=wanted.environment,
        labels={DEPLOYMENT: wanted.name, ROLE: "candidate"},
    )
    discard = tuple(one for one in containers if one.labels[ROLE] == "candidate")
    if running and running.serves(wanted):
        return Plan(wanted, trial, (), (), discard)
    labels = _replica_labels(wanted, running)
    start = tuple(
        ContainerSpec(
            name=f"{wanted.name}-{wanted.version}-{generation}-{number}",
            image=wanted.image.pinned,
            network=wanted.network,
            restart=True,
            environment=wanted.environment,
            labels=labels,
        )
        for number in range(1, wanted.replicas + 1)
    )
    return Plan(wanted, trial, start, tuple(replicas), discard)


def _replica_labels(wanted: Deployment, running: Running | None) -> dict[str, str]:
    labels = {
        DEPLOYMENT: wanted.name,
        ROLE: "replica",
        REFERENCE: str(wanted.image),
        REGISTRY: wanted.registry,
        SETTINGS: ",".join(sorted(wanted.environment)),
    }
    if wanted.client_amqp_url != wanted.environment["AMQP_URL"]:
        labels[CLIENT_AMQP_URL] = wanted.client_amqp_url
    previous = _previous(wanted, running)
    return labels | ({PREVIOUS: str(previous)} if previous else {})


def _previous(wanted: Deployment, running: Running | None) -> Reference | None:
    """Where a rollback from ``wanted`` leads. The same image deployed again keeps what it had: not to itself."""
    if running is None:
        return None
    return running.deployment.image if running.deployment.image != wanted.image else running.previous
