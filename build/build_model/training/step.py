"""A step of a training: the loss of a batch, its gradients, an update.

Where a processor has products in bf16, forward and backward pass are in bf16 throughout, on a copy of the weights; the
weights themselves are in single precision.
"""

import copy
import ctypes
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its name everywhere)

from build_model.training.loss import embedded_loss
from build_model.training.recurrent import quicken
from build_model.training.rounds import Batch
from model.errors import DragomanError


class DeviceUnavailable(DragomanError):
    """The device that was asked for isn't there."""


class Stepper:
    """Takes steps on the weights of a network.

    Args:
        network: on its device, in single precision.
        optimizer: over its parameters.
        pads: padding ids of source and target.
        bos: id before a target.
        smoothing: of labels.
        clip_norm: largest norm of a gradient.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        pads: tuple[int, int],
        bos: int,
        smoothing: float,
        clip_norm: float,
    ) -> None:
        self.network, self.optimizer = network, optimizer
        self.pads, self.bos, self.smoothing, self.clip_norm = pads, bos, smoothing, clip_norm
        self.weights = list(network.parameters())
        self.device = self.weights[0].device
        on_processor = self.device.type == "cpu"
        self.worked = network  # what the passes run on
        if on_processor:
            _keep_freed_memory()
            self.worked = copy.deepcopy(network)
            if has_bfloat16(self.device):
                self.worked = self.worked.bfloat16()
            quicken(self.worked)
        self.worked.train()
        self.working = list(self.worked.parameters())
        self.autocast = not on_processor and has_bfloat16(self.device)

    def __call__(self, batch: Batch, rate: float) -> tuple[float, int]:
        """One update; returns the loss in nats a token, and the number of source and target tokens."""
        source, target = (torch.from_numpy(side).long().to(self.device) for side in batch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self._loss(source, target)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.worked is not self.network:
            for weight, worked in zip(self.weights, self.working, strict=True):
                weight.grad = None if worked.grad is None else worked.grad.to(weight.dtype)
                worked.grad = None
        norm = torch.nn.utils.clip_grad_norm_(self.weights, self.clip_norm)
        if torch.isfinite(norm):
            self.optimizer.step()
            self.follow()
        self.optimizer.zero_grad()
        return loss.item(), int((source != self.pads[0]).sum() + (target != self.pads[1]).sum())

    def follow(self) -> None:
        """Takes over weights that were changed."""
        if self.worked is not self.network:
            with torch.no_grad():
                torch._foreach_copy_([*self.working], [*self.weights])

    def _loss(self, source: Tensor, target: Tensor) -> Tensor:
        before = torch.cat((target.new_full((len(target), 1), self.bos), target[:, :-1]), 1)
        worked: Any = self.worked
        right = target.flatten()
        counted = right != self.pads[1]
        if self.device.type == "cpu" and hasattr(worked, "features"):
            features = worked.features(source, before).flatten(0, 1)
            return embedded_loss(features[counted], worked.embedding.weight, right[counted], self.smoothing)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            logits = worked(source, before)
        return F.cross_entropy(logits.float().flatten(0, 1)[counted], right[counted], label_smoothing=self.smoothing)


def choose_device(device: str) -> torch.device:
    """``cpu``, ``cuda``, or for ``auto`` the best there is.

    Raises:
        DeviceUnavailable: CUDA was asked for and isn't there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable("There is no CUDA device that torch can use. Train with --device cpu or auto.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def has_bfloat16(device: torch.device) -> bool:
    """Whether bf16 products are done in hardware; emulated ones are 100 times slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _keep_freed_memory() -> None:
    """Tells glibc to keep freed blocks: returning them to the kernel each step costs up to 40 % of the time."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc; numbers from malloc.h
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3
        for option, size in ((trim_threshold, 2**31 - 1), (top_pad, 2**28), (mmap_threshold, 2**30)):
            libc.mallopt(option, size)
