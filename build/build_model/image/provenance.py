"""Where an image comes from: SLSA's provenance (https://slsa.dev/spec/v1.0/provenance) in an in-toto statement.

It says nothing of when or on which machine: two builds of one commit are one statement.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from build_model.image import oci
from build_model.image.oci import OPEN_CONTAINERS, Blob
from model.errors import DragomanError

IN_TOTO = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:dragoman:build-model:image:v1"
"""Of a clone's commit, a checkpoint and a runtime image, `build-model --version X` makes an image. docs/trust.md."""
BUILDER = "urn:dragoman:build-model"


class ProvenanceFalse(DragomanError):
    """A statement of provenance isn't one, or is of another image."""


def statement(repository: str, labels: Mapping[str, str], manifest: str, runtime: str) -> Blob:
    """The provenance of an image of ours: everything in it is a function of its labels and its runtime image.

    Args:
        repository: what the image is called, without its registry.
        labels: the image's.
        manifest: the image's own digest.
        runtime: the digest of the runtime image's manifest; empty where it isn't known.
    """
    version = labels[f"{OPEN_CONTAINERS}version"]
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"repository": repository, "version": version},
            "internalParameters": {"artifact": labels["dragoman.artifact"]},
            "resolvedDependencies": _dependencies(labels, runtime),
        },
        "runDetails": {"builder": {"id": BUILDER}},
    }
    return oci.document(
        {
            "_type": STATEMENT,
            "subject": [{"name": f"{repository}:{version}", "digest": _sha256(manifest)}],
            "predicateType": PREDICATE,
            "predicate": predicate,
        },
        IN_TOTO,
    )


def check(document: bytes, labels: Mapping[str, str], manifest: str) -> None:
    """ProvenanceFalse unless ``document`` is the provenance of the image with these labels and this digest."""
    try:
        told = json.loads(document)
        kinds = (told["_type"], told["predicateType"])
        subjects = [subject["digest"]["sha256"] for subject in told["subject"]]
        definition = told["predicate"]["buildDefinition"]
        listed = [definition["internalParameters"], definition["externalParameters"], *_digests(definition)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProvenanceFalse("What is attached as provenance is no in-toto statement of SLSA's provenance.") from error
    if kinds != (STATEMENT, PREDICATE):
        raise ProvenanceFalse(f"What is attached as provenance is {kinds[1]}; {PREDICATE} was expected.")
    if subjects != [manifest.removeprefix("sha256:")]:
        raise ProvenanceFalse(f"The provenance is that of another image, sha256:{', '.join(subjects)}.")
    expected = [
        {"artifact": labels["dragoman.artifact"]},
        *(one["digest"] for one in _dependencies(labels, "") if one.get("digest")),
    ]
    lacking = [str(one) for one in expected if one not in listed]
    if lacking:
        raise ProvenanceFalse(f"The provenance doesn't name what the image is made of: {', '.join(lacking)}.")


def _dependencies(labels: Mapping[str, str], runtime: str) -> list[dict[str, Any]]:
    revision, source = labels.get(f"{OPEN_CONTAINERS}revision", ""), labels.get(f"{OPEN_CONTAINERS}source", "")
    commit = revision.removesuffix("-dirty")
    # Files that differ from the commit are told by the artifact's digest alone: no commit is what was built.
    code: dict[str, Any] = {"name": "code", "uri": f"git+{source}" if source else "urn:dragoman:code"}
    code |= {"digest": {"gitCommit": commit}} if commit and commit == revision else {"annotations": {"near": revision}}
    base = labels.get(f"{OPEN_CONTAINERS}base.digest", "")
    named = {
        "weights": ("urn:dragoman:weights", labels["dragoman.weights"]),
        "vocabularies": ("urn:dragoman:langs", labels["dragoman.langs"]),
        "architecture": ("urn:dragoman:architecture", labels["dragoman.architecture"]),
        "runtime": (f"urn:dragoman:runtime:{labels['dragoman.runtime']}", runtime),
        "base": (labels.get(f"{OPEN_CONTAINERS}base.name", ""), base),
    }
    listed = [
        {"name": name, "uri": uri, **({"digest": _sha256(digest)} if digest else {})}
        for name, (uri, digest) in named.items()
        if uri
    ]
    return [code, *listed]


def _digests(definition: Mapping[str, Any]) -> list[Mapping[str, str]]:
    return [one["digest"] for one in definition["resolvedDependencies"] if "digest" in one]


def _sha256(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}
