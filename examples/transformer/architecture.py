"""A Transformer with layers normalised first, and a cache of keys and values, so that a step costs one position."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its name everywhere)

from .vocabulary import PAD

Cache = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values ``(batch, heads, length, width / heads)`` of each layer."""


@dataclass(frozen=True)
class Config:
    """What decides the shapes.

    Attributes:
        source_vocabulary, target_vocabulary: numbers of tokens.
        width: features of a position; ``heads`` divides it.
        layers: of the encoder, and of the decoder.
        heads: of each attention.
        dropout: share of features dropped, at training only.
    """

    source_vocabulary: int
    target_vocabulary: int
    width: int = 128
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1


class Attention(nn.Module):
    """Scaled dot products between positions (section 3.2)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.query, self.key, self.value, self.out = (nn.Linear(config.width, config.width) for _ in range(4))

    def look(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """``features (batch, length, width)`` to what can be attended to."""
        return self._split(self.key(features)), self._split(self.value(features))

    def forward(self, features: Tensor, seen: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """``features (batch, length, width)`` to what they found, where ``mask`` is true, of the same shape."""
        found = F.scaled_dot_product_attention(self._split(self.query(features)), *seen, attn_mask=mask)
        return self.out(found.transpose(1, 2).flatten(2))

    def _split(self, features: Tensor) -> Tensor:
        batch, length, width = features.shape
        return features.view(batch, length, self.heads, width // self.heads).transpose(1, 2)


class Layer(nn.Module):
    """Attention to what stands before or around, to the source (the decoder's), and two products a position."""

    def __init__(self, config: Config, *, decodes: bool) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(3 if decodes else 2))
        self.own = Attention(config)
        self.other = Attention(config) if decodes else None
        self.inner = nn.Linear(config.width, 4 * config.width)
        self.outer = nn.Linear(4 * config.width, config.width)

    def forward(
        self,
        features: Tensor,
        mask: Tensor | None,
        before: tuple[Tensor, Tensor] | None = None,
        source: tuple[tuple[Tensor, Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """``features (batch, length, width)`` to features, and the keys and values of all positions so far."""
        normed = self.norms[0](features)
        seen = self.own.look(normed)
        if before is not None:
            seen = torch.cat((before[0], seen[0]), 2), torch.cat((before[1], seen[1]), 2)
        features = features + self.dropout(self.own(normed, seen, mask))
        if self.other is not None and source is not None:
            features = features + self.dropout(self.other(self.norms[1](features), *source))
        inner = F.relu(self.inner(self.norms[-1](features)))
        return features + self.dropout(self.outer(inner)), seen


class Transformer(nn.Module):
    """The `model.contract.Network`. The memory is each layer's view of the source and its mask, the state the cache."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.source = nn.Embedding(config.source_vocabulary, config.width)
        self.target = nn.Embedding(config.target_vocabulary, config.width)
        self.encoder = nn.ModuleList(Layer(config, decodes=False) for _ in range(config.layers))
        self.decoder = nn.ModuleList(Layer(config, decodes=True) for _ in range(config.layers))
        self.encoded, self.decoded = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.bias = nn.Parameter(torch.zeros(config.target_vocabulary))
        for embedding in (self.source, self.target):
            nn.init.normal_(embedding.weight, std=config.width**-0.5)

    def encode(self, source: Tensor) -> tuple[tuple[Cache, Tensor], Cache]:
        """``source (batch, source_length)`` to ``((keys and values of the source, mask), an empty cache)``."""
        mask = (source != PAD)[:, None, None]
        features = self._positioned(self.source(source), 0)
        for layer in self.encoder:
            features, _ = layer(features, mask)
        features = self.encoded(features)
        memory = tuple(layer.other.look(features) for layer in self.decoder)
        empty = features.new_zeros(source.size(0), self.config.heads, 0, self.config.width // self.config.heads)
        return (memory, mask), tuple((empty, empty) for _ in self.decoder)

    def step(self, last: Tensor, state: Cache, memory: tuple[Cache, Tensor]) -> tuple[Tensor, Cache]:
        """``last (batch)`` to ``(logits (batch, target_vocabulary), the cache with one position more)``."""
        logits, state = self._decode(last[:, None], state, memory, None)
        return logits[:, 0], state

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """``(batch, target_length, target_vocabulary)``; no position sees those behind it."""
        memory, state = self.encode(source)
        causal = torch.ones(target.size(1), target.size(1), dtype=torch.bool, device=target.device).tril()
        return self._decode(target, state, memory, causal)[0]

    def _decode(
        self, target: Tensor, state: Cache, memory: tuple[Cache, Tensor], mask: Tensor | None
    ) -> tuple[Tensor, Cache]:
        seen, source_mask = memory
        features = self._positioned(self.target(target), state[0][0].size(2))
        caches = []
        for layer, before, source in zip(self.decoder, state, seen, strict=True):
            features, cache = layer(features, mask, before, (source, source_mask))
            caches.append(cache)
        return F.linear(self.decoded(features), self.target.weight, self.bias), tuple(caches)

    def _positioned(self, features: Tensor, start: int) -> Tensor:
        """``features (batch, length, width)`` with sines and cosines of their positions added (section 3.5)."""
        width = self.config.width
        places = torch.arange(start, start + features.size(1), device=features.device, dtype=features.dtype)
        rates = torch.exp(
            torch.arange(0, width, 2, device=features.device, dtype=features.dtype) * (-math.log(1e4) / width)
        )
        angles = places[:, None] * rates
        return features * width**0.5 + torch.stack((angles.sin(), angles.cos()), 2).flatten(1)
