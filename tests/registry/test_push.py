"""An image's way into a real registry without any engine, and what is noticed of one that isn't what it says.

The runtime image here is a small one that means nothing: what is below the model's layers is never looked into.
"""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from images import BuildModel, Ran

from build_model.cli.options import RELEASED
from build_model.image import artifact, image, oci
from build_model.image.artifact import CodeMissing
from build_model.image.blobs import BlobFalse, BlobMissing
from build_model.image.connection import RegistryUnreachable
from build_model.image.push import PushTooLarge, TagExists, take
from build_model.image.reference import Reference
from build_model.image.registry import ManifestFalse, Registry, VersionUnknown
from build_model.image.verify import ImageFalse, RebuildDiffers, verify_image
from build_model.image.version import Version
from build_model.report import silent
from model.fingerprint import WEIGHTS, Manifest
from registry.node import RegistryNode
from registry.store import ROOT, ask, put_runtime, quickest

MODEL = "dragoman/fra-eng"
CODE_BYTES = 60_000
"""A change of the code costs no more than that, and nor do new weights beside their own size."""
CODE_SECONDS, WEIGHTS_SECONDS = 3.0, 5.0
"""In which such a version is built and pushed."""

BESIDE = ("SBOM", "provenance", "description", "ModelPack's config")
"""What lies beside each version and is its own."""

MakeCheckpoint = Callable[..., Path]


@pytest.fixture
def registry(node: RegistryNode) -> Registry:
    """A registry that has the runtime image of this repository's dependencies, in its usual place."""
    registry = Registry(node.address)
    put_runtime(registry, {"usr/lib/torch": bytes(1_000_000)})
    return registry


def nobody() -> NoReturn:
    pytest.fail("an engine was asked for")


class Builder:
    """Builds and pushes versions without an engine, each in an artifact folder of its own."""

    def __init__(self, registry: Registry, scratch: Path) -> None:
        self.registry = registry
        self._scratch = scratch
        self._count = 0

    def order(self, version: str, checkpoint: Path, **settings: object) -> image.Order:
        known: dict[str, object] = {"registry": self.registry.host, "push": True, "test": False, **settings}
        return image.Order(Version.parse(version), checkpoint, **known)  # type: ignore[arg-type]

    def push(self, version: str, checkpoint: Path, root: Path = ROOT, **settings: object) -> image.Made:
        self._count += 1
        order = self.order(version, checkpoint, **settings)
        return image.make(order, root, self._scratch / str(self._count), nobody, silent())

    def reference(self, tag: str) -> Reference:
        return self.registry.address.reference(MODEL, tag)


@pytest.fixture
def builder(registry: Registry, tmp_path: Path) -> Builder:
    return Builder(registry, tmp_path / "artifacts")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what an image is made of, whose code may be changed."""
    folder = tmp_path / "clone"
    for name in ("model", "service", "requirements", "build"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    for name in ("Dockerfile", "pyproject.toml"):
        shutil.copyfile(ROOT / name, folder / name)
    return folder


def test_a_push_without_an_engine_sends_what_is_not_there_and_takes_the_runtime_over(
    builder: Builder, make_checkpoint: MakeCheckpoint
) -> None:
    made = builder.push("1.0.0", make_checkpoint())
    assert made.pushed
    assert [(one.holds, one.sent) for one in made.pushed.transfers] == [
        ("runtime", False),
        ("model", True),
        ("lexicon", True),
        ("network", True),
        ("text", True),
        ("library", True),
        ("service", True),
        ("guard", True),
        ("config", True),
        ("runtime's SBOM", False),
        ("SBOM", True),
        ("provenance", True),
        ("description", True),
        ("ModelPack's config", True),
    ]
    assert str(made.pushed).startswith("sent ")
    assert not made.tested
    reference = builder.reference("1.0.0")
    assert builder.registry.resolve(reference).digest == made.digest
    assert builder.registry.config(builder.registry.manifest(reference))["config"]["Cmd"] == ["python3"]


def test_two_builds_of_one_commit_are_one_image(
    builder: Builder, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    checkpoint = make_checkpoint()
    one = builder.push("1.0.0", checkpoint)
    other = builder.push("1.0.0", checkpoint, repository="elsewhere/fra-eng")
    assert other.digest == one.digest
    again = builder.push("1.0.0", checkpoint)
    assert (again.made, again.digest, again.pushed) == (False, one.digest, None)


def test_a_change_of_the_code_sends_no_more_than_the_code(
    builder: Builder, make_checkpoint: MakeCheckpoint, clone: Path
) -> None:
    checkpoint = make_checkpoint()
    builder.push("1.0.0", checkpoint)
    with (clone / "service" / "log.py").open("a") as file:
        file.write("\n# changed\n")
    made = builder.push("1.0.1", checkpoint, clone, max_push=CODE_BYTES)
    assert made.pushed
    assert [one.holds for one in made.pushed.transfers if one.sent] == ["service", "guard", "config", *BESIDE]


def test_a_changed_line_anywhere_is_a_version_in_3_seconds_and_60_kb(
    builder: Builder, clone: Path, build_model: BuildModel
) -> None:
    made = builder.push("1.0.0", RELEASED)
    assert made.pushed
    numbers = (f"1.0.{number}" for number in itertools.count(1))
    for module in ("service/log.py", "model/spelling.py", "model/search.py", "model/network/fast.py"):

        def changed(module: str = module) -> Ran:
            with (clone / module).open("a") as file:
                file.write("# changed\n")
            where = ("--registry", builder.registry.host, "--repository", MODEL, "--push", "--no-test", "--json")
            ran = build_model("--version", next(numbers), "--checkpoint", str(RELEASED), *where, root=clone)
            assert ran.exit_code == 0, ran.stdout
            assert 20_000 < ran.object["sent_bytes"] < CODE_BYTES
            return ran

        assert quickest(CODE_SECONDS, changed) <= CODE_SECONDS


def test_new_weights_are_a_version_in_5_seconds(builder: Builder, build_model: BuildModel, tmp_path: Path) -> None:
    builder.push("1.0.0", RELEASED)
    checkpoint = tmp_path / "trained-on"
    shutil.copytree(RELEASED, checkpoint)
    numbers = itertools.count(1)

    def trained_on() -> Ran:
        number = next(numbers)
        weights = bytearray((checkpoint / WEIGHTS).read_bytes())
        weights[-number] ^= 1
        (checkpoint / WEIGHTS).write_bytes(weights)
        replace(Manifest.read(checkpoint), weights=artifact.sha256(bytes(weights))).write(checkpoint)
        where = ("--registry", builder.registry.host, "--repository", MODEL, "--push", "--no-test", "--json")
        ran = build_model("--version", f"1.{number}.0", "--checkpoint", str(checkpoint), *where)
        assert ran.exit_code == 0, ran.stdout
        model = next(one["bytes"] for one in ran.object["layers"] if one["holds"] == "model")
        assert model < ran.object["sent_bytes"] < model + CODE_BYTES
        return ran

    assert quickest(WEIGHTS_SECONDS, trained_on) <= WEIGHTS_SECONDS


def test_a_version_is_built_on_the_checkpoint_of_one_that_was_pushed(
    builder: Builder, make_checkpoint: MakeCheckpoint
) -> None:
    checkpoint = make_checkpoint()
    made = builder.push("1.0.0", checkpoint)
    shutil.rmtree(checkpoint)
    named = f"{builder.registry.host}/{MODEL}:1.0.0"
    build = ("--version", "1.0.1", "--push", "--no-test", "--dry-run", "--json", "--repository", MODEL)
    planned = ask(builder.registry.host, *build, "--checkpoint", named)
    assert planned.exit_code == 0, planned.stdout + planned.stderr
    assert planned.object["labels"]["dragoman.weights"] == made.plan.labels["dragoman.weights"]
    refused = ask(builder.registry.host, *build, "--checkpoint", f"{named}-none")
    assert (refused.exit_code, refused.object["error"]) == (1, "VersionUnknown")


def test_new_weights_send_their_size_and_little_more(builder: Builder, make_checkpoint: MakeCheckpoint) -> None:
    builder.push("1.0.0", make_checkpoint())
    made = builder.push("1.1.0", make_checkpoint("other", fill=b"\1"))
    assert made.pushed
    sent = {one.holds: one.size for one in made.pushed.transfers if one.sent}
    assert set(sent) == {"model", "guard", "config", *BESIDE}
    assert made.pushed.sent - sent["model"] < CODE_BYTES


def test_more_than_max_push_is_refused_and_nothing_is_sent(builder: Builder, make_checkpoint: MakeCheckpoint) -> None:
    with pytest.raises(PushTooLarge, match=r"(?s)--max-push allows 1\.0 kB.*service: .*Nothing was sent"):
        builder.push("1.0.0", make_checkpoint(), max_push=1000)
    assert builder.registry.tags(MODEL) == []


def test_a_pushed_version_is_not_overwritten(
    builder: Builder, make_checkpoint: MakeCheckpoint, node: RegistryNode
) -> None:
    made = builder.push("1.0.0", make_checkpoint())
    other = make_checkpoint("other", fill=b"\1")
    with pytest.raises(TagExists, match=r"(?s)already in the registry.*weights\.safetensors: .* here, .* there"):
        builder.push("1.0.0", other)
    with pytest.raises(TagExists, match="pushed by somebody else meanwhile"):
        take(builder.registry, builder.reference("1.0.0"), oci.document({"layers": []}, oci.MANIFEST))
    assert builder.registry.resolve(builder.reference("1.0.0")).digest == made.digest


def test_a_version_of_which_a_part_is_gone_is_not_overwritten_and_warns_the_next_one(
    builder: Builder, make_checkpoint: MakeCheckpoint, node: RegistryNode
) -> None:
    checkpoint = make_checkpoint()
    builder.push("1.0.0", checkpoint)
    node.lose(builder.registry.manifest(builder.reference("1.0.0")).config.digest)
    with pytest.raises(TagExists, match="lacks its part"):
        builder.push("1.0.0", checkpoint)
    made = builder.push("1.0.1", checkpoint)
    assert made.warning
    assert "can't be told" in made.warning


def test_an_image_that_is_what_it_says_is_verified_and_rebuilt(
    builder: Builder, make_checkpoint: MakeCheckpoint
) -> None:
    checkpoint = make_checkpoint()
    made = builder.push("1.0.0", checkpoint)
    found = verify_image(builder.registry, builder.reference("1.0.0"), silent())
    assert found.reference.digest == made.digest
    assert dict(found.checked)["goldens"] == "1"
    image.verify_rebuilt(builder.registry, found.reference, ROOT, checkpoint)


def test_a_rebuild_of_other_code_or_of_another_checkpoint_differs_by_name(
    builder: Builder, make_checkpoint: MakeCheckpoint, clone: Path
) -> None:
    checkpoint = make_checkpoint()
    builder.push("1.0.0", checkpoint)
    reference = builder.registry.resolve(builder.reference("1.0.0"))
    with (clone / "service" / "log.py").open("a") as file:
        file.write("\n# changed\n")
    with pytest.raises(RebuildDiffers, match=r"(?s)label dragoman\.artifact.*layer service: sha256:"):
        image.verify_rebuilt(builder.registry, reference, clone, checkpoint)
    with pytest.raises(RebuildDiffers, match=r"(?s)label dragoman\.weights.*layer model: sha256:"):
        image.verify_rebuilt(builder.registry, reference, ROOT, make_checkpoint("other", fill=b"\1"))


PARTS = ("runtime", "model", "lexicon", "network", "text", "library", "service", "guard")


@pytest.mark.parametrize("part", ["manifest", "config", *PARTS])
@pytest.mark.parametrize("how", [RegistryNode.damage, RegistryNode.lose])
def test_a_flipped_byte_or_a_missing_part_anywhere_is_refused(
    builder: Builder,
    make_checkpoint: MakeCheckpoint,
    node: RegistryNode,
    part: str,
    how: Callable[[RegistryNode, str], None],
) -> None:
    builder.push("1.0.0", make_checkpoint())
    found = builder.registry.manifest(builder.reference("1.0.0"))
    digests = dict(zip(PARTS, (layer.digest for layer in found.layers), strict=True))
    how(node, {**digests, "config": found.config.digest, "manifest": found.digest}[part])
    with pytest.raises((BlobFalse, BlobMissing, ManifestFalse, VersionUnknown, RegistryUnreachable)) as refused:
        verify_image(builder.registry, builder.reference("1.0.0"), silent())
    assert "Traceback" not in str(refused.value)


def test_a_tag_that_was_moved_to_another_version_is_refused(builder: Builder, make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = make_checkpoint()
    builder.push("1.0.0", checkpoint)
    builder.push("1.0.1", checkpoint)
    newer = builder.registry.manifest(builder.reference("1.0.1"))
    builder.registry.put_manifest(builder.reference("1.0.0"), newer.blob)
    with pytest.raises(ImageFalse, match=r"its tag is 1\.0\.0, and version 1\.0\.1 is inside"):
        verify_image(builder.registry, builder.reference("1.0.0"), silent())


@pytest.mark.parametrize("name", ["dragoman.artifact", "dragoman.weights", "dragoman.architecture"])
def test_a_label_that_is_not_true_is_refused(builder: Builder, make_checkpoint: MakeCheckpoint, name: str) -> None:
    builder.push("1.0.0", make_checkpoint())
    reference = builder.reference("1.0.0")
    found = builder.registry.manifest(reference)
    config = builder.registry.config(found)
    config["config"]["Labels"][name] = "0" * 64
    changed = oci.document(config, oci.CONFIG)
    builder.registry.blobs(reference.repository).put(changed)
    manifest = oci.manifest(changed, found.layers, {})
    builder.registry.put_manifest(reference, manifest)
    with pytest.raises(ImageFalse, match=f"aren't true: {name} is 0000"):
        verify_image(builder.registry, reference, silent())


def test_a_pushed_image_without_code_is_never_made(
    builder: Builder, make_checkpoint: MakeCheckpoint, clone: Path
) -> None:
    shutil.rmtree(clone / "service")
    with pytest.raises(CodeMissing):
        builder.push("1.0.0", make_checkpoint(), clone)
