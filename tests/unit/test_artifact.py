"""The artifact of a version, what of it goes into which layer, and the identity of it all."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

import model
from build_model.image import artifact
from build_model.image.context import directories, pack
from build_model.image.version import Version
from model.errors import ArchitectureMismatch, ChecksumMismatch
from model.fingerprint import Manifest

ROOT = Path(model.__file__).parent.parent


def test_an_artifact_is_the_checkpoint_with_its_version_in_the_manifest(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint = make_checkpoint()
    written = artifact.write(checkpoint, Version(1, 0, 0), tmp_path / "artifacts" / "1.0.0")

    names = {"manifest.json", "weights.safetensors", "fra.lang.json", "eng.lang.json", "golden.jsonl"}
    assert {path.name for path in written.folder.iterdir()} == names
    for name in names - {"manifest.json"}:
        assert (written.folder / name).read_bytes() == (checkpoint / name).read_bytes()
    assert Manifest.read(written.folder) == Manifest.read(checkpoint).with_version("1.0.0")


def test_an_older_artifact_of_the_same_version_is_replaced_whole(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "artifacts" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "stray").touch()
    artifact.write(make_checkpoint(), Version(1, 0, 0), folder)
    assert not (folder / "stray").exists()


def test_a_damaged_checkpoint_is_refused_and_nothing_is_written(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint = make_checkpoint()
    weights = bytearray((checkpoint / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (checkpoint / "weights.safetensors").write_bytes(weights)
    with pytest.raises(ChecksumMismatch):
        artifact.write(checkpoint, Version(1, 0, 0), tmp_path / "artifacts")
    assert not (tmp_path / "artifacts").exists()


def test_weights_and_vocabularies_are_alone_in_the_model_layer(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    held = artifact.layers(artifact.write(make_checkpoint(), Version(1, 0, 0), tmp_path / "a"), ROOT)
    folder = "opt/dragoman/model/checkpoint"
    assert set(held.model) == {f"{folder}/{name}" for name in ("weights.safetensors", "fra.lang.json", "eng.lang.json")}
    assert set(held.guard) == {f"{folder}/manifest.json", f"{folder}/golden.jsonl"}
    assert {path.split("/")[2] for path in (*held.text, *held.library)} == {"model"}
    assert {path.rpartition("/")[2] for path in held.text} == artifact.TEXT
    assert {path.split("/")[2] for path in held.service} == {"service"}
    assert not any("build_model" in path or "tests" in path for path in held.digests())


def test_another_network_s_folder_takes_the_place_of_today_s_with_every_file_of_it(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    network = tmp_path / "network"
    (network / "data").mkdir(parents=True)
    (network / "__init__.py").write_bytes(b"MODEL = None\n")
    (network / "data" / "table.json").write_bytes(b"{}")
    (network / "__pycache__").mkdir()
    (network / "__pycache__" / "x.pyc").touch()
    checkpoint = make_checkpoint(network=network)
    held = artifact.layers(artifact.write(checkpoint, Version(1, 0, 0), tmp_path / "a", network), ROOT)
    inside = {path for path in held.digests() if path.startswith("model/network/")}
    assert inside == {"model/network/__init__.py", "model/network/data/table.json"}
    assert held.network["opt/dragoman/model/network/data/table.json"] == b"{}"
    others = (*held.lexicon, *held.text, *held.library, *held.service, *held.guard)
    assert all(path.split("/")[2:4] != ["model", "network"] for path in others)


def test_a_checkpoint_of_another_network_is_refused_without_its_folder(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "__init__.py").write_bytes(b"MODEL = None\n")
    checkpoint = make_checkpoint(network=tmp_path / "network")
    with pytest.raises(ArchitectureMismatch, match="name both of one, --network DIR and --checkpoint DIR"):
        artifact.write(checkpoint, Version(1, 0, 0), tmp_path / "a")


def test_another_build_of_the_same_version_meanwhile_is_noticed(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    one = artifact.write(make_checkpoint("one"), Version(1, 0, 0), tmp_path / "a")
    artifact.write(make_checkpoint("other", fill=b"\1"), Version(1, 0, 0), tmp_path / "a")
    with pytest.raises(ChecksumMismatch, match="another build-model"):
        artifact.layers(one, ROOT)


def test_what_is_packed_is_what_was_labelled_though_a_file_changes_meanwhile(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    written = artifact.write(make_checkpoint(), Version(1, 0, 0), tmp_path / "a")
    held = artifact.layers(written, ROOT)
    before = held.digests()
    (tmp_path / "a" / "weights.safetensors").write_bytes(b"other")
    assert held.digests() == before


def test_a_clone_without_the_service_is_an_error_that_says_so(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    written = artifact.write(make_checkpoint(), Version(1, 0, 0), tmp_path / "a")
    with pytest.raises(artifact.CodeMissing, match="Run build-model from a clone"):
        artifact.layers(written, tmp_path)


def test_the_identity_is_a_digest_over_sorted_paths_digests_and_the_runtime() -> None:
    digests = {"service/__main__.py": "22", "model/errors.py": "11"}
    expected = artifact.sha256(b"11  model/errors.py\n22  service/__main__.py\nkey  runtime\n")
    assert artifact.identity(digests, "key") == expected
    assert artifact.identity(dict(reversed(digests.items())), "key") == expected
    assert artifact.identity(digests, "other") != expected


def test_the_context_is_the_same_bytes_whatever_the_files_times_and_order(tmp_path: Path) -> None:
    early, late = tmp_path / "early", tmp_path / "late"
    for path, mode in ((early, 0o600), (late, 0o755)):
        path.write_bytes(b"content")
        path.chmod(mode)
    with pack({"b/x": early, "a/y": b"more"}) as one, pack({"a/y": b"more", "b/x": late}) as other:
        assert one.read() == other.read()


def test_the_context_lists_every_folder_before_what_is_in_it() -> None:
    listed = directories({"layer/opt/dragoman/model/errors.py": b""})
    assert listed == ["layer", "layer/opt", "layer/opt/dragoman", "layer/opt/dragoman/model"]
    assert all(str(PurePosixPath(folder).parent) in {*listed, "."} for folder in listed)
