"""Checkpoints out of images, images to other registries, into files and back, with all that refers to them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from checkpoints import write_checkpoint
from typer import BadParameter

from build_model.cli.build import checkpoint_folder
from build_model.image import oci
from build_model.image.blobs import BlobFalse
from build_model.image.connection import RegistryUnreachable
from build_model.image.push import TagExists
from build_model.image.reference import Reference
from build_model.image.registry import ManifestFalse, Registry
from build_model.report import silent
from build_model.store import archive, checkout, copying
from build_model.store.archive import ArchiveFalse, ArchiveForeign, TagMissing
from build_model.store.checkout import FolderTaken
from registry.node import RegistryNode
from registry.store import REPOSITORY, Tally, ask, plant_versions


@pytest.fixture
def registry(node: RegistryNode) -> Registry:
    return Registry(node.address)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[RegistryNode]:
    """Another registry, with nothing in it."""
    (tmp_path / "other").mkdir()
    with RegistryNode(tmp_path / "other") as node:
        yield node


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "one")


@pytest.fixture
def image(node: RegistryNode, registry: Registry, checkpoint: Path) -> Reference:
    """A version that is described, was deployed, and was signed twice: what was signed last is signed itself."""
    plant_versions(node, checkpoint, ["1.0.0"])
    pinned = registry.resolve(named(registry, "1.0.0"))
    subject = registry.manifest(pinned).descriptor
    for kind in ("application/x-signature", "application/x-of-signature"):
        payload = oci.blob(f"payload of {kind}".encode(), kind)
        registry.blobs(REPOSITORY).put(payload)
        signature = oci.referrer(kind, subject, [payload.descriptor], {"note": kind})
        registry.attach(replace(pinned, digest=subject.digest), signature)
        subject = signature.descriptor
    old = oci.manifest(oci.EMPTY, [payload.descriptor], {})
    registry.put_manifest(named(registry, f"{pinned.digest.replace(':', '-')}.sig"), old)
    return pinned


def named(registry: Registry, tag: str, repository: str = REPOSITORY) -> Reference:
    return registry.address.reference(repository, tag)


def beside(registry: Registry, pinned: Reference) -> dict[str, str]:
    """Digest and type of all that refers to an image, and to that in turn, and what is filed under a tag."""
    found = registry.manifest(replace(pinned, tag=""))
    listed = {one.digest: one.descriptor.artifact_type for _, one in copying.referrers(registry, pinned, found)}
    return listed | {one.digest: tag for tag, one in copying.filed_beside(registry, pinned, pinned.digest)}


# The checkpoint out of an image


def test_a_checkpoint_comes_out_as_it_went_in(
    registry: Registry, image: Reference, checkpoint: Path, tmp_path: Path
) -> None:
    ran = ask(registry.host, "pull", "1.0.0", str(tmp_path / "new" / "out"), "--json")
    assert ran.exit_code == 0, ran.stderr + ran.stdout
    assert contents(tmp_path / "new" / "out") == contents(checkpoint)
    assert ran.object["digest"] == image.digest


def test_a_checkpoint_of_an_image_that_nothing_lies_beside_comes_out_too(
    node: RegistryNode, registry: Registry, checkpoint: Path, tmp_path: Path
) -> None:
    plant_versions(node, checkpoint, ["1.0.0"], described=False)
    checkout.pull(registry, named(registry, "1.0.0"), tmp_path / "out", silent())
    assert contents(tmp_path / "out") == contents(checkpoint)


def test_nothing_is_written_over_and_nothing_damaged_is_written(
    node: RegistryNode, registry: Registry, image: Reference, checkpoint: Path, tmp_path: Path
) -> None:
    before = contents(checkpoint)
    with pytest.raises(FolderTaken, match="is there already"):
        checkout.pull(registry, image, checkpoint, silent())
    assert contents(checkpoint) == before
    node.damage(registry.manifest(image).layers[0].digest)
    out = tmp_path / "out"
    with pytest.raises((BlobFalse, checkout.CheckpointFalse)):
        checkout.pull(registry, image, out, silent())
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_a_flipped_byte_anywhere_never_gives_another_checkpoint(
    node: RegistryNode, registry: Registry, image: Reference, checkpoint: Path, tmp_path: Path
) -> None:
    """What isn't read may be damaged; of the rest nothing is written, or what went in."""
    found = registry.manifest(image)
    beside = [one for _, one in copying.referrers(registry, image, found)]
    read = {found.digest, found.config.digest, found.layers[0].digest}
    for number, digest in enumerate(
        sorted({part.digest for one in (found, *beside) for part in (one, *one.layers)} | read)
    ):
        out = tmp_path / f"out-{number}"
        node.damage(digest)
        with suppress(BlobFalse, ManifestFalse, RegistryUnreachable, checkout.CheckpointFalse):
            checkout.pull(registry, image, out, silent())
            assert digest not in read
            assert contents(out) == contents(checkpoint)
        assert digest not in read or not out.exists()
        node.damage(digest)


def test_a_build_takes_the_checkpoint_of_an_image_by_its_reference(
    registry: Registry, image: Reference, checkpoint: Path
) -> None:
    for text in (f"{registry.host}/{REPOSITORY}:1.0.0", str(image), "1.0.0"):
        with checkpoint_folder(Path(text), registry.host, REPOSITORY, silent()) as folder:
            assert contents(folder) == contents(checkpoint)
        assert not folder.exists()
    with checkpoint_folder(checkpoint, registry.host, REPOSITORY, silent()) as folder:
        assert folder == checkpoint
    with (
        pytest.raises(BadParameter, match="name its registry"),
        checkpoint_folder(Path("1.0.0"), "", REPOSITORY, silent()),
    ):
        pass


# Copies


def test_a_copy_has_the_same_digest_and_all_that_refers_to_it(
    registry: Registry, image: Reference, other: RegistryNode
) -> None:
    there = Registry(other.address)
    ran = ask(registry.host, "copy", "1.0.0", f"{other.host}/team/fra-eng", "--json")
    assert ran.exit_code == 0, ran.stderr + ran.stdout
    assert ran.object["referrers"] == 5  # description, deploy, signature, its own signature, an old one
    copied = there.resolve(named(there, "1.0.0", "team/fra-eng"))
    assert copied.digest == image.digest
    assert beside(there, copied) == beside(registry, image)
    assert len(beside(there, copied)) == 5
    again = ask(registry.host, "copy", "1.0.0", f"{other.host}/team/fra-eng:1.0.0", "--json").object
    assert again["sent_bytes"] == 0


def test_a_copy_in_one_registry_sends_no_blob(node: RegistryNode, image: Reference) -> None:
    with Tally(node.host) as tally:
        through = Registry(tally.address)
        source, target = (named(through, "1.0.0", name) for name in (REPOSITORY, "dragoman/other"))
        done = copying.Copy((through, source), (through, target), silent()).run()
    assert (done.sent, done.referrers) == (0, 5)
    assert done.reference.digest == image.digest


def test_a_copy_overwrites_no_version_and_gives_no_tag_to_what_is_damaged(
    node: RegistryNode, registry: Registry, image: Reference, other: RegistryNode, tmp_path: Path
) -> None:
    there = Registry(other.address)
    plant_versions(other, write_checkpoint(tmp_path / "two", b"\1"), ["1.0.0"])
    taken = there.resolve(named(there, "1.0.0"))
    with pytest.raises(TagExists, match="never overwritten"):
        copying.Copy((registry, image), (there, named(there, "1.0.0")), silent()).run()
    assert there.resolve(named(there, "1.0.0")) == taken
    node.damage(registry.manifest(image).layers[0].digest)
    with pytest.raises(BlobFalse):
        copying.Copy((registry, image), (there, named(there, "candidate")), silent()).run()
    assert "candidate" not in there.names(REPOSITORY)


def test_a_flipped_byte_in_anything_that_moves_is_refused_and_nothing_gets_its_tag(
    node: RegistryNode, registry: Registry, image: Reference, other: RegistryNode, tmp_path: Path
) -> None:
    """Every manifest and blob of an image and of all that refers to it, one after the other."""
    there, file = Registry(other.address), tmp_path / "image.tar"
    found = registry.manifest(image)
    beside = [one for _, one in copying.referrers(registry, image, found)]
    filed = [one for _, one in copying.filed_beside(registry, image, image.digest)]
    digests = {part.digest for one in (found, *beside, *filed) for part in (one, *copying.parts(one))}
    assert len(digests) > 12
    for number, digest in enumerate(sorted(digests)):
        target = named(there, "1.0.0", f"team/{number}")  # which has nothing yet: what is there isn't fetched
        node.damage(digest)
        # The registry itself answers 500 for a manifest that it can't read any more.
        with pytest.raises((BlobFalse, ManifestFalse, RegistryUnreachable)):
            copying.Copy((registry, image), (there, target), silent()).run()
        assert there.names(target.repository) == []
        with pytest.raises((BlobFalse, ManifestFalse, RegistryUnreachable)):
            archive.export(registry, image, file, silent())
        node.damage(digest)  # the same byte: as it was
    assert [one.name for one in tmp_path.glob("image.tar*")] == []


# Files


@pytest.fixture
def exported(registry: Registry, image: Reference, tmp_path: Path) -> Path:
    """The version as a file."""
    file = tmp_path / "image.tar"
    archive.export(registry, replace(image, digest=""), file, silent())
    return file


def test_an_archive_brings_an_image_and_all_that_refers_to_it_to_another_registry(
    registry: Registry, image: Reference, exported: Path, other: RegistryNode
) -> None:
    there = Registry(other.address)
    ran = ask(other.address, "import", str(exported), "--json")
    assert ran.exit_code == 0, ran.stderr + ran.stdout
    copied = there.resolve(named(there, "1.0.0"))
    assert copied.digest == image.digest == ran.object["images"][0]["digest"]
    assert beside(there, copied) == beside(registry, image)
    assert len(beside(there, copied)) == 5
    again = archive.import_archive(exported, there, named(there, "candidate"), silent())
    assert (again[0].sent, again[0].reference.tag) == (0, "candidate")


def test_the_same_image_gives_the_same_file_and_names_itself_in_it(
    registry: Registry, image: Reference, exported: Path, tmp_path: Path
) -> None:
    again = archive.export(registry, replace(image, digest=""), tmp_path / "again.tar", silent())
    assert again.file.read_bytes() == exported.read_bytes()
    with tarfile.open(exported) as tar:
        held = {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}  # type: ignore[union-attr]
    index, docker = json.loads(held["index.json"]), json.loads(held["manifest.json"])
    assert json.loads(held["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = index["manifests"]  # one, so that no reader has to be told which
    assert entry["digest"] == image.digest
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "1.0.0"
    assert docker[0]["RepoTags"] == [f"{registry.host}/{REPOSITORY}:1.0.0"]
    for name in [docker[0]["Config"], *docker[0]["Layers"]]:
        assert name in held


def test_a_damaged_archive_is_refused_before_anything_is_sent(
    image: Reference, exported: Path, other: RegistryNode, tmp_path: Path
) -> None:
    there = Registry(other.address)
    whole = exported.read_bytes()
    with tarfile.open(exported) as tar:
        largest = max((one for one in tar if one.name.startswith(archive.BLOBS)), key=lambda one: one.size)
    flipped = bytearray(whole)
    flipped[largest.offset_data] ^= 1
    cut = whole[: largest.offset_data + 100]
    refusals = {"is damaged, or somebody changed it": bytes(flipped), "no OCI archive|ends in the middle|hold it": cut}
    for number, (said, content) in enumerate(refusals.items()):
        file = tmp_path / f"{number}.tar"
        file.write_bytes(content)
        with pytest.raises((ArchiveFalse, ArchiveForeign), match=said):
            archive.import_archive(file, there, named(there, ""), silent())
    assert there.tags(REPOSITORY) == []


def test_a_flipped_byte_in_any_part_of_an_archive_is_refused(
    exported: Path, other: RegistryNode, tmp_path: Path
) -> None:
    there, whole = Registry(other.address), exported.read_bytes()
    with tarfile.open(exported) as tar:
        blobs = [one for one in tar if one.name.startswith(archive.BLOBS)]
    assert len(blobs) > 12
    for number, one in enumerate(blobs):
        flipped = bytearray(whole)
        flipped[one.offset_data + one.size // 2] ^= 1
        (tmp_path / f"{number}.tar").write_bytes(flipped)
        with pytest.raises(ArchiveFalse, match="is damaged, or somebody changed it"):
            archive.import_archive(tmp_path / f"{number}.tar", there, named(there, ""), silent())
    assert there.tags(REPOSITORY) == []


def test_what_is_no_archive_of_images_is_refused(other: RegistryNode, tmp_path: Path) -> None:
    there = Registry(other.address)
    text = tmp_path / "text.tar"
    text.write_text("no tar")
    plain = tmp_path / "plain.tar"
    with tarfile.open(plain, "w") as tar:
        tar.addfile(tarfile.TarInfo("a"), io.BytesIO())
    for file in (text, plain):
        with pytest.raises(ArchiveForeign, match="is no OCI archive"):
            archive.import_archive(file, there, named(there, ""), silent())
    refused = ask(other.address, "import", str(plain))
    assert refused.exit_code == 1
    assert "Traceback" not in refused.stderr


def test_an_archive_that_names_no_tag_needs_one(
    registry: Registry, image: Reference, other: RegistryNode, tmp_path: Path
) -> None:
    there, file = Registry(other.address), tmp_path / "image.tar"
    archive.export(registry, replace(image, tag=""), file, silent())
    with pytest.raises(TagMissing, match="--tag VERSION"):
        archive.import_archive(file, there, named(there, ""), silent())
    archive.import_archive(file, there, named(there, "1.0.0"), silent())
    assert there.resolve(named(there, "1.0.0")).digest == image.digest


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
