"""One replica on one engine: found, started, waited for, drained."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from build_model.container import Container, ContainerSpec
from build_model.engine import ContainerMissing, Engine, EngineFailed
from build_model.operation.labels import AMQP_URL_SECRET, CLIENT_AMQP_URL_SECRET, DEPLOYMENT, ROLE
from model.errors import DragomanError

HEALTH = ("python3", "-m", "service", "health", "ready")
NOT_READY_EXIT = 1
READY_SECONDS = 120
RESTARTS_TOLERATED = 3
"""A replica may meet erroneous input while it starts and end with 65; one that ends more often than this is broken."""
DRAIN_SECONDS = 8
DRAIN_MARGIN_SECONDS = 5


class NotReady(DragomanError):
    """A new replica doesn't come up; the old ones go on."""


@dataclass(frozen=True)
class Replica:
    """A container that a deploy started."""

    engine: Engine
    id: str
    name: str

    @classmethod
    def create(cls, engine: Engine, spec: ContainerSpec) -> Replica:
        """Created, and not started yet."""
        return cls(engine, engine.create(spec), spec.name)

    def start(self) -> None:
        """Start it; ``await_ready`` says when it serves."""
        self.engine.start(self.id)

    def state(self) -> Container:
        """How it is now."""
        return self.engine.container(self.id)

    def last_words(self) -> str:
        """The end of its log."""
        return self.engine.log(self.id, lines=3).strip()

    def await_ready(self) -> None:
        """Return when it serves; NotReady when it ends again and again, or takes longer than READY_SECONDS."""
        deadline = time.monotonic() + READY_SECONDS
        said = ready(self.engine, self.id)
        while said:
            state = self.state()
            if state.restarts > RESTARTS_TOLERATED or time.monotonic() > deadline:
                raise NotReady(
                    f"{self.name} is not ready ({state.status}, {state.restarts} restarts; asked, it said: {said}); "
                    f"what ran before goes on. Its last words: {self.last_words()}"
                )
            time.sleep(0.2)
            said = ready(self.engine, self.id)

    def withdraw(self) -> None:
        """Stop and remove it: it isn't wanted after all."""
        self.engine.stop(self.id, DRAIN_SECONDS + DRAIN_MARGIN_SECONDS)
        self.engine.remove(self.id)


def ready(engine: Engine, container: str) -> str:
    """Why ``container`` isn't ready, in a line; empty when it is."""
    state = engine.container(container)
    if state.status != "running":
        return f"nothing: it is {state.status}"
    try:
        outcome = engine.execute(container, HEALTH)
    except EngineFailed as error:
        return str(error)  # it ended between the two calls, or the engine can't run anything in it
    return "" if outcome.exit_code == 0 else outcome.log.strip() or f"exit code {outcome.exit_code}"


def drain(engine: Engine, old: Container) -> int:
    """Let it finish what it has in hand, then remove it; its exit code."""
    seconds = float(old.environment.get("DRAIN_SECONDS") or DRAIN_SECONDS)
    exit_code = engine.stop(old.id, math.ceil(seconds) + DRAIN_MARGIN_SECONDS)
    engine.remove(old.id)
    return exit_code


def find(engine: Engine, name: str) -> list[Container]:
    """The replicas and candidates of the deployment ``name``, with their secrets, and asked whether they are ready
    where the engine doesn't say so: it asks every few seconds, and on a busy machine in vain."""
    found = []
    for one in engine.containers({DEPLOYMENT: name}):
        if one.labels[ROLE] == "lock":
            continue
        known = replace(one, secrets=engine.secrets(one.id, (AMQP_URL_SECRET, CLIENT_AMQP_URL_SECRET)))
        try:
            asked = one.status == "running" and one.health in ("starting", "unhealthy")
            well = asked and not ready(engine, one.id)
        except ContainerMissing:
            continue
        found.append(replace(known, health="healthy") if well else known)
    return found
