"""Making the model image: planned as a value, written as bytes, put into registry or engine, tried, then named."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from build_model.engine import Engine
from build_model.image import artifact, attached, base, description, engine_image, login, oci, runtime
from build_model.image import version as versions
from build_model.image.artifact import CHECKPOINT, repository_of
from build_model.image.blobs import BlobMissing
from build_model.image.contents import ImageForeign
from build_model.image.description import Description
from build_model.image.inspection import Inspection, inspect, layer_names
from build_model.image.oci import Blob, Descriptor
from build_model.image.plan import Composed, Plan, Source, differences, next_version, plan
from build_model.image.push import Part, Pushed, TagExists, take, upload
from build_model.image.reference import Reference
from build_model.image.registry import Registry, Stored, VersionUnknown, labels_of
from build_model.image.runtime import Recipe, Runtime
from build_model.image.verify import compare_rebuilt
from build_model.image.version import Version
from build_model.report import Progress
from model.errors import DragomanError
from model.fingerprint import MANIFEST
from model.folder import NETWORK

SELF_TEST_SECONDS = 300

Connect = Callable[[], Engine]
"""Gives the engine, when it is needed: a push to a registry that has the runtime image needs none."""


class SelfTestFailed(DragomanError):
    """The finished image fails its own self-test."""


@dataclass(frozen=True)
class Order:
    """What was asked of ``build-model --version``. An empty ``registry`` means the engine alone.

    Attributes:
        repository: the image's name; empty for that of the model's languages.
        test: whether the goldens are translated, here and in the finished image.
        max_push: how many bytes may be sent; None is without limit.
        network: the folder of the network that the checkpoint belongs to.
        poor: a model that says the same to everything is built all the same.
    """

    version: Version
    checkpoint: Path
    registry: str = ""
    push: bool = False
    repository: str = ""
    base_image: str | None = None
    test: bool = True
    max_push: int | None = None
    network: Path = NETWORK
    poor: bool = False


@dataclass(frozen=True)
class Made:
    """What came of an order.

    Attributes:
        image_id: in the engine, or what it will be there.
        digest: of the manifest in the registry; empty if nothing was pushed.
        layers: (what it holds, bytes), lowest first: compressed after a push, else on disk.
        pushed: what was sent; None if nothing was, because it was there already or nobody asked.
        made: whether there is an image now that wasn't there before.
        tested: whether its self-test passed.
    """

    plan: Plan
    image_id: str
    digest: str
    layers: tuple[tuple[str, int], ...]
    pushed: Pushed | None
    made: bool
    tested: bool
    warning: str | None

    def encode(self) -> dict[str, Any]:
        """For ``--json``."""
        sent = [one.sent for one in self.pushed.transfers] if self.pushed else [None] * len(self.layers)
        layers = [
            {"holds": holds, "bytes": count, **({} if was_sent is None else {"sent": was_sent})}
            for (holds, count), was_sent in zip(self.layers, sent, strict=False)
        ]
        return {
            "reference": str(self.plan.reference),
            "version": str(self.plan.version),
            "image": self.image_id or None,
            "digest": self.digest or None,
            "built": self.made,
            "tested": self.tested,
            "layers": layers,
            "architecture": self.plan.labels["dragoman.architecture"],
            "artifact": self.plan.identity,
            "bleu": dict(self.plan.bleu),
            "warning": self.warning,
            **(self.pushed.encode() if self.pushed else {}),
        }


def prepare(order: Order, root: Path, artifacts: Path, connect: Connect, progress: Progress) -> tuple[Plan, str | None]:
    """Check the checkpoint against the code, write the artifact below ``artifacts``, plan its image; and a warning."""
    if order.test or not order.push:
        connect()  # before the minutes of work that need it in the end
    progress.line(f"Checking {order.checkpoint} against the code")
    artifact.check(order.checkpoint, order.network, goldens=order.test, poor=order.poor)
    held = artifact.write(order.checkpoint, order.version, artifacts / str(order.version), order.network)
    order = replace(order, repository=order.repository or repository_of(held.manifest))
    registry = Registry(order.registry) if order.registry else None
    planned = plan(
        held,
        order.version,
        _runtime(order, Recipe.read(root), registry, connect, progress),
        Source.of(root, network=order.network),
        root,
        repository=order.repository,
        registry=registry.address if registry else None,
    )
    return planned, predecessor_warning(planned, connect, registry)


def make(order: Order, root: Path, artifacts: Path, connect: Connect, progress: Progress) -> Made:
    """Checkpoint -> artifact -> image -> tag -> registry. A version that the registry has is never overwritten."""
    planned, warning = prepare(order, root, artifacts, connect, progress)
    if not order.push:
        return _made_in_engine(order, planned, root, connect, progress, warning)
    registry = Registry(order.registry)
    if digest := standing(planned, registry):
        warning = attached.complete(planned, registry, digest, progress) or warning
        description.attach(registry, replace(planned.reference, digest=digest), Description.of(planned.layers))
        return Made(planned, "", digest, (), None, False, False, warning)
    assert planned.shared_runtime
    below = registry.find(planned.shared_runtime) or share_runtime(planned, registry, root, connect, progress)
    return _pushed(order, planned, registry, below, connect, progress, warning)


def _runtime(order: Order, recipe: Recipe, registry: Registry | None, connect: Connect, progress: Progress) -> Runtime:
    """What the registry has for these dependencies, so that all who use it share its layers; else on this base."""
    if registry and order.base_image is None:
        image = registry.address.reference(order.repository)
        if there := runtime.shared(registry, image, recipe):
            return there
    return runtime.decide(base.ensure_base(connect(), order.base_image, progress), recipe)


def _pushed(
    order: Order,
    planned: Plan,
    registry: Registry,
    below: Stored,
    connect: Connect,
    progress: Progress,
    warning: str | None,
) -> Made:
    """Put the image under its digest, try it, put beside it what refers to it; only then it gets the version's tag."""
    composed = planned.compose(registry.config(below), below.layers)
    reference, told = planned.reference, Description.of(planned.layers)
    beside = attached.of_image(planned, composed, below, attached.runtime_bill(registry, below, progress), told)
    pushed = upload(
        registry,
        reference.repository,
        [*_parts(composed, below.layers), *(part for one in beside for part in one.parts)],
        progress,
        source=below.repository,
        max_bytes=order.max_push,
    )
    pinned = replace(reference, tag="", digest=composed.manifest.digest)
    registry.put_manifest(pinned, composed.manifest)
    image_id = composed.config.digest
    if order.test:
        engine = connect()
        image_id = engine.pull(pinned.pinned, progress, login.for_engine(reference.registry)).id
        self_test(engine, image_id, progress)
    attached.attach(registry, pinned, beside)
    description.attach(registry, pinned, told)
    take(registry, reference, composed.manifest)
    attached.name_twin(registry, reference, beside)
    if order.test:
        for name in planned.references:
            engine.tag(image_id, str(name))
    layers = tuple((part.holds, part.descriptor.size) for part in _parts(composed, below.layers)[:-1])
    return Made(planned, image_id, composed.manifest.digest, layers, pushed, True, order.test, warning)


def _parts(composed: Composed, below: Sequence[Descriptor]) -> list[Part]:
    """Of an image: its layers, lowest first, then its config."""
    return [
        *(Part("runtime", descriptor) for descriptor in below),
        *(Part(holds, layer.blob.descriptor, layer.blob) for holds, layer in composed.layers),
        Part("config", composed.config.descriptor, composed.config),
    ]


def _made_in_engine(
    order: Order, planned: Plan, root: Path, connect: Connect, progress: Progress, warning: str | None
) -> Made:
    """Load the image into the engine, on its own runtime image or the registry's."""
    engine = connect()
    runtime_id = local_runtime(planned, engine, root, order, progress)
    attributes = engine.attributes(runtime_id)
    composed = planned.compose(runtime.config_of(planned.runtime, Recipe.read(root), attributes), ())
    progress.line(f"Loading {planned.references[0]} on {planned.runtime.reference}")
    with tempfile.TemporaryDirectory(prefix="dragoman-layers-") as scratch:
        image_id = engine_image.load(engine, runtime_id, composed, Path(scratch), progress)
    if order.test:
        self_test(engine, image_id, progress)
    for reference in planned.references:
        engine.tag(image_id, str(reference))
    return Made(planned, image_id, "", _sizes(engine, image_id), None, True, order.test, warning)


def local_runtime(planned: Plan, engine: Engine, root: Path, order: Order, progress: Progress) -> str:
    """The ID of the runtime image in the engine: its own, else pulled if the registry has it, else built."""
    if image := engine.image(planned.runtime.reference):
        return image.id
    if planned.shared_runtime:
        there = Registry(order.registry).find(planned.shared_runtime)
        if there:
            pinned = replace(planned.shared_runtime, digest=there.digest).pinned
            image_id = engine.pull(pinned, progress, login.for_engine(planned.reference.registry)).id
            engine.tag(image_id, planned.runtime.reference)
            return image_id
    return _built_runtime(planned, Recipe.read(root), engine, root, progress)


def share_runtime(planned: Plan, registry: Registry, root: Path, connect: Connect, progress: Progress) -> Stored:
    """Put the engine's runtime image, built if it has none, into the registry for everybody."""
    there = planned.shared_runtime
    assert there
    if elsewhere := runtime.elsewhere(registry, planned.reference, planned.runtime.key):
        parts = [Part("runtime", one) for one in (*elsewhere.layers, elsewhere.config)]
        upload(registry, there.repository, parts, progress, source=elsewhere.repository)
        stored = _tagged_runtime(registry, there, planned.runtime.recipe, elsewhere.blob)
        attached.copy_bill(registry, elsewhere, stored)
        return stored
    progress.line(f"{registry.host} has no {there.repository} of these dependencies yet")
    engine, recipe = connect(), Recipe.read(root)
    image = engine.image(planned.runtime.reference)
    image_id = image.id if image else _built_runtime(planned, recipe, engine, root, progress)
    with tempfile.TemporaryDirectory(prefix="dragoman-layers-") as folder:
        composed = engine_image.composed_runtime(engine, image_id, planned.runtime, recipe, Path(folder), progress)
        upload(registry, there.repository, composed.parts, progress)
        stored = _tagged_runtime(registry, there, recipe.digest, composed.manifest)
        layers = [oci.pieces(part.content.content) for part in composed.parts[:-1] if part.content]
        attached.put_bill(registry, stored, attached.list_packages(registry, stored, layers))
    return stored


def _tagged_runtime(registry: Registry, there: Reference, recipe: str, manifest: Blob) -> Stored:
    """The runtime image under its key, and under its recipe where nothing is yet."""
    registry.put_manifest(there, manifest)
    if registry.find(tagged := replace(there, tag=runtime.recipe_tag(recipe))) is None:
        registry.put_manifest(tagged, manifest)
    return registry.manifest(there)


def verify_rebuilt(
    registry: Registry, reference: Reference, root: Path, checkpoint: Path, network: Path = NETWORK
) -> None:
    """Build the image again from the clone at ``root``, on the runtime image that it says it is on, and compare.

    Raises RebuildDiffers, and VersionUnknown when that runtime image is gone.
    """
    found = registry.image(registry.manifest(reference))
    labels = registry.labels(reference)
    below = registry.manifest(runtime.beside(reference, labels[runtime.KEY]))
    version = Version.parse(labels["org.opencontainers.image.version"])
    with tempfile.TemporaryDirectory(prefix="dragoman-rebuild-") as scratch:
        held = artifact.write(checkpoint, version, Path(scratch) / "artifact", network)
        built_on = runtime.of_labels(labels_of(registry.config(below)))
        local = plan(held, version, built_on, Source.of(root, network=network), root)
    planned = replace(local, references=(*local.references, reference))
    compare_rebuilt(planned, registry, found, planned.compose(registry.config(below), below.layers))


def _built_runtime(planned: Plan, recipe: Recipe, engine: Engine, root: Path, progress: Progress) -> str:
    """The ID of the runtime image that the engine builds now; BaseUnavailable when its base is another one today."""
    built_on = base.ensure_base(engine, planned.runtime.base_name, progress)
    if runtime.decide(built_on, recipe) != planned.runtime:
        raise base.BaseUnavailable(
            f"{planned.runtime.base_name} is {built_on.digest} in this engine, and {planned.runtime.base_digest} was "
            "planned for. Name the base image by its digest: --base-image REF@sha256:..."
        )
    return runtime.build(planned.runtime, recipe, built_on.image_id, engine, root, progress)


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
    try:
        there = inspect(registry, plan.reference)
    except VersionUnknown:
        return None
    except (ImageForeign, BlobMissing) as error:
        raise TagExists(f"{error} A pushed version is never overwritten. Choose another version.") from error
    if there.labels["dragoman.artifact"] == plan.identity:
        return there.digest
    listed = "".join(f"\n  {line}" for line in differences(plan, there))
    raise TagExists(
        f"{plan.reference} is already in the registry with other content. What differs:{listed}\n"
        "A pushed version is never overwritten. Choose another version: "
        f"build-model --version {next_version(plan.version)} …"
    )


def predecessor_warning(plan: Plan, connect: Connect, registry: Registry | None) -> str | None:
    """What ``version.warning`` says about the step from the version before this one; None without one.

    It is looked for in the registry, or else in the engine. One that can't be read any more is a warning too: it
    doesn't stop a new version.
    """
    image = plan.reference
    tags = registry.tags(image.repository) if registry else connect().tags(image.repository)
    earlier = [one for one in versions.Version.all_of(tags) if one < plan.version]
    if not earlier:
        return None
    before = replace(image, tag=str(earlier[-1]))
    try:
        labels = registry.labels(before) if registry else _local_labels(connect(), before)
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
    return Inspection(
        reference=str(reference),
        digest=image.id,
        labels=image.labels,
        manifest=manifest,
        layers=_sizes(engine, image.id),
        compressed=False,
        digests={},
    )


def _sizes(engine: Engine, image: str) -> tuple[tuple[str, int], ...]:
    """(what it holds, bytes on disk) of each layer of an engine's image; all in one where the engine can't tell."""
    layers = engine.layer_sizes(image)
    names = layer_names([step for step, _ in layers])
    sizes = tuple(zip(names, (size for _, size in layers), strict=True))
    return sizes or (("all layers", int(engine.attributes(image)["Size"])),)


def _content(labels: Mapping[str, str]) -> versions.Content:
    return versions.Content(*(labels.get(f"dragoman.{name}", "") for name in ("architecture", "weights", "langs")))


def _last_line(log: str) -> str:
    lines: Iterable[str] = (line for line in reversed(log.splitlines()) if line.strip())
    return next(iter(lines), "it said nothing")
