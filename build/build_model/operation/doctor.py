"""What `build-model` needs, looked at one by one: what is there, what isn't, and what to do about it.

Nothing is changed. One thing that fails keeps nothing else from being looked at.
"""

from __future__ import annotations

import enum
import os
import platform
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from build_model import report
from build_model.engine import Engine
from build_model.image import login, runtime
from build_model.image.connection import AccessRefused
from build_model.image.reference import Address, is_loopback
from build_model.image.registry import Registry
from build_model.image.runtime import Recipe
from build_model.image.version import Version
from build_model.operation.plan import HOST_NETWORK
from build_model.operation.rpc import Broker
from model.errors import DragomanError
from model.fingerprint import verify
from model.url import each, shown

LOCKS = ("requirements/demo.txt", "requirements/torch.txt")
IMAGE_PYTHON = (3, 11)
OLDEST_ENGINE, OLDEST_BROKER = (20, 10), (3, 8)
ENGINE_BYTES, ENOUGH_BYTES, LEAST_BYTES = 6 * 10**9, 2 * 10**9, 300 * 10**6
"""What a build of the runtime image takes in the engine; what is enough elsewhere, and what no push can do with."""
_ARCHITECTURES = ("x86_64", "amd64")
_SENTENCE = re.compile(r"(?<=[.)`])\s+(?=[A-Z`])")


class State(enum.StrEnum):
    """How it is."""

    ok = "ok"
    warn = "warn"
    fail = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``mend``: what to do, where it isn't ``ok``."""

    what: str
    state: State
    said: str
    mend: str = ""

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"what": self.what, "state": self.state.value, "said": self.said, "mend": self.mend or None}


@dataclass(frozen=True)
class Surroundings:
    """What is to be looked at; an empty address is one that nobody named.

    Attributes:
        root: the clone.
        amqp_url: the broker as a container sees it; ``client_amqp_url`` as this command does, if that is another one.
        network: of the containers.
    """

    root: Path
    checkpoint: Path
    registry: str = ""
    repository: str = ""
    amqp_url: str = field(default="", repr=False)
    client_amqp_url: str = field(default="", repr=False)
    queue: str = "rpc_queue"
    network: str = "bridge"


def examine(around: Surroundings, environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Everything, one finding after the other, as soon as it is known."""
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "python": _python,
        "packages": lambda: _packages(around.root),
        "model": lambda: _model(around),
        "disk": lambda: _disk("disk", around.root, ENOUGH_BYTES),
        "temporary files": lambda: _disk("temporary files", Path(tempfile.gettempdir()), ENOUGH_BYTES),
        "engine": _engine,
        "login": lambda: _login(around, environment),
        "registry": lambda: _registry(around, environment),
        "broker": lambda: _broker(around),
    }
    for what, check in checks.items():
        try:
            yield from check()
        except DragomanError as error:
            yield _of_message(what, State.fail, str(error))
        except OSError as error:
            yield _of_message(what, State.fail, f"{error}.")


def _python() -> Iterator[Finding]:
    version = sys.version_info[:2]
    said = f"Python {platform.python_version()}"
    if version < IMAGE_PYTHON:
        yield Finding("python", State.fail, f"{said} is too old.", "Make the environment anew with Python 3.11.")
    elif version != IMAGE_PYTHON:
        yield Finding(
            "python", State.warn, f"{said}; the image has 3.11.", "Take 3.11 where something fails here only."
        )
    else:
        yield Finding("python", State.ok, said)
    compressor = getattr(zlib, "ZLIBNG_VERSION", "") or zlib.ZLIB_RUNTIME_VERSION
    if getattr(zlib, "ZLIBNG_VERSION", "") or "ng" in compressor:
        yield Finding(
            "zlib",
            State.warn,
            f"zlib-ng {compressor} compresses otherwise than zlib: an image built here has another digest.",
            "Build releases, and `verify --rebuild`, with a Python that has zlib itself.",
        )


def _packages(root: Path) -> Iterator[Finding]:
    locked: dict[str, str] = {}
    for name in LOCKS:
        locked |= dict(re.findall(r"^([A-Za-z][\w.-]*)==([^\s;\\]+)", (root / name).read_text("utf-8"), re.MULTILINE))
    missing, other = [], []
    for name, version in sorted(locked.items()):
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if installed.partition("+")[0] != version.partition("+")[0]:
            other.append(f"{name} {installed} ({version})")
    if missing:
        yield Finding("packages", State.fail, f"Not installed: {', '.join(missing)}.", "Run `make setup` in the clone.")
    elif other:
        said = f"Other versions than the locked ones: {', '.join(other)}."
        yield Finding("packages", State.warn, said, "Run `make setup` in the clone.")
    else:
        yield Finding("packages", State.ok, f"{len(locked)}, all as locked")


def _model(around: Surroundings) -> Iterator[Finding]:
    version = (around.root / "VERSION").read_text("utf-8").strip()
    manifest = verify(around.checkpoint)
    said = (
        f"{version}, {manifest.source}-{manifest.target}, architecture {manifest.architecture[:12]}: code and weights"
    )
    yield Finding("model", State.ok, f"{said} belong together")
    if not (around.root / ".git").exists():
        mend = "Build from a clone with git, or set SOURCE_DATE_EPOCH, where two builds are to be one digest."
        yield Finding(
            "commit", State.warn, f"{around.root} is no clone: an image can't say which commit it is of.", mend
        )


def _disk(what: str, path: Path, enough: int) -> Iterator[Finding]:
    free = shutil.disk_usage(path).free
    said = f"{report.size(free)} free at {path}"
    if free >= enough:
        yield Finding(what, State.ok, said)
        return
    state = State.fail if free < LEAST_BYTES else State.warn
    mend = f"Make room: {report.size(enough)} are enough."
    yield Finding(what, state, f"Only {said}.", f"{mend} `build-model prune` removes old versions' images.")


def _engine() -> Iterator[Finding]:
    engine = Engine.connect()
    about = engine.about()
    kind = f"{about['os']}/{about['architecture']}"
    said = f"{about['name']} {about['version']} at {engine.host}, {kind}, {about['storage']}"
    if about["os"] != "linux" or about["architecture"] not in _ARCHITECTURES:
        yield Finding(
            "engine", State.fail, f"{said}.", "Images are for linux/amd64: name such an engine in DOCKER_HOST."
        )
    elif _numbers(about["version"]) < OLDEST_ENGINE and "podman" not in about["name"].lower():
        yield Finding("engine", State.warn, f"{said}: older than what is tried, 20.10.", "Update it.")
    else:
        yield Finding("engine", State.ok, said)
    root = Path(about["root"])
    if engine.host.startswith("unix://") and root.is_dir():
        yield from _disk("engine's disk", root, ENGINE_BYTES)


def _login(around: Surroundings, environment: Mapping[str, str]) -> Iterator[Finding]:
    if not around.registry:
        return
    host = Address.parse(around.registry).host
    stored = login.stored(host, environment)
    who = f"as {stored.username or 'the owner of a token'}" if stored else "as nobody"
    yield Finding("login", State.ok, f"at {host} {who}")


def _registry(around: Surroundings, environment: Mapping[str, str]) -> Iterator[Finding]:
    if not around.registry:
        mend = (
            "Name one with --registry, DRAGOMAN_REGISTRY, or `registry` in dragoman.toml; `deploy/local up` starts one."
        )
        yield Finding("registry", State.warn, "None is named: images stay in the engine.", mend)
        return
    registry = Registry(around.registry, environment)
    image = registry.address.reference(around.repository)
    versions = Version.all_of(registry.tags(image.repository))
    last = f", the last is {versions[-1]}" if versions else ""
    yield Finding("registry", State.ok, f"{registry.host} has {len(versions)} version(s) of {image.repository}{last}")
    if registry.url.startswith("http://") and not is_loopback(registry.host):
        mend = "Give it a certificate; docs/image.md says where its authority's belongs."
        yield Finding("registry's TLS", State.warn, f"{registry.host} is asked over plain HTTP.", mend)
    try:
        registry.blobs(image.repository).begin_and_cancel()
        yield Finding("push", State.ok, f"{image.repository} can be written")
    except AccessRefused as error:
        yield _of_message("push", State.warn, str(error))
    there = runtime.shared(registry, image, Recipe.read(around.root))
    if there:
        yield Finding("runtime image", State.ok, f"{there.key[:12]} is there: `--push --no-test` needs no engine")
    else:
        mend = "The first push makes it, with the engine; that takes minutes, once for these dependencies."
        yield Finding("runtime image", State.warn, "The registry has none of this clone's dependencies yet.", mend)


def _broker(around: Surroundings) -> Iterator[Finding]:
    url = around.client_amqp_url or around.amqp_url
    if not url:
        mend = (
            "Name one with --amqp-url, DRAGOMAN_AMQP_URL, or `amqp-url` in dragoman.toml; `deploy/local up` starts one."
        )
        yield Finding("broker", State.warn, "None is named.", mend)
        return
    with Broker(url) as broker:
        said = f"{broker.product} at {shown(url)}"
        if _numbers(broker.product) < OLDEST_BROKER:
            yield Finding("broker", State.warn, f"{said}: older than what is tried, 3.10.", "Update it.")
        else:
            yield Finding("broker", State.ok, said)
        consumers = broker.consumers(around.queue)
    if consumers is None:
        mend = "It comes with the first replica: build-model deploy VERSION."
        yield Finding("queue", State.warn, f"There is no {around.queue}.", mend)
    elif not consumers:
        mend = "Deploy a version: build-model deploy VERSION; `build-model status` shows what runs."
        yield Finding("queue", State.warn, f"Nobody serves {around.queue}.", mend)
    else:
        yield Finding("queue", State.ok, f"{around.queue} has {consumers} consumer(s)")
    yield from _seen_by_containers(around)


def _seen_by_containers(around: Surroundings) -> Iterator[Finding]:
    """A container's loopback is its own, and RabbitMQ lets guest in from loopback alone."""
    if not around.amqp_url or around.network == HOST_NETWORK:
        return
    parts = [urlsplit(url) for url in each(around.amqp_url)]
    inside = [str(part.hostname) for part in parts if is_loopback(f"{part.hostname}")]
    if inside:
        mend = "Name an address that a container reaches in --amqp-url, and this one in --client-amqp-url."
        said = f"A container that is told of {inside[0]} looks for the broker inside itself."
        yield Finding("broker's address", State.warn, said, f"{mend} Or deploy with --network host.")
    elif any((part.username or "guest") == "guest" for part in parts):
        mend = "Make a user: rabbitmqctl add_user, set_permissions."
        yield Finding("broker's user", State.warn, "RabbitMQ lets guest in from loopback only.", mend)


def _of_message(what: str, state: State, message: str) -> Finding:
    """From an error's message: its first sentence, and the rest, which says what mends it."""
    first, *rest = _SENTENCE.split(message, maxsplit=1)
    return Finding(what, state, first, rest[0] if rest else "Mend that, and run `build-model doctor` again.")


def _numbers(version: str) -> tuple[int, ...]:
    """The first number in a text, ``3.10.8``, as numbers."""
    match = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
