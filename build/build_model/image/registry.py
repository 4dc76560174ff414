"""The image registry as a model store: which versions it has, and what is in one, without pulling it.

Speaks the Registry HTTP API v2 (https://distribution.github.io/distribution/spec/api/).
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any

import docker.auth
import docker.errors
import requests

from build_model.image.artifact import APPLICATION, CHECKPOINT, sha256
from build_model.image.reference import Address, Reference, is_loopback
from model.errors import DragomanError
from model.fingerprint import MANIFEST, WEIGHTS, lang_file

ANSWER_SECONDS = 30
MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
UNKNOWN_CODES = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"})
"""What a registry says in a 404 when it has nothing of that name; Harbor says the last one."""
PLATFORM = {"os": "linux", "architecture": "amd64"}
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class RegistryUnreachable(DragomanError):
    """The registry doesn't answer, or refuses to."""


class VersionUnknown(DragomanError):
    """The registry has no such version."""


class BlobMissing(DragomanError):
    """The registry has a manifest and not what it names: somebody removed a part of an image."""


class ImageForeign(DragomanError):
    """The image is none that build-model made."""


@dataclass(frozen=True)
class Inspection:
    """What an image says about itself. ``layers``: (what it holds, bytes), lowest first; a registry has them
    ``compressed``, an engine doesn't. ``digests``: by path."""

    reference: str
    digest: str
    labels: Mapping[str, str]
    manifest: Mapping[str, Any]
    layers: tuple[tuple[str, int], ...]
    compressed: bool
    digests: Mapping[str, str]

    @property
    def scores(self) -> dict[str, Mapping[str, Any]]:
        """What the manifest records of the training's scores, by the set that they are of."""
        scores: dict[str, Mapping[str, Any]] = self.manifest.get("training", {}).get("scores", {})
        return scores

    def encode(self) -> dict[str, Any]:
        """For ``inspect --json``."""
        return {
            "reference": self.reference,
            "digest": self.digest,
            "labels": dict(self.labels),
            "manifest": dict(self.manifest),
            "scores": self.scores,
            "layers": [{"holds": holds, "bytes": count} for holds, count in self.layers],
            "layers_compressed": self.compressed,
            "files": dict(self.digests),
        }


class Registry:
    """The registry at an address (``Address.parse``). Before all else it is asked whether it is one."""

    def __init__(self, address: str) -> None:
        self.address = Address.parse(address)
        self.host, self.url = self.address.host, self.address.url
        self._session = requests.Session()
        # A proxy or a .netrc meant for the web would only be in the way of a registry on this machine.
        self._session.trust_env = not is_loopback(self.host)
        self._known = False

    def tags(self, repository: str) -> list[str]:
        """All tags of ``repository``; none when the registry doesn't know it."""
        answer = self._get(f"{repository}/tags/list")
        if self._says_unknown(answer):
            return []
        return list(self._checked(answer).json().get("tags") or [])

    def resolve(self, reference: Reference) -> Reference:
        """``reference`` with the digest of its manifest; VersionUnknown when its tag isn't there."""
        _, digest = self._manifest(reference)
        return replace(reference, digest=digest)

    def labels(self, reference: Reference) -> dict[str, str]:
        """The labels in the image's config; VersionUnknown when its tag isn't there."""
        manifest, _ = self._manifest(reference)
        return _labels(self._config(reference, manifest))

    def inspect(self, reference: Reference) -> Inspection:
        """Labels, model manifest and layer sizes: of all layers only the topmost is fetched, the one with the code.

        Raises VersionUnknown for an unknown tag and ImageForeign for an image that build-model didn't make.
        """
        manifest, digest = self._manifest(reference)
        labels = _labels(self._config(reference, manifest))
        if "dragoman.artifact" not in labels:
            raise ImageForeign(f"{reference} has no label dragoman.artifact: build-model didn't make it.")
        blobs = manifest["layers"]
        code = self._blob(reference, blobs[-1]["digest"])
        files = files_in_layer(code, blobs[-1]["mediaType"])
        model_manifest = json.loads(files[str(CHECKPOINT / MANIFEST)])
        return Inspection(
            reference=str(replace(reference, digest="")),
            digest=digest,
            labels=labels,
            manifest=model_manifest,
            layers=tuple(zip(layer_names(len(blobs)), (blob["size"] for blob in blobs), strict=True)),
            compressed=True,
            digests=digests_of(files, model_manifest),
        )

    def _manifest(self, reference: Reference) -> tuple[dict[str, Any], str]:
        """(image manifest for linux/amd64, digest of what the tag names)."""
        wanted = reference.digest or reference.tag
        answer = self._get(f"{reference.repository}/manifests/{wanted}", accept=", ".join(MANIFEST_TYPES))
        if self._says_unknown(answer):
            raise self._unknown(reference)
        document = self._checked(answer).json()
        digest = answer.headers.get("Docker-Content-Digest") or f"sha256:{sha256(answer.content)}"
        if "manifests" not in document:
            return document, digest
        for entry in document["manifests"]:
            platform = entry.get("platform", {})
            if all(platform.get(key) == value for key, value in PLATFORM.items()):
                return self._manifest(replace(reference, digest=entry["digest"]))[0], digest
        raise VersionUnknown(f"{reference} has no image for linux/amd64, the only platform that Dragoman builds for.")

    def _unknown(self, reference: Reference) -> VersionUnknown:
        tags = self.tags(reference.repository)
        has = f"It has {', '.join(sorted(tags))}." if tags else f"It has nothing named {reference.repository}."
        if not (reference.tag or reference.digest):
            return VersionUnknown(f"{reference} names no version, and {self.host} was asked for one. {has}")
        return VersionUnknown(f"{self.host} has no {reference.repository}:{reference.tag or reference.digest}. {has}")

    def _config(self, reference: Reference, manifest: Mapping[str, Any]) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._blob(reference, manifest["config"]["digest"]))
        return document

    def _blob(self, reference: Reference, digest: str) -> bytes:
        answer = self._get(f"{reference.repository}/blobs/{digest}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise BlobMissing(f"{self.host} has {reference} and not its part {digest}: somebody removed it.")
        return self._checked(answer).content

    def _says_unknown(self, answer: requests.Response) -> bool:
        """Whether the registry itself says that it has no such thing. Any other 404 is no statement about versions: it
        is a proxy's, or that of a server which is no registry, and a version that is there must not look free."""
        if answer.status_code != HTTPStatus.NOT_FOUND:
            return False
        try:
            codes = {str(error["code"]) for error in answer.json()["errors"]}
        except (ValueError, TypeError, KeyError):
            codes = set()
        return bool(codes & UNKNOWN_CODES)

    def _get(self, path: str, accept: str = "*/*") -> requests.Response:
        if not self._known:
            self._introduce()
        return self._ask(path, accept)

    def _introduce(self) -> None:
        """Ask whether this is a registry: only one that speaks version 2 of the API answers to ``/v2/``."""
        answer = self._ask("", "*/*")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise RegistryUnreachable(
                f"What answers at {self.url} is no image registry: it answered {answer.status_code} to /v2/. "
                "Check --registry."
            )
        self._checked(answer)
        self._known = True

    def _ask(self, path: str, accept: str) -> requests.Response:
        url = f"{self.url}/v2/{path}"
        try:
            answer = self._session.get(url, headers={"Accept": accept}, timeout=ANSWER_SECONDS)
            challenge = answer.headers.get("WWW-Authenticate", "")
            if answer.status_code == HTTPStatus.UNAUTHORIZED and challenge:
                self._sign_in(challenge)
                answer = self._session.get(url, headers={"Accept": accept}, timeout=ANSWER_SECONDS)
        except requests.RequestException as error:
            raise RegistryUnreachable(
                f"No registry answers at {self.url} ({_cause(error)}). "
                "Check --registry; `deploy/local up` starts one on this machine."
            ) from error
        return answer

    def _sign_in(self, challenge: str) -> None:
        """Answer the registry's challenge with what `docker login` stored, or as nobody where that is allowed."""
        login = _stored_login(self.host)
        if challenge.lower().startswith("basic"):
            self._session.auth = login
            return
        fields = dict(_CHALLENGE.findall(challenge))
        query = {name: fields[name] for name in ("service", "scope") if name in fields}
        answer = self._session.get(fields.get("realm", ""), params=query, auth=login, timeout=ANSWER_SECONDS)
        token = self._checked(answer).json()
        self._session.headers["Authorization"] = f"Bearer {token.get('token') or token.get('access_token')}"

    def _checked(self, answer: requests.Response) -> requests.Response:
        if answer.ok:
            return answer
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise RegistryUnreachable(
                f"{self.host} refuses access ({answer.status_code}). Run `docker login {self.host}`."
            )
        raise RegistryUnreachable(f"{self.host} answered {answer.status_code} to {answer.request.path_url}.")


def layer_names(count: int) -> list[str]:
    """What each of an image's ``count`` layers holds, lowest first: the top two are ours, the others the runtime's."""
    return [*["runtime"] * (count - 2), "model", "code"]


def files_in_layer(blob: bytes, media_type: str) -> dict[str, bytes]:
    """The regular files of a layer, by path without leading slash."""
    if media_type.endswith("zstd"):
        raise ImageForeign(
            "The code layer is compressed with zstd, which build-model doesn't read. Pull it and inspect it."
        )
    content = gzip.decompress(blob) if blob[:2] == b"\x1f\x8b" else blob
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {
            member.name.removeprefix("./"): source.read()
            for member in tar
            if member.isfile() and (source := tar.extractfile(member)) is not None
        }


def digests_of(code: Mapping[str, bytes], manifest: Mapping[str, Any]) -> dict[str, str]:
    """``Layers.digests`` of a pushed image: the code layer's files are hashed, the manifest has the others."""
    hashed = {str(PurePosixPath(path).relative_to(APPLICATION)): sha256(content) for path, content in code.items()}
    folder = CHECKPOINT.relative_to(APPLICATION)
    return {**hashed, **{str(folder / name): digest for name, digest in model_digests(manifest).items()}}


def model_digests(manifest: Mapping[str, Any]) -> dict[str, str]:
    """sha256 by file name of weights and vocabularies, from a manifest's JSON.

    Not through ``Manifest``: this one may be of a version whose code had other fields.
    """
    langs = {lang_file(code): digest for code, digest in manifest.get("langs", {}).items()}
    return {WEIGHTS: manifest.get("weights", ""), **langs}


def _labels(config: Mapping[str, Any]) -> dict[str, str]:
    return dict(config.get("config", {}).get("Labels") or {})


def _stored_login(host: str) -> tuple[str, str] | None:
    try:
        stored = docker.auth.load_config().resolve_authconfig(host)
    except docker.errors.DockerException as error:
        raise RegistryUnreachable(
            f"The login stored for {host} can't be read ({error}). Run `docker login {host}`."
        ) from error
    return (stored["username"], stored["password"]) if stored and "username" in stored else None


def _cause(error: requests.RequestException) -> str:
    text = str(error)
    for known in (
        "Connection refused",
        "Name or service not known",
        "timed out",
        "CERTIFICATE_VERIFY_FAILED",
        "WRONG_VERSION",
    ):
        if known in text:
            return known.lower().replace("_", " ")
    return type(error).__name__
