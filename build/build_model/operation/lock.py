"""The lock that keeps two deploys of one name apart, from whatever machine they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from build_model.engine import Container, ContainerSpec, Engine, NameTaken
from build_model.operation.audit import now, who
from build_model.operation.labels import DEPLOYMENT, ROLE
from model.errors import DragomanError

WHO, WHEN, WHAT = "dragoman.lock.who", "dragoman.lock.when", "dragoman.lock.what"


class DeployLocked(DragomanError):
    """Another deploy is at work, or one was cut off."""


def find(engine: Engine, name: str) -> Container | None:
    """The lock that is held on ``name``, or None."""
    return next(iter(engine.containers({DEPLOYMENT: name, ROLE: "lock"})), None)


@contextmanager
def held(engine: Engine, name: str, image: str, what: str) -> Iterator[None]:
    """Keep other deploys of ``name`` out: a container's name can be taken only once. DeployLocked if it is taken."""
    labels = {DEPLOYMENT: name, ROLE: "lock", WHO: who(), WHEN: now(), WHAT: what}
    try:
        lock = engine.create(ContainerSpec(lock_name(name), image, "none", False, {}, labels))
    except NameTaken as error:
        raise DeployLocked(_message(engine, name)) from error
    try:
        yield
    finally:
        engine.remove(lock)


def lock_name(name: str) -> str:
    """The name of the container that is the lock of a deployment."""
    return f"{name}-lock"


def _message(engine: Engine, name: str) -> str:
    lock = find(engine, name)
    holder = (
        f"{lock.labels[WHO]} holds it since {lock.labels[WHEN]}: {lock.labels[WHAT]}" if lock else "it was just let go"
    )
    return f"The deployment {name!r} is locked ({holder}). If that deploy was cut off: build-model unlock --name {name}"
