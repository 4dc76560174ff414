"""Bills of materials in CycloneDX's JSON (https://cyclonedx.org/docs/1.6/json/): what is in an image.

Two of them lie beside every image. One lists the packages of the runtime image below it, and is the same blob for all
versions that stand on that; the other, small, is of the version itself: model, code, and a link to the first.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from build_model.image import licences, oci
from build_model.image.oci import Blob, Descriptor
from build_model.image.packages import Package
from model.errors import DragomanError

CYCLONEDX = "application/vnd.cyclonedx+json"
_NAMESPACE = uuid.UUID("6f1d9a52-0a5c-5b6e-9c1e-3d3f0c3f7a10")
_TOOL = {"components": [{"type": "application", "name": "build-model"}]}


class SbomFalse(DragomanError):
    """A bill of materials isn't one, or lists something else than what is in the image."""


@dataclass(frozen=True)
class Content:
    """What a version adds to its runtime image.

    Attributes:
        repository: what the image is called, without its registry.
        labels: the image's.
        manifest: the image's own digest.
        layers: (what it holds, digest in the registry) of each layer on top of the runtime.
        runtime: the digest of the runtime image's manifest; empty where it isn't known.
    """

    repository: str
    labels: Mapping[str, str]
    manifest: str
    layers: Sequence[tuple[str, str]]
    runtime: str


def of_runtime(packages: Sequence[Package], key: str) -> Blob:
    """The bill of a runtime image: its packages."""
    component = {"type": "container", "bom-ref": "runtime", "name": "dragoman/runtime", "version": key}
    components = [_component(package) for package in packages]
    return _document(component, components, {"runtime": [one["bom-ref"] for one in components]})


def of_image(content: Content, below: Descriptor) -> Blob:
    """The bill of a version that stands on the runtime image whose bill is ``below``."""
    labels = content.labels
    version = labels["org.opencontainers.image.version"]
    name = content.repository.rpartition("/")[2]
    component = {
        "type": "container",
        "bom-ref": "image",
        "name": content.repository,
        "version": version,
        "purl": f"pkg:oci/{name}@{content.manifest.replace(':', '%3A')}?tag={version}",
        "hashes": [_hash(content.manifest)],
        **_licences([labels["org.opencontainers.image.licenses"]]),
    }
    model = {
        "type": "machine-learning-model",
        "bom-ref": "weights",
        "name": labels.get("org.opencontainers.image.title", name),
        "version": version,
        "hashes": [_hash(f"sha256:{labels['dragoman.weights']}")],
        "modelCard": {"modelParameters": {"task": "translation"}},
        **_licences([labels["org.opencontainers.image.licenses"]]),
    }
    parts = [
        {"type": "file", "bom-ref": holds, "name": f"layer {holds}", "version": version, "hashes": [_hash(digest)]}
        for holds, digest in content.layers
    ]
    link = {"type": "bom", "url": below.digest, "hashes": [_hash(below.digest)]}
    runtime = {
        "type": "container",
        "bom-ref": "runtime",
        "name": "dragoman/runtime",
        "version": labels["dragoman.runtime"],
        **({"hashes": [_hash(content.runtime)]} if content.runtime else {}),
        "externalReferences": [link],
    }
    components = [model, *parts, runtime]
    return _document(component, components, {"image": [one["bom-ref"] for one in components]})


def purls(document: bytes) -> frozenset[str]:
    """The packages that a bill lists; SbomFalse where it is none."""
    try:
        bill = json.loads(document)
        if bill["bomFormat"] != "CycloneDX":
            raise ValueError(bill["bomFormat"])
        return frozenset(one["purl"] for one in _all(bill.get("components") or ()) if "purl" in one)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SbomFalse("What is attached as a bill of materials is no CycloneDX document in JSON.") from error


def check_runtime(document: bytes, packages: Sequence[Package]) -> None:
    """SbomFalse, with what differs, unless a bill lists exactly these packages."""
    told, found = purls(document), frozenset(one.purl for one in _flat(packages))
    lacking = [f"{purl} is in the image and not in its bill" for purl in sorted(found - told)]
    false = [f"{purl} is in its bill and not in the image" for purl in sorted(told - found)]
    if lacking or false:
        shown = "".join(f"\n  {line}" for line in [*lacking, *false][:10])
        raise SbomFalse(f"The bill of materials isn't that of what is in the image.{shown}")


def check_image(document: bytes, content: Content, below: Descriptor) -> None:
    """SbomFalse unless a bill is that of the image and links to the bill ``below`` of its runtime image."""
    told = {(one["alg"], one["content"]) for one in _hashes(document)}
    expected = {
        "the image": content.manifest,
        "the weights": f"sha256:{content.labels['dragoman.weights']}",
        "the runtime's bill": below.digest,
        **{f"the layer {holds}": digest for holds, digest in content.layers},
    }
    lacking = [what for what, digest in expected.items() if ("SHA-256", digest.removeprefix("sha256:")) not in told]
    if lacking:
        raise SbomFalse(f"The bill of materials isn't that of the image: it doesn't name {', '.join(lacking)}.")


def _document(
    component: Mapping[str, Any], components: Sequence[Mapping[str, Any]], uses: Mapping[str, list[str]]
) -> Blob:
    """The same for the same content: no time, and a serial number that is a hash of the rest."""
    dependencies = [{"ref": ref, "dependsOn": sorted(used)} for ref, used in uses.items()]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": dict(component), "tools": _TOOL},
        "components": [dict(one) for one in components],
        "dependencies": dependencies,
    }
    serial = uuid.uuid5(_NAMESPACE, oci.document(bill, CYCLONEDX).digest)
    return oci.document({**bill, "serialNumber": f"urn:uuid:{serial}"}, CYCLONEDX)


def _component(package: Package, within: str = "") -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": "library",
        "bom-ref": within + package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        **_licences(package.licences),
    }
    if package.parts:
        told["components"] = [_component(part, f"{package.purl}#") for part in package.parts]
    return told


def _licences(names: Sequence[str]) -> dict[str, Any]:
    """As CycloneDX wants them: one expression, or a list of identifiers and names."""
    if not names:
        return {"licenses": [{"license": {"name": "see its copyright file"}}]}
    if len(names) == 1 and any(f" {word} " in names[0] for word in ("AND", "OR", "WITH")):
        return {"licenses": [{"expression": names[0]}]}
    return {"licenses": [{"license": {"id" if licences.is_spdx(name) else "name": name}} for name in names]}


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest.removeprefix("sha256:")}


def _hashes(document: bytes) -> Iterable[Mapping[str, str]]:
    purls(document)
    bill = json.loads(document)
    for one in (bill["metadata"]["component"], *_all(bill["components"])):
        yield from one.get("hashes", ())
        for reference in one.get("externalReferences", ()):
            yield from reference.get("hashes", ())


def _all(components: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for one in components:
        yield one
        yield from _all(one.get("components") or ())


def _flat(packages: Iterable[Package]) -> Iterable[Package]:
    for one in packages:
        yield one
        yield from _flat(one.parts)
