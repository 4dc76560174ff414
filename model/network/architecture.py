"""The whole architecture: a bidirectional GRU encoder, attention, and a GRU decoder that attends between two layers.

It is the network of the PyTorch tutorial "Translation with a Sequence to Sequence Network and Attention", batched and
masked, with one change of order: the query of the attention is the state of a first recurrent layer, and the context
goes to a second one (Wu et al. 2016, "Google's Neural Machine Translation System", section 3). No layer waits for the
output of the step before, so training runs each layer over the whole target at once.

One embedding serves the source, the target and the output (Press and Wolf 2017): both languages share their vocabulary.

Outside of training, features and states between -1 and 1 (or 2) stand on a grid of 127 steps before they are
multiplied, and ``settle`` puts the weights on grids too. So `fast.py` multiplies bytes and finds the same: exact sums,
on any processor, whatever stands beside a row in its batch.

Shapes: ``batch`` rows, ``source_length`` and ``target_length`` positions, ``embedding`` features of a token and
``width`` of a recurrent state. Padding has id ``PAD``.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its name everywhere)
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .vocabulary import PAD


@dataclass(frozen=True)
class Config:
    """Everything that decides the shapes of the network.

    Attributes:
        source_vocabulary, target_vocabulary: number of tokens, the same of both: they share an embedding.
        embedding: features of a token.
        width: features of a recurrent state; the encoder has as many in each direction.
        encoder_layers: bidirectional recurrent layers of the encoder.
        heads: attention heads; they divide ``width``.
        dropout: share of features dropped between layers, at training only.
    """

    source_vocabulary: int
    target_vocabulary: int
    embedding: int = 256
    width: int = 288
    encoder_layers: int = 2
    heads: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.source_vocabulary != self.target_vocabulary:
            raise ValueError(f"the vocabularies have {self.source_vocabulary} and {self.target_vocabulary} tokens")


STEPS = 63  # of the grid on either side of 0: sums of two products of 7 and 8 bits fit in 16, as old processors need


def on_grid(features: Tensor, largest: float = 1.0) -> Tensor:
    """``features``, between ``-largest`` and ``largest``, rounded to multiples of ``largest / STEPS``."""
    return torch.round(features * (STEPS / largest)) * (largest / STEPS)


class Memory(NamedTuple):
    """What the decoder attends to, computed once a source.

    Attributes:
        keys: ``(batch, heads, width / heads, source_length)``, scaled.
        values: ``(batch, heads, source_length, width / heads)``.
        hidden: ``(batch, 1, 1, source_length)``, added to the scores: minus infinity at padding, else 0.
    """

    keys: Tensor
    values: Tensor
    hidden: Tensor


class State(NamedTuple):
    """The decoder's recurrent state before a step.

    Attributes:
        query: ``(batch, width)``, of the layer that attends.
        output: ``(batch, width)``, of the layer above the attention.
    """

    query: Tensor
    output: Tensor


def recur(
    gru: nn.GRU, inputs: Tensor, state: Tensor, mask: Tensor | None = None, *, backwards: bool = False
) -> tuple[Tensor, Tensor]:
    """A direction of a GRU layer as `torch.nn.GRU` defines it, but for its state, which is multiplied as it stands on
    the grid.

    Args:
        inputs: ``(batch, length, features)``.
        state: ``(batch, width)`` before the first position.
        mask: ``(batch, length)``, true where there is a token; None where there is one everywhere.

    Returns:
        The state at each position, ``(batch, length, width)``, and after the last.
    """
    layer = "l0_reverse" if backwards else "l0"
    weight_ih, bias_ih, weight_hh, bias_hh = (
        getattr(gru, f"{name}_{layer}") for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
    )
    entering = F.linear(inputs, weight_ih, bias_ih).unbind(1)
    states: list[Tensor] = [state] * len(entering)
    for position in sorted(range(len(entering)), reverse=backwards):
        reset_in, update_in, new_in = entering[position].chunk(3, 1)
        reset_by, update_by, new_by = F.linear(on_grid(state), weight_hh, bias_hh).chunk(3, 1)
        new = torch.tanh(new_in + torch.sigmoid(reset_in + reset_by) * new_by)
        following = torch.lerp(new, state, torch.sigmoid(update_in + update_by))
        state = following if mask is None else torch.where(mask[:, position, None], following, state)
        states[position] = state
    return torch.stack(states, 1), state


class Encoder(nn.Module):
    """Embedded source to one vector a position, reading in both directions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        inputs = [config.embedding] + [2 * config.width] * (config.encoder_layers - 1)
        self.layers = nn.ModuleList(nn.GRU(size, config.width, bidirectional=True, batch_first=True) for size in inputs)

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """``embedded (batch, source_length, embedding)``, ``mask (batch, source_length)``, true where there is a token,
        to ``(batch, source_length, 2 * width)``, zero at padding. Each layer but the first adds to what it reads (He et
        al. 2016)."""
        features = embedded
        for number, layer in enumerate(self.layers):
            if self.training:
                read = self.dropout(self._learn(layer, features, mask))
            else:
                features = on_grid(features, float(number)) if number else features
                read = self._read(layer, features, mask)
            features = features + read if number else read
        return features

    def _learn(self, layer: nn.Module, features: Tensor, mask: Tensor) -> Tensor:
        """The layer's states, off the grid, by torch's own kernel or by the one that a training puts in its place."""
        packed = pack_padded_sequence(features, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=mask.size(1))[0]

    @staticmethod
    def _read(layer: Any, features: Tensor, mask: Tensor) -> Tensor:
        """The layer's states, multiplied on the grid."""
        state = features.new_zeros(len(features), layer.hidden_size)
        directions = [recur(layer, features, state, mask, backwards=backwards)[0] for backwards in (False, True)]
        return torch.cat(directions, 2) * mask.unsqueeze(2)


class Attention(nn.Module):
    """Scaled dot-product attention with several heads (Vaswani et al. 2017, section 3.2) over the encoded source."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.layers = config.heads, config.encoder_layers
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(2 * config.width, config.width, bias=False)
        self.value = nn.Linear(2 * config.width, config.width)

    def remember(self, encoded: Tensor, mask: Tensor) -> Memory:
        """``encoded (batch, source_length, 2 * width)``, ``mask (batch, source_length)`` to what search attends to."""
        if not self.training:
            encoded = on_grid(encoded, float(self.layers))
        keys, values = self._split(self.key(encoded)), self._split(self.value(encoded))
        hidden = torch.zeros_like(mask, dtype=encoded.dtype).masked_fill(~mask, float("-inf"))
        return Memory(keys.transpose(2, 3) * keys.size(3) ** -0.5, values, hidden[:, None, None])

    def forward(self, states: Tensor, memory: Memory) -> Tensor:
        """``states (batch, target_length, width)`` to contexts of the same shape.

        Written as two products and a softmax: on a processor the backward pass of `scaled_dot_product_attention` over
        short sentences is slower.
        """
        scores = self._split(self.query(states)) @ memory.keys + memory.hidden
        return (torch.softmax(scores, 3) @ memory.values).transpose(1, 2).flatten(2)

    def _split(self, features: Tensor) -> Tensor:
        """``(batch, length, width)`` to ``(batch, heads, length, width / heads)``."""
        batch, length, width = features.shape
        return features.view(batch, length, self.heads, width // self.heads).transpose(1, 2)


class Decoder(nn.Module):
    """Embedded target so far and the encoded source to the features that the next id is scored by."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.dropout = nn.Dropout(config.dropout)
        self.first = nn.Linear(2 * width, 2 * width)
        self.query = nn.GRU(config.embedding, width, batch_first=True)
        self.attention = Attention(config)
        self.output = nn.GRU(2 * width, width, batch_first=True)
        self.combine = nn.Linear(2 * width + config.embedding, config.embedding)

    def start(self, encoded: Tensor, mask: Tensor) -> State:
        """The state before the first step, from the mean of ``encoded (batch, source_length, 2 * width)``."""
        mean = encoded.sum(1) / mask.sum(1, keepdim=True)
        query, output = torch.tanh(self.first(mean)).chunk(2, dim=1)
        return State(query, output)

    def forward(self, embedded: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Features after each of several ids.

        Args:
            embedded: ``(batch, target_length, embedding)``, of the ids before the ones that are predicted.
            state: before the first of them.
            memory: the encoded source.

        Returns:
            ``(batch, target_length, embedding)`` and the state after the last id.
        """
        queries, query = self._states(self.query, embedded, state.query)
        context = self.attention(queries, memory)
        outputs, output = self._states(self.output, torch.cat((queries, context), 2), state.output)
        features = torch.tanh(self.combine(torch.cat((outputs, context, embedded), 2)))
        return self.dropout(features) if self.training else on_grid(features), State(query, output)

    def _states(self, layer: nn.GRU, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """What the next layers read of a layer's states, ``(batch, target_length, width)``, and the last state."""
        if not self.training:
            states, last = recur(layer, inputs, state)
            return on_grid(states), last
        states, after = layer(inputs, state[None].contiguous())
        return self.dropout(states) if layer is self.query else states, after[0]


class Seq2Seq(nn.Module):
    """Encoder and decoder; ``Config`` is the only argument."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.source_vocabulary, config.embedding)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        nn.init.normal_(self.embedding.weight, std=config.embedding**-0.5)

    def encode(self, source: Tensor) -> tuple[Memory, State]:
        """``source (batch, source_length)``, no row empty, to what a search starts from."""
        mask = source != PAD
        encoded = self.encoder(self._embed(source), mask)
        return self.decoder.attention.remember(encoded, mask), self.decoder.start(encoded, mask)

    def step(self, last: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """``last (batch)`` to ``(logits (batch, target_vocabulary), state)``."""
        features, state = self.decoder(self._embed(last[:, None]), state, memory)
        return self._score(features[:, 0]), state

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits of the ids that follow each target id.

        Args:
            source: ``(batch, source_length)``.
            target: ``(batch, target_length)``, ``BOS`` first.

        Returns:
            ``(batch, target_length, target_vocabulary)``.
        """
        return self._score(self.features(source, target))

    def features(self, source: Tensor, target: Tensor) -> Tensor:
        """What ``forward`` scores, ``(batch, target_length, embedding)``: times ``embedding.weight`` they are its
        logits. A training that computes loss and gradient of the largest product itself takes these."""
        memory, state = self.encode(source)
        features: Tensor = self.decoder(self._embed(target), state, memory)[0]
        return features

    @torch.no_grad()
    def settle(self) -> None:
        """Rounds the weights that are multiplied as bytes, once, before a checkpoint is saved: each row to multiples
        of a 127th of its largest."""
        attention, width = self.decoder.attention, self.config.width
        weights = [self.embedding.weight, attention.query.weight, attention.key.weight, attention.value.weight]
        encoder: list[Any] = [*self.encoder.layers]
        decoder: list[Any] = [self.decoder.query, self.decoder.output]
        for number, layer in enumerate(encoder):
            weights += [layer.weight_hh_l0, layer.weight_hh_l0_reverse]
            weights += [layer.weight_ih_l0, layer.weight_ih_l0_reverse] if number else []
        weights += [layer.weight_hh_l0 for layer in decoder]
        for weight in [*weights, decoder[1].weight_ih_l0[:, :width], self.decoder.combine.weight[:, :width]]:
            scale = weight.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127
            weight.copy_(torch.round(weight / scale) * scale)

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.dropout(self.embedding(ids))
        return embedded

    def _score(self, features: Tensor) -> Tensor:
        return F.linear(features, self.embedding.weight)
