"""Restamp: a new manifest for old weights after a refactoring, written only when no output changed."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from build_model.training.corpus import Example
from build_model.training.evaluation import COMPARED_OUTPUTS, outputs_digest
from build_model.training.serving import decide
from model.errors import ChecksumMismatch, DragomanError, GoldenMismatch
from model.fingerprint import MANIFEST, WEIGHTS, Manifest, architecture_hash, code_digests, file_digest, tensor_table
from model.folder import NETWORK
from model.translator import Translator


class RestampRefused(DragomanError):
    """An output changed, or there is nothing to compare; the manifest stays as it was."""


@dataclass(frozen=True)
class Restamped:
    """What came of it.

    Attributes:
        before, after: architecture hashes, equal where nothing had to be done.
        goldens: how many were compared.
        outputs: how many dev sources were compared; 0 without a dev set.
    """

    before: str
    after: str
    goldens: int
    outputs: int

    def encode(self) -> dict[str, object]:
        """As a JSON object."""
        return asdict(self)


def restamp(folder: Path, examples: Sequence[Example] = (), code: Path = NETWORK) -> Restamped:
    """Compares the goldens, and the first dev sources where ``examples`` are given, under the code that is running.

    Raises:
        ChecksumMismatch: weights, a vocabulary or the goldens aren't those of the manifest: that is no refactoring.
        RestampRefused: an output changed, or there is nothing to compare.
    """
    manifest = Manifest.read(folder)
    for name, digest in manifest.files().items():
        if (found := file_digest(folder / name)) != digest:
            raise ChecksumMismatch(
                f"{folder / name} has sha256 {found}, the manifest records {digest}. Restamping is for changed code; "
                "restore the checkpoint's files first."
            )
    sources = code_digests(manifest.source, code)
    stamped = replace(
        manifest,
        code=sources,
        architecture=architecture_hash(sources, manifest.config, tensor_table(folder / WEIGHTS)),
    )
    with tempfile.TemporaryDirectory() as temporary:
        trial = Path(temporary)
        for name in manifest.files():
            shutil.copyfile(folder / name, trial / name)
        stamped.write(trial)
        translator = Translator.load(trial, code)
        goldens = _compare(translator, manifest, examples)
        if translator.path != (manifest.serving or {}).get("path"):  # nobody looked, or `fast` came or went
            stamped = replace(stamped, serving=decide(trial, examples, code))
    if stamped != manifest:
        stamped.write(folder)
    return Restamped(manifest.architecture, stamped.architecture, goldens, min(len(examples), COMPARED_OUTPUTS))


def _compare(translator: Translator, manifest: Manifest, examples: Sequence[Example]) -> int:
    """Raises where an output changed; returns the number of goldens."""
    goldens = translator.goldens
    if not goldens and not examples:
        raise RestampRefused("The checkpoint has no golden sentences to compare. Give its dev set: --dev FILE.")
    try:
        translator.self_test()
    except GoldenMismatch as error:
        raise RestampRefused(f"{error} {MANIFEST} is left as it was: train a new checkpoint with this code.") from None
    if examples:
        if manifest.outputs is None:
            raise RestampRefused(
                "The checkpoint records no outputs of a dev set, so there is nothing to compare --dev with. "
                "Restamp without it: only the goldens are compared then."
            )
        if (found := outputs_digest(translator, examples)) != manifest.outputs:
            raise RestampRefused(
                f"The translations of the first {COMPARED_OUTPUTS} dev sources have sha256 {found}, recorded as "
                f"{manifest.outputs}: one changed, or the dev set is another. {MANIFEST} is left as it was: give the "
                "dev set of the training, or train a new checkpoint with this code."
            )
    return len(goldens)
