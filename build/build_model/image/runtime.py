"""The runtime image: the base and the locked dependencies, below every model image that was built on the same ones."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build_model.engine import Engine
from build_model.image.base import Base, ensure_base
from build_model.image.context import Content, pack
from build_model.image.reference import Reference
from build_model.image.registry import Registry, VersionUnknown
from build_model.report import Progress
from model.errors import DragomanError

NAME = "runtime"
REPOSITORY = f"dragoman/{NAME}"
MODEL_STAGE = "ARG RUNTIME"
"""How the Dockerfile's part for the model image begins, which is none of the runtime's."""
BUILDER_LABEL = "dragoman.stage=wheels"
"""What the builder stage is labelled, 1.5 GB that nobody needs once the runtime stage has its part of it."""
LOCKS = ("requirements/runtime.txt", "requirements/torch.txt")
PRUNE = "build/build_model/image/prune.py"

TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
TARGET = (
    *("--python-version", "3.11", "--implementation", "cp", "--only-binary", ":all:"),
    *(
        "--platform",
        "manylinux_2_28_x86_64",
        "--platform",
        "manylinux_2_17_x86_64",
        "--platform",
        "manylinux2014_x86_64",
    ),
)
"""What the wheels are for, whatever this host's own Python and system are: bookworm has glibc 2.36."""


class WheelsUnavailable(DragomanError):
    """pip can't fetch a locked wheel."""


@dataclass(frozen=True)
class Runtime:
    """A runtime image before it exists. ``key`` is a sha256 over all that goes into it; ``stage`` is its Dockerfile."""

    base: Base
    key: str
    stage: str

    @property
    def base_name(self) -> str:
        """What the base image is called."""
        return self.base.name

    @property
    def base_digest(self) -> str:
        """The digest of the base image's content."""
        return self.base.digest

    @property
    def reference(self) -> str:
        """What the engine calls it."""
        return str(Reference("", REPOSITORY, self.key))


def resolve(engine: Engine, root: Path, progress: Progress, *, base_image: str | None) -> Runtime:
    """The runtime image of the repository at ``root`` on ``base_image``; see ``ensure_base`` for what that raises."""
    return decide(ensure_base(engine, base_image, progress), root)


def decide(base: Base, root: Path) -> Runtime:
    """The runtime image of the repository at ``root`` on ``base``. Reads files, asks nobody."""
    stage = instructions((root / "Dockerfile").read_text("utf-8").partition(MODEL_STAGE)[0])
    parts = [base.digest, stage, *((root / name).read_text("utf-8") for name in (*LOCKS, PRUNE))]
    digests = [hashlib.sha256(part.encode()).hexdigest() for part in parts]
    return Runtime(base, hashlib.sha256("\n".join(digests).encode()).hexdigest(), stage)


def instructions(dockerfile: str) -> str:
    """A Dockerfile without comments and blank lines: those don't make another image."""
    lines = (line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return "".join(f"{line}\n" for line in lines)


def ensure(
    engine: Engine,
    runtime: Runtime,
    root: Path,
    *,
    shared: Reference | None,
    registry: Registry | None,
    push: bool,
    progress: Progress,
) -> str:
    """The ID of the runtime image: pulled if ``registry`` has it as ``shared``, else the engine's own, else built.

    With ``push`` the registry has it afterwards. What the registry has goes before what the engine has, so that all who
    use it share its layers.
    """
    image = engine.image(runtime.reference)
    if registry and shared and (digest := _digest(registry, shared)):
        if image and f"{shared.name}@{digest}" in image.digests:
            return image.id
        image_id = engine.pull(str(shared), progress).id
        engine.tag(image_id, runtime.reference)
        return image_id
    image_id = image.id if image else _build(runtime, engine, root, progress)
    if shared and push:
        engine.tag(image_id, str(shared))
        engine.push(str(shared), progress)
    return image_id


def _digest(registry: Registry, reference: Reference) -> str:
    """What the registry has under ``reference``; empty when it has nothing there."""
    try:
        return registry.resolve(reference).digest
    except VersionUnknown:
        return ""


def _build(runtime: Runtime, engine: Engine, root: Path, progress: Progress) -> str:
    progress.line(f"Building {runtime.reference} on {runtime.base.name}: once for these dependencies")
    with tempfile.TemporaryDirectory(prefix="dragoman-wheels-") as folder:
        files: dict[str, Content] = {
            "Dockerfile": runtime.stage.encode(),
            "prune.py": root / PRUNE,
            **{f"wheelhouse/{name}": wheel for name, wheel in wheelhouse(root, Path(folder), progress).items()},
        }
        with pack(files) as context:
            image_id = engine.build(
                context,
                tags=[str(runtime.reference)],
                # An ID, not a name: a local image has no registry digest, and the builder would try to pull a name.
                buildargs={"BASE": runtime.base.image_id},
                target="runtime",
                progress=progress,
            )
    engine.prune(BUILDER_LABEL)
    return image_id


def wheelhouse(root: Path, folder: Path, progress: Progress) -> Mapping[str, Path]:
    """Have this host's pip put the locked wheels into ``folder``; file name to file. WheelsUnavailable when it can't.

    torch's build for CPU comes from the sources that pip is configured for (a wheel folder, a mirror), else from
    PyTorch's own index, which is not even asked where it isn't needed: it may be out of reach.
    """
    progress.line("Fetching the locked wheels")
    runtime_lock, torch_lock = (str(root / name) for name in LOCKS)
    error = _download(folder, "--require-hashes", "-r", runtime_lock)
    if not error and _download(folder, "-r", torch_lock):
        error = _download(folder, "-r", torch_lock, "--index-url", TORCH_INDEX)
    if error:
        raise WheelsUnavailable(
            f"pip can't fetch the wheels of {' and '.join(LOCKS)}: {error}\n"
            "Check pip's sources (`pip config list`) and the network."
        )
    return {wheel.name: wheel for wheel in sorted(folder.glob("*.whl"))}


def _download(folder: Path, *arguments: str) -> str:
    """Empty when pip did it, else the last thing it said."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        *TARGET,
        *arguments,
    ]
    pip = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return (pip.stderr.strip() or "no output").splitlines()[-1] if pip.returncode else ""
