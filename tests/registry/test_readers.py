"""Other tools read our images and our archives, and we read theirs: skopeo of Debian 13, and the Docker engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from broker.installation import ENTER, NodeUnavailable, debian_13
from checkpoints import write_checkpoint
from images import missing

from build_model.engine import Engine
from build_model.image import trust
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.image.signature import Payload, PrivateKey
from build_model.report import silent
from build_model.store import archive
from registry.node import RegistryNode
from registry.store import REPOSITORY, plant_versions

Skopeo = Callable[..., str]


@pytest.fixture(scope="session")
def skopeo_root() -> Path:
    """A root of Debian 13 with skopeo in it."""
    try:
        return debian_13("skopeo", "skopeo", "netavark")  # which debootstrap wouldn't choose by itself
    except NodeUnavailable as error:
        missing(error)


@pytest.fixture
def skopeo(skopeo_root: Path, tmp_path: Path) -> Skopeo:
    """Runs skopeo, which sees the test's folder as /mnt; what it prints."""

    def run(*arguments: str) -> str:
        command = ["unshare", "--mount", "sh", "-ec", ENTER, "sh", str(skopeo_root), str(tmp_path), "skopeo"]
        ran = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


@pytest.fixture
def image(node: RegistryNode, tmp_path: Path) -> Reference:
    """A version in the test's registry."""
    plant_versions(node, write_checkpoint(tmp_path / "one"), ["1.0.0"])
    registry = Registry(node.address)
    return registry.resolve(registry.address.reference(REPOSITORY, "1.0.0"))


def test_skopeo_inspects_copies_and_exports_an_image_and_we_read_what_it_wrote(
    node: RegistryNode, image: Reference, skopeo: Skopeo, tmp_path: Path
) -> None:
    registry = Registry(node.address)
    where = f"docker://{image.name}"
    found = json.loads(skopeo("inspect", "--tls-verify=false", f"{where}:1.0.0"))
    assert found["Digest"] == image.digest
    assert found["Labels"]["org.opencontainers.image.version"] == "1.0.0"
    there = f"docker://{node.host}/elsewhere/copied"
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", f"{where}:1.0.0", f"{there}:1.0.0")
    assert registry.resolve(Reference(node.host, "elsewhere/copied", "1.0.0")).digest == image.digest
    skopeo("copy", "--src-tls-verify=false", f"{where}:1.0.0", "oci-archive:/mnt/theirs.tar:1.0.0")
    back = Reference(node.host, "elsewhere/imported")
    (imported,) = archive.import_archive(tmp_path / "theirs.tar", registry, back, silent())
    assert (imported.reference.tag, imported.reference.digest) == ("1.0.0", image.digest)


def test_skopeo_reads_our_archive_without_being_told_which_image(
    node: RegistryNode, image: Reference, skopeo: Skopeo, tmp_path: Path
) -> None:
    registry = Registry(node.address)
    archive.export(registry, registry.address.reference(REPOSITORY, "1.0.0"), tmp_path / "ours.tar", silent())
    for name in ("oci-archive:/mnt/ours.tar", "oci-archive:/mnt/ours.tar:1.0.0"):
        assert json.loads(skopeo("inspect", name))["Digest"] == image.digest
    there = f"docker://{node.host}/elsewhere/from-archive:1.0.0"
    skopeo("copy", "--dest-tls-verify=false", "oci-archive:/mnt/ours.tar", there)
    assert registry.resolve(Reference(node.host, "elsewhere/from-archive", "1.0.0")).digest == image.digest
    assert json.loads(skopeo("inspect", "docker-archive:/mnt/ours.tar"))["Labels"]["dragoman.artifact"]


def test_skopeo_takes_by_policy_what_our_key_signed_and_nothing_else(
    node: RegistryNode, image: Reference, skopeo_root: Path, tmp_path: Path
) -> None:
    """`cosign verify --key` checks the same; skopeo is what Debian has of it."""
    registry = Registry(node.address)
    keys = [PrivateKey.read(PrivateKey.generate(tmp_path / name)[0]) for name in ("ours", "theirs")]
    (tmp_path / "registries.d").mkdir()
    attachments = {"docker": {node.host: {"use-sigstore-attachments": True}}}
    (tmp_path / "registries.d" / "node.yaml").write_text(json.dumps(attachments))
    signed = {"type": "sigstoreSigned", "keyPath": "/mnt/ours.pub", "signedIdentity": {"type": "matchRepository"}}
    policy = {"default": [{"type": "reject"}], "transports": {"docker": {node.host: [signed]}}}
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    given = ("--policy", "/mnt/policy.json", "--registries.d", "/mnt/registries.d")

    def copied() -> str:
        command = ["unshare", "--mount", "sh", "-ec", ENTER, "sh", str(skopeo_root), str(tmp_path), "skopeo"]
        where = (f"docker://{image.name}:1.0.0", "dir:/mnt/copied")
        ran = subprocess.run(
            [*command, *given, "copy", "--src-tls-verify=false", *where], capture_output=True, text=True, check=False
        )
        return "" if ran.returncode == 0 else ran.stderr

    assert "no signature exists" in copied()
    trust.put_signature(registry, image, Payload(image.name, image.digest, {}), keys[1])
    assert "signature verification failed" in copied()
    trust.put_signature(registry, image, Payload(image.name, image.digest, {"dragoman.version": "1.0.0"}), keys[0])
    assert copied() == ""
    trust.put_signature(registry, image, Payload(image.name, f"sha256:{'0' * 64}", {}), keys[0])
    assert "does not match" in copied()


def test_an_engine_loads_our_archive_under_its_name(
    node: RegistryNode, image: Reference, engine: Engine, tmp_path: Path
) -> None:
    registry = Registry(node.address)
    file = tmp_path / "ours.tar"
    archive.export(registry, registry.address.reference(REPOSITORY, "1.0.0"), file, silent())
    try:
        with file.open("rb") as content:
            (loaded,) = engine.client.images.load(content)
        assert loaded.tags == [f"{image.name}:1.0.0"]
        assert loaded.labels["org.opencontainers.image.version"] == "1.0.0"
    finally:
        engine.client.images.remove(f"{image.name}:1.0.0", force=True)
