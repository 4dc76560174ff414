"""What a report is about: a checkpoint with the code that runs it, out of a folder or out of an image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import model
from build_model.image.artifact import APPLICATION, CHECKPOINT
from build_model.image.contents import files_in_layer
from build_model.image.inspection import inspect
from build_model.image.reference import Reference
from build_model.image.registry import Registry
from build_model.report import Progress
from build_model.reporting import answering
from model.errors import DragomanError
from model.fingerprint import MANIFEST, Manifest
from model.folder import NETWORK

METRICS = "metrics.json"  # beside a checkpoint that `train` made


class ModelSilent(DragomanError):
    """A model gave no answers."""


class MetricsUnreadable(DragomanError):
    """The metrics beside a checkpoint aren't what training writes."""


@dataclass(frozen=True)
class Answer:
    """One translation. ``text`` is empty where there is an ``error``; ``score`` is the share of such replies that are
    good, None of a version that doesn't say."""

    text: str
    error: str | None = None
    corrected: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class Explained:
    """Where a translation comes from: parts of source and target, and ``weights (target, source)``."""

    text: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Answers:
    """All that a model said. ``batched``: sentences/s in batches of 32; ``alone``: ms a sentence by itself; both in
    processor time of one thread."""

    sets: Mapping[str, tuple[Answer, ...]]
    batched: float
    alone: float
    explained: tuple[Explained, ...]


@dataclass(frozen=True)
class Subject:
    """A model that can be asked.

    Attributes:
        name: as a person calls it.
        manifest: of its checkpoint, as JSON.
        home: the folder that holds its package ``model``.
        layers: of an image, (what it holds, compressed bytes, digest).
        metrics: of a training folder: losses and dev scores over steps.
    """

    name: str
    manifest: Mapping[str, Any]
    home: Path
    checkpoint: Path
    network: Path | None = None
    layers: tuple[tuple[str, int, str], ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def languages(self) -> tuple[str, str]:
        """ISO 639-3 codes of source and target."""
        return str(self.manifest["source"]), str(self.manifest["target"])

    def ask(self, sets: Mapping[str, Sequence[str]], explained: Sequence[str], answered: Callable[[], None]) -> Answers:
        """Ask it in a process of its own, by its own code; ``answered`` is called after each sentence.

        Raises ModelSilent when the process fails.
        """
        request = {
            "checkpoint": str(self.checkpoint),
            "network": str(self.network) if self.network else None,
            "sets": {name: list(sources) for name, sources in sets.items()},
            "explained": list(explained),
        }
        with tempfile.TemporaryDirectory(prefix="dragoman-report-") as scratch:
            out, said = Path(scratch) / "answers.json", Path(scratch) / "errors"
            with (
                said.open("wb") as errors,
                subprocess.Popen(
                    [sys.executable, "-P", answering.__file__, str(out)],
                    cwd=self.home,
                    env={**_environment(), "PYTHONPATH": str(self.home)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    encoding="utf-8",
                ) as process,
            ):
                assert process.stdin is not None
                assert process.stdout is not None
                json.dump(request, process.stdin)
                process.stdin.close()
                for line in process.stdout:
                    for _ in line.strip():
                        answered()
            if process.returncode or not out.is_file():
                lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise ModelSilent(
                    f"{self.name} gave no answers: {_last(lines) or f'exit code {process.returncode}'}. "
                    "A checkpoint folder is run by this clone's code (`--network` names another folder), an image by "
                    "its own."
                )
            return _decoded(json.loads(out.read_text(encoding="utf-8")))


def _last(lines: Sequence[str]) -> str:
    """What a process died of: without the module of its error's class, nor the full stop that follows here."""
    kind, colon, told = lines[-1].partition(": ") if lines else ("", "", "")
    return f"{kind.rpartition('.')[2] if colon and ' ' not in kind else kind}{colon}{told}".rstrip(".")


def of_folder(checkpoint: Path, network: Path = NETWORK, name: str = "") -> Subject:
    """A checkpoint folder, run by this clone's code. Raises CheckpointFormatError."""
    manifest = json.loads(Manifest.read(checkpoint).encode())
    metrics = checkpoint / METRICS
    return Subject(
        name=name or str(checkpoint),
        manifest=manifest,
        home=Path(model.__file__).resolve().parent.parent,
        checkpoint=checkpoint.resolve(),
        network=network.resolve(),
        metrics=_metrics(metrics) if metrics.is_file() else {},
    )


def _metrics(path: Path) -> dict[str, Any]:
    """Losses as (step, loss) and dev scores by step, of a file that a training may have been stopped in."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            "losses": [(float(step), float(loss)) for step, loss in found.get("losses", ())],
            "dev": [{name: float(one[name]) for name in ("step", "bleu", "chrf")} for one in found.get("dev", ())],
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise MetricsUnreadable(
            f"{path} isn't what `build-model train` writes: losses as [step, loss] and dev scores as step, bleu and "
            "chrf. Move it away for a report without curves."
        ) from None


@contextmanager
def of_image(registry: Registry, reference: Reference, progress: Progress) -> Iterator[Subject]:
    """An image's checkpoint and the code that it was released with, for as long as the block lasts. Each blob is what
    its digest says. Raises as ``inspect`` does."""
    found = inspect(registry, reference)
    with tempfile.TemporaryDirectory(prefix="dragoman-report-") as scratch:
        home = Path(scratch)
        progress.line(f"Taking model and code out of {reference}")
        blobs = registry.blobs(reference.repository)
        for (holds, _), blob in zip(found.layers, found.blobs, strict=True):
            if holds != "runtime":
                _write(files_in_layer(blobs.read(blob.digest), blob.media_type), home)
        checkpoint = home / CHECKPOINT
        yield Subject(
            name=found.reference,
            manifest=json.loads((checkpoint / MANIFEST).read_bytes()),
            home=home / APPLICATION,
            checkpoint=checkpoint,
            layers=tuple(
                (holds, size, blob.digest) for (holds, size), blob in zip(found.layers, found.blobs, strict=True)
            ),
        )


def _write(files: Mapping[str, bytes], home: Path) -> None:
    """Only what lies in the application's folder: a layer's names are somebody else's."""
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.is_relative_to(APPLICATION) and ".." not in path.parts:
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_bytes(content)


def _environment() -> dict[str, str]:
    """What a process needs of ours, and nothing that steers Python or holds a secret."""
    return {
        name: os.environ[name]
        for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
        if name in os.environ
    }


def _decoded(found: Mapping[str, Any]) -> Answers:
    return Answers(
        sets={
            name: tuple(Answer(**{**said, "text": said["text"] or ""}) for said in all_)
            for name, all_ in found["sets"].items()
        },
        batched=float(found["batched"]),
        alone=float(found["alone"]),
        explained=tuple(
            Explained(one["text"], tuple(one["source"]), tuple(one["target"]), tuple(map(tuple, one["weights"])))
            for one in found["explained"]
        ),
    )
