"""Layers, configs and manifests are functions of what goes in: no clock, no machine."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from build_model.image import oci

FILES = {"opt/dragoman/a.py": b"print('a')\n", "opt/dragoman/deep/b.txt": b"b" * 3_000_000}
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUNTIME = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["A=1"], "Labels": {"below": "1"}},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:base"]},
    "history": [{"created_by": "base"}],
}


def test_a_layer_is_these_very_bytes() -> None:
    """Whoever changes how a layer is written makes every image another one: this digest says so."""
    layer = oci.layer({"opt/a": b"a"})
    assert layer.diff_id == "sha256:57df6cd9277101346c406f46a7d31c098bff1c24f6e2aceb2ec17a88ec876a97"


def test_a_layer_depends_on_nothing_but_its_files(tmp_path: Path) -> None:
    written = {}
    for path, content in reversed(FILES.items()):
        file = tmp_path / path.replace("/", "-")
        file.write_bytes(content)
        os.utime(file, (time.time() - 1000,) * 2)
        written[path] = file
    assert oci.layer(written) == oci.layer(FILES)


def test_a_layer_is_a_gzipped_tar_under_both_its_digests() -> None:
    layer = oci.layer(FILES)
    assert isinstance(layer.blob.content, bytes)
    tar = gzip.decompress(layer.blob.content)
    assert layer.diff_id == oci.digest(tar)
    assert layer.blob.digest == oci.digest(layer.blob.content)
    assert layer.blob.size == len(layer.blob.content)
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        assert [member.name for member in members] == ["opt", "opt/dragoman", "opt/dragoman/deep", *FILES]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_layer_is_read_in_pieces_whether_or_not_it_is_compressed(compressed: bool) -> None:
    content = gzip.compress(b"x" * 100_000) if compressed else b"x" * 100_000
    cut = [content[start : start + 77] for start in range(0, len(content), 77)]
    assert b"".join(oci.decompressed(cut)) == b"x" * 100_000


def test_a_compressed_layer_that_is_cut_off_is_noticed() -> None:
    with pytest.raises(EOFError):
        list(oci.decompressed([gzip.compress(os.urandom(1000))[:-10]]))


def test_a_config_is_that_of_the_image_below_with_layers_labels_and_history_on_top() -> None:
    layers = [("sha256:model", "model"), ("sha256:code", "code")]
    made = oci.config(RUNTIME, layers, {"version": "1.0.0"}, CREATED)
    assert isinstance(made.content, bytes)
    assert json.loads(made.content) == {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-02T03:04:05Z",
        "config": {"Env": ["A=1"], "Labels": {"below": "1", "version": "1.0.0"}},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:base", "sha256:model", "sha256:code"]},
        "history": [
            {"created_by": "base"},
            {"created": "2026-01-02T03:04:05Z", "created_by": "build-model: model"},
            {"created": "2026-01-02T03:04:05Z", "created_by": "build-model: code"},
        ],
    }
    assert RUNTIME["rootfs"] == {"type": "layers", "diff_ids": ["sha256:base"]}


def test_a_manifest_names_its_parts_by_type_digest_and_size() -> None:
    config = oci.document({"a": 1}, oci.CONFIG)
    layer = oci.blob(b"layer", oci.LAYER)
    made = oci.manifest(config, [layer.descriptor], {"note": "é"})
    assert isinstance(made.content, bytes)
    assert made.digest == f"sha256:{hashlib.sha256(made.content).hexdigest()}"
    document = json.loads(made.content)
    assert document["layers"] == [{"mediaType": oci.LAYER, "digest": oci.digest(b"layer"), "size": 5}]
    assert document["config"] == {"mediaType": oci.CONFIG, "digest": oci.digest(b'{"a":1}'), "size": 7}
    assert document["annotations"] == {"note": "é"}
    assert oci.Descriptor.decode(document["config"]) == config.descriptor
