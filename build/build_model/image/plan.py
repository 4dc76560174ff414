"""The model image before it exists: everything that decides its bytes, its names and its labels, as a value."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from build_model.image import artifact, oci, runtime
from build_model.image.artifact import Artifact, Layers
from build_model.image.inspection import Inspection
from build_model.image.oci import OPEN_CONTAINERS, Blob, Descriptor, Layer
from build_model.image.reference import Address, Reference
from build_model.image.runtime import Runtime
from build_model.image.version import Version
from model.errors import DragomanError
from model.fingerprint import Manifest
from model.folder import NETWORK
from model.wordlists import NAMES

SCORES = "dragoman.scores"
LICENCES = "Apache-2.0 AND CC-BY-2.0"
"""As SPDX has it: of the code, and of the sentences that the weights were trained on."""


class TimeInvalid(DragomanError):
    """SOURCE_DATE_EPOCH is no time."""


@dataclass(frozen=True)
class Source:
    """Where the code comes from, as far as the clone says so: the same for every clone of one commit.

    Attributes:
        revision: of the commit; empty where that isn't known, with ``-dirty`` where files differ from it.
        created: ``SOURCE_DATE_EPOCH``, else the time of the commit, else 1970.
        urls: ``project.urls`` of pyproject.toml, names in lower case.
    """

    revision: str
    created: datetime
    urls: Mapping[str, str]

    @classmethod
    def of(cls, root: Path, environment: Mapping[str, str] = os.environ, network: Path = NETWORK) -> Source:
        """Asks git about the clone at ``root``, and about a network's folder where that is in it; TimeInvalid."""
        revision = _git(root, "rev-parse", "HEAD")
        inside = [str(network.resolve())] if network.resolve().is_relative_to(root.resolve()) else []
        changed = revision and _git(root, "status", "--porcelain", "--", "model", "service", "Dockerfile", *inside)
        seconds = environment.get("SOURCE_DATE_EPOCH") or _git(root, "log", "-1", "--format=%ct") or "0"
        try:
            created = datetime.fromtimestamp(int(seconds), UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise TimeInvalid(
                f"SOURCE_DATE_EPOCH is {seconds!r}. Expected seconds since 1970, such as 1767225600, or none."
            ) from error
        project = root / "pyproject.toml"
        urls = tomllib.loads(project.read_text("utf-8"))["project"].get("urls", {}) if project.exists() else {}
        return cls(f"{revision}-dirty" if changed else revision, created, {name.lower(): urls[name] for name in urls})


@dataclass(frozen=True)
class Composed:
    """An image as bytes: (what it holds, layer) lowest first, config, and the manifest over these and the runtime."""

    layers: tuple[tuple[str, Layer], ...]
    config: Blob
    manifest: Blob


@dataclass(frozen=True)
class Plan:
    """An image before it exists: everything that decides its bytes, and its names."""

    version: Version
    references: tuple[Reference, ...]
    runtime: Runtime
    layers: Layers
    labels: Mapping[str, str]
    created: datetime
    bleu: Mapping[str, float] = field(default_factory=dict)
    """By the name of the set that the checkpoint was scored on."""

    @property
    def identity(self) -> str:
        """The label ``dragoman.artifact``."""
        return self.labels["dragoman.artifact"]

    @property
    def reference(self) -> Reference:
        """In the registry, where there is one."""
        return self.references[-1]

    @property
    def annotations(self) -> dict[str, str]:
        """Of its manifest: the labels, and the scores, so that a list of versions needs no more of each."""
        return {**self.labels, **score_annotation(self.bleu)}

    @property
    def shared_runtime(self) -> Reference | None:
        """The runtime image in the registry. None without one."""
        return runtime.beside(self.reference, self.runtime.key) if self.reference.registry else None

    def compose(self, below: Mapping[str, Any], layers_below: Sequence[Descriptor]) -> Composed:
        """The image on top of the runtime image whose config is ``below``."""
        layers = tuple((holds, oci.layer(files)) for holds, files in self.layers.by_name().items())
        tops = [(layer.diff_id, holds) for holds, layer in layers]
        config = oci.config(below, tops, self.labels, self.created)
        descriptors = [*layers_below, *(layer.blob.descriptor for _, layer in layers)]
        return Composed(layers, config, oci.manifest(config, descriptors, self.annotations))

    def encode(self) -> dict[str, Any]:
        """For ``--dry-run --json``."""
        return {
            "version": str(self.version),
            "references": [str(reference) for reference in self.references],
            "runtime": self.runtime.reference,
            "labels": dict(sorted(self.labels.items())),
            "files": self.layers.digests(),
            "bleu": dict(self.bleu),
        }


def plan(
    held: Artifact,
    version: Version,
    base: Runtime,
    source: Source,
    root: Path,
    *,
    repository: str = "",
    registry: Address | None = None,
) -> Plan:
    """Decide the image of the artifact ``held``, by default named after its languages. Reads files below ``root``, asks
    nobody."""
    repository = repository or artifact.repository_of(held.manifest)
    local = Reference("", repository, str(version))
    files = artifact.layers(held, root)
    return Plan(
        version=version,
        references=(local, registry.reference(repository, str(version))) if registry else (local,),
        runtime=base,
        layers=files,
        labels=_labels(held.manifest, version, base, source, artifact.identity(files.digests(), base.key)),
        created=source.created,
        bleu=bleu_of(held.manifest.training),
    )


def score_annotation(bleu: Mapping[str, float]) -> dict[str, str]:
    """What a manifest says of the scores in it, by the set that each is of; nothing where there are none."""
    scores = {of: round(score, 1) for of, score in bleu.items()}
    return {SCORES: json.dumps(scores, sort_keys=True)} if scores else {}


def bleu_of(training: Mapping[str, Any]) -> dict[str, float]:
    """BLEU by the set that it is of, from what a checkpoint's manifest says of its training."""
    return {of: score["bleu"] for of, score in training.get("scores", {}).items() if "bleu" in score}


def differences(plan: Plan, there: Inspection) -> list[str]:
    """One line per file, and one for the runtime, that is not the same here and in the registry."""
    ours, theirs = plan.layers.digests(), there.digests
    unread = {str(PurePosixPath(path).relative_to(artifact.APPLICATION)) for path in plan.layers.lexicon}
    lines = [
        f"{path}: {_short(ours.get(path))} here, {_short(theirs.get(path))} there"
        for path in sorted({*ours, *theirs})
        if ours.get(path) != theirs.get(path) and (path in theirs or path not in unread)
    ]
    key = there.labels.get("dragoman.runtime", "")
    if key != plan.runtime.key:
        lines.append(f"runtime: {_short(plan.runtime.key)} here, {_short(key)} there")
    if not lines and there.labels.get("dragoman.artifact") != plan.identity:
        lines = [f"{path}: {_short(ours[path])} here, another there" for path in sorted(unread)]
    return lines


def next_version(version: Version) -> Version:
    """The smallest step up."""
    return replace(version, patch=version.patch + 1, prerelease="")


def _labels(manifest: Manifest, version: Version, base: Runtime, source: Source, content: str) -> dict[str, str]:
    languages = "-to-".join(
        NAMES[code].capitalize() if code in NAMES else code for code in (manifest.source, manifest.target)
    )
    article = "An" if languages[0] in "AEIOUaeiou" else "A"
    opencontainers = {
        "version": str(version),
        "created": oci.timestamp(source.created),
        "revision": source.revision,
        "source": source.urls.get("source", ""),
        "url": source.urls.get("homepage", ""),
        "documentation": source.urls.get("documentation", ""),
        "title": f"dragoman {manifest.source}-{manifest.target}",
        "description": f"{article} {languages} translation model with its code, vocabularies and RabbitMQ service",
        "licenses": LICENCES,
        "base.name": base.base_name,
        "base.digest": base.base_digest,
    }
    dragoman = {
        "architecture": manifest.architecture,
        "weights": manifest.weights,
        "langs": artifact.langs_digest(manifest.langs),
        "artifact": content,
        "runtime": base.key,
    }
    return {f"{OPEN_CONTAINERS}{name}": value for name, value in opencontainers.items() if value} | {
        f"dragoman.{name}": value for name, value in dragoman.items()
    }


def _git(root: Path, *arguments: str) -> str:
    """git's answer, or nothing without git or a clone: an image can be built from an unpacked archive too."""
    try:
        answer = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _short(digest: str | None) -> str:
    return digest.removeprefix("sha256:")[:12] if digest else "none"
