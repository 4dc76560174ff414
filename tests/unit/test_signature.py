"""Keys and signatures as openssl and cosign have them."""

import subprocess
from pathlib import Path

import pytest

from build_model.image.signature import (
    PASSWORD,
    KeyTaken,
    KeyUnreadable,
    Payload,
    PrivateKey,
    PublicKey,
    SignatureFalse,
)


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def test_a_signature_is_the_same_each_time_and_holds_for_those_bytes_alone(tmp_path: Path) -> None:
    key = PrivateKey.read(PrivateKey.generate(tmp_path / "k")[0])
    assert key.sign(b"bytes") == key.sign(b"bytes")
    assert key.public.holds(b"bytes", key.sign(b"bytes"))
    assert not key.public.holds(b"other bytes", key.sign(b"bytes"))
    for nonsense in ("", "no base64", "MEUC", key.sign(b"bytes")[:-8]):
        assert not key.public.holds(b"bytes", nonsense)


@pytest.mark.parametrize(
    "made", [("ecparam", "-name", "prime256v1", "-genkey", "-noout"), ("ecparam", "-name", "prime256v1", "-genkey")]
)
def test_a_key_that_openssl_made_signs(tmp_path: Path, made: tuple[str, ...]) -> None:
    openssl(tmp_path, *made, "-out", "k.pem")
    openssl(tmp_path, "pkey", "-in", "k.pem", "-pubout", "-out", "p.pem")
    signature = PrivateKey.read(tmp_path / "k.pem").sign(b"bytes")
    assert PublicKey.read(tmp_path / "p.pem").holds(b"bytes", signature)


def test_a_key_with_a_password_opens_with_that_alone_and_no_message_shows_it(tmp_path: Path) -> None:
    private, _ = PrivateKey.generate(tmp_path / "k", {PASSWORD: "s3cret"})
    assert b"ENCRYPTED" in private.read_bytes()
    assert PrivateKey.read(private, {PASSWORD: "s3cret"})
    for environment, said in (({}, f"Give it in {PASSWORD}"), ({PASSWORD: "wr0ng"}, "doesn't open with the password")):
        with pytest.raises(KeyUnreadable, match=said) as refused:
            PrivateKey.read(private, environment)
        assert "wr0ng" not in str(refused.value)


def test_a_password_for_a_key_that_has_none_is_no_hindrance(tmp_path: Path) -> None:
    private, _ = PrivateKey.generate(tmp_path / "k", {})
    assert PrivateKey.read(private, {PASSWORD: "s3cret"})


def test_a_key_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    private, public = PrivateKey.generate(tmp_path / "k", {})
    held = private.read_bytes()
    private.unlink()
    with pytest.raises(KeyTaken, match=r"k\.pub is there"):
        PrivateKey.generate(tmp_path / "k", {})
    assert not private.exists()
    assert public.exists()
    assert b"PRIVATE" in held


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no private key in PEM"),
        ("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nx\n", "only cosign reads"),
        ("rsa", "isn't ECDSA's on P-256"),
        ("p384", "isn't ECDSA's on P-256"),
        ("public", "a public key; the private one signs"),
    ],
)
def test_what_is_no_such_key_is_said_to_be_what_it_is(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "key"
    if content == "rsa":
        openssl(tmp_path, "genrsa", "-out", "key", "2048")
    elif content == "p384":
        openssl(tmp_path, "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "key")
    elif content == "public":
        path.write_bytes(PrivateKey.generate(tmp_path / "k", {})[1].read_bytes())
    else:
        path.write_text(content)
    with pytest.raises(KeyUnreadable, match=said):
        PrivateKey.read(path, {})


def test_a_private_key_where_a_public_one_is_wanted_and_a_missing_file_are_said(tmp_path: Path) -> None:
    private, _ = PrivateKey.generate(tmp_path / "k", {})
    with pytest.raises(KeyUnreadable, match="a private key; the public one is wanted here"):
        PublicKey.read(private)
    with pytest.raises(KeyUnreadable, match=r"can't be read \(No such file"):
        PublicKey.read(tmp_path / "nothing")


def test_a_payload_is_what_cosign_signs_and_comes_back(tmp_path: Path) -> None:
    payload = Payload("registry/r", "sha256:1d", {"dragoman.version": "1.0.0"})
    content = payload.encode().content
    assert isinstance(content, bytes)
    assert content == (
        b'{"critical":{"identity":{"docker-reference":"registry/r"},"image":{"docker-manifest-digest":"sha256:1d"},'
        b'"type":"cosign container image signature"},"optional":{"dragoman.version":"1.0.0"}}'
    )
    assert Payload.decode(content) == payload
    assert Payload.decode(content.replace(b'{"dragoman.version":"1.0.0"}', b"null")).claims == {}
    for nonsense in (b"", b"[]", b"{}", content.replace(b"cosign container", b"atomic container")):
        with pytest.raises(SignatureFalse):
            Payload.decode(nonsense)
