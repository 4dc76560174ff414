"""What a deploy does, decided as a value: from what runs to what shall run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import count
from typing import Any

from build_model.container import SECRETS, Container, ContainerSpec
from build_model.image.reference import Reference
from build_model.operation import smoke
from build_model.operation.labels import (
    ACTION,
    AMQP_URL_SECRET,
    CLIENT_AMQP_URL_SECRET,
    DEPLOYMENT,
    GENERATION,
    METRICS_PORT,
    PREVIOUS,
    REFERENCE,
    REGISTRY,
    REPLICAS,
    ROLE,
    SETTINGS,
    version_of,
)
from build_model.operation.running import Deployment, Running

HOST_NETWORK = "host"


@dataclass(frozen=True)
class Plan:
    """One deploy: what a deploy that was cut off left and goes first, the trial, what is started, what is drained then.

    Nothing to start: the version serves already.
    """

    deployment: Deployment
    trial: smoke.Trial
    discard: tuple[Container, ...]
    clear: tuple[Container, ...]
    start: tuple[ContainerSpec, ...]
    drain: tuple[Container, ...]

    def lines(self) -> list[str]:
        """The plan for a person."""
        left = [f"remove {one.name}, left by a deploy that was cut off" for one in self.discard]
        left += [f"drain {one.name} ({version_of(one)}), left by a deploy that was cut off" for one in self.clear]
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
            "drained": [one.name for one in (*self.clear, *self.drain)],
            "previous": self.start[0].labels.get(PREVIOUS) if self.start else None,
        }


def plan(
    wanted: Deployment,
    containers: Sequence[Container],
    generation: str,
    action: str = "deploy",
    taken: AbstractSet[int] = frozenset(),
) -> Plan:
    """Decide how to get from ``containers`` (all of this deployment's, of any role) to ``wanted``.

    ``generation`` keeps the new containers apart from the old ones, in names and labels. ``action`` is ``deploy``,
    ``rollback`` or ``shadow``: what a later rollback makes of it, should it be cut off. ``taken``: ports of the host's
    that other replicas use.
    """
    running = Running.of(containers)
    labels = {DEPLOYMENT: wanted.name, REFERENCE: str(wanted.image), GENERATION: generation, ACTION: action}
    labels[REPLICAS] = str(wanted.replicas)
    trial = smoke.Trial(
        image=wanted.image.pinned,
        amqp_url=wanted.environment["AMQP_URL"],
        client_amqp_url=wanted.client_amqp_url,
        network=wanted.network,
        name=f"{wanted.name}-candidate",
        environment=wanted.environment,
        labels=labels | {ROLE: "candidate"},
        rival=running.deployment.environment.get("RPC_QUEUE", "rpc_queue") if running else None,
    )
    discard = tuple(one for one in containers if one.labels[ROLE] == "candidate")
    if running is None:
        return Plan(wanted, trial, discard, (), _replicas(wanted, labels, None, taken), ())
    strays = tuple(one for stray in running.strays for one in stray.replicas)
    if running.serves(wanted):
        return Plan(wanted, trial, discard, strays, (), ())
    # Where what serves isn't whole, strays may be what keeps the queue short: they go when the new replicas are there.
    clear, late = (strays, ()) if running.serving.whole else ((), strays)
    start = _replicas(wanted, labels, running, taken)
    return Plan(wanted, trial, discard, clear, start, (*running.serving.replicas, *late))


def _replicas(
    wanted: Deployment, labels: dict[str, str], running: Running | None, taken: AbstractSet[int]
) -> tuple[ContainerSpec, ...]:
    secrets = {AMQP_URL_SECRET: wanted.environment["AMQP_URL"]}
    if wanted.client_amqp_url != wanted.environment["AMQP_URL"]:
        secrets[CLIENT_AMQP_URL_SECRET] = wanted.client_amqp_url
    settings = {name: value for name, value in wanted.environment.items() if name != "AMQP_URL"}
    labels = labels | {ROLE: "replica", REGISTRY: wanted.registry, SETTINGS: ",".join(sorted(settings))}
    previous = _previous(wanted, running)
    if previous:
        labels[PREVIOUS] = str(previous)
    if settings.get("METRICS_PORT"):
        labels[METRICS_PORT] = settings["METRICS_PORT"]
    ports = _metrics_ports(wanted, taken)
    return tuple(
        ContainerSpec(
            name=f"{wanted.name}-{wanted.version}-{labels[GENERATION]}-{number}",
            image=wanted.image.pinned,
            network=wanted.network,
            restart=True,
            environment={**settings, **next(ports), "AMQP_URL_FILE": f"{SECRETS}/{AMQP_URL_SECRET}"},
            labels=labels,
            secrets=secrets,
            memory_bytes=wanted.memory_bytes,
        )
        for number in range(1, wanted.replicas + 1)
    )


def _metrics_ports(wanted: Deployment, taken: AbstractSet[int]) -> Iterator[dict[str, str]]:
    """The setting for one replica after the other. On the host's network no two can have the same port: it counts up
    from the one that was asked for, past those that are taken."""
    first = wanted.environment.get("METRICS_PORT", "")
    if wanted.network != HOST_NETWORK or not first.isdigit():
        yield from ({} for _ in count())
    yield from ({"METRICS_PORT": str(port)} for port in count(int(first)) if port not in taken)


def _previous(wanted: Deployment, running: Running | None) -> Reference | None:
    """Where a rollback from ``wanted`` leads. The same image deployed again keeps what it had: not to itself."""
    if running is None:
        return None
    return running.serving.image if running.serving.image != wanted.image else running.serving.previous
