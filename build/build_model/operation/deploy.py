"""Deploying a version and rolling one back: what to do is decided as a value, then done."""

from __future__ import annotations

import json
import math
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from build_model.engine import Container, Engine, EngineFailed, Image
from build_model.image.artifact import CHECKPOINT, langs_digest
from build_model.image.inspection import ImageForeign
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.image.version import Version
from build_model.operation import lock, smoke
from build_model.operation.audit import Audit
from build_model.operation.labels import DEPLOYMENT, ROLE
from build_model.operation.plan import Deployment, Plan, Running, plan
from build_model.operation.rpc import Broker
from build_model.operation.status import Status
from build_model.report import Progress
from model.errors import DragomanError
from model.fingerprint import MANIFEST

READY_SECONDS = 120
RESTARTS_TOLERATED = 3
"""A replica may meet erroneous input while it starts and end with 65; one that ends more often than this is broken."""
DRAIN_SECONDS = 8
DRAIN_MARGIN_SECONDS = 5


class NothingDeployed(DragomanError):
    """There is no running version to start from."""


class NoPrevious(DragomanError):
    """The running version was the first: there is none to go back to."""


class LabelsFalse(DragomanError):
    """The labels of an image don't say what is inside it."""


class NotReady(DragomanError):
    """A new replica doesn't come up; the old ones go on."""


@dataclass
class Deployer:
    """Does what a plan says."""

    engine: Engine
    progress: Progress
    audit: Audit = field(default_factory=Audit.default)

    def containers(self, name: str) -> list[Container]:
        """All containers of the deployment ``name``, its lock left out."""
        found = self.engine.containers({DEPLOYMENT: name})
        return [one for one in found if one.labels[ROLE] != "lock"]

    def running(self, name: str) -> Running:
        """What serves as ``name``; NothingDeployed when nothing does."""
        replicas = self.engine.containers({DEPLOYMENT: name, ROLE: "replica"})
        running = Running.of(replicas)
        if running is None:
            others = self.others(name)
            known = f" There is {', '.join(others)}: give its --name." if others else ""
            raise NothingDeployed(
                f"Nothing is deployed as {name!r} on this engine.{known} Deploy a version: build-model deploy VERSION."
            )
        return running

    def others(self, name: str) -> list[str]:
        """The other deployments on this engine."""
        replicas = self.engine.containers({ROLE: "replica"})
        return sorted({one.labels[DEPLOYMENT] for one in replicas} - {name})

    def status(self, name: str) -> Status:
        """What runs as ``name``, and whether it is locked."""
        replicas = self.engine.containers({DEPLOYMENT: name, ROLE: "replica"})
        return Status(name, Running.of(replicas), lock.find(self.engine, name))

    def deploy(self, wanted: Deployment, what: str = "deploy") -> Plan:
        """Pull, check, try, start, wait, drain. Any error before the draining leaves what ran before as it was."""
        try:
            done = self._deploy(wanted, what)
        except BaseException as error:
            self.audit.record(
                what, name=wanted.name, image=str(wanted.image), outcome=f"{type(error).__name__}: {error}"
            )
            raise
        outcome = "done" if done.start else "nothing to do"
        self.audit.record(what, name=wanted.name, image=str(wanted.image), outcome=outcome)
        return done

    def _deploy(self, wanted: Deployment, what: str) -> Plan:
        with Broker(wanted.client_amqp_url):
            self.progress.line("The broker answers")
        image = self.engine.pull(wanted.image.pinned, self.progress)
        check_labels(self.engine, image, wanted.image)
        with lock.held(self.engine, wanted.name, wanted.image.pinned, f"{what} {wanted.image}"):
            decided = plan(wanted, self.containers(wanted.name), uuid.uuid4().hex[:6])
            for line in decided.lines():
                self.progress.line(line)
            for leftover in decided.discard:
                self._discard(leftover, wanted.client_amqp_url)
            if decided.start:
                smoke.run(decided.trial, self.engine, self.progress)
                self._cut_over(decided)
        return decided

    def _discard(self, candidate: Container, client_amqp_url: str) -> None:
        self.engine.remove(candidate.id)
        with Broker(client_amqp_url) as broker:
            smoke.delete_queues(broker, candidate.environment["RPC_QUEUE"])

    def _cut_over(self, decided: Plan) -> None:
        with ExitStack() as withdrawal:
            started = []
            for spec in decided.start:
                container = self.engine.create(spec)
                withdrawal.callback(self._withdraw, container)
                started.append((container, spec.name))
                self.engine.start(container)
            for container, name in started:
                self._await_ready(container, name)
            withdrawal.pop_all()  # all are ready: they stay
        for old in decided.drain:
            self._drain(old)

    def _await_ready(self, container: str, name: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready(container):
            state = self.engine.container(container)
            if state.restarts > RESTARTS_TOLERATED or time.monotonic() > deadline:
                words = self.engine.log(container, lines=3).strip()
                raise NotReady(
                    f"{name} is not ready ({state.status}, {state.restarts} restarts); what ran before goes on. "
                    f"Its last words: {words}"
                )
            time.sleep(0.2)
        self.progress.line(f"{name} is ready")

    def _ready(self, container: str) -> bool:
        if self.engine.container(container).status != "running":
            return False
        try:
            return self.engine.execute(container, ("python3", "-m", "service", "health", "ready")) == 0
        except EngineFailed:
            return False  # it ended between the two calls; the next look at its state says so

    def _withdraw(self, container: str) -> None:
        self.engine.stop(container, DRAIN_SECONDS + DRAIN_MARGIN_SECONDS)
        self.engine.remove(container)

    def _drain(self, old: Container) -> None:
        exit_code = self.engine.stop(old.id, math.ceil(_drain_seconds(old)) + DRAIN_MARGIN_SECONDS)
        self.engine.remove(old.id)
        self.progress.line(f"{old.name} ended with {exit_code}")
        self.audit.record("drain", container=old.name, exit_code=exit_code)

    def unlock(self, name: str) -> Container | None:
        """Remove the lock on ``name`` and return it; None when there was none."""
        found = lock.find(self.engine, name)
        if found is not None:
            self.engine.remove(found.id)
            self.audit.record("unlock", name=name, held=found.labels[lock.WHAT], by=found.labels[lock.WHO])
        return found


def resolve(version: str, repository: str, registry_address: str) -> Reference:
    """The image of ``version`` by digest; VersionInvalid, VersionUnknown or RegistryUnreachable."""
    registry = Registry(registry_address)
    return registry.resolve(registry.address.reference(repository, str(Version.parse(version))))


def rollback_target(running: Running, version: str | None) -> Deployment:
    """What a rollback deploys: ``version`` if one is given, else what ran before; settings stay as they are."""
    current = running.deployment
    if version is not None:
        wanted = replace(current.image, tag=str(Version.parse(version)), digest="")
        return replace(current, image=Registry(current.registry).resolve(wanted))
    if running.previous is None:
        raise NoPrevious(
            f"{current.version} is the first version deployed as {current.name!r}; there is none before it. "
            f"Name one: build-model rollback VERSION --name {current.name}."
        )
    return replace(current, image=Registry(current.registry).resolve(running.previous))


def check_labels(engine: Engine, image: Image, reference: Reference) -> None:
    """Compare an image's labels with the manifest inside it and with its tag; LabelsFalse when they differ."""
    if "dragoman.artifact" not in image.labels:
        raise ImageForeign(f"{reference} has no label dragoman.artifact: build-model didn't make it.")
    path = f"/{CHECKPOINT / MANIFEST}"
    manifest = json.loads(engine.read_files(image.id, [path])[path])
    inside = {
        "org.opencontainers.image.version": manifest["version"],
        "dragoman.architecture": manifest["architecture"],
        "dragoman.weights": manifest["weights"],
        "dragoman.langs": langs_digest(manifest["langs"]),
    }
    false = [name for name, value in inside.items() if image.labels.get(name) != value]
    if false or manifest["version"] != reference.tag:
        raise LabelsFalse(
            f"{reference} holds version {manifest['version']}; labels that differ: {', '.join(false) or 'none'}. "
            "It was not made by build-model; build and push the version again under a new number."
        )


def _drain_seconds(container: Container) -> float:
    return float(container.environment.get("DRAIN_SECONDS", DRAIN_SECONDS))
