"""The image before it exists: its labels, layers and context are a value; these tests look at it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import model
from build_model.image import artifact, image, runtime
from build_model.image.base import Base
from build_model.image.context import pack
from build_model.image.inspection import Inspection
from build_model.image.reference import Address
from build_model.image.version import Version

ROOT = Path(model.__file__).parent.parent
BASE = Base("debian:bookworm-slim", "sha256:" + "1" * 64, "sha256:" + "2" * 64)
SOURCE = image.Source("0123abc", "https://git.example/dragoman")


@pytest.fixture
def plan(make_checkpoint: Callable[..., Path], tmp_path: Path) -> image.Plan:
    """Version 1.0.0 for a registry."""
    held = artifact.write(make_checkpoint(), Version(1, 0, 0), tmp_path / "1.0.0")
    stage = runtime.decide(BASE, ROOT)
    return image.plan(held, Version(1, 0, 0), stage, SOURCE, ROOT, registry=Address.parse("127.0.0.1:5000"))


def pushed(plan: image.Plan) -> Inspection:
    """``plan`` as the registry shows it afterwards."""
    return Inspection("r", "sha256:d", plan.labels, {}, (), True, plan.layers.digests())


def test_it_is_named_for_the_engine_and_for_the_registry(plan: image.Plan) -> None:
    names = [str(reference) for reference in plan.references]
    assert names == ["dragoman/fra-eng:1.0.0", "127.0.0.1:5000/dragoman/fra-eng:1.0.0"]


@pytest.mark.parametrize(
    ("address", "repository", "runtime_name"),
    [
        ("127.0.0.1:5000", "dragoman/fra-eng", "127.0.0.1:5000/dragoman/runtime"),
        ("127.0.0.1:5000/team", "dragoman/fra-eng", "127.0.0.1:5000/team/dragoman/runtime"),
        ("127.0.0.1:5000", "me/fra-eng", "127.0.0.1:5000/me/runtime"),
        ("docker.io/me", "fra-eng", "docker.io/me/runtime"),
    ],
)
def test_its_runtime_lies_in_the_registry_beside_it(
    plan: image.Plan, address: str, repository: str, runtime_name: str
) -> None:
    there = replace(plan, references=(Address.parse(address).reference(repository, "1.0.0"),)).shared_runtime
    assert there is not None
    assert there.name == runtime_name
    assert there.tag == plan.runtime.key


def test_its_labels_say_where_it_comes_from_and_what_is_in_it(plan: image.Plan, tmp_path: Path) -> None:
    labels = dict(plan.labels)
    manifest = model.fingerprint.Manifest.read(tmp_path / "1.0.0")
    assert labels.pop("dragoman.architecture") == manifest.architecture
    assert labels.pop("dragoman.weights") == manifest.weights
    assert labels.pop("dragoman.langs") == artifact.langs_digest(manifest.langs)
    assert labels.pop("dragoman.runtime") == plan.runtime.key
    assert labels.pop("dragoman.artifact") == artifact.identity(plan.layers.digests(), plan.runtime.key)
    assert labels == {
        "org.opencontainers.image.version": "1.0.0",
        "org.opencontainers.image.revision": "0123abc",
        "org.opencontainers.image.source": "https://git.example/dragoman",
        "org.opencontainers.image.title": "dragoman fra-eng",
        "org.opencontainers.image.description": (
            "A French-to-English translation model with its code, vocabularies and RabbitMQ service"
        ),
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.base.name": "debian:bookworm-slim",
        "org.opencontainers.image.base.digest": "sha256:" + "2" * 64,
    }


def test_its_stage_begins_at_the_runtime_and_copies_the_model_before_the_code() -> None:
    stage = image.stage((ROOT / "Dockerfile").read_text("utf-8"))
    instructions = [line.split()[0] for line in stage.splitlines() if line and not line.startswith("#")]
    assert instructions == ["ARG", "FROM", "COPY", "COPY", "WORKDIR", "USER", "HEALTHCHECK", "CMD"]
    assert stage.index("COPY model-layer /") < stage.index("COPY code-layer /")


def test_a_dockerfile_without_that_stage_is_an_error_that_says_so() -> None:
    with pytest.raises(image.DockerfileInvalid, match="no line 'ARG RUNTIME=runtime'"):
        image.stage("FROM scratch\n")


def test_its_context_is_the_same_bytes_each_time(plan: image.Plan) -> None:
    with pack(plan.context()) as one, pack(plan.context()) as other:
        assert one.read() == other.read()


def test_a_refusal_lists_each_file_that_differs_and_the_runtime(plan: image.Plan) -> None:
    assert image.differences(plan, pushed(plan)) == []
    code = {
        **plan.layers.code,
        "opt/dragoman/model/errors.py": b"changed",
        "opt/dragoman/model/new.py": b"new",
    }
    changed = replace(
        plan, layers=artifact.Layers(plan.layers.model, code), runtime=replace(plan.runtime, key="other-runtime")
    )
    ours, theirs = changed.layers.digests(), plan.layers.digests()
    assert image.differences(changed, pushed(plan)) == [
        f"model/errors.py: {ours['model/errors.py'][:12]} here, {theirs['model/errors.py'][:12]} there",
        f"model/new.py: {ours['model/new.py'][:12]} here, none there",
        f"runtime: other-runtim here, {plan.runtime.key[:12]} there",
    ]


def test_the_version_is_part_of_the_identity_and_weights_are_not_part_of_the_code_layer(
    plan: image.Plan, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    other = artifact.write(make_checkpoint("other", fill=b"\1"), Version(1, 0, 0), tmp_path / "other-weights")
    changed = image.plan(other, Version(1, 0, 0), plan.runtime, SOURCE, ROOT)
    differing = {line.partition(":")[0] for line in image.differences(changed, pushed(plan))}
    assert differing == {"model/checkpoint/weights.safetensors", "model/checkpoint/manifest.json"}
    assert changed.identity != plan.identity


def test_outside_a_clone_the_labels_say_nothing_of_a_revision(tmp_path: Path) -> None:
    assert image.Source.of(tmp_path) == image.Source("", "")
