"""The lock that keeps two deploys of one name apart, from whatever machine they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from build_model.container import Container, ContainerSpec
from build_model.engine import Engine, NameTaken
from build_model.operation.audit import now, who
from build_model.operation.labels import DEPLOYMENT, ROLE
from model.errors import DragomanError

WHO, WHEN, WHAT = "dragoman.lock.who", "dragoman.lock.when", "dragoman.lock.what"
WAIT = ("python3", "-c", "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); signal.pause()")
"""Ends when it is asked to: podman asks before it removes a container, and waits 10 s for one that doesn't heed it."""


class DeployLocked(DragomanError):
    """Another deploy is at work, or one was cut off."""


def spec(name: str, image: str, what: str) -> ContainerSpec:
    """The container that is the lock of a deployment.

    It runs, and does nothing: `docker container prune` and `docker system prune` take what doesn't run, and on engines
    before 23 `docker volume prune` takes every volume that nobody uses.
    """
    labels = {DEPLOYMENT: name, ROLE: "lock", WHO: who(), WHEN: now(), WHAT: what}
    return ContainerSpec(f"{name}-lock", image, "none", True, {}, labels, command=WAIT, memory_bytes=64 << 20)


def find(engine: Engine, name: str) -> Container | None:
    """The lock that is held on ``name``, or None."""
    return next(iter(engine.containers({DEPLOYMENT: name, ROLE: "lock"})), None)


@contextmanager
def held(engine: Engine, name: str, image: str, what: str) -> Iterator[None]:
    """Keep other deploys of ``name`` out: a container's name can be taken only once. DeployLocked if it is taken."""
    try:
        lock = engine.create(spec(name, image, what))
    except NameTaken as error:
        raise DeployLocked(_message(engine, name)) from error
    try:
        engine.start(lock)
        yield
    finally:
        engine.remove(lock)


def _message(engine: Engine, name: str) -> str:
    lock = find(engine, name)
    holder = (
        f"{lock.labels[WHO]} holds it since {lock.labels[WHEN]}: {lock.labels[WHAT]}" if lock else "it was just let go"
    )
    return f"The deployment {name!r} is locked ({holder}). If that deploy was cut off: build-model unlock --name {name}"
