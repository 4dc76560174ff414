"""Deploying a version and rolling one back: what the plans say is done, on one engine or on several as one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from build_model.container import Container
from build_model.engine import Engine, Image
from build_model.image import login, trust
from build_model.image.artifact import CHECKPOINT, langs_digest
from build_model.image.connection import RegistryUnreachable
from build_model.image.contents import ImageForeign
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.image.signature import PublicKey
from build_model.image.version import Version, is_name
from build_model.operation import lock, replica, smoke, swarm
from build_model.operation import record as records
from build_model.operation import shadow as shadows
from build_model.operation.audit import Audit
from build_model.operation.labels import DEPLOYMENT, ROLE
from build_model.operation.observe import Comparison, observe, serving_of
from build_model.operation.plan import HOST_NETWORK, Plan, plan
from build_model.operation.replica import Replica
from build_model.operation.rpc import Broker
from build_model.operation.running import Deployment, Running
from build_model.operation.status import Status
from build_model.report import Progress
from model.errors import DragomanError
from model.fingerprint import MANIFEST
from model.url import each

OBSERVE_SECONDS = 10.0
NOTHING = "nothing to do"


class NothingDeployed(DragomanError):
    """There is no running version to start from."""


class LabelsFalse(DragomanError):
    """The labels of an image don't say what is inside it."""


@dataclass(frozen=True)
class Rollout:
    """How the new replicas come: all at once, or ``canary`` of them first, and how long each part is watched."""

    canary: int = 0
    observe_seconds: float = OBSERVE_SECONDS

    def steps(self, replicas: int) -> list[tuple[int, float]]:
        """(how many start, how long they are watched then), one after the other, for so many replicas."""
        if not 0 < self.canary < replicas:
            return [(replicas, self.observe_seconds)] if replicas else []
        rest = (replicas - self.canary, min(self.observe_seconds, OBSERVE_SECONDS))
        return [(self.canary, self.observe_seconds), rest]


@dataclass(frozen=True)
class Site:
    """One engine, and what is to be done there."""

    engine: Engine
    plan: Plan


@dataclass(frozen=True)
class Done:
    """A deploy that ended well, and what was seen of the new replicas."""

    sites: tuple[Site, ...]
    seen: tuple[Comparison, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was started."""
        return any(site.plan.start for site in self.sites)

    @property
    def before(self) -> str:
        """What served before, where anything did."""
        return next((named for site in self.sites if (named := site.plan.encode()["previous"])), "")

    def encode(self) -> dict[str, Any]:
        """For ``--json``: the plan; with several engines what was done on all of them."""
        plans = [site.plan.encode() for site in self.sites]
        together = {name: [one for each in plans for one in each[name]] for name in ("started", "drained")}
        hosts = [site.engine.host for site in self.sites] if len(plans) > 1 else []
        observed = [one.encode() for one in self.seen]
        return {**plans[0], **together, "changed": self.changed, "hosts": hosts, "observed": observed}


@dataclass
class Deployer:
    """Does what a plan says. With several engines: on all of them, or on none. With a ``key``, only what it signed."""

    engines: tuple[Engine, ...]
    progress: Progress
    key: PublicKey | None = None
    audit: Audit = field(default_factory=Audit.default)

    def running(self, name: str) -> Running:
        """What serves as ``name``, on the first engine where something does; NothingDeployed when nothing does."""
        for engine in self.engines:
            running = Running.of(replica.find(engine, name))
            if running is not None:
                return running
        others = sorted({other for engine in self.engines for other in self.others(engine, name)})
        known = f" There is {', '.join(others)}: give its --name." if others else ""
        raise NothingDeployed(
            f"Nothing is deployed as {name!r} on this engine.{known} Deploy a version: build-model deploy VERSION."
        )

    @staticmethod
    def others(engine: Engine, name: str) -> list[str]:
        """The other deployments on ``engine``."""
        return sorted({one.labels[DEPLOYMENT] for one in engine.containers({ROLE: "replica"})} - {name})

    @staticmethod
    def status(engine: Engine, name: str) -> Status:
        """What runs as ``name`` on ``engine``, and whether it is locked."""
        found = replica.find(engine, name)
        return Status(name, Running.of(found), lock.find(engine, name), serving_of(engine, found))

    def rolled_back(self, name: str, version: str | None) -> Deployment:
        """What a rollback deploys: ``version`` if one is given, else what ran before; settings stay as they are."""
        running = self.running(name)
        if version is None:
            return running.rolled_back()
        current = running.deployment
        wanted = replace(current.image, tag=str(Version.parse(version)), digest="")
        try:
            return replace(current, image=Registry(current.registry).resolve(wanted))
        except RegistryUnreachable:
            known = self.engines[0].digests(wanted.name, wanted.tag)
            if len(known) != 1:
                raise
            self.progress.line(f"The registry doesn't answer; the engine has {wanted}")
            return replace(current, image=replace(wanted, digest=known[0]))

    def deploy(self, wanted: Deployment, what: str = "deploy", rollout: Rollout | None = None) -> Done:
        """Pull, check, try, start, wait, observe, drain. Any error before the draining leaves what ran as it was."""
        with self._recorded(what, wanted) as facts:
            each(wanted.environment["AMQP_URL"], "The broker's URL for containers")
            with Broker(wanted.client_amqp_url):
                self.progress.line("The broker answers")
            for engine in self.engines:
                check_labels(engine, self._obtain(engine, wanted.image), wanted.image)
            with ExitStack() as locks:
                for engine in sorted(self.engines, key=lambda one: one.host):
                    locks.enter_context(lock.held(engine, wanted.name, wanted.image.pinned, f"{what} {wanted.image}"))
                done = self._work(self._decide(wanted, what), rollout or Rollout())
            facts["outcome"] = "done" if done.changed else NOTHING
            facts["before"] = done.before
            facts["observed"] = [one.encode() for one in done.seen]
        return done

    def to_swarm(self, wanted: Deployment, observe_seconds: float) -> swarm.Rolled:
        """As ``deploy``, but what runs is a service of the swarm that the first engine manages."""
        with self._recorded("deploy", wanted) as facts:
            engine = self.engines[0]
            check_labels(engine, self._obtain(engine, wanted.image), wanted.image)
            done = swarm.deploy(engine, wanted, observe_seconds, self.progress)
            facts["outcome"] = "done"
        return done

    def back_in_swarm(self, name: str, observe_seconds: float) -> swarm.Rolled:
        """As ``rolled_back`` and ``deploy``, in the swarm that the first engine manages."""
        service = swarm.running(self.engines[0], name)
        back = swarm.rolled_back(service, name)
        image = str(back)
        try:
            self._trusted(back, swarm.registry_of(service, back))
            done = swarm.roll_back(self.engines[0], name, observe_seconds, self.progress)
        except BaseException as error:
            self.audit.record("rollback", name=name, image=image, outcome=f"{type(error).__name__}: {error}")
            raise
        self.audit.record("rollback", name=name, image=image, outcome="done")
        return done

    def shadow(self, wanted: Deployment, seconds: float) -> shadows.Report:
        """Let a replica of ``wanted`` answer copies of requests for so long, and change nothing. On the first engine.

        Raises NothingDeployed where nothing serves to compare it with.
        """
        with self._recorded("shadow", wanted) as facts:
            engine, running = self.engines[0], self.running(wanted.name)
            check_labels(engine, self._obtain(engine, wanted.image), wanted.image)
            with lock.held(engine, wanted.name, wanted.image.pinned, f"shadow {wanted.image}"):
                generation = uuid.uuid4().hex[:6]
                decided = plan(wanted, replica.find(engine, wanted.name), generation, "shadow")
                smoke.run(decided.trial, engine, self.progress)
                serving = running.deployment.environment.get("RPC_QUEUE", "rpc_queue")
                queue = f"{wanted.name}-shadow-{generation}"
                shadow = Replica.create(engine, shadows.spec(decided, queue))
                with ExitStack() as withdrawal:
                    withdrawal.callback(_delete_queues, wanted.client_amqp_url, queue)
                    withdrawal.callback(shadow.withdraw)
                    shadow.start()
                    shadow.await_ready()
                    with Broker(wanted.client_amqp_url) as broker:
                        seen = shadows.compare(broker, serving, queue, seconds, self.progress)
            facts["outcome"] = seen.line
        return seen

    @contextmanager
    def _recorded(self, what: str, wanted: Deployment) -> Iterator[dict[str, Any]]:
        """The audit log gets what came of it, and nothing secret."""
        facts: dict[str, Any] = {"name": wanted.name, "image": str(wanted.image)}
        secrets = (wanted.environment["AMQP_URL"], wanted.client_amqp_url)
        try:
            self._trusted(wanted.image, wanted.registry)
            yield facts
        except BaseException as error:
            facts["outcome"] = f"{type(error).__name__}: {error}"
            raise
        finally:
            entry = self.audit.record(what, secrets, **facts)
            if facts["outcome"] != NOTHING:
                self._leave_record(wanted, entry)

    def _trusted(self, image: Reference, address: str) -> None:
        """Where a signature is required: what ``trust.check`` raises unless the key signed ``image``."""
        if self.key:
            trust.check(Registry(address), image, self.key)
            self.progress.line(f"{image} is signed by the key that is required")

    def _leave_record(self, wanted: Deployment, entry: dict[str, Any]) -> None:
        """In the registry too, for other machines. What was done is done, whether it can be written there or not."""
        hosts = ", ".join(engine.host for engine in self.engines)
        try:
            records.leave(wanted.registry, wanted.image, {**entry, "hosts": hosts})
        except DragomanError as error:
            self.progress.line(f"The registry keeps no record of it: {error}")

    def _decide(self, wanted: Deployment, what: str) -> tuple[Site, ...]:
        generation = uuid.uuid4().hex[:6]
        sites = tuple(
            Site(engine, plan(wanted, replica.find(engine, wanted.name), generation, what, _ports(engine)))
            for engine in self.engines
        )
        for site in sites:
            where = f"{site.engine.host}: " if len(sites) > 1 else ""
            for line in site.plan.lines():
                self.progress.line(where + line)
        return sites

    def _work(self, sites: tuple[Site, ...], rollout: Rollout) -> Done:
        for site in sites:
            for leftover in site.plan.discard:
                _discard(site.engine, leftover, site.plan.deployment.client_amqp_url)
            for stray in site.plan.clear:
                self._drain(site.engine, stray)
        for site in sites:
            if site.plan.start:
                steady_seconds = min(rollout.observe_seconds, OBSERVE_SECONDS)
                trial = replace(site.plan.trial, steady_seconds=steady_seconds)
                smoke.run(trial, site.engine, self.progress)
        seen = self._cut_over(sites, rollout)
        for site in sites:
            for old in site.plan.drain:
                self._drain(site.engine, old)
        return Done(sites, tuple(seen))

    def _cut_over(self, sites: tuple[Site, ...], rollout: Rollout) -> list[Comparison]:
        """Start the new replicas and watch them; whatever fails, they are withdrawn."""
        waiting = [(site.engine, spec) for site in sites for spec in site.plan.start]
        old = [Replica(site.engine, one.id, one.name) for site in sites if site.plan.start for one in site.plan.drain]
        seen: list[Comparison] = []
        started: list[Replica] = []
        with ExitStack() as withdrawal:
            for count, seconds in rollout.steps(len(waiting)):
                coming: list[Replica] = []
                for engine, spec in waiting[len(started) : len(started) + count]:
                    coming.append(Replica.create(engine, spec))
                    withdrawal.callback(coming[-1].withdraw)
                    self.progress.line(f"Starting {spec.name}")
                    coming[-1].start()
                for one in coming:
                    one.await_ready()
                    self.progress.line(f"{one.name} is ready")
                started += coming
                seen.append(observe(started, old, seconds, self.progress))
            withdrawal.pop_all()  # they stay
        return seen

    def _obtain(self, engine: Engine, image: Reference) -> Image:
        """From the engine where it has the digest, which can't be anything else; from the registry where not."""
        return engine.image(image.pinned) or engine.pull(image.pinned, self.progress, login.for_engine(image.registry))

    def _drain(self, engine: Engine, old: Container) -> None:
        exit_code = replica.drain(engine, old)
        self.progress.line(f"{old.name} ended with {exit_code}")
        self.audit.record("drain", name=old.labels[DEPLOYMENT], container=old.name, exit_code=exit_code)

    def unlock(self, name: str) -> Container | None:
        """Remove the lock on ``name`` and return it; None when there was none."""
        last = None
        for engine in self.engines:
            found = lock.find(engine, name)
            if found is not None:
                last = found
                engine.remove(found.id)
                self.audit.record("unlock", name=name, held=found.labels[lock.WHAT], by=found.labels[lock.WHO])
        return last


def _ports(engine: Engine) -> frozenset[int]:
    """Where replicas on the host's network serve their metrics."""
    replicas = [one for one in engine.containers({ROLE: "replica"}) if one.network == HOST_NETWORK]
    given = [one.environment.get("METRICS_PORT", "") for one in replicas]
    return frozenset(int(port) for port in given if port.isdigit())


def _discard(engine: Engine, candidate: Container, client_amqp_url: str) -> None:
    engine.remove(candidate.id)
    _delete_queues(client_amqp_url, candidate.environment["RPC_QUEUE"])


def _delete_queues(client_amqp_url: str, queue: str) -> None:
    with Broker(client_amqp_url) as broker:
        smoke.delete_queues(broker, queue)


def resolve(version: str, repository: str, registry_address: str) -> Reference:
    """The image of ``version``, or of a name such as ``production``, by digest and under its version.

    Raises VersionInvalid, VersionUnknown or RegistryUnreachable.
    """
    registry = Registry(registry_address)
    if not is_name(version):
        return registry.resolve(registry.address.reference(repository, str(Version.parse(version))))
    named = registry.resolve(registry.address.reference(repository, version))
    inside = registry.labels(named).get("org.opencontainers.image.version", "")
    return replace(named, tag=str(Version.parse(inside)))  # what is recorded is what it was then


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
