"""The state of a training: what is saved so that a later run goes on as if it hadn't been stopped, without pickles."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from model.errors import CheckpointFormatError, DragomanError
from model.fingerprint import MANIFEST

STATE = "training.safetensors"


class TrainingStateError(DragomanError):
    """There is no training to go on with, or another one than asked for, or a new one would write over it."""


@dataclass
class Position:
    """Where a training stands; it travels in the state file as JSON.

    Attributes:
        round, batch: what is trained on next.
        pairs: drawn in all rounds before this one.
        seconds: of all steps so far.
        best: the best score on the dev sets so far.
        scored: the share of the training that was behind when they were scored last.
    """

    round: int = 1
    batch: int = 0
    pairs: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    scored: float = 0.0
    first_losses: list[float] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)
    dev: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class State:
    """The tensors of a training.

    Attributes:
        network: the weights that are trained, in single precision.
        average: their moving average, which is what is scored and kept.
        optimizer: over the parameters of ``network``.
        identity: what decides the training beside its length; a state of another one is refused.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    identity: Mapping[str, Any]

    def save(self, folder: Path, position: Position) -> None:
        """Writes the state, whole or not at all."""
        tensors = {"random": torch.get_rng_state()}
        averaged = dict(self.average.named_parameters())
        for name, parameter in self.network.named_parameters():
            tensors |= {f"weights.{name}": parameter.data, f"average.{name}": averaged[name].data}
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = value
        stored = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        metadata = {
            "position": json.dumps(asdict(position)),
            "identity": json.dumps(self.identity, sort_keys=True),
        }
        partial = folder / (STATE + ".part")
        save_file(stored, partial, metadata)
        partial.replace(folder / STATE)

    def restore(self, folder: Path) -> Position:
        """Takes over the state in a folder.

        Raises:
            CheckpointFormatError: it can't be read.
            TrainingStateError: it is of another training.
        """
        path = folder / STATE
        try:
            with safe_open(path, "pt") as stored:
                metadata = stored.metadata()
                tensors: dict[str, Tensor] = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            found = json.loads(metadata["identity"])
            position = Position(**json.loads(metadata["position"]))
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointFormatError(
                f"{path} is not the state of a training ({error}). Start anew with another --out."
            ) from None
        if found != json.loads(json.dumps(self.identity)):
            other = sorted(key for key in self.identity if found.get(key) != self.identity[key])
            raise TrainingStateError(
                f"{path} is of a training with another {', '.join(other)}. Give it the same corpus and options, "
                "or start anew with another --out."
            )
        averaged = dict(self.average.named_parameters())
        for name, parameter in self.network.named_parameters():
            parameter.data.copy_(tensors[f"weights.{name}"])
            averaged[name].data.copy_(tensors[f"average.{name}"])
            keys = [
                key.split(".", 2)[1] for key in tensors if key.startswith("optimizer.") and key.split(".", 2)[2] == name
            ]
            if keys:
                self.optimizer.state[parameter] = {
                    key: tensors[f"optimizer.{key}.{name}"].to(
                        parameter.device if key != "step" or parameter.is_cuda else "cpu"
                    )
                    for key in keys
                }
        torch.set_rng_state(tensors["random"])
        return position


def check_folder(folder: Path, *, resume: bool) -> None:
    """Sees to it that nothing is written over, and that there is something to go on with.

    Raises:
        TrainingStateError: it isn't so.
    """
    if resume and not (folder / STATE).exists():
        raise TrainingStateError(f"{folder} holds no training to go on with. Start one without --resume.")
    if not resume and (folder / STATE).exists():
        raise TrainingStateError(
            f"{folder} holds a training already. Go on with it: --resume; or choose another folder for --out."
        )
    if not resume and (folder / MANIFEST).exists():
        raise TrainingStateError(f"{folder} holds a checkpoint already. Choose another folder for --out.")


def average_into(average: Sequence[Tensor], weights: Sequence[Tensor], step: int, decay: float) -> None:
    """Moves an average towards the weights of a step; at first quickly, so that early weights are soon forgotten."""
    torch._foreach_lerp_(
        [tensor.data for tensor in average],
        [tensor.data for tensor in weights],
        1 - min(decay, (1 + step) / (10 + step)),
    )
