"""The model image: what goes into it, decided as a value; then built, tested, tagged and pushed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from build_model.engine import Engine
from build_model.image import artifact, runtime
from build_model.image import version as versions
from build_model.image.artifact import CHECKPOINT, Artifact, Layers
from build_model.image.blobs import BlobMissing
from build_model.image.context import Content, pack
from build_model.image.inspection import ImageForeign, Inspection, inspect, layer_names
from build_model.image.reference import Address, Reference
from build_model.image.registry import Registry, VersionUnknown
from build_model.image.runtime import Runtime
from build_model.image.version import Version
from build_model.report import Progress
from model.errors import DragomanError
from model.fingerprint import MANIFEST, Manifest

REPOSITORY = "dragoman/fra-eng"
STAGE = "ARG RUNTIME=runtime\n"
"""Where the model image's part of the Dockerfile begins. The classic builder would run every stage above it too, so
only the text from here on is sent to it, with the runtime image's ID for ``RUNTIME``."""
SELF_TEST_SECONDS = 300


class DockerfileInvalid(DragomanError):
    """The Dockerfile has no part for the model image."""


class SelfTestFailed(DragomanError):
    """The finished image fails its own self-test."""


class TagExists(DragomanError):
    """The registry already has this version with other content."""


@dataclass(frozen=True)
class Source:
    """Where the code comes from; both empty where that isn't known. ``revision`` ends in ``-dirty`` before a commit."""

    revision: str
    url: str

    @classmethod
    def of(cls, root: Path) -> Source:
        """Asks git about the clone at ``root``."""
        revision = _git(root, "rev-parse", "HEAD")
        changed = revision and _git(root, "status", "--porcelain", "--", "model", "service", "Dockerfile")
        url = _git(root, "remote", "get-url", "origin")
        return cls(f"{revision}-dirty" if changed else revision, url if url.startswith("https://") else "")


@dataclass(frozen=True)
class Plan:
    """An image before it exists: everything that decides its bytes, and its names."""

    version: Version
    references: tuple[Reference, ...]
    runtime: Runtime
    layers: Layers
    labels: Mapping[str, str]
    dockerfile: str

    @property
    def identity(self) -> str:
        """The label ``dragoman.artifact``."""
        return self.labels["dragoman.artifact"]

    @property
    def shared_runtime(self) -> Reference | None:
        """What the registry calls the runtime image: it lies beside the model's, where whoever may push that may push
        this. None without a registry."""
        image = self.references[-1]
        if not image.registry:
            return None
        namespace, slash, _ = image.repository.rpartition("/")
        return Reference(image.registry, f"{namespace}{slash}{runtime.NAME}", self.runtime.key)

    def context(self) -> dict[str, Content]:
        """The build context: a Dockerfile and one tree per layer."""
        trees = {"model-layer": self.layers.model, "code-layer": self.layers.code}
        files: dict[str, Content] = {"Dockerfile": self.dockerfile.encode()}
        return files | {f"{tree}/{path}": content for tree, held in trees.items() for path, content in held.items()}

    def encode(self) -> dict[str, Any]:
        """For ``--dry-run --json``."""
        return {
            "version": str(self.version),
            "references": [str(reference) for reference in self.references],
            "runtime": self.runtime.reference,
            "labels": dict(sorted(self.labels.items())),
            "files": self.layers.digests(),
        }


@dataclass(frozen=True)
class Built:
    """An image as the engine has it. ``layers`` is (what it holds, bytes on disk), lowest first."""

    image_id: str
    layers: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Order:
    """What was asked of ``build-model --version``. An empty ``registry`` means the engine alone."""

    version: Version
    checkpoint: Path
    registry: str = ""
    push: bool = False
    repository: str = REPOSITORY
    base_image: str | None = None


@dataclass(frozen=True)
class Made:
    """What came of an order. ``built`` is None if nothing was built, ``digest`` is empty if nothing was pushed."""

    plan: Plan
    built: Built | None
    digest: str
    warning: str | None

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        layers = self.built.layers if self.built else ()
        return {
            "reference": str(self.plan.references[-1]),
            "version": str(self.plan.version),
            "image": self.built.image_id if self.built else None,
            "digest": self.digest or None,
            "built": self.built is not None,
            "layers": [{"holds": holds, "bytes": count} for holds, count in layers],
            "architecture": self.plan.labels["dragoman.architecture"],
            "artifact": self.plan.identity,
            "warning": self.warning,
        }


def prepare(order: Order, root: Path, artifacts: Path, engine: Engine, progress: Progress) -> tuple[Plan, str | None]:
    """Check the checkpoint against the code, write the artifact below ``artifacts``, plan its image; and a warning."""
    progress.line(f"Checking {order.checkpoint} against the code")
    artifact.check(order.checkpoint)
    held = artifact.write(order.checkpoint, order.version, artifacts / str(order.version))
    base = runtime.resolve(engine, root, progress, base_image=order.base_image)
    registry = Registry(order.registry) if order.registry else None
    planned = plan(
        held,
        order.version,
        base,
        Source.of(root),
        root,
        repository=order.repository,
        registry=registry.address if registry else None,
    )
    return planned, predecessor_warning(planned, engine, registry)


def make(order: Order, root: Path, artifacts: Path, engine: Engine, progress: Progress) -> Made:
    """Checkpoint -> artifact -> image -> tag -> registry. A version that the registry has is never overwritten."""
    planned, warning = prepare(order, root, artifacts, engine, progress)
    if order.push:
        digest = standing(planned, Registry(order.registry))
        if digest:
            return Made(planned, None, digest, warning)
    base = runtime.ensure(
        engine,
        planned.runtime,
        root,
        shared=planned.shared_runtime,
        registry=Registry(order.registry) if order.registry else None,
        push=order.push,
        progress=progress,
    )
    built = build(planned, engine, base, progress)
    digest = engine.push(str(planned.references[-1]), progress) if order.push else ""
    return Made(planned, built, digest, warning)


def plan(
    held: Artifact,
    version: Version,
    base: Runtime,
    source: Source,
    root: Path,
    *,
    repository: str = REPOSITORY,
    registry: Address | None = None,
) -> Plan:
    """Decide the image of the artifact ``held``. Reads files below ``root``, asks nobody."""
    local = Reference("", repository, str(version))
    files = artifact.layers(held, root)
    labels = _labels(held.manifest, version, base, source, artifact.identity(files.digests(), base.key))
    return Plan(
        version=version,
        references=(local, registry.reference(repository, str(version))) if registry else (local,),
        runtime=base,
        layers=files,
        labels=labels,
        dockerfile=stage((root / "Dockerfile").read_text("utf-8")),
    )


def stage(dockerfile: str) -> str:
    """The part of the Dockerfile that makes the model image."""
    _, marker, after = dockerfile.partition(STAGE)
    if not marker:
        raise DockerfileInvalid(
            f"The Dockerfile has no line {STAGE.strip()!r}, where the model image's part begins. Put it back."
        )
    return marker + after


def build(plan: Plan, engine: Engine, runtime_id: str, progress: Progress) -> Built:
    """Build, test and only then name the image: a reference never stands for an image that failed its self-test."""
    progress.line(f"Building {plan.references[0]} on {plan.runtime.reference}")
    with pack(plan.context()) as context:
        image_id = engine.build(
            context, tags=[], labels=plan.labels, buildargs={"RUNTIME": runtime_id}, progress=progress
        )
    self_test(engine, image_id, progress)
    for reference in plan.references:
        engine.tag(image_id, str(reference))
    sizes = [size for _, size in engine.layer_sizes(image_id)]
    return Built(image_id, tuple(zip(layer_names(len(sizes)), sizes, strict=True)))


def self_test(engine: Engine, image_id: str, progress: Progress) -> None:
    """Verify and translate the goldens inside the image, with no network; SelfTestFailed with its last words."""
    progress.line("Testing it: hashes and goldens, inside, with no network")
    command = ("python3", "-m", "service", "self-test")
    outcome = engine.run_to_end(image_id, command, network="none", seconds=SELF_TEST_SECONDS)
    if outcome.exit_code:
        raise SelfTestFailed(
            f"`{' '.join(command)}` inside the image ended with {outcome.exit_code}: {_last_line(outcome.log)}\n"
            "The image was not tagged. The checkpoint passes on this machine: look for what the image has otherwise."
        )


def standing(plan: Plan, registry: Registry) -> str | None:
    """The digest under which the registry already has exactly this, or None when the version is free.

    Raises TagExists when it has other content under this version.
    """
    reference = plan.references[-1]
    try:
        there = inspect(registry, reference)
    except VersionUnknown:
        return None
    except (ImageForeign, BlobMissing) as error:
        raise TagExists(f"{error} A pushed version is never overwritten. Choose another version.") from error
    if there.labels["dragoman.artifact"] == plan.identity:
        return there.digest
    listed = "".join(f"\n  {line}" for line in differences(plan, there))
    raise TagExists(
        f"{reference} is already in the registry with other content. What differs:{listed}\n"
        f"A pushed version is never overwritten. Choose another version: build-model --version {_next(plan.version)} …"
    )


def differences(plan: Plan, there: Inspection) -> list[str]:
    """One line per file, and one for the runtime, that is not the same here and in the registry."""
    ours, theirs = plan.layers.digests(), there.digests
    lines = [
        f"{path}: {_short(ours.get(path))} here, {_short(theirs.get(path))} there"
        for path in sorted({*ours, *theirs})
        if ours.get(path) != theirs.get(path)
    ]
    key = there.labels.get("dragoman.runtime", "")
    if key != plan.runtime.key:
        lines.append(f"runtime: {_short(plan.runtime.key)} here, {_short(key)} there")
    return lines


def predecessor_warning(plan: Plan, engine: Engine, registry: Registry | None) -> str | None:
    """What ``version.warning`` says about the step from the version before this one; None without one.

    It is looked for in the registry, or else in the engine. One that can't be read any more is a warning too: it
    doesn't stop a new version.
    """
    image = plan.references[-1]
    tags = registry.tags(image.repository) if registry else engine.tags(image.repository)
    earlier = [one for one in versions.Version.all_of(tags) if one < plan.version]
    if not earlier:
        return None
    before = replace(image, tag=str(earlier[-1]))
    try:
        labels = registry.labels(before) if registry else _local_labels(engine, before)
    except (BlobMissing, VersionUnknown, ImageForeign) as error:
        return f"whether {plan.version} is the right number after {before.tag} can't be told: {error}"
    return versions.warning(plan.version, _content(plan.labels), earlier[-1], _content(labels))


def _local_labels(engine: Engine, reference: Reference) -> Mapping[str, str]:
    image = engine.image(str(reference))
    if image is None:
        raise VersionUnknown(f"The engine has no image {reference}.")
    return image.labels


def inspect_local(engine: Engine, reference: Reference) -> Inspection:
    """As ``Registry.inspect``, for an image that the engine has; its layers are as large as they are on disk."""
    image = engine.image(str(reference))
    if image is None:
        version = "" if reference.tag or reference.digest else ":VERSION"
        raise VersionUnknown(
            f"The engine has no image {reference}. Name its {'version, or its ' if version else ''}registry to inspect "
            f"it there: HOST:PORT/{reference}{version}."
        )
    if "dragoman.artifact" not in image.labels:
        raise ImageForeign(f"{reference} has no label dragoman.artifact: build-model didn't make it.")
    path = f"/{CHECKPOINT / MANIFEST}"
    manifest = json.loads(engine.read_files(image.id, [path])[path])
    sizes = [size for _, size in engine.layer_sizes(image.id)]
    return Inspection(
        reference=str(reference),
        digest=image.id,
        labels=image.labels,
        manifest=manifest,
        layers=tuple(zip(layer_names(len(sizes)), sizes, strict=True)),
        compressed=False,
        digests={},
    )


def _labels(manifest: Manifest, version: Version, base: Runtime, source: Source, content: str) -> dict[str, str]:
    opencontainers = {
        "version": str(version),
        "revision": source.revision,
        "source": source.url,
        "title": f"dragoman {manifest.source}-{manifest.target}",
        "description": "A French-to-English translation model with its code, vocabularies and RabbitMQ service",
        "licenses": "Apache-2.0",
        "base.name": base.base_name,
        "base.digest": base.base_digest,
    }
    dragoman = {
        "architecture": manifest.architecture,
        "weights": manifest.weights,
        "langs": artifact.langs_digest(manifest.langs),
        "artifact": content,
        "runtime": base.key,
    }
    return {f"org.opencontainers.image.{name}": value for name, value in opencontainers.items() if value} | {
        f"dragoman.{name}": value for name, value in dragoman.items()
    }


def _content(labels: Mapping[str, str]) -> versions.Content:
    return versions.Content(*(labels.get(f"dragoman.{name}", "") for name in ("architecture", "weights", "langs")))


def _git(root: Path, *arguments: str) -> str:
    """git's answer, or nothing without git or a clone: an image can be built from an unpacked archive too."""
    try:
        answer = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _next(version: Version) -> Version:
    return Version(version.major, version.minor, version.patch + 1)


def _short(digest: str | None) -> str:
    return digest.removeprefix("sha256:")[:12] if digest else "none"


def _last_line(log: str) -> str:
    lines: Iterable[str] = (line for line in reversed(log.splitlines()) if line.strip())
    return next(iter(lines), "it said nothing")
