"""The whole architecture: a bidirectional GRU encoder, attention, and a GRU decoder that attends between two layers.

It is the network of the PyTorch tutorial "Translation with a Sequence to Sequence Network and Attention", batched and
masked, with one change of order: the query of the attention is the state of a first recurrent layer, and the context
goes to a second one (Wu et al. 2016, "Google's Neural Machine Translation System", section 3). No layer waits for the
output of the step before, so training runs each layer over the whole target at once.

Shapes: ``batch`` rows, ``source_length`` and ``target_length`` positions, ``width`` features. Padding has id ``PAD``.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its name everywhere)
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .vocabulary import PAD


@dataclass(frozen=True)
class Config:
    """Everything that decides the shapes of the network.

    Attributes:
        source_vocabulary: number of source tokens.
        target_vocabulary: number of target tokens.
        width: features of an embedding and of a recurrent state; the encoder has as many in each direction.
        encoder_layers: bidirectional recurrent layers of the encoder.
        heads: attention heads; they divide ``width``.
        dropout: share of features dropped between layers, at training only.
    """

    source_vocabulary: int
    target_vocabulary: int
    width: int = 256
    encoder_layers: int = 2
    heads: int = 4
    dropout: float = 0.2


class Memory(NamedTuple):
    """What the decoder attends to, computed once a source.

    Attributes:
        keys: ``(batch, heads, source_length, width / heads)``.
        values: ``(batch, heads, source_length, width / heads)``.
        mask: ``(batch, 1, 1, source_length)``, true where there is a token.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor


class State(NamedTuple):
    """The decoder's recurrent state before a step.

    Attributes:
        query: ``(batch, width)``, of the layer that attends.
        output: ``(batch, width)``, of the layer above the attention.
    """

    query: Tensor
    output: Tensor


class Encoder(nn.Module):
    """Source ids to one vector a position, reading in both directions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.source_vocabulary, config.width, padding_idx=PAD)
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = nn.GRU(
            config.width,
            config.width,
            num_layers=config.encoder_layers,
            dropout=config.dropout if config.encoder_layers > 1 else 0.0,
            bidirectional=True,
            batch_first=True,
        )

    def forward(self, source: Tensor) -> Tensor:
        """``source (batch, source_length)`` to ``(batch, source_length, 2 * width)``, zero at padding."""
        lengths = (source != PAD).sum(1).cpu()
        embedded = self.dropout(self.embedding(source))
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        encoded, _ = self.recurrent(packed)
        return pad_packed_sequence(encoded, batch_first=True, total_length=source.size(1))[0]


class Attention(nn.Module):
    """Scaled dot-product attention with several heads (Vaswani et al. 2017, section 3.2) over the encoded source."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(2 * config.width, config.width, bias=False)
        self.value = nn.Linear(2 * config.width, config.width)

    def remember(self, encoded: Tensor, mask: Tensor) -> Memory:
        """``encoded (batch, source_length, 2 * width)``, ``mask (batch, source_length)`` to what search attends to."""
        return Memory(self._split(self.key(encoded)), self._split(self.value(encoded)), mask[:, None, None, :])

    def forward(self, states: Tensor, memory: Memory) -> Tensor:
        """``states (batch, target_length, width)`` to contexts of the same shape."""
        context = F.scaled_dot_product_attention(
            self._split(self.query(states)), memory.keys, memory.values, attn_mask=memory.mask
        )
        return context.transpose(1, 2).flatten(2)

    def _split(self, features: Tensor) -> Tensor:
        """``(batch, length, width)`` to ``(batch, heads, length, width / heads)``."""
        batch, length, width = features.shape
        return features.view(batch, length, self.heads, width // self.heads).transpose(1, 2)


class Decoder(nn.Module):
    """Target ids so far and the encoded source to the scores of the next target id."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.embedding = nn.Embedding(config.target_vocabulary, width, padding_idx=PAD)
        self.dropout = nn.Dropout(config.dropout)
        self.first = nn.Linear(2 * width, 2 * width)
        self.query = nn.GRU(width, width, batch_first=True)
        self.attention = Attention(config)
        self.output = nn.GRU(2 * width, width, batch_first=True)
        self.combine = nn.Linear(3 * width, width)
        self.bias = nn.Parameter(torch.zeros(config.target_vocabulary))

    def start(self, encoded: Tensor, mask: Tensor) -> State:
        """The state before the first step, from the mean of ``encoded (batch, source_length, 2 * width)``."""
        mean = encoded.sum(1) / mask.sum(1, keepdim=True)
        query, output = torch.tanh(self.first(mean)).chunk(2, dim=1)
        return State(query, output)

    def forward(self, target: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Scores after each of several ids.

        Args:
            target: ``(batch, target_length)``, the ids before the ones that are predicted, ``BOS`` first.
            state: before the first of them.
            memory: the encoded source.

        Returns:
            logits ``(batch, target_length, target_vocabulary)`` and the state after the last id.
        """
        embedded = self.dropout(self.embedding(target))
        queries, query = self.query(embedded, state.query[None])
        queries = self.dropout(queries)
        context = self.attention(queries, memory)
        outputs, output = self.output(torch.cat((queries, context), 2), state.output[None])
        features = torch.tanh(self.combine(torch.cat((outputs, context, embedded), 2)))
        # The output projection is the target embedding itself (Press and Wolf 2017).
        logits = F.linear(self.dropout(features), self.embedding.weight, self.bias)
        return logits, State(query[0], output[0])


class Seq2Seq(nn.Module):
    """Encoder and decoder; ``Config`` is the only argument."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        for name, parameter in self.named_parameters():
            if "embedding" in name:
                nn.init.normal_(parameter, std=config.width**-0.5)
                parameter.data[PAD] = 0
            elif parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def encode(self, source: Tensor) -> tuple[Memory, State]:
        """``source (batch, source_length)``, no row empty, to what a search starts from."""
        mask = source != PAD
        encoded = self.encoder(source)
        return self.decoder.attention.remember(encoded, mask), self.decoder.start(encoded, mask)

    def step(self, last: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """``last (batch)`` to ``(logits (batch, target_vocabulary), state)``."""
        logits, state = self.decoder(last[:, None], state, memory)
        return logits[:, 0], state

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits of the ids that follow each target id.

        Args:
            source: ``(batch, source_length)``.
            target: ``(batch, target_length)``, ``BOS`` first.

        Returns:
            ``(batch, target_length, target_vocabulary)``.
        """
        memory, state = self.encode(source)
        logits: Tensor = self.decoder(target, state, memory)[0]
        return logits
