"""A checkpoint folder: weights, two vocabularies, golden sentences and the manifest that binds them to the code."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode

from model.errors import ArchitectureMismatch, CheckpointFormatError
from model.fingerprint import GOLDEN, WEIGHTS, Manifest, lang_file, make_manifest, verify
from model.network.architecture import Config, Seq2Seq
from model.network.vocabulary import Lang

RELEASED = Path(__file__).parent / "checkpoint"  # the checkpoint of VERSION; in an image, the artifact


@dataclass(frozen=True)
class Golden:
    """A sentence and the translation that it must keep."""

    source: str
    target: str


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds, loaded and verified; the model is in ``eval()`` and fp32."""

    model: Seq2Seq
    langs: tuple[Lang, Lang]
    manifest: Manifest
    goldens: tuple[Golden, ...]


def save_checkpoint(
    model: Seq2Seq,
    langs: tuple[Lang, Lang],
    folder: Path | str,
    *,
    goldens: Sequence[Golden] = (),
    training: Mapping[str, Any] | None = None,
    outputs: str | None = None,
) -> Manifest:
    """Writes a model and its source and target ``Lang`` as a checkpoint; weights are stored in half precision.

    Args:
        folder: made where it doesn't exist; a checkpoint in it is written over.
        goldens: sentences with the translations that the service checks before it connects.
        training: how the weights came about, for the manifest.
        outputs: digest of the translations of the dev sources, for ``restamp``.

    Raises:
        ArchitectureMismatch: an embedding doesn't have a row for each token of its vocabulary.
    """
    folder = Path(folder)
    source, target = langs
    _check_vocabularies(model.config, source, target)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(
        0o644
    )  # safetensors makes it private; a checkpoint is read by other users, in the image too
    for lang in langs:
        lang.save(folder / lang_file(lang.code))
    lines = (json.dumps(asdict(golden), ensure_ascii=False) + "\n" for golden in goldens)
    (folder / GOLDEN).write_text("".join(lines), encoding="utf-8", newline="\n")
    manifest = make_manifest(
        folder, source=source.code, target=target.code, config=asdict(model.config), training=training, outputs=outputs
    )
    manifest.write(folder)
    return manifest


def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Verifies a checkpoint folder against the code that is running, then loads it.

    Raises:
        GuardError: one of its subclasses, as ``fingerprint.verify`` says; ``ArchitectureMismatch`` too where the config
            in the manifest builds other tensors than the weights hold.
    """
    folder = Path(folder)
    manifest = verify(folder)
    source, target = (Lang.load(folder / lang_file(code)) for code in (manifest.source, manifest.target))
    model = _build(manifest, folder)
    _check_vocabularies(model.config, source, target)
    try:
        missing = model.load_state_dict(load_file(folder / WEIGHTS), strict=False)
    except (RuntimeError, SafetensorError) as error:
        raise ArchitectureMismatch(
            f"The weights in {folder} don't fit the network that its config builds: {error}. "
            "Take manifest and weights from one checkpoint."
        ) from None
    if missing.missing_keys or missing.unexpected_keys:
        raise ArchitectureMismatch(
            f"The weights in {folder} lack {missing.missing_keys} and have {missing.unexpected_keys} that the config "
            "doesn't build. Take manifest and weights from one checkpoint."
        )
    return Checkpoint(model.eval(), (source, target), manifest, read_goldens(folder))


def read_goldens(folder: Path) -> tuple[Golden, ...]:
    """The golden sentences of a checkpoint folder.

    Raises:
        CheckpointFormatError: the file is missing or a line is malformed.
    """
    path = folder / GOLDEN
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return tuple(Golden(**json.loads(line)) for line in lines)
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointFormatError(f"{path} can't be read ({error}). Restore the checkpoint's files.") from None


class _Unfilled(TorchFunctionMode):
    """Leaves new parameters unfilled, since loading writes over all of them: 0.1 s less at every start.

    Not the meta device, which is made for this: it imports torch._dynamo, which takes 3 s and isn't in the image.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in {"normal_", "uniform_", "kaiming_uniform_"}:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _build(manifest: Manifest, folder: Path) -> Seq2Seq:
    try:
        config = Config(**manifest.config)
        with _Unfilled():
            return Seq2Seq(config)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArchitectureMismatch(
            f"The config in the manifest of {folder} builds no network ({error}). "
            "Take the manifest that the weights came with."
        ) from None


def _check_vocabularies(config: Config, source: Lang, target: Lang) -> None:
    for lang, rows in ((source, config.source_vocabulary), (target, config.target_vocabulary)):
        if len(lang) != rows:
            raise ArchitectureMismatch(
                f"The vocabulary {lang.code} has {len(lang)} tokens, its embedding {rows} rows. "
                "Take weights and vocabularies from one training."
            )
