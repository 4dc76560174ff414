"""What images and registries are called: ``registry/repository:tag@digest``, and ``--registry``'s address."""

from __future__ import annotations

import re
from dataclasses import dataclass

from model.errors import DragomanError

DOCKER_HUB = "docker.io"
_HUB_NAMES = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
_HUB_API = "registry-1.docker.io"
"""Docker Hub's registry answers at another name than its images have."""

_WORD = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_WORD}(?:/{_WORD})*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+")


class ReferenceInvalid(DragomanError):
    """What was given as an image reference can't be one."""


class AddressInvalid(DragomanError):
    """What was given as a registry's address can't be one."""


@dataclass(frozen=True)
class Reference:
    """``registry/repository:tag@digest``. Without registry: the engine's own images. Tag and digest may be empty."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Split as Docker does: a first component with a dot or a colon, or ``localhost``, is the registry."""
        name, at, digest = text.partition("@")
        first, slash, rest = name.partition("/")
        registry, path = (
            (first, rest) if slash and ("." in first or ":" in first or first == "localhost") else ("", name)
        )
        repository, colon, tag = path.partition(":")
        if (
            not _REPOSITORY.fullmatch(repository)
            or (registry and not _HOST.fullmatch(registry))
            or (colon and not _TAG.fullmatch(tag))
            or (at and not _DIGEST.fullmatch(digest))
        ):
            secret = at and not _DIGEST.fullmatch(digest)
            raise ReferenceInvalid(
                f"{'***' if secret else repr(text)} is not an image reference. "
                "Expected [HOST:PORT/]REPOSITORY[:VERSION], such as 127.0.0.1:5000/dragoman/model:1.0.0."
            )
        return cls(registry, repository, tag, digest)

    @property
    def name(self) -> str:
        """The reference without tag and digest."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    @property
    def pinned(self) -> str:
        """By digest, for the engine: a tag may move, a digest can't."""
        return f"{self.name}@{self.digest}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


@dataclass(frozen=True)
class Address:
    """A registry: its host as images are named after it, and what every repository in it is called after."""

    scheme: str
    host: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """``[http[s]://]HOST[:PORT][/PREFIX]``: plain HTTP on loopback or where the address says so, else HTTPS.

        A path is the first part of the repositories' names, as in ``docker pull HOST/PREFIX/NAME``. Raises
        AddressInvalid; the message shows nothing of what may hold a password.
        """
        scheme, separator, rest = text.rpartition("://")
        host, _, prefix = rest.rstrip("/").partition("/")
        if host in _HUB_NAMES:
            host = DOCKER_HUB
        if (
            (separator and scheme not in ("http", "https"))
            or not _HOST.fullmatch(host)
            or (prefix and not _REPOSITORY.fullmatch(prefix))
        ):
            raise AddressInvalid(
                f"{'***' if '@' in text else repr(text)} is not a registry's address. Expected HOST[:PORT][/PREFIX], "
                "such as registry.example:5000 or 127.0.0.1:5000/team; a login is `docker login`'s, no part of it."
            )
        return cls(scheme or ("http" if is_loopback(host) else "https"), host, prefix)

    @property
    def url(self) -> str:
        """Where the registry's API is, without ``/v2/``."""
        return f"{self.scheme}://{_HUB_API if self.host == DOCKER_HUB else self.host}"

    def reference(self, repository: str, tag: str = "", digest: str = "") -> Reference:
        """``repository`` of this registry, below its prefix."""
        return Reference(self.host, f"{self.prefix}/{repository}" if self.prefix else repository, tag, digest)


def is_loopback(host: str) -> bool:
    """Whether ``HOST[:PORT]`` is this machine: plain HTTP is good enough there."""
    return re.fullmatch(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", host) is not None
