"""Who is let in, and how: against a real registry, with logins and certificates where Docker has them."""

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from build_model.image import oci
from build_model.image.connection import AccessRefused, RegistryUnreachable
from build_model.image.registry import Registry
from registry.conftest import Start
from registry.node import IDENTITY_TOKEN, PASSWORD, USER, RegistryNode, Tokens, certificate

AUTH = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def environment(home: Path, config: object, *, helper: str = "") -> dict[str, str]:
    """An environment with this Docker config, and ``docker-credential-tests`` answering ``helper``."""
    folder = home / "config"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    program = folder / "docker-credential-tests"
    program.write_text(f"#!/bin/sh\ncat > {folder}/asked\ncat <<'END'\n{helper}\nEND\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{folder}:{os.environ['PATH']}"
    return {"DOCKER_CONFIG": str(folder), "PATH": path, "XDG_CONFIG_HOME": str(home / "xdg")}


def put_and_get(registry: Registry, repository: str) -> None:
    """What every push does: a blob, and a manifest that is read back."""
    reference = registry.address.reference(repository, "1.0.0")
    config = oci.document({"architecture": "amd64", "os": "linux", "config": {}}, oci.CONFIG)
    registry.blobs(reference.repository).put(config)
    manifest = oci.manifest(config, [], {})
    registry.put_manifest(reference, manifest)
    assert registry.manifest(reference).content == manifest.content
    assert registry.tags(reference.repository) == ["1.0.0"]


@pytest.mark.parametrize("key", ["{host}", "https://{host}", "http://{host}/v1/"])
def test_a_login_of_the_config_file_is_used_however_its_registry_is_written(
    start: Start, tmp_path: Path, key: str
) -> None:
    node = start(login=True)
    config = {"auths": {key.format(host=node.host): {"auth": AUTH}}}
    put_and_get(Registry(node.address, environment(tmp_path, config)), "me/fra-eng")


@pytest.mark.parametrize("by", ["credsStore", "credHelpers"])
def test_a_login_of_a_credential_helper_is_used(start: Start, tmp_path: Path, by: str) -> None:
    node = start(login=True)
    config = {by: "tests" if by == "credsStore" else {node.host: "tests"}, "auths": {node.host: {}}}
    helper = json.dumps({"ServerURL": node.host, "Username": USER, "Secret": PASSWORD})
    put_and_get(Registry(node.address, environment(tmp_path, config, helper=helper)), "me/fra-eng")
    assert (tmp_path / "config" / "asked").read_text() == node.host


@pytest.mark.parametrize(
    ("config", "who"),
    [({}, "nobody is logged in"), ({"auths": {"{host}": {"auth": "bWU6d3Jvbmc="}}}, "logged in as me")],
)
def test_without_the_right_login_it_is_said_who_was_refused_and_no_password(
    start: Start, tmp_path: Path, config: dict[str, object], who: str
) -> None:
    node = start(login=True)
    held = json.loads(json.dumps(config).replace("{host}", node.host))
    with pytest.raises(AccessRefused, match=rf"refuses access \(401 .*{who}.*Run `docker login {node.host}`") as error:
        Registry(node.address, environment(tmp_path, held)).tags("r")
    assert "wrong" not in str(error.value)


@pytest.mark.parametrize("kind", ["password", "identity token", "identity token of a helper"])
def test_a_token_server_is_given_the_login_and_asked_for_what_each_request_needs(
    start: Start, tmp_path: Path, kind: str
) -> None:
    with Tokens(tmp_path) as tokens:
        node = start(tokens=tokens)
        entry = {"auth": AUTH} if kind == "password" else {"identitytoken": IDENTITY_TOKEN}
        config: dict[str, object] = {"auths": {node.host: entry}}
        if kind == "identity token of a helper":
            config = {"credsStore": "tests"}
        helper = json.dumps({"ServerURL": node.host, "Username": "<token>", "Secret": IDENTITY_TOKEN})
        put_and_get(Registry(node.address, environment(tmp_path, config, helper=helper)), "me/fra-eng")
        scopes = {scope.replace("push,pull", "pull,push") for _, scope in tokens.asked}  # in any order
        assert "repository:me/fra-eng:pull,push" in scopes
        assert {method for method, _ in tokens.asked} == {"GET" if kind == "password" else "POST"}
        assert len(tokens.asked) <= 4  # one for each kind of access, not one for each request


def test_a_token_that_allows_less_is_a_refusal_that_names_the_repository(start: Start, tmp_path: Path) -> None:
    with Tokens(tmp_path) as tokens:
        node = start(tokens=tokens)
        registry = Registry(node.address, environment(tmp_path, {"auths": {node.host: {"auth": AUTH}}}))
        with pytest.raises(AccessRefused, match=r"POST /v2/others/fra-eng/blobs/uploads/: UNAUTHORIZED"):
            put_and_get(registry, "others/fra-eng")


def test_a_registry_of_an_authority_of_its_own_is_believed_only_with_that(start: Start, tmp_path: Path) -> None:
    certificate(tmp_path, "authority")
    certificate(tmp_path, "server", authority="authority")
    node = start(tls="server")
    given = environment(tmp_path, {})
    with pytest.raises(RegistryUnreachable, match=r"signed by nobody known here; put its authority's into /etc/docker"):
        Registry(node.address, given).tags("r")
    trust(node, tmp_path, "ca.crt", "authority.crt")
    put_and_get(Registry(node.address, given), "me/fra-eng")


def test_a_registry_that_wants_a_clients_certificate_is_shown_one(start: Start, tmp_path: Path) -> None:
    certificate(tmp_path, "authority")
    certificate(tmp_path, "server", authority="authority")
    certificate(tmp_path, "client", authority="authority")
    node = start(tls="server", client_authority="authority")
    given = environment(tmp_path, {})
    trust(node, tmp_path, "ca.crt", "authority.crt")
    with pytest.raises(RegistryUnreachable):
        Registry(node.address, given).tags("r")
    trust(node, tmp_path, "client.cert", "client.crt")
    trust(node, tmp_path, "client.key", "client.key")
    put_and_get(Registry(node.address, given), "me/fra-eng")


def test_plain_http_where_the_registry_speaks_tls_is_said_to_be_no_registry(start: Start, tmp_path: Path) -> None:
    certificate(tmp_path, "server")
    node = start(tls="server")
    with pytest.raises(RegistryUnreachable, match="answered 400"):
        Registry(node.host).tags("r")


def trust(node: RegistryNode, home: Path, name: str, source: str) -> None:
    """Puts a certificate where an engine without root looks for it."""
    folder = home / "xdg" / "docker" / "certs.d" / node.host
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes((home / source).read_bytes())
