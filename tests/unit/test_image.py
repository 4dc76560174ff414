"""The image before it exists: its labels, layers and context are a value; these tests look at it."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import model
from build_model.image import artifact, oci, runtime
from build_model.image import plan as planning
from build_model.image.base import Base
from build_model.image.inspection import Inspection
from build_model.image.plan import Plan, Source
from build_model.image.reference import Address, Reference
from build_model.image.runtime import Recipe
from build_model.image.version import Version

ROOT = Path(model.__file__).parent.parent
BASE = Base("debian:bookworm-slim", "sha256:" + "1" * 64, "sha256:" + "2" * 64)
SOURCE = Source("0123abc", datetime(2026, 1, 2, tzinfo=UTC), {"source": "https://git.example/dragoman"})


@pytest.fixture
def plan(make_checkpoint: Callable[..., Path], tmp_path: Path) -> Plan:
    """Version 1.0.0 for a registry."""
    held = artifact.write(make_checkpoint(), Version(1, 0, 0), tmp_path / "1.0.0")
    stage = runtime.decide(BASE, Recipe.read(ROOT))
    return planning.plan(held, Version(1, 0, 0), stage, SOURCE, ROOT, registry=Address.parse("127.0.0.1:5000"))


def pushed(plan: Plan) -> Inspection:
    """``plan`` as the registry shows it afterwards."""
    return Inspection("r", "sha256:d", plan.labels, {}, (), True, plan.layers.digests())


def test_it_is_named_for_the_engine_and_for_the_registry(plan: Plan) -> None:
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
    plan: Plan, address: str, repository: str, runtime_name: str
) -> None:
    there = replace(plan, references=(Address.parse(address).reference(repository, "1.0.0"),)).shared_runtime
    assert there is not None
    assert there.name == runtime_name
    assert there.tag == plan.runtime.key


def test_its_labels_say_where_it_comes_from_and_what_is_in_it(plan: Plan, tmp_path: Path) -> None:
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
        "org.opencontainers.image.licenses": "Apache-2.0 AND CC-BY-2.0",
        "org.opencontainers.image.created": "2026-01-02T00:00:00Z",
        "org.opencontainers.image.base.name": "debian:bookworm-slim",
        "org.opencontainers.image.base.digest": "sha256:" + "2" * 64,
    }


BELOW = {
    "architecture": "amd64",
    "config": {},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:below"]},
    "os": "linux",
}


def test_its_manifest_is_the_same_each_time_whatever_the_hour(plan: Plan) -> None:
    below = [oci.Descriptor(oci.LAYER, "sha256:runtime", 1)]
    one, other = plan.compose(BELOW, below), plan.compose(BELOW, below)
    assert one.manifest == other.manifest
    assert isinstance(one.manifest.content, bytes)
    document = json.loads(one.manifest.content)
    assert [layer["digest"] for layer in document["layers"]] == [
        "sha256:runtime",
        *(layer.blob.digest for _, layer in one.layers),
    ]
    assert document["annotations"]["org.opencontainers.image.created"] == "2026-01-02T00:00:00Z"
    assert replace(plan, created=datetime(2027, 1, 2, tzinfo=UTC)).compose(BELOW, below).manifest != one.manifest


def test_its_time_is_source_date_epoch_or_that_of_the_commit(tmp_path: Path) -> None:
    assert Source.of(tmp_path, {"SOURCE_DATE_EPOCH": "1700000000"}).created == datetime(
        2023, 11, 14, 22, 13, 20, tzinfo=UTC
    )
    assert Source.of(tmp_path, {}).created == datetime(1970, 1, 1, tzinfo=UTC)
    seconds = subprocess.run(
        ["git", "-C", ROOT, "log", "-1", "--format=%ct"], capture_output=True, text=True, check=True
    )
    assert Source.of(ROOT, {}).created.timestamp() == int(seconds.stdout)
    with pytest.raises(planning.TimeInvalid, match="SOURCE_DATE_EPOCH is 'yesterday'"):
        Source.of(tmp_path, {"SOURCE_DATE_EPOCH": "yesterday"})


def test_a_refusal_lists_each_file_that_differs_and_the_runtime(plan: Plan) -> None:
    assert planning.differences(plan, pushed(plan)) == []
    library = {
        **plan.layers.library,
        "opt/dragoman/model/errors.py": b"changed",
        "opt/dragoman/model/new.py": b"new",
    }
    layers = replace(plan.layers, library=library)
    changed = replace(plan, layers=layers, runtime=replace(plan.runtime, key="other-runtime"))
    ours, theirs = changed.layers.digests(), plan.layers.digests()
    assert planning.differences(changed, pushed(plan)) == [
        f"model/errors.py: {ours['model/errors.py'][:12]} here, {theirs['model/errors.py'][:12]} there",
        f"model/new.py: {ours['model/new.py'][:12]} here, none there",
        f"runtime: other-runtim here, {plan.runtime.key[:12]} there",
    ]


def test_the_version_is_part_of_the_identity_and_weights_are_not_part_of_the_code_layer(
    plan: Plan, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    other = artifact.write(make_checkpoint("other", fill=b"\1"), Version(1, 0, 0), tmp_path / "other-weights")
    changed = planning.plan(other, Version(1, 0, 0), plan.runtime, SOURCE, ROOT)
    differing = {line.partition(":")[0] for line in planning.differences(changed, pushed(plan))}
    assert differing == {"model/checkpoint/weights.safetensors", "model/checkpoint/manifest.json"}
    assert changed.identity != plan.identity


def test_outside_a_clone_the_labels_say_nothing_of_a_revision(tmp_path: Path) -> None:
    found = Source.of(tmp_path, {})
    assert (found.revision, found.urls) == ("", {})


@pytest.mark.parametrize(
    ("source", "target", "description"), [("eng", "fra", "An English-to-French"), ("deu", "xyz", "A German-to-xyz")]
)
def test_an_image_of_another_pair_of_languages_is_called_and_described_by_them(
    make_checkpoint: Callable[..., Path], tmp_path: Path, source: str, target: str, description: str
) -> None:
    held = artifact.write(make_checkpoint(), Version(1, 0, 0), tmp_path / "1.0.0")
    held = replace(held, manifest=replace(held.manifest, source=source, target=target))
    planned = planning.plan(held, Version(1, 0, 0), runtime.decide(BASE, Recipe.read(ROOT)), SOURCE, ROOT)
    assert planned.reference == Reference("", f"dragoman/{source}-{target}", "1.0.0")
    assert not planned.layers.lexicon  # there is none of this language, and French's is nobody else's
    labels = planned.labels
    assert labels["org.opencontainers.image.title"] == f"dragoman {source}-{target}"
    assert labels["org.opencontainers.image.description"].startswith(f"{description} translation model ")
