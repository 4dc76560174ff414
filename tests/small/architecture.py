"""A recurrent encoder, attention, a recurrent decoder of some layers."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its name everywhere)

from .vocabulary import PAD


@dataclass(frozen=True)
class Config:
    """What decides the shapes: numbers of tokens, features of everything, layers of the decoder."""

    source_vocabulary: int
    target_vocabulary: int
    width: int = 48
    layers: int = 1
    dropout: float = 0.0


class Network(nn.Module):
    """The `model.contract.Network`. The memory is the encoded source and its mask, the state each layer's."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.source = nn.Embedding(config.source_vocabulary, config.width)
        self.target = nn.Embedding(config.target_vocabulary, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = nn.GRUCell(config.width, config.width)
        self.decoder = nn.ModuleList(nn.GRUCell(2 * config.width, config.width) for _ in range(config.layers))
        self.output = nn.Linear(2 * config.width, config.target_vocabulary)

    def encode(self, source: Tensor) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
        """``source (batch, source_length)`` to ``((encoded, mask), the state of each layer)``."""
        mask = source != PAD
        state = self.source.weight.new_zeros(source.size(0), self.config.width)
        states = []
        for position in range(source.size(1)):
            read = self.encoder(self.source(source[:, position]), state)
            state = torch.where(mask[:, position, None], read, state)
            states.append(state)
        return (torch.stack(states, 1), mask), [state for _ in self.decoder]

    def step(self, last: Tensor, state: list[Tensor], memory: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """``last (batch)`` to ``(logits (batch, target_vocabulary), state)``."""
        encoded, mask = memory
        scores = (encoded * state[-1][:, None]).sum(2).masked_fill(~mask, float("-inf"))
        context = (F.softmax(scores, 1)[:, :, None] * encoded).sum(1)
        features, after = self.dropout(self.target(last)), []
        for layer, before in zip(self.decoder, state, strict=True):
            features = layer(torch.cat((features, context), 1), before)
            after.append(features)
        return self.output(torch.cat((features, context), 1)), after

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """``step`` after ``step``: ``(batch, target_length, target_vocabulary)``."""
        memory, state = self.encode(source)
        logits = []
        for position in range(target.size(1)):
            scores, state = self.step(target[:, position], state, memory)
            logits.append(scores)
        return torch.stack(logits, 1)
