"""The artifact: the folder of one version that goes into an image, and the identity of what the image holds."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from build_model.image.context import Content
from build_model.image.version import Version
from model.errors import ChecksumMismatch, DragomanError
from model.fingerprint import GOLDEN, LEXICONS, MANIFEST, Manifest, verify
from model.folder import NETWORK, files

APPLICATION = PurePosixPath("opt/dragoman")
CHECKPOINT = APPLICATION / "model" / "checkpoint"
IMAGE_NETWORK = APPLICATION / "model" / "network"
"""Where the network's folder lies in an image, wherever it was built from."""
TEXT = frozenset(
    f"{name}.py"
    for name in (
        *("language", "layout", "lexicon", "names", "numbers", "reading", "segment"),
        *("spans", "spelling", "typography", "wordlists"),
    )
)
"""The modules of ``model`` by which a text is taken apart, mended and written: a layer of their own."""


class CodeMissing(DragomanError):
    """A folder of code that belongs into the image isn't there."""


class GoldensMissing(DragomanError):
    """The checkpoint was too unsure of everything to have a golden sentence."""


@dataclass(frozen=True)
class Artifact:
    """``artifacts/<version>/``: the files of a checkpoint, its manifest with the version; and its network's folder."""

    folder: Path
    manifest: Manifest
    network: Path = NETWORK


def check(checkpoint: Path, network: Path = NETWORK, *, goldens: bool = True, poor: bool = False) -> None:
    """The rules of `model.contract`, and what the service does before it connects: hashes, network, goldens; without
    ``goldens`` the hashes alone. ``poor``: a model that says the same to everything passes.

    Raises GuardError when one of them doesn't hold, GoldensMissing when there is nothing to hold the model to,
    ModelDull.
    """
    verify(checkpoint, network)
    if not goldens:
        return
    if not (checkpoint / GOLDEN).read_bytes().strip():
        raise GoldensMissing(
            f"{checkpoint} has no golden sentences, so nothing proves what its image answers. Train longer, or give "
            "`save_checkpoint` the goldens that `choose_goldens` finds."
        )
    from build_model.training import check as contract  # noqa: PLC0415 (torch takes a second; no other command needs it)
    from build_model.training.variety import ModelDull  # noqa: PLC0415

    try:
        for _ in contract.check(network, checkpoint):
            pass  # a rule that doesn't hold is raised
    except ModelDull:  # the last rule
        if not poor:
            raise


def write(checkpoint: Path, version: Version, folder: Path, network: Path = NETWORK) -> Artifact:
    """Check ``checkpoint`` against the code that is running, then write it to ``folder`` as ``version``.

    Raises GuardError when checkpoint and code don't belong together; then nothing is written.
    """
    manifest = verify(checkpoint, network).with_version(str(version))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in manifest.files():
        shutil.copyfile(checkpoint / name, folder / name)
    manifest.write(folder)
    return Artifact(folder, manifest, network)


@dataclass(frozen=True)
class Layers:
    """The files of the layers on top of the runtime: path in the image, without leading slash, to content.

    Attributes:
        model: weights and vocabularies.
        lexicon: the source language's, where there is one.
        network: the network's folder.
        text: the modules of ``model`` that TEXT names.
        library: the rest of the package ``model``.
        service: the package ``service``.
        guard: manifest and goldens, which are others in every version.
    """

    model: Mapping[str, Content]
    lexicon: Mapping[str, Content]
    network: Mapping[str, Content]
    text: Mapping[str, Content]
    library: Mapping[str, Content]
    service: Mapping[str, Content]
    guard: Mapping[str, Content]

    def by_name(self) -> dict[str, Mapping[str, Content]]:
        """The layers by what they hold, lowest first."""
        named = {
            "model": self.model,
            "lexicon": self.lexicon,
            "network": self.network,
            "text": self.text,
            "library": self.library,
            "service": self.service,
            "guard": self.guard,
        }
        return {name: files for name, files in named.items() if files}

    def digests(self) -> dict[str, str]:
        """The sha256 of each file under the application folder, by its path relative to that folder."""
        return {
            str(PurePosixPath(path).relative_to(APPLICATION)): sha256(content)
            for files in self.by_name().values()
            for path, content in files.items()
        }


def layers(artifact: Artifact, root: Path) -> Layers:
    """What goes into the image: the artifact's files, its network's folder as ``model/network``, and the other Python
    files of ``model`` and ``service`` below ``root``.

    Weights and vocabularies are alone in the model layer: it is pushed again only when one of them changes. So is the
    lexicon, of 2 MB; the code has four layers, so that a change of one of them sends less than 60 kB, the manifest and
    what lies beside the image included. All is read now, so that the image holds what its labels say though somebody
    edits a file or builds the same version meanwhile.

    Raises ChecksumMismatch when the artifact's folder doesn't hold what was written to it, CodeMissing.
    """
    model: dict[str, Content] = {}
    guard: dict[str, Content] = {str(CHECKPOINT / MANIFEST): artifact.manifest.encode()}
    for name, digest in artifact.manifest.files().items():
        content = (artifact.folder / name).read_bytes()
        if sha256(content) != digest:
            raise ChecksumMismatch(
                f"{artifact.folder / name} was changed while it was read. Is another build-model making the same "
                "version here? Run this one again when that is done."
            )
        (guard if name == GOLDEN else model)[str(CHECKPOINT / name)] = content
    package_of: dict[str, dict[str, Content]] = {}
    for package in ("model", "service"):
        paths = sorted((root / package).rglob("*.py"))
        if not paths:
            raise CodeMissing(f"No code below {root / package}. Run build-model from a clone of the repository.")
        package_of[package] = {
            str(APPLICATION / path.relative_to(root).as_posix()): path.read_bytes() for path in paths
        }
    text: dict[str, Content] = {}
    library: dict[str, Content] = {}
    for path, source in package_of["model"].items():
        if IMAGE_NETWORK not in PurePosixPath(path).parents:
            (text if PurePosixPath(path).name in TEXT else library)[path] = source
    lexicon = {
        str(APPLICATION / "model" / name): (root / "model" / name).read_bytes()
        for language, name in LEXICONS.items()
        if language == artifact.manifest.source
    }
    network = {str(IMAGE_NETWORK / name): path.read_bytes() for name, path in files(artifact.network).items()}
    return Layers(model, lexicon, network, text, library, package_of["service"], guard)


def repository_of(manifest: Manifest) -> str:
    """The name of a model's images: ``dragoman/fra-eng``."""
    return f"dragoman/{manifest.source}-{manifest.target}"


def identity(digests: Mapping[str, str], runtime_key: str) -> str:
    """The identity of an image's content, its label ``dragoman.artifact``.

    sha256 over one line ``<digest>  <path>`` per file, sorted by path, and a last line for the runtime below them.
    """
    lines = [f"{digest}  {path}\n" for path, digest in sorted(digests.items())]
    return hashlib.sha256("".join([*lines, f"{runtime_key}  runtime\n"]).encode()).hexdigest()


def langs_digest(langs: Mapping[str, str]) -> str:
    """One digest for the vocabularies of a manifest, the label ``dragoman.langs``."""
    lines = [f"{digest}  {code}\n" for code, digest in sorted(langs.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256(content: Content) -> str:
    """Hexadecimal sha256 of bytes, or of a file's bytes."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
