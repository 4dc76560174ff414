"""A registry of the suite's own, Debian's docker-registry 2.8, that may want logins and speak TLS."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

from answering import answering
from patience import until

from build_model.image.oci import Blob, pieces
from daemons.process import free_port, listens

USER, PASSWORD = "me", "p:ass wörd"
HASHED = "$2b$05$aiAdFPj5VYtJ9IceQU0uBuVuJVwfMvwlMqhkC.dVfifYzOOe7l5VG"
"""PASSWORD by bcrypt, the only way that docker-registry knows."""
IDENTITY_TOKEN = "an-identity-token"
SERVICE, ISSUER = "registry.example", "tests"


class RegistryUnavailable(Exception):
    """No docker-registry can be started here."""


def certificate(folder: Path, name: str, *, authority: str = "") -> None:
    """``NAME.crt`` and ``NAME.key`` for 127.0.0.1 in ``folder``, signed by ``authority`` or by itself."""
    signed = ["-CA", folder / f"{authority}.crt", "-CAkey", folder / f"{authority}.key"] if authority else []
    config = folder / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name=name\n[name]\n")
    constraints = "CA:FALSE" if authority else "CA:TRUE"
    extensions = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", f"basicConstraints={constraints}"]
    kind = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    run = ["openssl", "req", "-x509", "-config", config, *kind, *extensions, *signed]
    files = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"]
    subprocess.run([*map(str, run), *map(str, files)], check=True, capture_output=True)


class RegistryNode:
    """A private registry with a port and a data folder of its own. A context manager.

    Args:
        state: an empty folder for all of it.
        login: whether it wants USER and PASSWORD.
        tls: the name of the certificate in ``state`` that it shows; empty for plain HTTP.
        client_authority: the name of that in ``state`` by which clients must be signed.
        tokens: a token server that it sends its clients to.

    Attributes:
        address: as ``--registry`` wants it.
    """

    def __init__(
        self,
        state: Path,
        *,
        login: bool = False,
        tls: str = "",
        client_authority: str = "",
        tokens: Tokens | None = None,
    ) -> None:
        program = shutil.which("docker-registry")
        if program is None:
            raise RegistryUnavailable("docker-registry isn't installed: apt-get install docker-registry")
        port = free_port(0)
        self.host = f"127.0.0.1:{port}"
        self.address = f"https://{self.host}" if tls else self.host
        self.data = state / "data"
        http: dict[str, Any] = {"addr": self.host}
        if tls:
            http["tls"] = {"certificate": str(state / f"{tls}.crt"), "key": str(state / f"{tls}.key")}
        if client_authority:
            http["tls"]["clientcas"] = [str(state / f"{client_authority}.crt")]
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.data)}, "delete": {"enabled": True}},
            "http": http,
        }
        if login:
            (state / "htpasswd").write_text(f"{USER}:{HASHED}\n")
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(state / "htpasswd")}}
        if tokens:
            config["auth"] = {
                "token": {
                    "realm": tokens.realm,
                    "service": SERVICE,
                    "issuer": ISSUER,
                    "rootcertbundle": str(tokens.folder / "tokens.crt"),
                }
            }
        (state / "registry.json").write_text(json.dumps(config))
        self._log = (state / "registry.log").open("wb")
        command = [program, "serve", str(state / "registry.json")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        until(lambda: listens(port) or self._process.poll() is not None, "docker-registry to listen")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def damage(self, digest: str) -> None:
        """Flips the last byte of what is stored under a digest."""
        name = digest.removeprefix("sha256:")
        (file,) = self.data.glob(f"**/blobs/sha256/{name[:2]}/{name}/data")
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    def plant(self, repository: str, blobs: Iterable[Blob], manifests: Iterable[tuple[str, Blob]]) -> None:
        """Writes blobs and (tag or nothing, manifest) into the storage, as pushes leave them: hundreds in a second."""
        root = self.data / "docker" / "registry" / "v2"
        there = root / "repositories" / repository
        for blob in blobs:
            self._write(root, blob)
            self._link(there / "_layers", blob)
        for tag, manifest in manifests:
            self._write(root, manifest)
            self._link(there / "_manifests" / "revisions", manifest)
            if tag:
                self._link(there / "_manifests" / "tags" / tag / "index", manifest)
                (there / "_manifests" / "tags" / tag / "current").mkdir(exist_ok=True)
                (there / "_manifests" / "tags" / tag / "current" / "link").write_text(manifest.digest)

    def _write(self, root: Path, blob: Blob) -> None:
        name = blob.digest.removeprefix("sha256:")
        file = root / "blobs" / "sha256" / name[:2] / name / "data"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"".join(pieces(blob.content)))

    def _link(self, below: Path, blob: Blob) -> None:
        folder = below / "sha256" / blob.digest.removeprefix("sha256:")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "link").write_text(blob.digest)

    def lose(self, digest: str) -> None:
        """Removes what is stored under a digest."""
        name = digest.removeprefix("sha256:")
        for file in self.data.glob(f"**/blobs/sha256/{name[:2]}/{name}/data"):
            file.unlink()


@dataclass
class Tokens:
    """A token server: gives whoever shows USER and PASSWORD, or IDENTITY_TOKEN, what is asked for below ``allowed``,
    and below ``reads`` as much of it as reads.

    ``asked``: (method, scope) of each request. A context manager.
    """

    folder: Path
    allowed: str = "me/"
    reads: str = "nobody's/"
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        certificate(self.folder, "tokens")
        self._answering = answering(_TokenHandler, tokens=self)
        self._port = self._answering.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._answering.__exit__(None, None, None)

    @property
    def realm(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._port}/token"

    def token(self, scopes: list[str]) -> str:
        """A JWT that docker-registry takes, signed by the certificate that it trusts."""
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            granted = actions.split(",") if name.startswith((self.allowed, self.reads)) else []
            granted = [one for one in granted if one == "pull" or name.startswith(self.allowed)]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        body = (self.folder / "tokens.crt").read_text().split("-----")[2]
        header = {"typ": "JWT", "alg": "RS256", "x5c": [body.replace("\n", "")]}
        claims = {"iss": ISSUER, "sub": USER, "aud": SERVICE, "nbf": now - 60, "iat": now, "exp": now + 300}
        parts = [_base64(json.dumps(part).encode()) for part in (header, {**claims, "jti": "1", "access": access})]
        sign = ["openssl", "dgst", "-sha256", "-sign", str(self.folder / "tokens.key")]
        signed = subprocess.run(sign, input=".".join(parts).encode(), capture_output=True, check=True)
        return ".".join([*parts, _base64(signed.stdout)])


class _TokenHandler(BaseHTTPRequestHandler):
    tokens: ClassVar[Tokens]

    def do_GET(self) -> None:
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self._answer(
            parse_qs(urlsplit(self.path).query).get("scope", []), self.headers["Authorization"] == expected, "token"
        )

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        right = (form["grant_type"], form["refresh_token"]) == (["refresh_token"], [IDENTITY_TOKEN])
        self._answer(" ".join(form.get("scope", [])).split(), right, "access_token")

    def _answer(self, scopes: list[str], right: bool, name: str) -> None:
        self.tokens.asked.append((self.command, " ".join(scopes)))
        body = json.dumps({name: self.tokens.token(scopes)} if right else {"details": "incorrect password"}).encode()
        self.send_response(200 if right else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
