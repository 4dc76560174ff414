"""The runtime image: the base and the locked dependencies, below every model image that was built on the same ones.

The engine builds it, once; the registry then has it for everybody, whatever engine they have, or none.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build_model.engine import Engine
from build_model.image import oci
from build_model.image.base import Base
from build_model.image.connection import AccessRefused
from build_model.image.context import Content, pack
from build_model.image.reference import Reference
from build_model.image.registry import Registry, Stored, labels_of
from build_model.image.wheels import LOCKS, wheelhouse
from build_model.report import Progress

NAME = "runtime"
REPOSITORY = f"dragoman/{NAME}"
BUILDER_LABEL = "dragoman.stage=wheels"
"""What the builder stage is labelled, 1.5 GB that nobody needs once the runtime stage has its part of it."""
PRUNE = "build/build_model/image/prune.py"
KEY, RECIPE = "dragoman.runtime", "dragoman.recipe"
BASE_NAME, BASE_DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
CONFIG_KEYS = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "StopSignal", "User", "Volumes", "WorkingDir")
"""What of an engine's config says how a container runs. The rest names the machine and the hour of the build."""


@dataclass(frozen=True)
class Recipe:
    """What a runtime image is made of beside its base. ``stage`` is its Dockerfile, ``digest`` a sha256 over it all."""

    stage: str
    digest: str

    @classmethod
    def read(cls, root: Path) -> Recipe:
        """That of the repository at ``root``."""
        stage = instructions((root / "Dockerfile").read_text("utf-8"))
        return cls(stage, _hash(stage, *((root / name).read_text("utf-8") for name in (*LOCKS, PRUNE))))


@dataclass(frozen=True)
class Runtime:
    """A runtime image, whether or not it exists yet. ``key`` is a sha256 over all that goes into it."""

    base_name: str
    base_digest: str
    recipe: str
    key: str

    @property
    def reference(self) -> str:
        """What the engine calls it."""
        return str(Reference("", REPOSITORY, self.key))

    @property
    def labels(self) -> dict[str, str]:
        """By which it is known again in a registry."""
        return {BASE_NAME: self.base_name, BASE_DIGEST: self.base_digest, RECIPE: self.recipe, KEY: self.key}


def decide(base: Base, recipe: Recipe) -> Runtime:
    """The runtime image of ``recipe`` on ``base``."""
    return Runtime(base.name, base.digest, recipe.digest, _hash(base.digest, recipe.digest))


def instructions(dockerfile: str) -> str:
    """A Dockerfile without comments and blank lines: those don't make another image."""
    lines = (line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return "".join(f"{line}\n" for line in lines)


def beside(image: Reference, tag: str) -> Reference:
    """The runtime image under ``tag``, beside a model's ``image``: where whoever may push that may push this."""
    namespace, slash, _ = image.repository.rpartition("/")
    return Reference(image.registry, f"{namespace}{slash}{NAME}", tag)


def recipe_tag(recipe: str) -> str:
    """The tag of the runtime image that the registry has for a recipe, whatever base it was first built on."""
    return f"recipe-{recipe}"


def shared(registry: Registry, image: Reference, recipe: Recipe) -> Runtime | None:
    """What the registry has for ``recipe`` beside ``image``, or where most have it; None where it has nothing yet."""
    there = registry.find(beside(image, recipe_tag(recipe.digest)))
    there = there or elsewhere(registry, image, recipe_tag(recipe.digest))
    return of_labels(labels_of(registry.config(there))) if there else None


def elsewhere(registry: Registry, image: Reference, tag: str) -> Stored | None:
    """The runtime image under ``tag`` where most have it in this registry, if that isn't beside ``image`` anyway."""
    usual = Reference(registry.host, REPOSITORY, tag)
    try:
        return registry.find(usual) if usual != beside(image, tag) else None
    except AccessRefused:
        return None  # a registry that lets us into our own namespace only


def of_labels(labels: Mapping[str, str]) -> Runtime:
    """The runtime image that has these labels."""
    return Runtime(labels[BASE_NAME], labels[BASE_DIGEST], labels[RECIPE], labels[KEY])


def healthcheck(stage: str) -> dict[str, Any] | None:
    """How a container of ``stage`` is asked for its health, as an engine's config has that; None where it isn't."""
    found = re.search(r"^HEALTHCHECK (?P<options>.*) CMD (?P<command>\[.*\])$", stage, re.MULTILINE)
    if found is None:
        return None
    options = dict(re.findall(r"--([a-z-]+)=(\d+)s?", found["options"]))
    times = {"Interval": "interval", "Timeout": "timeout", "StartPeriod": "start-period"}
    return {
        "Test": ["CMD", *json.loads(found["command"])],
        **{name: int(options[option]) * 10**9 for name, option in times.items()},
        "Retries": int(options["retries"]),
    }


def config_of(runtime: Runtime, recipe: Recipe, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a runtime image of an engine (its ``attributes``), the same for every engine that built it.

    podman says nothing of how an image is asked for its health, and forgets it of one that it pulled: the recipe knows.
    """
    held = dict(attributes["Config"])
    held["Healthcheck"] = held.get("Healthcheck") or healthcheck(recipe.stage)
    diff_ids = list(attributes["RootFS"]["Layers"])
    history = [{"created_by": f"build-model: runtime {runtime.key[:12]}"} for _ in diff_ids]
    return {
        **oci.PLATFORM,
        "created": "1970-01-01T00:00:00Z",
        "config": {**{key: held[key] for key in CONFIG_KEYS if held.get(key)}, "Labels": runtime.labels},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    }


def build(runtime: Runtime, recipe: Recipe, base_id: str, engine: Engine, root: Path, progress: Progress) -> str:
    """Have the engine build it on the base image ``base_id``; its ID."""
    progress.line(f"Building {runtime.reference} on {runtime.base_name}: once for these dependencies")
    with tempfile.TemporaryDirectory(prefix="dragoman-wheels-") as folder:
        files: dict[str, Content] = {
            "Dockerfile": recipe.stage.encode(),
            "prune.py": root / PRUNE,
            **{f"wheelhouse/{name}": wheel for name, wheel in wheelhouse(root, Path(folder), progress).items()},
        }
        with pack(files) as context:
            image_id = engine.build(
                context,
                tags=[runtime.reference],
                # An ID, not a name: a local image has no registry digest, and the builder would try to pull a name.
                buildargs={"BASE": base_id},
                target="runtime",
                progress=progress,
            )
    engine.prune(BUILDER_LABEL)
    return image_id


def _hash(*parts: str) -> str:
    digests = [hashlib.sha256(part.encode()).hexdigest() for part in parts]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
