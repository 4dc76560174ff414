"""References, and asking a registry about an image without pulling it. The registry here is a small HTTP server."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import pytest
from answering import answering

from build_model.image.blobs import BlobFalse, BlobMissing
from build_model.image.connection import RegistryUnreachable
from build_model.image.contents import ImageForeign, files_in_layer
from build_model.image.inspection import inspect
from build_model.image.reference import Address, AddressInvalid, Reference, ReferenceInvalid
from build_model.image.registry import ManifestFalse, Registry, VersionUnknown

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
PYTHON = b"print('code')\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dragoman/fra-eng:1.0.0", Reference("", "dragoman/fra-eng", "1.0.0")),
        ("127.0.0.1:5000/dragoman/fra-eng:1.0.0", Reference("127.0.0.1:5000", "dragoman/fra-eng", "1.0.0")),
        ("localhost/fra-eng", Reference("localhost", "fra-eng")),
        ("ghcr.io/a/b:1.0.0@sha256:abc", Reference("ghcr.io", "a/b", "1.0.0", "sha256:abc")),
        ("[::1]:5000/a__b/c--d:v_1", Reference("[::1]:5000", "a__b/c--d", "v_1")),
    ],
)
def test_a_reference_is_split_as_docker_splits_it_and_written_back(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1.0.0",
        "Upper/case:1",
        "a b",
        "h:1/a:",
        "h:1/a:b c",
        "h:1/a:1@",
        "u:p@h:1/a",
        "h:x/a",
        "h:1//a",
        "h:1/a:1/b",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ReferenceInvalid, match="is not an image reference"):
        Reference.parse(text)


def test_a_pinned_reference_names_the_digest_and_no_tag() -> None:
    assert Reference("h:1", "r", "1.0.0", "sha256:ab").pinned == "h:1/r@sha256:ab"


@dataclass
class Stored:
    """What the server has: answers by path, (media type, body); ``token`` makes it ask for a bearer token first;
    ``unknown`` is its 404, (media type, body)."""

    answers: dict[str, tuple[str, bytes]] = field(default_factory=lambda: {"/v2/": ("application/json", b"{}")})
    unknown: tuple[str, bytes] = ("application/json", b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "gone"}]}')
    token: str = ""
    links: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, repository: str, tag: str, *, labels: Mapping[str, str], indexed: bool = False) -> str:
        """Stores an image of three layers; the digest of what its tag names."""
        model_manifest = {
            "weights": "w" * 64,
            "langs": {"fra": "f" * 64},
            "training": {"scores": {"test": {"bleu": 49.5}}, "seed": 1},
        }
        code = layer(
            {
                "opt/dragoman/model/checkpoint/manifest.json": json.dumps(model_manifest).encode(),
                "opt/dragoman/service/__main__.py": PYTHON,
            }
        )
        config = json.dumps({"config": {"Labels": dict(labels)}}).encode()
        layers = [{"mediaType": LAYER, "size": 100, "digest": "sha256:runtime"}]
        layers += [{"mediaType": LAYER, "size": 10, "digest": "sha256:model"}]
        layers += [{"mediaType": LAYER, "size": len(code), "digest": self.blob(repository, code)}]
        image_config = {"mediaType": CONFIG, "size": len(config), "digest": self.blob(repository, config)}
        manifest = {"layers": layers, "config": image_config}
        digest = self.manifest(repository, tag, DOCKER, manifest)
        if indexed:
            platforms = [("unknown", "unknown", "sha256:attestation"), ("linux", "amd64", digest)]
            entries = [
                {"mediaType": DOCKER, "size": 1, "digest": one, "platform": {"os": os, "architecture": cpu}}
                for os, cpu, one in platforms
            ]
            digest = self.manifest(repository, tag, INDEX, {"manifests": entries})
        return digest

    def blob(self, repository: str, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.answers[f"/v2/{repository}/blobs/{digest}"] = ("application/octet-stream", content)
        return digest

    def page_tags(self, repository: str, tags: list[str], size: int) -> None:
        """Stores tags in pages, each of which names the next one."""
        for start in range(0, len(tags), size):
            body = json.dumps({"name": repository, "tags": tags[start : start + size]}).encode()
            path = f"/v2/{repository}/tags/list"
            name = f"{path}?n={size}&last={tags[start - 1]}" if start else path
            self.answers[name] = ("application/json", body)
            if start + size < len(tags):
                following = f"{path}?n={size}&last={tags[start + size - 1]}"
                self.links[name] = f'<{following}>; rel="next"'

    def manifest(self, repository: str, tag: str, media_type: str, document: Mapping[str, Any]) -> str:
        body = json.dumps(document).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        for name in (tag, digest):
            self.answers[f"/v2/{repository}/manifests/{name}"] = (media_type, body)
        self.answers[f"/v2/{repository}/tags/list"] = ("application/json", json.dumps({"tags": [tag]}).encode())
        return digest


def layer(files: Mapping[str, bytes]) -> bytes:
    """A layer's blob."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        folder = tarfile.TarInfo("opt")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue())


class Handler(BaseHTTPRequestHandler):
    """Answers from ``stored``."""

    stored: ClassVar[Stored]

    def do_GET(self) -> None:
        """Answers what is stored under the path."""
        stored = self.stored
        stored.asked.append(self.path)
        if self.path.startswith("/token"):
            self._answer(200, "application/json", json.dumps({"token": stored.token}).encode())
        elif stored.token and self.headers.get("Authorization") != f"Bearer {stored.token}":
            realm = f"http://{self.headers['Host']}/token"
            challenge = f'Bearer realm="{realm}",service="here",scope="repository:r:pull"'
            self._answer(401, "application/json", b"{}", {"WWW-Authenticate": challenge})
        elif self.path in stored.answers:
            link = {"Link": stored.links[self.path]} if self.path in stored.links else {}
            self._answer(200, *stored.answers[self.path], link)
        else:
            self._answer(404, *stored.unknown)

    def _answer(self, status: int, media_type: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": media_type, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def stored() -> Stored:
    return Stored()


@pytest.fixture
def address(stored: Stored) -> Iterator[str]:
    with answering(Handler, stored=stored) as port:
        yield f"127.0.0.1:{port}"


@pytest.mark.parametrize("indexed", [False, True])
def test_an_image_is_inspected_from_its_config_and_its_topmost_layer_alone(
    stored: Stored, address: str, indexed: bool
) -> None:
    labels = {"dragoman.artifact": "a" * 64}
    digest = stored.put("r", "1.0.0", labels=labels, indexed=indexed)
    found = inspect(Registry(address), Reference(address, "r", "1.0.0"))
    assert found.digest == digest
    assert found.labels == labels
    assert found.encode()["scores"] == {"test": {"bleu": 49.5}}
    assert [holds for holds, _ in found.layers] == ["runtime", "model", "code"]
    assert found.compressed
    assert found.digests["service/__main__.py"] == hashlib.sha256(PYTHON).hexdigest()
    assert found.digests["model/checkpoint/weights.safetensors"] == "w" * 64
    assert found.digests["model/checkpoint/fra.lang.json"] == "f" * 64
    assert not any("sha256:model" in path or "sha256:runtime" in path for path in stored.asked)


def test_a_tag_is_resolved_to_the_digest_of_what_it_names(stored: Stored, address: str) -> None:
    digest = stored.put("r", "1.0.0", labels={})
    assert Registry(address).resolve(Reference(address, "r", "1.0.0")).digest == digest


def test_a_registry_that_wants_a_token_is_given_one(stored: Stored, address: str) -> None:
    stored.put("r", "1.0.0", labels={"dragoman.artifact": "a"})
    stored.token = "ticket"
    assert Registry(address).labels(Reference(address, "r", "1.0.0")) == {"dragoman.artifact": "a"}


def test_an_unknown_version_is_one_line_that_names_those_that_are_there(stored: Stored, address: str) -> None:
    stored.put("r", "1.0.0", labels={})
    with pytest.raises(VersionUnknown, match=r"has no r:9\.9\.9\. It has 1\.0\.0\.$"):
        Registry(address).resolve(Reference(address, "r", "9.9.9"))
    with pytest.raises(VersionUnknown, match=r"r names no version, and .* was asked for one\. It has 1\.0\.0\.$"):
        inspect(Registry(address), Reference(address, "r"))
    with pytest.raises(VersionUnknown, match="nothing named other"):
        Registry(address).resolve(Reference(address, "other", "1.0.0"))


def test_tags_are_read_to_the_last_page(stored: Stored, address: str) -> None:
    tags = [f"1.0.{number}" for number in range(250)]
    stored.page_tags("r", tags, 100)
    assert Registry(address).tags("r") == tags
    assert len(stored.asked) == 4  # three pages, and whether it is a registry


def test_pages_that_go_round_in_a_circle_end(stored: Stored, address: str) -> None:
    stored.page_tags("r", ["1.0.0", "1.0.1"], 1)
    stored.links["/v2/r/tags/list?n=1&last=1.0.0"] = '</v2/r/tags/list?n=1&last=1.0.0>; rel="next"'
    assert Registry(address).tags("r") == ["1.0.0", "1.0.1"]


def test_what_refers_to_any_version_is_read_where_the_registry_lists_it_itself(stored: Stored, address: str) -> None:
    for tag in ("1.0.0", "1.1.0"):
        digest = stored.put("r", tag, labels={"version": tag})
        entry = {"mediaType": INDEX, "digest": f"sha256:of-{tag}", "size": 1, "artifactType": "x/y", "annotations": {}}
        body = json.dumps({"manifests": [entry]}).encode()
        stored.answers[f"/v2/r/referrers/{digest}?artifactType=x%2Fy"] = (INDEX, body)
    stored.page_tags("r", ["1.0.0", "1.1.0", "same"], 10)
    stored.answers["/v2/r/manifests/same"] = stored.answers["/v2/r/manifests/1.1.0"]
    found = Registry(address).all_referrers(Reference(address, "r"), "x/y")
    assert sorted(entry.digest for entry in found) == ["sha256:of-1.0.0", "sha256:of-1.1.0"]


def test_a_manifest_that_is_not_what_its_digest_says_is_refused(stored: Stored, address: str) -> None:
    digest = stored.put("r", "1.0.0", labels={})
    stored.answers[f"/v2/r/manifests/{digest}"] = stored.answers["/v2/r/manifests/1.0.0"][0], b'{"layers": []}'
    with pytest.raises(ManifestFalse, match="is not what the registry sends"):
        Registry(address).manifest(Reference(address, "r", "", digest))


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"schemaVersion": 1, "fsLayers": []}', b'{"layers": [{}]}'])
def test_what_is_no_manifest_is_said_to_be_none(stored: Stored, address: str, body: bytes) -> None:
    stored.answers["/v2/r/manifests/1.0.0"] = DOCKER, body
    with pytest.raises(ManifestFalse, match="no image manifest"):
        Registry(address).manifest(Reference(address, "r", "1.0.0"))


def test_a_layer_that_is_not_what_its_digest_says_is_refused(stored: Stored, address: str) -> None:
    stored.put("r", "1.0.0", labels={"dragoman.artifact": "a"})
    for path in [path for path in stored.answers if "/blobs/" in path]:
        stored.answers[path] = "application/octet-stream", b"{}"
    with pytest.raises(BlobFalse, match="has other bytes under sha256:"):
        inspect(Registry(address), Reference(address, "r", "1.0.0"))


def test_an_image_that_build_model_did_not_make_is_said_to_be_foreign(stored: Stored, address: str) -> None:
    stored.put("r", "1.0.0", labels={"maintainer": "somebody"})
    with pytest.raises(ImageForeign, match="didn't make it"):
        inspect(Registry(address), Reference(address, "r", "1.0.0"))


def test_a_registry_that_does_not_answer_is_one_line_with_the_cause() -> None:
    with pytest.raises(
        RegistryUnreachable, match=r"No registry answers at http://127\.0\.0\.1:1 \(connection refused\)"
    ):
        Registry("127.0.0.1:1").tags("r")


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("text/html", b"<h1>Not Found</h1>"),
        ("application/json", b"{}"),
        ("application/json", b'{"errors": []}'),
        ("application/json", b'{"errors": [{"code": "UNSUPPORTED"}]}'),
        ("application/json", b'{"errors": "MANIFEST_UNKNOWN"}'),
        ("application/json", b'["MANIFEST_UNKNOWN"]'),
        ("text/plain", b""),
    ],
)
def test_a_404_that_is_not_the_registrys_word_on_a_manifest_never_means_that_a_version_is_free(
    stored: Stored, address: str, media_type: str, body: bytes
) -> None:
    stored.unknown = media_type, body
    with pytest.raises(RegistryUnreachable, match="answered 404"):
        Registry(address).resolve(Reference(address, "r", "1.0.0"))
    with pytest.raises(RegistryUnreachable, match="answered 404"):
        Registry(address).tags("r")


def test_a_server_that_is_no_registry_is_found_out_before_it_is_asked_for_a_version(
    stored: Stored, address: str
) -> None:
    del stored.answers["/v2/"]
    with pytest.raises(RegistryUnreachable, match=r"no image registry: it answered 404 to /v2/"):
        inspect(Registry(address), Reference(address, "r", "1.0.0"))
    assert stored.asked == ["/v2/"]


def test_an_image_of_which_a_part_was_removed_is_said_to_be_so(stored: Stored, address: str) -> None:
    stored.put("r", "1.0.0", labels={"dragoman.artifact": "a"})
    for path in [path for path in stored.answers if "/blobs/" in path]:
        del stored.answers[path]
    with pytest.raises(BlobMissing, match=r"/r lacks its part sha256:"):
        Registry(address).labels(Reference(address, "r", "1.0.0"))


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("localhost:5000", "http://localhost:5000"),
        ("[::1]:5000/team/", "http://[::1]:5000"),
        ("registry.example:5000", "https://registry.example:5000"),
        ("http://10.0.0.1:5000", "http://10.0.0.1:5000"),
        ("https://127.0.0.1:5000", "https://127.0.0.1:5000"),
        ("127.0.0.1.evil.example", "https://127.0.0.1.evil.example"),
        ("docker.io/me", "https://registry-1.docker.io"),
    ],
)
def test_plain_http_is_for_loopback_and_for_whoever_asks_for_it(address: str, url: str) -> None:
    assert Registry(address).url == url


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("127.0.0.1:5000", "127.0.0.1:5000/dragoman/fra-eng"),
        ("127.0.0.1:5000/", "127.0.0.1:5000/dragoman/fra-eng"),
        ("127.0.0.1:5000/team", "127.0.0.1:5000/team/dragoman/fra-eng"),
        ("https://registry.example/a/b/", "registry.example/a/b/dragoman/fra-eng"),
        ("index.docker.io/me", "docker.io/me/dragoman/fra-eng"),
    ],
)
def test_a_path_in_a_registrys_address_is_the_prefix_of_its_repositories(text: str, name: str) -> None:
    reference = Address.parse(text).reference("dragoman/fra-eng", "1.0.0")
    assert str(reference) == f"{name}:1.0.0"
    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/team",
        "ftp://h:1",
        "h:1/Team",
        "h:1/a:1",
        "h:1/a@sha256:0",
        "h:1?x",
        "h:1/a#b",
        "h h",
        "h:port",
        "h:1//a",
        "h:1/../a",
    ],
)
def test_what_is_no_registrys_address_is_refused(text: str) -> None:
    with pytest.raises(AddressInvalid, match=r"is not a registry's address\. Expected HOST\[:PORT\]\[/PREFIX\]"):
        Address.parse(text)


@pytest.mark.parametrize("text", ["me:SECRET@h:1", "https://me:SECRET@h:1/team", "h:1/me:SECRET@x"])
def test_a_password_in_a_registrys_address_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(AddressInvalid) as refused:
        Address.parse(text)
    assert "SECRET" not in str(refused.value)


def test_a_password_in_a_reference_is_refused_and_not_shown() -> None:
    with pytest.raises(ReferenceInvalid) as refused:
        Reference.parse("me:SECRET@h:1/a:1.0.0")
    assert "SECRET" not in str(refused.value)


def test_a_layer_is_read_whether_or_not_it_is_compressed() -> None:
    blob = layer({"./a/b": b"content"})
    assert files_in_layer(blob, LAYER) == files_in_layer(gzip.decompress(blob), LAYER) == {"a/b": b"content"}
