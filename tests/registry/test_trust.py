"""What lies beside a pushed image, who signed it, and what is refused of both: against a real registry."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from checkpoints import write_checkpoint
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from images import Ran, missing
from jsonschema import Draft202012Validator

import model
from build_model.image import attached, image, modelpack, oci, provenance, runtime, sbom, trust
from build_model.image.attached import ProvenanceMissing, SbomMissing
from build_model.image.blobs import BlobFalse, BlobMissing
from build_model.image.connection import AccessRefused, RegistryUnreachable
from build_model.image.oci import Blob
from build_model.image.provenance import ProvenanceFalse
from build_model.image.reference import Reference
from build_model.image.registry import ManifestFalse, Registry, fallback
from build_model.image.runtime import Recipe
from build_model.image.sbom import SbomFalse
from build_model.image.signature import ANNOTATION, SIMPLE_SIGNING, Payload, PrivateKey
from build_model.image.trust import AttachedChanged, SignatureForeign, SignatureMissing, TagMoved
from build_model.image.verify import verify_image
from build_model.report import silent

from .node import RegistryNode, RegistryUnavailable
from .test_push import BASE, BESIDE, MODEL, Builder

ROOT = Path(model.__file__).parent.parent
SCHEMA = ROOT / "tests" / "fixtures" / "modelpack.schema.json"
ELSEWHERE = "elsewhere/fra-eng"
MakeCheckpoint = Callable[..., Path]
BuildModel = Callable[..., Ran]

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u13

Package: perl-base
Status: deinstall ok config-files
Architecture: amd64
Version: 5.36.0-7
"""
COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Files: *
License: LGPL-2.1+ or MIT/X11
"""
METADATA = """Metadata-Version: 2.4
Name: pika
Version: 1.4.4
License-Expression: BSD-3-Clause
"""
FILES: dict[str, oci.Content] = {
    "usr/lib/os-release": b'ID=debian\nVERSION_ID="12"\n',
    "usr/share/doc/libc6/copyright": COPYRIGHT.encode(),
    "var/lib/dpkg/status": STATUS.encode(),
    "opt/site-packages/pika-1.4.4.dist-info/METADATA": METADATA.encode(),
}
LIBC = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12"
PIKA = "pkg:pypi/pika@1.4.4"


@dataclass(frozen=True)
class Store:
    """A registry's data, and what was pushed there: versions 1.0.0 and 1.0.1 of one checkpoint, 2.0.0 of another one.

    2.0.0 lies in another repository, and says there that it is 1.0.0.
    """

    data: Path
    made: Mapping[str, image.Made]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Pushed once, with a runtime image in which there are two packages; each test has a copy."""
    folder = tmp_path_factory.mktemp("store")
    checkpoint = write_checkpoint(folder / "checkpoint")
    other = write_checkpoint(folder / "other", fill=b"\1")
    with started(folder) as node:
        registry = Registry(node.address)
        put_runtime(registry)
        builder = Builder(registry, folder / "artifacts")
        made = {tag: builder.push(tag, checkpoint) for tag in ("1.0.0", "1.0.1")}
        made["2.0.0"] = builder.push("1.0.0", other, repository=ELSEWHERE)
    return Store(node.data, made)


@pytest.fixture
def node(store: Store, tmp_path: Path) -> Iterator[RegistryNode]:
    """A registry with what is in the store."""
    shutil.copytree(store.data, tmp_path / "data")
    with started(tmp_path) as running:
        yield running


@pytest.fixture
def registry(node: RegistryNode) -> Registry:
    """Asks it."""
    return Registry(node.address)


@pytest.fixture
def pushed(registry: Registry) -> Reference:
    """Version 1.0.0, by tag and digest."""
    return registry.resolve(registry.address.reference(MODEL, "1.0.0"))


@pytest.fixture
def next_one(registry: Registry) -> Reference:
    """Version 1.0.1, by tag and digest."""
    return registry.resolve(registry.address.reference(MODEL, "1.0.1"))


def started(folder: Path) -> RegistryNode:
    """A registry on the data in a folder."""
    try:
        return RegistryNode(folder)
    except RegistryUnavailable as error:
        missing(error)


def put_runtime(registry: Registry) -> None:
    """The runtime image of this repository's dependencies, as far as anybody looks into it."""
    recipe = Recipe.read(ROOT)
    there = runtime.decide(BASE, recipe)
    layer = oci.layer(FILES)
    attributes = {"Config": {"Cmd": ["python3"]}, "RootFS": {"Layers": [layer.diff_id]}}
    config = oci.document(runtime.config_of(there, recipe, attributes), oci.CONFIG)
    for blob in (layer.blob, config):
        registry.blobs(runtime.REPOSITORY).put(blob)
    manifest = oci.manifest(config, [layer.blob.descriptor], {})
    for tag in (there.key, runtime.recipe_tag(recipe.digest)):
        registry.put_manifest(Reference(registry.host, runtime.REPOSITORY, tag), manifest)


@pytest.fixture
def key(tmp_path: Path) -> PrivateKey:
    """A key of ours."""
    private, _ = PrivateKey.generate(tmp_path / "ours")
    return PrivateKey.read(private)


def documents(registry: Registry, image: Reference, artifact_type: str) -> list[bytes]:
    """What the referrers of a type hold."""
    manifests = [
        registry.manifest(replace(image, tag="", digest=entry.digest))
        for entry in registry.referrers(image, artifact_type)
    ]
    return [registry.blobs(image.repository).read(one.layers[0].digest) for one in manifests]


def unattach(registry: Registry, image: Reference, gone: Callable[[oci.Descriptor], bool]) -> None:
    """Takes referrers off the list."""
    kept = [entry.encode() for entry in registry.referrers(image) if not gone(entry)]
    index = {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": kept}
    registry.put_manifest(fallback(image), oci.document(index, oci.INDEX))


def attach(registry: Registry, image: Reference, artifact_type: str, blob: Blob, annotations: dict[str, str]) -> None:
    """Puts a document beside an image."""
    registry.blobs(image.repository).put(blob)
    subject = registry.manifest(replace(image, tag="")).descriptor
    registry.attach(image, oci.referrer(artifact_type, subject, [blob.descriptor], annotations))


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


# Signatures


def test_a_signature_lies_where_cosign_looks_and_is_what_openssl_verifies(
    registry: Registry, pushed: Reference, key: PrivateKey, tmp_path: Path
) -> None:
    assert trust.sign(registry, pushed, key).new
    found = registry.manifest(replace(pushed, tag=f"sha256-{pushed.digest[7:]}.sig", digest=""))
    (layer,) = found.layers
    assert layer.media_type == "application/vnd.dev.cosign.simplesigning.v1+json"
    payload = registry.blobs(pushed.repository).read(layer.digest)
    critical = json.loads(payload)["critical"]
    assert critical == {
        "identity": {"docker-reference": f"{registry.host}/{pushed.repository}"},
        "image": {"docker-manifest-digest": pushed.digest},
        "type": "cosign container image signature",
    }
    assert registry.config(found)["rootfs"]["diff_ids"] == [layer.digest]
    (tmp_path / "payload").write_bytes(payload)
    (tmp_path / "base64").write_text(layer.annotations["dev.cosignproject.cosign/signature"])
    shell = "openssl base64 -d -A -in base64 -out sig && openssl dgst -sha256 -verify ours.pub -signature sig payload"
    ran = subprocess.run(["sh", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verified OK" in ran.stdout, ran.stderr
    (listed,) = registry.referrers(pushed, "application/vnd.dev.cosign.artifact.sig.v1+json")
    assert listed.digest == found.digest


def test_signing_again_changes_nothing_and_another_key_signs_beside_it(
    registry: Registry, pushed: Reference, key: PrivateKey, tmp_path: Path
) -> None:
    trust.sign(registry, pushed, key)
    before = registry.manifest(trust.place(pushed)).digest
    assert not trust.sign(registry, pushed, key).new
    assert registry.manifest(trust.place(pushed)).digest == before
    other = PrivateKey.read(PrivateKey.generate(tmp_path / "other")[0])
    assert trust.sign(registry, pushed, other).new
    for each in (key, other):
        assert trust.check(registry, pushed, each.public).reference == pushed


def test_an_image_that_nobody_or_somebody_else_signed_is_refused(
    registry: Registry, pushed: Reference, key: PrivateKey, tmp_path: Path
) -> None:
    with pytest.raises(SignatureMissing, match=r"isn't signed\. Sign it: build-model sign"):
        verify_image(registry, pushed, silent(), key.public)
    other = PrivateKey.read(PrivateKey.generate(tmp_path / "other")[0])
    trust.sign(registry, pushed, other)
    with pytest.raises(SignatureMissing, match="not by this key"):
        verify_image(registry, pushed, silent(), key.public)


def test_a_signature_of_another_image_is_refused_by_name(
    registry: Registry, pushed: Reference, next_one: Reference, key: PrivateKey
) -> None:
    trust.sign(registry, next_one, key)
    registry.put_manifest(trust.place(pushed), registry.manifest(trust.place(next_one)).blob)
    for ask in (key.public, None):
        with pytest.raises(SignatureForeign, match=rf"is of another image, {next_one.digest}"):
            verify_image(registry, pushed, silent(), ask)


def test_a_tag_moved_to_an_image_that_was_signed_under_another_one_is_refused_by_name(
    registry: Registry, pushed: Reference, next_one: Reference, key: PrivateKey
) -> None:
    for signed in (pushed, next_one):
        trust.sign(registry, signed, key)
    registry.put_manifest(replace(pushed, digest=""), registry.manifest(next_one).blob)
    with pytest.raises(TagMoved, match=r"was signed as version 1\.0\.1: the tag 1\.0\.0 was moved"):
        verify_image(registry, replace(pushed, digest=""), silent(), key.public)


def test_a_tag_that_is_another_versions_cant_be_signed_and_a_name_that_moves_can_be_verified(
    registry: Registry, pushed: Reference, next_one: Reference, key: PrivateKey
) -> None:
    production = replace(pushed, tag="production", digest="")
    registry.put_manifest(production, registry.manifest(next_one).blob)
    assert trust.sign(registry, production, key).claims["dragoman.version"] == "1.0.1"
    for tag in ("production", "1.0.1"):
        named = registry.resolve(replace(production, tag=tag))
        assert trust.check(registry, named, key.public).reference.digest == next_one.digest
    registry.put_manifest(replace(pushed, digest=""), registry.manifest(next_one).blob)
    with pytest.raises(TagMoved, match=r"says that it is version 1\.0\.1: the tag 1\.0\.0 was moved"):
        trust.sign(registry, replace(pushed, digest=""), key)


def test_a_tag_moved_to_an_image_that_nobody_signed_is_refused_by_name(
    registry: Registry, pushed: Reference, key: PrivateKey
) -> None:
    trust.sign(registry, pushed, key)
    other = registry.manifest(registry.address.reference(ELSEWHERE, "1.0.0"))
    for part in (other.config, *other.layers):
        registry.blobs(pushed.repository).mount(part.digest, ELSEWHERE)
    moved = replace(pushed, digest="")
    registry.put_manifest(moved, other.blob)
    with pytest.raises(TagMoved, match=rf"was signed as {pushed.digest}, and names {other.digest} now"):
        verify_image(registry, moved, silent(), key.public)


def test_what_lay_beside_an_image_when_it_was_signed_cant_be_exchanged(
    registry: Registry, pushed: Reference, key: PrivateKey
) -> None:
    trust.sign(registry, pushed, key)
    bill = oci.blob(documents(registry, pushed, sbom.CYCLONEDX)[0] + b" ", sbom.CYCLONEDX)
    unattach(registry, pushed, lambda entry: entry.annotations.get(attached.TITLE) == "runtime.cdx.json")
    attach(registry, pushed, sbom.CYCLONEDX, bill, {attached.TITLE: "runtime.cdx.json"})
    with pytest.raises(AttachedChanged, match=r"bill of materials .* was exchanged"):
        trust.check(registry, pushed, key.public)


def test_a_signature_that_cosign_made_without_our_claims_is_taken(
    registry: Registry, pushed: Reference, key: PrivateKey
) -> None:
    payload = Payload(pushed.name, pushed.digest, {}).encode()
    layer = replace(payload.descriptor, annotations={ANNOTATION: key.sign(payload.content)})  # type: ignore[arg-type]
    config = oci.document({"rootfs": {"type": "layers", "diff_ids": [payload.digest]}}, oci.CONFIG)
    for blob in (payload, config):
        registry.blobs(pushed.repository).put(blob)
    registry.put_manifest(trust.place(pushed), oci.manifest(config, [layer], {}))
    assert layer.media_type == SIMPLE_SIGNING
    assert trust.check(registry, pushed, key.public)


def test_a_signature_that_was_copied_as_a_referrer_without_its_tag_is_found(
    registry: Registry, pushed: Reference, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust.sign(registry, pushed, key)
    kept = Registry.find
    monkeypatch.setattr(Registry, "find", lambda self, one: None if one.tag.endswith(".sig") else kept(self, one))
    assert trust.check(registry, pushed, key.public)


# At the command line


def test_the_command_line_makes_a_key_signs_and_verifies(
    build_model: BuildModel, pushed: Reference, tmp_path: Path
) -> None:
    name = tmp_path / "mine"
    made = build_model("sign", "--generate-key", str(name), "--json")
    assert made.object == {"key": f"{name}.key", "public": f"{name}.pub"}
    assert (tmp_path / "mine.key").stat().st_mode & 0o777 == 0o600
    reference = f"{pushed.name}:1.0.0"
    assert build_model("verify", reference, "--key", f"{name}.pub").exit_code == 1
    signed = build_model("sign", reference, "--key", f"{name}.key", "--json")
    assert signed.object["digest"] == pushed.digest
    verified = build_model("verify", reference, "--key", f"{name}.pub", "--json")
    assert verified.object["checked"]["signatures"] == "1, one of them by the key given"
    again = build_model("sign", "--generate-key", str(name))
    assert (again.exit_code, "KeyTaken" in again.stderr) == (1, True)


def test_a_deploy_that_requires_a_signature_refuses_before_an_engine_pulls_anything(
    build_model: BuildModel, registry: Registry, pushed: Reference, key: PrivateKey, tmp_path: Path
) -> None:
    arguments = ("deploy", "1.0.0", "--registry", registry.host, "--amqp-url", "amqp://nobody.invalid/%2F", "--json")
    settings = tmp_path / "dragoman.toml"
    settings.write_text(f'[deploy]\nrequire-signature = "{tmp_path / "ours.pub"}"\n')
    by_option = (*arguments, "--require-signature", str(tmp_path / "ours.pub"))
    config = {"XDG_CONFIG_HOME": str(tmp_path)}
    (tmp_path / "dragoman").mkdir()
    shutil.copyfile(settings, tmp_path / "dragoman" / "config.toml")
    for ran in (build_model(*by_option), build_model(*arguments, environment=config)):
        assert ran.exit_code == 1, ran.stdout + ran.stderr
        assert ran.object["error"] == "SignatureMissing", ran.stdout
    trust.sign(registry, pushed, key)
    after = build_model(*by_option)
    assert after.object["error"] != "SignatureMissing"  # the broker, say: it isn't there
