"""What ``build-model status`` shows of a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from build_model.container import Container
from build_model.image.reference import Reference
from build_model.operation.labels import version_of
from build_model.operation.lock import WHAT, WHEN, WHO
from build_model.operation.running import Running
from model.url import shown


def served(said: Mapping[str, Any]) -> str:
    """Which search serves, and how fast it was, in words."""
    if not said.get("path"):
        return "?"
    return f"{said['path']}, {said['sentences_per_second']:g} sentences/s"


@dataclass(frozen=True)
class Status:
    """What ``build-model status`` shows. ``reference`` is None when nothing is deployed.

    Attributes:
        serving: of a replica that runs, by its ID: the ``path`` of its search and the ``sentences_per_second`` of its
            self-test. Images before 2.1 say nothing.
    """

    name: str
    running: Running | None
    lock: Container | None
    serving: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def reference(self) -> Reference | None:
        """The image of what serves."""
        return self.running.serving.image if self.running else None

    @property
    def replicas(self) -> tuple[Container, ...]:
        """All replicas; what serves first."""
        return self.running.replicas if self.running else ()

    def facts(self) -> list[tuple[str, str]]:
        """For a person: what isn't about one replica."""
        facts = []
        if self.running:
            queue = self.running.deployment.environment.get("RPC_QUEUE", "rpc_queue")
            broker = shown(self.running.deployment.environment["AMQP_URL"])
            facts += [("rollback to", str(self.running.back or "nothing")), ("queue", f"{queue} at {broker}")]
            left = [one.name for stray in self.running.strays for one in stray.replicas]
            if left:
                facts.append(("left by a deploy that was cut off", ", ".join(left)))
        if self.lock:
            facts.append(
                ("locked", f"by {self.lock.labels[WHO]} since {self.lock.labels[WHEN]}: {self.lock.labels[WHAT]}")
            )
        return facts

    def rows(self) -> list[tuple[str, ...]]:
        """For a person: name, version, state, restarts, start and search of each replica."""
        return [
            (
                one.name,
                version_of(one),
                " ".join(filter(None, (one.status, one.health))),
                str(one.restarts),
                one.started_at[:19],
                served(self.serving.get(one.id, {})),
            )
            for one in self.replicas
        ]

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        serving = self.running.serving.replicas if self.running else ()
        previous = self.running.back if self.running else None
        return {
            "name": self.name,
            "reference": str(self.reference) if self.reference else None,
            "version": self.reference.tag if self.reference else None,
            "previous": str(previous) if previous else None,
            "replicas": [
                {
                    "name": one.name,
                    "serves": one in serving,
                    "version": version_of(one),
                    "status": one.status,
                    "health": one.health,
                    "restarts": one.restarts,
                    "metrics_port": one.environment.get("METRICS_PORT"),
                    "started_at": one.started_at,
                    "path": self.serving.get(one.id, {}).get("path"),
                    "sentences_per_second": self.serving.get(one.id, {}).get("sentences_per_second"),
                }
                for one in self.replicas
            ],
            "lock": {label: self.lock.labels[label] for label in (WHO, WHEN, WHAT)} if self.lock else None,
        }
