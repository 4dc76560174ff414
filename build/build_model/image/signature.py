"""Signatures as cosign has them: a payload that names an image's digest, signed with ECDSA on P-256.

Formats: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md and containers-signature(5). Pure
functions but for the key's files. `cosign verify --key` reads them, and so does what heeds a containers-policy.json(5)
of the type sigstoreSigned.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from build_model.image import oci
from build_model.image.oci import Blob
from model.errors import DragomanError

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"
"""What cosign calls a signature that is a referrer."""
ANNOTATION = "dev.cosignproject.cosign/signature"
PASSWORD = "DRAGOMAN_KEY_PASSWORD"
_TYPE = "cosign container image signature"
_SCHEME = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)  # RFC 6979: signing again gives the same
_PLAIN = ec.ECDSA(hashes.SHA256())
_GENERATE = "Make a pair: build-model sign --generate-key NAME"


class KeyUnreadable(DragomanError):
    """A key's file is missing, or isn't such a key."""


class KeyTaken(DragomanError):
    """A key's file that would be written is there."""


class SignatureFalse(DragomanError):
    """What is attached as a signature isn't one."""


@dataclass(frozen=True)
class Payload:
    """What is signed: an image of ``name`` (registry and repository) by its digest, and ``claims`` about it."""

    name: str
    digest: str
    claims: Mapping[str, str]

    def encode(self) -> Blob:
        """The bytes that are signed."""
        return oci.document(
            {
                "critical": {
                    "identity": {"docker-reference": self.name},
                    "image": {"docker-manifest-digest": self.digest},
                    "type": _TYPE,
                },
                "optional": dict(self.claims) or None,
            },
            SIMPLE_SIGNING,
        )

    @classmethod
    def decode(cls, content: bytes) -> Payload:
        """From the bytes that were signed; SignatureFalse."""
        try:
            critical = json.loads(content)["critical"]
            if critical["type"] != _TYPE:
                raise ValueError(critical["type"])
            claims: dict[str, Any] = json.loads(content).get("optional") or {}
            told = {str(name): str(value) for name, value in claims.items()}
            return cls(critical["identity"]["docker-reference"], critical["image"]["docker-manifest-digest"], told)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SignatureFalse("What is attached as a signature has no payload of cosign's.") from error


@dataclass(frozen=True)
class PublicKey:
    """By which a signature is checked."""

    key: ec.EllipticCurvePublicKey

    @classmethod
    def read(cls, path: Path) -> PublicKey:
        """From a PEM file; KeyUnreadable."""
        content = _content(path)
        try:
            key = serialization.load_pem_public_key(content)
        except (ValueError, UnsupportedAlgorithm) as error:
            private = b"PRIVATE KEY" in content
            found = "a private key; the public one is wanted here" if private else "no public key in PEM"
            raise KeyUnreadable(f"{path} holds {found}. {_GENERATE}, or `openssl pkey -in KEY -pubout`.") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise KeyUnreadable(f"{path} holds a key that isn't ECDSA's on P-256. {_GENERATE}.")
        return cls(key)

    def holds(self, payload: bytes, signature: str) -> bool:
        """Whether ``signature``, in base64, is one of ``payload`` by this key."""
        try:
            self.key.verify(base64.b64decode(signature, validate=True), payload, _PLAIN)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """By which is signed."""

    key: ec.EllipticCurvePrivateKey

    @classmethod
    def read(cls, path: Path, environment: Mapping[str, str] = os.environ) -> PrivateKey:
        """From a PEM file, with the password that the environment has in PASSWORD; KeyUnreadable, without secrets."""
        content = _content(path)
        if b"ENCRYPTED COSIGN" in content or b"ENCRYPTED SIGSTORE" in content:
            raise KeyUnreadable(
                f"{path} is encrypted in cosign's own way, which only cosign reads. {_GENERATE}, or bring a key that "
                "openssl made; `cosign import-key-pair` takes it too."
            )
        password = environment.get(PASSWORD, "").encode() or None
        try:
            key = serialization.load_pem_private_key(content, password)
        except TypeError:  # encrypted and no password, or the other way round
            if password is None:
                raise KeyUnreadable(f"{path} has a password. Give it in {PASSWORD}.") from None
            key = serialization.load_pem_private_key(content, None)
        except (ValueError, UnsupportedAlgorithm):
            if b"ENCRYPTED" in content:
                raise KeyUnreadable(f"{path} doesn't open with the password in {PASSWORD}.") from None
            found = "a public key; the private one signs" if b"PUBLIC KEY" in content else "no private key in PEM"
            raise KeyUnreadable(f"{path} holds {found}. {_GENERATE}.") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise KeyUnreadable(f"{path} holds a key that isn't ECDSA's on P-256. {_GENERATE}.")
        return cls(key)

    @classmethod
    def generate(cls, name: Path, environment: Mapping[str, str] = os.environ) -> tuple[Path, Path]:
        """Write ``NAME.key``, which only its owner can read, and ``NAME.pub``; KeyTaken where one of them is there.

        With a password in PASSWORD the key is encrypted.
        """
        private, public = name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub")
        for path in (private, public):
            if path.exists():
                raise KeyTaken(f"{path} is there, and a key that is lost can't be made again. Choose another name.")
        key = ec.generate_private_key(ec.SECP256R1())
        password = environment.get(PASSWORD, "").encode()
        hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
        descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        public.write_bytes(cls(key).public_pem)
        return private, public

    @property
    def public(self) -> PublicKey:
        """By which its signatures are checked."""
        return PublicKey(self.key.public_key())

    @property
    def public_pem(self) -> bytes:
        """The public key as a file has it."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, payload: bytes) -> str:
        """A signature in base64, the same for the same bytes."""
        return base64.b64encode(self.key.sign(payload, _SCHEME)).decode()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyUnreadable(f"{path} can't be read ({error.strerror}). {_GENERATE}.") from error
