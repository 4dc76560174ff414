"""A checkpoint folder: weights, vocabularies, golden sentences and the manifest that binds them to the code."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.overrides import TorchFunctionMode

from model.contract import Model, Vocabulary
from model.errors import ArchitectureMismatch, CheckpointFormatError
from model.fingerprint import GOLDEN, WEIGHTS, Manifest, lang_file, lang_names, make_manifest, verify
from model.folder import NETWORK, load_model

RELEASED = Path(__file__).parent / "checkpoint"  # the checkpoint of VERSION; in an image, the artifact

Vocabularies = tuple[Vocabulary, Vocabulary]
"""Of the source and of the target; the same object twice where one serves both."""


@dataclass(frozen=True)
class Golden:
    """A sentence and the translation that it must keep."""

    source: str
    target: str


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds, loaded and verified; the network is in ``eval()`` and fp32.

    Attributes:
        folder: of the network: the code that the weights belong to.
    """

    model: Model
    network: Any
    vocabularies: Vocabularies
    manifest: Manifest
    goldens: tuple[Golden, ...]
    folder: Path = NETWORK


def save_checkpoint(
    network: nn.Module,
    vocabularies: Vocabularies,
    folder: Path | str,
    *,
    goldens: Sequence[Golden] = (),
    training: Mapping[str, Any] | None = None,
    outputs: str | None = None,
    code: Path | str = NETWORK,
) -> Manifest:
    """Writes a network and its source and target vocabulary as a checkpoint; weights are stored in half precision.

    Args:
        folder: made where it doesn't exist; a checkpoint in it is written over.
        goldens: sentences with the translations that the service checks before it connects.
        training: how the weights came about, for the manifest.
        outputs: digest of the translations of the dev sources, for ``restamp``.
        code: the network's folder.

    Raises:
        ArchitectureMismatch: the config has other numbers of ids than the vocabularies.
    """
    folder, code = Path(folder), Path(code)
    model, config = load_model(code), asdict(network.config)  # type: ignore[call-overload]
    _check_vocabularies(config, vocabularies)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: stored(tensor) for name, tensor in network.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(
        0o644
    )  # safetensors makes it private; a checkpoint is read by other users, in the image too
    for name, vocabulary in zip(lang_names(model), vocabularies, strict=False):  # a shared one is written once
        (folder / lang_file(name)).write_text(vocabulary.to_json(), encoding="utf-8", newline="\n")
    lines = (json.dumps(asdict(golden), ensure_ascii=False) + "\n" for golden in goldens)
    (folder / GOLDEN).write_text("".join(lines), encoding="utf-8", newline="\n")
    manifest = make_manifest(folder, model=model, config=config, training=training, outputs=outputs, network=code)
    manifest.write(folder)
    return manifest


def stored(tensor: Any) -> Any:
    """A tensor as a checkpoint stores it: floating point in half precision, the rest as it is."""
    tensor = tensor.detach().cpu()
    return (tensor.half() if tensor.is_floating_point() else tensor).clone().contiguous()


def load_checkpoint(folder: Path | str, code: Path | str = NETWORK) -> Checkpoint:
    """Verifies a checkpoint folder against the code that is running, then loads it.

    Args:
        code: the network's folder.

    Raises:
        GuardError: one of its subclasses, as ``fingerprint.verify`` says; ``ArchitectureMismatch`` too where the config
            in the manifest builds other tensors than the weights hold; ``NetworkInvalid`` as ``load_model`` says.
    """
    folder, code = Path(folder), Path(code)
    manifest = verify(folder, code)
    model = load_model(code)
    vocabularies = load_vocabularies(folder, model)
    _check_vocabularies(manifest.config, vocabularies)
    network = _build(model, manifest, folder)
    try:
        missing = network.load_state_dict(load_file(folder / WEIGHTS), strict=False)
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
    if settle := getattr(network, "settle", None):
        settle()
    return Checkpoint(model, network.eval(), vocabularies, manifest, read_goldens(folder), code)


def load_vocabularies(folder: Path, model: Model) -> Vocabularies:
    """The source and target vocabulary of a checkpoint folder.

    Raises:
        CheckpointFormatError: a file is missing, cut short or not a vocabulary.
    """
    found = [_load_vocabulary(folder / lang_file(name), model) for name in lang_names(model)]
    return found[0], found[-1]


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


def _load_vocabulary(path: Path, model: Model) -> Vocabulary:
    try:
        vocabulary: Vocabulary = model.vocabulary.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointFormatError(
            f"{path}: {error.strerror or error}. Expected a vocabulary; restore the checkpoint's files."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointFormatError(
            f"{path} is not a vocabulary ({error}). Restore it from the checkpoint it belongs to."
        ) from None
    return vocabulary


def _build(model: Model, manifest: Manifest, folder: Path) -> Any:
    try:
        config = model.config(**manifest.config)
        with _Unfilled():
            return model.network(config)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArchitectureMismatch(
            f"The config in the manifest of {folder} builds no network ({error}). "
            "Take the manifest that the weights came with."
        ) from None


def _check_vocabularies(config: Mapping[str, Any], vocabularies: Vocabularies) -> None:
    for side, vocabulary in zip(("source_vocabulary", "target_vocabulary"), vocabularies, strict=True):
        if len(vocabulary) != config.get(side):
            raise ArchitectureMismatch(
                f"A vocabulary has {len(vocabulary)} tokens, {side} in the config is {config.get(side)}. "
                "Take weights and vocabularies from one training."
            )
