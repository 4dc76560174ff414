"""Deploying to a Docker Swarm: the swarm rolls the update, and rolls it back when a new task fails."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from build_model.container import SECRETS
from build_model.engine import Engine
from build_model.image.reference import Reference
from build_model.operation import lock, smoke
from build_model.operation.labels import AMQP_URL_SECRET, DEPLOYMENT, PREVIOUS, REFERENCE, REGISTRY, ROLE
from build_model.operation.observe import Withdrawn
from build_model.operation.running import Deployment, NoPrevious
from build_model.report import Progress
from build_model.swarm import Service, ServiceSpec, Swarm
from model.errors import DragomanError

UPDATE_SECONDS = 900
TAKEN_BACK = ("rollback_completed", "rollback_paused", "paused")


class NoService(DragomanError):
    """The swarm runs nothing of that name."""


@dataclass(frozen=True)
class Rolled:
    """An update that ended well."""

    reference: Reference
    previous: str

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "reference": str(self.reference),
            "version": self.reference.tag,
            "previous": self.previous or None,
            "changed": True,
            "engine": "swarm",
        }


def deploy(engine: Engine, wanted: Deployment, observe_seconds: float, progress: Progress) -> Rolled:
    """Smoke-test ``wanted`` on this engine, then have the swarm run it. The image must be on the engine.

    Raises Withdrawn when the swarm took the update back.
    """
    swarm = Swarm(engine)
    with lock.held(engine, wanted.name, wanted.image.pinned, f"deploy {wanted.image}"):
        before = swarm.find(wanted.name)
        trial = smoke.Trial(
            image=wanted.image.pinned,
            amqp_url=wanted.environment["AMQP_URL"],
            client_amqp_url=wanted.client_amqp_url,
            network=wanted.network,
            name=f"{wanted.name}-candidate",
            environment=wanted.environment,
            labels={DEPLOYMENT: wanted.name, ROLE: "candidate"},
            steady_seconds=observe_seconds,
            rival=before.environment.get("RPC_QUEUE", "rpc_queue") if before else None,
        )
        smoke.run(trial, engine, progress)
        name = f"{wanted.name}-{AMQP_URL_SECRET}-{uuid.uuid4().hex[:6]}"
        secret = swarm.add_secret(name, wanted.environment["AMQP_URL"], {DEPLOYMENT: wanted.name})
        previous = _previous(wanted.image, before)
        settings = {name: value for name, value in wanted.environment.items() if name != "AMQP_URL"}
        spec = ServiceSpec(
            name=wanted.name,
            image=wanted.image.pinned,
            replicas=wanted.replicas,
            network=wanted.network,
            environment={**settings, "AMQP_URL_FILE": f"{SECRETS}/{AMQP_URL_SECRET}"},
            labels=_labels(wanted.name, wanted.image, previous, wanted.registry),
            secret=(AMQP_URL_SECRET, secret, name),
            memory_bytes=wanted.memory_bytes,
            monitor_seconds=max(observe_seconds, 1.0),
        )
        _roll(swarm, spec, before, progress)
        keep = {secret, before.secret[1]} if before else {secret}  # what the swarm may roll back to
        swarm.remove_secrets({DEPLOYMENT: wanted.name}, frozenset(keep))
    return Rolled(wanted.image, previous)


def _labels(name: str, image: Reference, previous: str, registry: str) -> dict[str, str]:
    labels = {DEPLOYMENT: name, ROLE: "task", REFERENCE: str(image), REGISTRY: registry}
    return labels | ({PREVIOUS: previous} if previous else {})


def _previous(image: Reference, before: Service | None) -> str:
    if before is None:
        return ""
    if before.labels.get(REFERENCE) != str(image):
        return before.labels.get(REFERENCE, "")
    return before.labels.get(PREVIOUS, "")


def _roll(swarm: Swarm, spec: ServiceSpec, before: Service | None, progress: Progress) -> None:
    """Have it done, and wait until it is; Withdrawn where the swarm takes it back."""
    swarm.put(spec)
    deadline, steady_since = time.monotonic() + UPDATE_SECONDS, 0.0
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = swarm.find(spec.name)
        if now is None:
            raise NoService(f"Somebody removed the service {spec.name!r}.")
        if before is not None and now.update in TAKEN_BACK:
            why = next(iter(swarm.failures(spec.name)), now.message)
            raise Withdrawn(f"The swarm took the update back ({now.update}): {why}. What ran before goes on.")
        # The swarm watches updates itself, but not what comes first.
        if before is None and (failures := swarm.failures(spec.name)):
            swarm.remove(spec.name)
            raise Withdrawn(f"The first version doesn't live, and the service is removed: {failures[0]}.")
        whole = now.running >= spec.replicas and (before is None or now.update == "completed")
        steady_since = (steady_since or time.monotonic()) if whole else 0.0
        if whole and (before is not None or time.monotonic() >= steady_since + spec.monitor_seconds):
            progress.line(f"{spec.name}: {now.running} tasks run {spec.image}")
            return
    raise Withdrawn(f"The swarm didn't end the update in {UPDATE_SECONDS} s; see docker service ps {spec.name}.")


def running(engine: Engine, name: str) -> Service:
    """What the swarm runs as ``name``; NoService where it is nothing."""
    found = Swarm(engine).find(name)
    if found is None:
        raise NoService(f"The swarm has no service {name!r}. Deploy one: build-model deploy VERSION --engine swarm.")
    return found


def rolled_back(service: Service, name: str) -> Reference:
    """What ran before ``service``'s version; NoPrevious where there was none."""
    previous = service.labels.get(PREVIOUS)
    if not previous:
        raise NoPrevious(f"The swarm runs the first version of {name!r}; there is none before it.")
    return Reference.parse(previous)


def registry_of(service: Service, image: Reference) -> str:
    """How the registry that has ``image`` is reached: as the deploy named it, where that says so."""
    return service.labels.get(REGISTRY, image.registry)


def roll_back(engine: Engine, name: str, observe_seconds: float, progress: Progress) -> Rolled:
    """Back to what ran before, with the settings and the secret that it has now; twice returns.

    No smoke test: the broker's URL can't be read back from a swarm, and the version has served here. The swarm watches.
    """
    swarm, before = Swarm(engine), running(engine, name)
    image, previous = rolled_back(before, name), before.labels[REFERENCE]
    spec = ServiceSpec(
        name=name,
        image=image.pinned,
        replicas=before.replicas,
        network=before.network,
        environment=before.environment,
        labels=_labels(name, image, previous, registry_of(before, image)),
        secret=before.secret,
        memory_bytes=before.memory_bytes,
        monitor_seconds=max(observe_seconds, 1.0),
    )
    with lock.held(engine, name, image.pinned, f"rollback {image}"):
        _roll(swarm, spec, before, progress)
    return Rolled(image, previous)
