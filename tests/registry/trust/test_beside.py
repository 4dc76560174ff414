"""What lies beside a pushed image, and what is refused of it: against a real registry."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from jsonschema import Draft202012Validator

from build_model.image import attached, modelpack, oci, provenance, runtime, sbom, trust
from build_model.image.attached import ProvenanceMissing, SbomMissing
from build_model.image.blobs import BlobFalse, BlobMissing
from build_model.image.connection import AccessRefused, RegistryUnreachable
from build_model.image.oci import Blob
from build_model.image.provenance import ProvenanceFalse
from build_model.image.reference import Reference
from build_model.image.registry import ManifestFalse, Registry, fallback
from build_model.image.sbom import SbomFalse
from build_model.image.signature import PrivateKey
from build_model.image.verify import verify_image
from build_model.report import silent
from registry.node import RegistryNode
from registry.test_push import BESIDE, Builder

from .conftest import Store
from .documents import ROOT, attach, documents, unattach

SCHEMA = ROOT / "tests" / "fixtures" / "modelpack.schema.json"
MakeCheckpoint = Callable[..., Path]
LIBC = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12"
PIKA = "pkg:pypi/pika@1.4.4"

# What is there


def test_a_pushed_image_has_bills_of_materials_that_cyclonedx_accepts_with_packages_and_licences(
    registry: Registry, pushed: Reference
) -> None:
    found = documents(registry, pushed, sbom.CYCLONEDX)
    assert len(found) == 2
    for document in found:
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document.decode()) is None
    below, own = (json.loads(document) for document in found)
    assert {one["purl"]: one["licenses"] for one in below["components"]} == {
        LIBC: [{"license": {"id": "LGPL-2.1-or-later"}}, {"license": {"id": "MIT"}}],
        PIKA: [{"license": {"id": "BSD-3-Clause"}}],
    }
    image = own["metadata"]["component"]
    assert image["version"] == "1.0.0"
    assert image["hashes"] == [{"alg": "SHA-256", "content": pushed.digest.removeprefix("sha256:")}]
    assert image["licenses"] == [{"expression": registry.labels(pushed)["org.opencontainers.image.licenses"]}]
    (link,) = next(one for one in own["components"] if one["bom-ref"] == "runtime")["externalReferences"]
    assert link["url"] == oci.digest(found[0])


def test_its_provenance_is_an_in_toto_statement_of_slsa_about_this_digest(
    registry: Registry, pushed: Reference
) -> None:
    (document,) = documents(registry, pushed, provenance.IN_TOTO)
    told, labels = json.loads(document), registry.labels(pushed)
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == "https://slsa.dev/provenance/v1"
    assert [one["digest"]["sha256"] for one in told["subject"]] == [pushed.digest.removeprefix("sha256:")]
    definition = told["predicate"]["buildDefinition"]
    assert set(definition) >= {"buildType", "externalParameters", "resolvedDependencies"}
    assert told["predicate"]["runDetails"]["builder"]["id"]
    made_of = {one["name"]: one.get("digest", {}) for one in definition["resolvedDependencies"]}
    assert made_of["weights"] == {"sha256": labels["dragoman.weights"]}
    below = registry.manifest(runtime.beside(pushed, labels["dragoman.runtime"]))
    assert made_of["runtime"] == {"sha256": below.digest.removeprefix("sha256:")}
    revision = labels.get("org.opencontainers.image.revision", "-dirty")
    assert made_of["code"] == ({} if revision.endswith("-dirty") else {"gitCommit": revision})


def test_the_twin_is_what_modelpacks_schema_says_and_shares_the_weights(registry: Registry, pushed: Reference) -> None:
    twin = registry.manifest(replace(pushed, tag="modelpack-1.0.0", digest=""))
    schema = json.loads(SCHEMA.read_text("utf-8"))
    config = json.loads(registry.blobs(pushed.repository).read(twin.config.digest))
    for name, document in (("manifest", twin.document), ("config", config)):
        Draft202012Validator({**schema, "$ref": f"#/$defs/{name}"}).validate(document)
    image = registry.manifest(pushed)
    assert twin.layers[0].digest == image.layers[1].digest
    assert config["modelfs"]["diffIds"][0] == registry.config(image)["rootfs"]["diff_ids"][1]
    assert config["config"]["capabilities"]["languages"] == ["fr", "en"]
    assert config["config"]["paramSize"] == "0.0K"
    assert config["config"]["precision"] == "fp16"
    (listed,) = registry.referrers(pushed, modelpack.MODEL)
    assert listed.digest == twin.digest


def test_a_push_of_what_is_there_puts_beside_it_what_it_lacks_and_nothing_else(
    registry: Registry, pushed: Reference, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    entries = registry.referrers(pushed)
    unattach(registry, pushed, lambda entry: True)
    again = Builder(registry, tmp_path / "artifacts").push("1.0.0", make_checkpoint())
    assert (again.made, again.digest, again.warning) == (False, pushed.digest, None)
    assert {one.digest for one in registry.referrers(pushed)} == {one.digest for one in entries}


def test_the_list_of_packages_is_made_and_sent_once_and_a_version_adds_little_of_its_own(store: Store) -> None:
    for tag in ("1.0.0", "1.0.1"):
        transfers = store.made[tag].pushed.transfers  # type: ignore[union-attr]
        assert {one.holds: one.sent for one in transfers}["runtime's SBOM"] is False
        assert sum(one.size for one in transfers if one.holds in BESIDE) < 12_000


def test_whoever_may_not_write_beside_the_runtime_gets_its_list_of_packages_beside_the_image(
    registry: Registry, pushed: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = registry.manifest(runtime.beside(pushed, registry.labels(pushed)["dragoman.runtime"]))
    there = attached.runtime_bill(registry, below, silent())
    unattach(registry, Reference(registry.host, below.repository, digest=below.digest), lambda entry: True)

    def refused(self: Registry, reference: Reference, *manifests: Blob) -> None:
        raise AccessRefused("no")

    monkeypatch.setattr(Registry, "attach", refused)
    made = attached.runtime_bill(registry, below, silent())
    assert made.descriptor.digest == there.descriptor.digest
    assert made.content is not None


# What is refused


@pytest.mark.parametrize("which", ["runtime.cdx.json", "image.cdx.json"])
def test_a_missing_bill_of_materials_is_refused_and_the_message_says_how_to_get_one(
    registry: Registry, pushed: Reference, key: PrivateKey, which: str
) -> None:
    trust.sign(registry, pushed, key)
    unattach(registry, pushed, lambda entry: entry.annotations.get(attached.TITLE) == which)
    for ask in (None, key.public):
        with pytest.raises(SbomMissing, match=r"no bill of materials \(SBOM\).*--push"):
            verify_image(registry, pushed, silent(), ask)
    with pytest.raises(SbomMissing):
        trust.sign(registry, pushed, key)


def test_what_a_garbage_collector_took_is_missing_though_it_is_listed_and_a_push_brings_it_back(
    registry: Registry, pushed: Reference, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    key = registry.labels(pushed)["dragoman.runtime"]
    below = registry.resolve(replace(pushed, repository=runtime.REPOSITORY, tag=key, digest=""))
    for each in (pushed, below):
        for entry in registry.referrers(each, sbom.CYCLONEDX):
            registry.delete(replace(each, digest=entry.digest))
    with pytest.raises(SbomMissing):
        verify_image(registry, pushed, silent())
    Builder(registry, tmp_path / "artifacts").push("1.0.0", make_checkpoint())
    assert verify_image(registry, pushed, silent())


def test_a_missing_provenance_is_refused(registry: Registry, pushed: Reference) -> None:
    unattach(registry, pushed, lambda entry: entry.artifact_type == provenance.IN_TOTO)
    with pytest.raises(ProvenanceMissing, match="has no provenance"):
        verify_image(registry, pushed, silent())


def test_a_bill_that_lists_something_else_than_what_is_inside_is_refused_by_name(
    registry: Registry, pushed: Reference
) -> None:
    document = json.loads(documents(registry, pushed, sbom.CYCLONEDX)[0])
    document["components"] = [one for one in document["components"] if one["name"] != "pika"]
    unattach(registry, pushed, lambda entry: entry.annotations.get(attached.TITLE) == "runtime.cdx.json")
    false = oci.document(document, sbom.CYCLONEDX)
    attach(registry, pushed, sbom.CYCLONEDX, false, {attached.TITLE: "runtime.cdx.json"})
    with pytest.raises(SbomFalse, match=rf"{PIKA} is in the image and not in its bill"):
        verify_image(registry, pushed, silent())


def test_provenance_of_another_image_is_refused(registry: Registry, pushed: Reference, next_one: Reference) -> None:
    (document,) = documents(registry, next_one, provenance.IN_TOTO)
    unattach(registry, pushed, lambda entry: entry.artifact_type == provenance.IN_TOTO)
    told = {attached.PREDICATE_TYPE: provenance.PREDICATE}
    attach(registry, pushed, provenance.IN_TOTO, oci.blob(document, provenance.IN_TOTO), told)
    with pytest.raises(ProvenanceFalse, match=rf"that of another image, {next_one.digest}"):
        verify_image(registry, pushed, silent())


def test_a_flipped_byte_in_any_blob_is_refused(registry: Registry, pushed: Reference, node: RegistryNode) -> None:
    """Every blob that an image or anything beside it names, and every manifest, one after the other."""
    private, _ = PrivateKey.generate(node.data.parent / "key")
    key = PrivateKey.read(private)
    trust.sign(registry, pushed, key)
    beside = [registry.manifest(replace(pushed, tag="", digest=one.digest)) for one in registry.referrers(pushed)]
    manifests = [registry.manifest(pushed), *beside, registry.manifest(trust.place(pushed))]
    named = {one.digest for manifest in manifests for one in (manifest, manifest.config, *manifest.layers)}
    named.add(registry.manifest(fallback(pushed)).digest)
    assert len(named) > 15
    for digest in sorted(named):
        node.damage(digest)
        # The registry itself answers 500 for a manifest that it can't read any more.
        with pytest.raises((BlobFalse, BlobMissing, ManifestFalse, RegistryUnreachable)):
            verify_image(registry, pushed, silent(), key.public)
        node.damage(digest)  # the same byte: as it was
    assert verify_image(registry, pushed, silent(), key.public)
