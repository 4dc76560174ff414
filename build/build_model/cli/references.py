"""How a command line names an image in a registry."""

from __future__ import annotations

import re

import typer

from build_model.image.reference import Address, Reference
from build_model.image.registry import Registry
from build_model.image.version import Version

REF = "HOST:PORT/NAME:VERSION, or with --registry a VERSION or a name such as production."


def reference_of(text: str, registry: str, repository: str) -> Reference:
    """``text`` as a reference; a bare version, or a bare name where there is a registry, is a tag of ``repository``."""
    bare = bool(registry) and not re.search("[/:@]", text)
    wanted = Reference("", repository, text) if bare or Version.all_of([text]) else Reference.parse(text)
    if wanted.registry or not registry:
        return wanted
    return Address.parse(registry).reference(wanted.repository, wanted.tag, wanted.digest)


def registry_of(reference: Reference, registry: str) -> Registry:
    """The registry that ``reference`` names, reached as ``--registry`` says where that names the same."""
    return Registry(address_of(reference, registry))


def address_of(reference: Reference, registry: str) -> str:
    """How the registry that ``reference`` names is reached: as ``--registry`` says where that names the same."""
    same = registry and Address.parse(registry).host == reference.registry
    return registry if same else reference.registry


def stored(text: str, registry: str, repository: str) -> tuple[Registry, Reference]:
    """The registry that ``text`` names an image in, and the image; BadParameter without a registry."""
    wanted = reference_of(text, registry, repository)
    if not wanted.registry:
        raise typer.BadParameter("name its registry: HOST:PORT/NAME:VERSION, or --registry.", param_hint="REF")
    return registry_of(wanted, registry), wanted
