"""Whom to believe that it is the registry, and how to show who we are: as Docker has it.

``HOST:PORT/*.crt`` are authorities beside the system's own; ``NAME.cert`` with ``NAME.key`` is a client's certificate
(https://docs.docker.com/engine/security/certificates).
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from requests.adapters import HTTPAdapter

from model.errors import DragomanError

SYSTEM_FOLDER = Path("/etc/docker/certs.d")


class CertificateUnreadable(DragomanError):
    """A registry's certificate is stored, and can't be used."""


class Certificates(HTTPAdapter):
    """Lets requests talk TLS with the certificates that are stored for one registry."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Give every connection the certificates; requests adds its own authorities to them."""
        super().init_poolmanager(*arguments, ssl_context=self._context, **named)

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
        """The same through a proxy."""
        return super().proxy_manager_for(*arguments, ssl_context=self._context, **named)


def folders(environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where the certificates of registries are: the system's, and those of a user whose engine is rootless."""
    config = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return (SYSTEM_FOLDER, Path(config) / "docker" / "certs.d")


def context(host: str, places: tuple[Path, ...]) -> ssl.SSLContext:
    """The system's authorities, and what is stored for ``host``. Raises CertificateUnreadable with the file's name."""
    made = ssl.create_default_context()
    for folder in (place / host for place in places):
        try:
            files = sorted(folder.iterdir()) if folder.is_dir() else []
        except OSError as error:
            raise CertificateUnreadable(f"{folder} can't be read ({error.strerror}).") from error
        for file in files:
            _load(made, file)
    return made


def _load(made: ssl.SSLContext, file: Path) -> None:
    key = file.with_suffix(".key")
    if file.suffix == ".cert" and not key.exists():
        raise CertificateUnreadable(f"{file} has no key beside it. Put {key.name} there, or name an authority .crt.")
    try:
        if file.suffix == ".crt":
            made.load_verify_locations(file)
        elif file.suffix == ".cert":
            made.load_cert_chain(file, key, password="")  # never a prompt
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or getattr(error, "reason", None) or str(error)
        raise CertificateUnreadable(f"{file} can't be used ({reason}). Expected a certificate in PEM.") from error
