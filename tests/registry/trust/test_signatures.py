"""Who signed an image, and what is refused: against a real registry."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from images import Ran

from build_model.image import attached, oci, sbom, trust
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.image.signature import ANNOTATION, SIMPLE_SIGNING, Payload, PrivateKey
from build_model.image.trust import AttachedChanged, SignatureForeign, SignatureMissing, TagMoved
from build_model.image.verify import verify_image
from build_model.report import silent

from .documents import ELSEWHERE, attach, documents, unattach

BuildModel = Callable[..., Ran]


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
