"""The network: a recurrent encoder, attention, a recurrent decoder; nothing more than it needs."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its name everywhere)

from .vocabulary import PAD


@dataclass(frozen=True)
class Config:
    """What decides the shapes.

    Attributes:
        source_vocabulary, target_vocabulary: numbers of tokens.
        width: features of everything.
    """

    source_vocabulary: int
    target_vocabulary: int
    width: int = 64


class Network(nn.Module):
    """The `model.contract.Network`. The memory is the encoded source and its mask, the state the decoder's."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.source = nn.Embedding(config.source_vocabulary, config.width)
        self.target = nn.Embedding(config.target_vocabulary, config.width)
        self.encoder = nn.GRUCell(config.width, config.width)
        self.decoder = nn.GRUCell(2 * config.width, config.width)
        self.output = nn.Linear(2 * config.width, config.target_vocabulary)

    def encode(self, source: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """``source (batch, source_length)`` to ``((encoded, mask), state)``."""
        mask = source != PAD
        state = self.source.weight.new_zeros(source.size(0), self.config.width)
        states = []
        for position in range(source.size(1)):
            read = self.encoder(self.source(source[:, position]), state)
            state = torch.where(mask[:, position, None], read, state)  # padding changes nothing
            states.append(state)
        return (torch.stack(states, 1), mask), state

    def step(self, last: Tensor, state: Tensor, memory: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """``last (batch)`` to ``(logits (batch, target_vocabulary), state)``."""
        encoded, mask = memory
        scores = (encoded * state[:, None]).sum(2).masked_fill(~mask, float("-inf"))
        context = (F.softmax(scores, 1)[:, :, None] * encoded).sum(1)
        state = self.decoder(torch.cat((self.target(last), context), 1), state)
        return self.output(torch.cat((state, context), 1)), state

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """``step`` after ``step``: ``(batch, target_length, target_vocabulary)``."""
        memory, state = self.encode(source)
        logits = []
        for position in range(target.size(1)):
            scores, state = self.step(target[:, position], state, memory)
            logits.append(scores)
        return torch.stack(logits, 1)
