"""What shall run, and what runs: read from containers and their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from build_model.container import Container
from build_model.image.reference import Reference
from build_model.operation.labels import (
    ACTION,
    AMQP_URL_SECRET,
    CLIENT_AMQP_URL,
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
)
from model.errors import DragomanError


class NoPrevious(DragomanError):
    """The running version was the first: there is none to go back to."""


@dataclass(frozen=True)
class Deployment:
    """What shall run. ``environment`` holds the service's settings, among them ``AMQP_URL`` as a container sees it.

    ``image`` has tag and digest; ``registry`` is its registry's address as it was given, with a scheme if it had one.
    ``memory_bytes`` is what each replica may use.
    """

    name: str
    image: Reference
    registry: str
    replicas: int
    network: str
    environment: Mapping[str, str]
    client_amqp_url: str
    memory_bytes: int | None = None

    @property
    def version(self) -> str:
        """The model version."""
        return self.image.tag


@dataclass(frozen=True)
class Generation:
    """The containers that one deploy started. ``wanted``: how many it meant to; a candidate is none of them."""

    replicas: tuple[Container, ...]
    candidates: tuple[Container, ...]
    wanted: int

    @classmethod
    def of(cls, containers: Sequence[Container]) -> Generation:
        """From the containers of one generation, replicas and candidates."""
        replicas = tuple(sorted((one for one in containers if one.labels[ROLE] == "replica"), key=_age, reverse=True))
        candidates = tuple(one for one in containers if one.labels[ROLE] == "candidate")
        return cls(replicas, candidates, int((replicas or candidates)[0].labels.get(REPLICAS) or len(replicas)))

    @property
    def newest(self) -> Container:
        """The container that was created last."""
        return max(self.replicas + self.candidates, key=_age)

    @property
    def ready(self) -> int:
        """How many replicas run and are ready."""
        return sum(is_ready(one) for one in self.replicas)

    @property
    def whole(self) -> bool:
        """Whether as many replicas as were wanted run and are ready."""
        return 0 < self.wanted <= self.ready

    @property
    def image(self) -> Reference:
        """What it runs."""
        return Reference.parse(self.newest.labels[REFERENCE])

    @property
    def previous(self) -> Reference | None:
        """What ran before it."""
        named = self.newest.labels.get(PREVIOUS)
        return Reference.parse(named) if named else None

    @property
    def deployment(self) -> Deployment:
        """What was deployed."""
        one = self.replicas[0]
        environment = {name: one.environment.get(name, "") for name in one.labels[SETTINGS].split(",") if name}
        if METRICS_PORT in one.labels:  # each replica has a port of its own from there on
            environment["METRICS_PORT"] = one.labels[METRICS_PORT]
        if AMQP_URL_SECRET in one.secrets:
            environment["AMQP_URL"] = one.secrets[AMQP_URL_SECRET]
        stored = one.secrets.get(CLIENT_AMQP_URL_SECRET) or one.labels.get(CLIENT_AMQP_URL)
        return Deployment(
            name=one.labels[DEPLOYMENT],
            image=self.image,
            registry=one.labels[REGISTRY],
            replicas=self.wanted,
            network=one.network,
            environment=environment,
            client_amqp_url=stored or environment["AMQP_URL"],
            memory_bytes=one.memory_bytes,
        )


@dataclass(frozen=True)
class Running:
    """What serves, and what a deploy that was cut off left beside it, oldest first."""

    serving: Generation
    strays: tuple[Generation, ...]

    @classmethod
    def of(cls, containers: Sequence[Container]) -> Running | None:
        """From the containers of one deployment, of any role; None when there is no replica.

        What serves is what runs and is ready. A generation that is whole counts before one that isn't, and the older
        of two: a deploy starts to drain the old replicas only when it has accepted the new ones, so while all of the
        old ones are there, the new ones are not accepted.
        """
        groups: dict[str, list[Container]] = {}
        for one in containers:
            if one.labels[ROLE] in ("replica", "candidate"):
                groups.setdefault(one.labels.get(GENERATION) or one.labels.get(REFERENCE, one.name), []).append(one)
        found = [Generation.of(group) for group in groups.values()]
        generations = sorted((one for one in found if REFERENCE in one.newest.labels), key=lambda one: _age(one.newest))
        generations = [one for one in generations if one.replicas or one.newest.labels.get(ACTION) != "shadow"]
        with_replicas = [one for one in generations if one.replicas]
        if not with_replicas:
            return None
        serving = max(with_replicas, key=lambda one: (one.whole, 0 if one.whole else one.ready))  # the first of equals
        return cls(serving, tuple(one for one in generations if one is not serving))

    @property
    def deployment(self) -> Deployment:
        """What was deployed and serves."""
        return self.serving.deployment

    @property
    def replicas(self) -> tuple[Container, ...]:
        """All replicas that are there, whether they serve or are left over; what serves first."""
        return self.serving.replicas + tuple(one for stray in self.strays for one in stray.replicas)

    @property
    def back(self) -> Reference | None:
        """Where a rollback leads; None where there is nothing to go back to.

        A deploy that was cut off is undone, a rollback that was cut off is finished.
        """
        last = max((self.serving, *self.strays), key=lambda one: _age(one.newest))
        if not self.strays:
            return self.serving.previous
        if last.newest.labels.get(ACTION) == "rollback":
            return last.image
        return self.serving.image if last is not self.serving else self.serving.previous

    def serves(self, wanted: Deployment) -> bool:
        """Whether exactly ``wanted`` serves already, every replica of it up."""
        replicas = self.serving.replicas
        return self.serving.whole and len(replicas) == wanted.replicas and self.deployment == wanted

    def rolled_back(self) -> Deployment:
        """What a rollback deploys: another image, the settings as they are. NoPrevious where there is none."""
        current = self.deployment
        if self.back is None:
            raise NoPrevious(
                f"{current.version} is the first version deployed as {current.name!r}; there is none before it. "
                f"Name one: build-model rollback VERSION --name {current.name}."
            )
        return replace(current, image=self.back)


def is_ready(replica: Container) -> bool:
    """Whether a replica runs and is ready, as far as the engine knows; an image without a health check is."""
    return replica.status == "running" and replica.health in ("healthy", "")


def _age(container: Container) -> str:
    return container.created_at
