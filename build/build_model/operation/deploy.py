"""Deploying a version and rolling one back: what to do is decided as a value, then done.

All state lives in the labels of containers, so any machine that reaches the engine can go on from there.
"""

from __future__ import annotations

import getpass
import json
import math
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from build_model.engine import Container, ContainerSpec, Engine, EngineFailed, Image, NameTaken
from build_model.image.artifact import CHECKPOINT, langs_digest
from build_model.image.reference import Reference
from build_model.image.registry import ImageForeign, Registry
from build_model.image.version import Version
from build_model.operation import smoke
from build_model.operation.rpc import Broker, without_password
from build_model.report import Progress
from model.errors import DragomanError
from model.fingerprint import MANIFEST

DEPLOYMENT, ROLE = "dragoman.deployment", "dragoman.role"
REFERENCE, PREVIOUS = "dragoman.reference", "dragoman.previous"
REGISTRY, CLIENT_AMQP_URL, SETTINGS = "dragoman.registry", "dragoman.client-amqp-url", "dragoman.settings"
WHO, WHEN, WHAT = "dragoman.lock.who", "dragoman.lock.when", "dragoman.lock.what"

READY_SECONDS = 120
RESTARTS_TOLERATED = 3
"""A replica may meet erroneous input while it starts and end with 65; one that ends more often than this is broken."""
DRAIN_SECONDS = 8
DRAIN_MARGIN_SECONDS = 5


class DeployLocked(DragomanError):
    """Another deploy is at work, or one was cut off."""


class NothingDeployed(DragomanError):
    """There is no running version to start from."""


class NoPrevious(DragomanError):
    """The running version was the first: there is none to go back to."""


class LabelsFalse(DragomanError):
    """The labels of an image don't say what is inside it."""


class NotReady(DragomanError):
    """A new replica doesn't come up; the old ones go on."""


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
            *(f"drain {one.name} ({_tag(one)})" for one in self.drain),
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


@dataclass(frozen=True)
class Status:
    """What ``build-model status`` shows. ``reference`` is None when nothing is deployed."""

    name: str
    running: Running | None
    lock: Container | None

    @property
    def reference(self) -> Reference | None:
        """The image of the newest replica."""
        return self.running.deployment.image if self.running else None

    @property
    def replicas(self) -> tuple[Container, ...]:
        """All replicas, newest first."""
        return self.running.replicas if self.running else ()

    def facts(self) -> list[tuple[str, str]]:
        """For a person: what isn't about one replica."""
        facts = []
        if self.running:
            queue = self.running.deployment.environment.get("RPC_QUEUE", "rpc_queue")
            broker = without_password(self.running.deployment.environment["AMQP_URL"])
            facts += [("rollback to", str(self.running.previous or "nothing")), ("queue", f"{queue} at {broker}")]
        if self.lock:
            facts.append(
                ("locked", f"by {self.lock.labels[WHO]} since {self.lock.labels[WHEN]}: {self.lock.labels[WHAT]}")
            )
        return facts

    def rows(self) -> list[tuple[str, ...]]:
        """For a person: name, version, state, restarts and start of each replica."""
        return [
            (
                one.name,
                _tag(one),
                " ".join(filter(None, (one.status, one.health))),
                str(one.restarts),
                one.started_at[:19],
            )
            for one in self.replicas
        ]

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        previous = self.running.previous if self.running else None
        return {
            "name": self.name,
            "reference": str(self.reference) if self.reference else None,
            "version": self.reference.tag if self.reference else None,
            "previous": str(previous) if previous else None,
            "replicas": [
                {
                    "name": one.name,
                    "version": _tag(one),
                    "status": one.status,
                    "health": one.health,
                    "restarts": one.restarts,
                    "started_at": one.started_at,
                }
                for one in self.replicas
            ],
            "lock": {label: self.lock.labels[label] for label in (WHO, WHEN, WHAT)} if self.lock else None,
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


@dataclass(frozen=True)
class Audit:
    """One JSON line per action that changes what runs, appended to ``path``. No secrets."""

    path: Path

    @classmethod
    def default(cls) -> Audit:
        """``dragoman/audit.jsonl`` in the user's state folder (XDG)."""
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return cls(Path(state) / "dragoman" / "audit.jsonl")

    def check(self) -> None:
        """Fails where ``record`` would, before anything is done that has to be recorded."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.open("a").close()

    def record(self, what: str, **facts: Any) -> None:
        """Append ``what`` with the time and who did it."""
        self.check()
        line = {"at": _now(), "who": _who(), "what": what, **facts}
        with self.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line, ensure_ascii=False) + "\n")


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
        return Status(name, Running.of(replicas), self.lock(name))

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
        with self.locked(wanted, what):
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

    @contextmanager
    def locked(self, wanted: Deployment, what: str) -> Iterator[None]:
        """Keep other deploys of the same name out, from any machine: a container's name can be taken only once."""
        labels = {
            DEPLOYMENT: wanted.name,
            ROLE: "lock",
            WHO: _who(),
            WHEN: _now(),
            WHAT: f"{what} {wanted.image}",
        }
        spec = ContainerSpec(lock_name(wanted.name), wanted.image.pinned, "none", False, {}, labels)
        try:
            lock = self.engine.create(spec)
        except NameTaken as error:
            raise DeployLocked(self._lock_message(wanted.name)) from error
        try:
            yield
        finally:
            self.engine.remove(lock)

    def lock(self, name: str) -> Container | None:
        """The lock that is held on ``name``, or None."""
        return next(iter(self.engine.containers({DEPLOYMENT: name, ROLE: "lock"})), None)

    def unlock(self, name: str) -> Container | None:
        """Remove the lock on ``name`` and return it; None when there was none."""
        lock = self.lock(name)
        if lock is not None:
            self.engine.remove(lock.id)
            self.audit.record("unlock", name=name, held=lock.labels[WHAT], by=lock.labels[WHO])
        return lock

    def _lock_message(self, name: str) -> str:
        lock = self.lock(name)
        held = (
            f"{lock.labels[WHO]} holds it since {lock.labels[WHEN]}: {lock.labels[WHAT]}"
            if lock
            else "it was just let go"
        )
        return (
            f"The deployment {name!r} is locked ({held}). If that deploy was cut off: build-model unlock --name {name}"
        )


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


def lock_name(name: str) -> str:
    """The name of the container that is the lock of a deployment."""
    return f"{name}-lock"


def _tag(replica: Container) -> str:
    return Reference.parse(replica.labels[REFERENCE]).tag


def _drain_seconds(container: Container) -> float:
    return float(container.environment.get("DRAIN_SECONDS", DRAIN_SECONDS))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"
