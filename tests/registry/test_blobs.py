"""Blobs and manifests, put into a real registry and read back; damage on the way and in its storage is noticed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from proxy import Proxy

from build_model.image import oci
from build_model.image.blobs import BlobFalse, BlobMissing
from build_model.image.connection import RegistryUnreachable
from build_model.image.reference import Reference
from build_model.image.registry import ManifestFalse, Registry
from registry.node import RegistryNode

LARGE = bytes(range(256)) * 40_000  # 10 MB


@pytest.fixture
def registry(node: RegistryNode) -> Registry:
    return Registry(node.address)


def put_image(registry: Registry, reference: Reference, *layers: oci.Blob) -> oci.Blob:
    """An image of these layers; its manifest."""
    config = oci.document({"config": {"Labels": {"a": "b"}}}, oci.CONFIG)
    for blob in (config, *layers):
        registry.blobs(reference.repository).put(blob)
    manifest = oci.manifest(config, [layer.descriptor for layer in layers], {})
    registry.put_manifest(reference, manifest)
    return manifest


def test_a_blob_from_a_file_is_sent_and_comes_back(registry: Registry, tmp_path: Path) -> None:
    blob = oci.blob(LARGE, oci.LAYER)
    file = tmp_path / "blob"
    file.write_bytes(LARGE)
    blobs = registry.blobs("r")
    shown: list[tuple[int, int]] = []
    assert not blobs.has(blob.digest)
    blobs.put(replace(blob, content=file), lambda done, total: shown.append((done, total)))
    assert blobs.has(blob.digest)
    assert blobs.read(blob.digest) == LARGE
    assert shown[-1] == (len(LARGE), len(LARGE))


def test_an_empty_blob_can_be_put(registry: Registry) -> None:
    blob = oci.blob(b"", oci.LAYER)
    registry.blobs("r").put(blob)
    assert registry.blobs("r").read(blob.digest) == b""


def test_a_blob_is_taken_over_from_another_repository_without_being_sent(registry: Registry) -> None:
    blob = oci.blob(LARGE, oci.LAYER)
    registry.blobs("one").put(blob)
    assert registry.blobs("other").mount(blob.digest, "one")
    assert registry.blobs("other").has(blob.digest)
    missing = oci.blob(b"nowhere", oci.LAYER)
    assert not registry.blobs("other").mount(missing.digest, "one")


@pytest.mark.parametrize("damage", [Proxy.cut, Proxy.reset])
def test_an_upload_that_is_cut_off_once_is_finished(node: RegistryNode, damage: Callable[[Proxy], None]) -> None:
    host, port = node.host.split(":")
    with Proxy(host, int(port)) as proxy:
        blobs = Registry(f"127.0.0.1:{proxy.port}").blobs("r")
        proxy.bytes_per_second = 20_000_000
        blob = oci.blob(LARGE, oci.LAYER)
        cut: list[int] = []

        def show(done: int, total: int) -> None:
            if done > total // 2 and not cut:
                cut.append(done)
                damage(proxy)

        blobs.put(blob, show)
        assert cut
        assert blobs.read(blob.digest) == LARGE


def test_an_upload_that_is_cut_off_again_and_again_is_given_up(node: RegistryNode) -> None:
    host, port = node.host.split(":")
    with Proxy(host, int(port)) as proxy:
        blobs = Registry(f"127.0.0.1:{proxy.port}").blobs("r")
        with pytest.raises(RegistryUnreachable, match="No registry answers"):
            blobs.put(oci.blob(LARGE, oci.LAYER), lambda done, total: proxy.reset())


def test_a_blob_with_a_flipped_byte_and_one_that_is_gone_are_noticed(node: RegistryNode, registry: Registry) -> None:
    blob = oci.blob(LARGE, oci.LAYER)
    registry.blobs("r").put(blob)
    node.damage(blob.digest)
    with pytest.raises(BlobFalse, match=f"other bytes under {blob.digest} in r"):
        registry.blobs("r").read(blob.digest)
    node.lose(blob.digest)
    with pytest.raises(BlobMissing, match=f"/r lacks its part {blob.digest}"):
        registry.blobs("r").read(blob.digest)


def test_a_manifest_is_put_under_its_digest_first_and_under_a_tag_later(registry: Registry) -> None:
    reference = registry.address.reference("r")
    manifest = put_image(registry, reference, oci.blob(b"layer", oci.LAYER))
    pinned = replace(reference, digest=manifest.digest)
    assert registry.manifest(pinned).content == manifest.content
    assert registry.tags("r") == []
    registry.put_manifest(replace(reference, tag="1.0.0"), manifest)
    assert registry.resolve(replace(reference, tag="1.0.0")).digest == manifest.digest
    assert registry.labels(replace(reference, tag="1.0.0")) == {"a": "b"}
    registry.delete(pinned)
    assert registry.find(pinned) is None


def test_a_manifest_with_a_flipped_byte_is_noticed(node: RegistryNode, registry: Registry) -> None:
    manifest = put_image(registry, registry.address.reference("r", "1.0.0"))
    node.damage(manifest.digest)
    with pytest.raises((ManifestFalse, RegistryUnreachable)):
        registry.manifest(registry.address.reference("r", "", manifest.digest))


def test_referrers_are_listed_where_the_registry_has_no_api_for_them(registry: Registry) -> None:
    image = registry.address.reference("r", "1.0.0")
    subject = put_image(registry, image)
    pinned = replace(image, digest=subject.digest)
    assert registry.referrers(pinned) == []
    empty = oci.blob(b"{}", "application/vnd.oci.empty.v1+json")
    registry.blobs("r").put(empty)
    for kind in ("application/x-one", "application/x-other", "application/x-one"):
        document = {
            "schemaVersion": 2,
            "mediaType": oci.MANIFEST,
            "artifactType": kind,
            "config": empty.descriptor.encode(),
            "layers": [empty.descriptor.encode()],
            "subject": {"mediaType": oci.MANIFEST, "digest": subject.digest, "size": subject.size},
        }
        registry.attach(pinned, oci.document(document, oci.MANIFEST))
    kinds = [entry.artifact_type for entry in registry.referrers(pinned)]
    assert sorted(kinds) == ["application/x-one", "application/x-other"]
    (one,) = registry.referrers(pinned, "application/x-one")
    assert registry.manifest(replace(pinned, tag="", digest=one.digest)).document["artifactType"] == "application/x-one"
    assert [tag for tag in registry.tags("r") if not tag.startswith("sha256-")] == ["1.0.0"]


def test_those_who_attach_the_same_at_the_same_moment_all_succeed(node: RegistryNode, registry: Registry) -> None:
    image = registry.address.reference("r", "1.0.0")
    pinned = replace(image, digest=put_image(registry, image).digest)
    subject = registry.manifest(pinned).descriptor
    manifests = [oci.referrer(f"application/x-{number}", subject, [oci.EMPTY.descriptor], {}) for number in range(4)]
    registry.blobs("r").put(oci.EMPTY)

    def attach(_: int) -> None:
        Registry(node.address).attach(pinned, *manifests)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(attach, range(12)))

    assert {entry.digest for entry in registry.referrers(pinned)} == {manifest.digest for manifest in manifests}
