"""The network of `architecture.py` prepared to be searched greedily on a processor: the same arithmetic, rearranged.

One TorchScript function goes from source ids to hypothesis ids: no Python a token, and the interpreter's lock is free
all the while for the thread that talks to the broker. What is multiplied:

    the products of an embedding with what reads it    a table, one row a token
    the other weights                                  packed for the processor's caches, in the half precision in which
                                                       a checkpoint stores them; products and sums are single precision
    tokens of several sources                          without padding, those of one position beside each other

It is written for one network: whoever changes `architecture.py` changes this file too, or takes ``fast`` out of
``MODEL``; `build-model check` compares the two.
"""

from typing import Final

import torch
from torch import Tensor, nn

from model.contract import Hypothesis, Ids, Search
from model.search import length_limit

from .architecture import Seq2Seq
from .vocabulary import BOS, EOS, PAD, UNK


@torch.inference_mode()
def greedy_search(network: Seq2Seq, ids: Ids) -> Search | None:
    """What `search.greedy` does with this network, prepared; None where the processor has no products with weights in
    half precision."""
    if "fbgemm" not in torch.backends.quantized.supported_engines or ids.slots:
        return None
    # Not specialised to the shapes it sees first: that takes 0.3 s, and every batch has another shape.
    torch._C._jit_set_profiling_mode(False)
    compiled = torch.jit.script(Greedy(network).eval())

    @torch.inference_mode()
    def search(source: Tensor) -> list[Hypothesis]:
        rows, scores = compiled(source, length_limit((source != PAD).sum(1)))
        return [Hypothesis(row[: row.index(EOS)], score) for row, score in zip(rows, scores, strict=True)]

    return search


class Product(nn.Module):
    """``features (rows, in)`` times packed ``weight (out, in)`` transposed, plus ``bias (out)`` where there is one."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.packed = torch.ops.quantized.linear_prepack_fp16(weight.contiguous(), bias)

    def forward(self, features: Tensor) -> Tensor:
        product: Tensor = torch.ops.quantized.linear_dynamic_fp16(features, self.packed)
        return product


class Table(nn.Module):
    """The rows of ``embedding @ weight.T + bias`` by id."""

    def __init__(self, embedding: Tensor, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.rows = torch.addmm(bias, embedding, weight.t())

    def forward(self, ids: Tensor) -> Tensor:
        return self.rows.index_select(0, ids)


def gated(inputs: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
    """The state of a GRU (as `torch.nn.GRU` defines it) after a step, ``(rows, width)``.

    Args:
        inputs: ``(rows, 3 * width)``, the input times its weights, gates in the order reset, update, new.
        recurrent: ``(rows, 3 * width)``, the state times its weights.
        state: ``(rows, width)``.
    """
    width = state.size(1)
    both = torch.sigmoid_(inputs[:, : 2 * width] + recurrent[:, : 2 * width])
    new = torch.tanh_(torch.addcmul(inputs[:, 2 * width :], both[:, :width], recurrent[:, 2 * width :]))
    return torch.lerp(new, state, both[:, width:])


def parameters(gru: nn.GRU, what: str, layer: str = "l0") -> tuple[Tensor, Tensor]:
    """Weight and bias of what a recurrent layer multiplies: its inputs (``ih``) or its own state (``hh``)."""
    return getattr(gru, f"weight_{what}_{layer}"), getattr(gru, f"bias_{what}_{layer}")


class Direction(nn.Module):
    """One direction of a recurrent layer of the encoder, over sources sorted by length, the longest first."""

    def __init__(self, gru: nn.GRU, layer: str, *, backwards: bool) -> None:
        super().__init__()
        self.backwards: Final[bool] = backwards
        self.recurrent = Product(*parameters(gru, "hh", layer))

    def forward(self, inputs: list[Tensor]) -> Tensor:
        """``inputs``, by position, ``(rows that long, 3 * width)``, to ``(tokens, width)``, position after position."""
        states: list[Tensor] = []
        width = inputs[0].size(1) // 3
        if self.backwards:
            state = inputs[-1].new_zeros(inputs[-1].size(0), width)
            for position in range(len(inputs) - 1, -1, -1):
                rows = inputs[position].size(0)
                if rows > state.size(0):  # these end here
                    state = torch.cat((state, state.new_zeros(rows - state.size(0), width)))
                state = gated(inputs[position], self.recurrent(state), state)
                states.append(state)
            states.reverse()
        else:
            state = inputs[0].new_zeros(inputs[0].size(0), width)
            for entering in inputs:
                if entering.size(0) < state.size(0):
                    state = state[: entering.size(0)]
                state = gated(entering, self.recurrent(state), state)
                states.append(state)
        return torch.cat(states)


class Layer(nn.Module):
    """A bidirectional recurrent layer of the encoder."""

    def __init__(self, gru: nn.GRU, number: int, embedding: Tensor | None) -> None:
        super().__init__()
        names = (f"l{number}", f"l{number}_reverse")
        weight, bias = (torch.cat(both) for both in zip(*(parameters(gru, "ih", name) for name in names), strict=True))
        self.input = Product(weight, bias) if embedding is None else Table(embedding, weight, bias)
        self.forwards = Direction(gru, names[0], backwards=False)
        self.backwards = Direction(gru, names[1], backwards=True)

    def forward(self, source: Tensor, sizes: list[int]) -> Tensor:
        """Ids ``(tokens)`` or features ``(tokens, 2 * width)``, position after position, to features.

        Args:
            sizes: rows that have a token at each position.
        """
        forwards, backwards = self.input(source).chunk(2, dim=1)
        return torch.cat((self.forwards(forwards.split(sizes)), self.backwards(backwards.split(sizes))), 1)


class Greedy(nn.Module):
    """Source ids to hypothesis ids, the best id at each step."""

    PAD: Final[int] = PAD  # TorchScript sees no globals
    BOS: Final[int] = BOS
    EOS: Final[int] = EOS

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        encoder, decoder = model.encoder, model.decoder
        attention, query, output = decoder.attention, decoder.query, decoder.output
        width = model.config.width
        self.width: Final[int] = width
        self.heads: Final[int] = attention.heads

        source = encoder.embedding.weight
        self.layers = nn.ModuleList(
            [
                Layer(encoder.recurrent, number, None if number else source)
                for number in range(model.config.encoder_layers)
            ]
        )
        self.remember = Product(
            torch.cat((attention.key.weight, attention.value.weight)),
            torch.cat((torch.zeros(width), attention.value.bias)),
        )
        self.first = Product(decoder.first.weight, decoder.first.bias)

        target = decoder.embedding.weight
        self.query_input = Table(target, *parameters(query, "ih"))
        self.query_recurrent = Product(*parameters(query, "hh"))
        self.attend = Product(attention.query.weight)
        self.output_input = Product(*parameters(output, "ih"))
        self.output_recurrent = Product(*parameters(output, "hh"))
        self.combine = Product(decoder.combine.weight[:, : 2 * width])
        self.combine_embedded = Table(target, decoder.combine.weight[:, 2 * width :], decoder.combine.bias)
        bias = decoder.bias.clone()
        bias[[PAD, BOS, UNK]] = float("-inf")  # ids that no hypothesis holds
        self.logits = Product(target, bias)

    def forward(self, source: Tensor, limits: Tensor) -> tuple[list[list[int]], list[float]]:
        """The hypothesis of each row and its score.

        Args:
            source: ``(batch, source_length)``, no row empty.
            limits: ``(batch)``, the most ids that each hypothesis may have.

        Returns:
            A list a row: its ids, and from the first ``EOS`` on whatever fills the row. The mean log probability of
            each.
        """
        batch = source.size(0)
        order = (source != self.PAD).sum(1).argsort(descending=True)
        source, limits = source.index_select(0, order), limits.index_select(0, order)
        mask = source != self.PAD
        lengths = mask.sum(1)

        # Encode. ``places`` says where each token is in a tensor (source_length, batch).
        by_position = mask.t()
        sizes: list[int] = by_position.sum(1).tolist()
        places = by_position.flatten().nonzero().squeeze(1)
        encoded = source.t().flatten().index_select(0, places)
        for layer in self.layers:
            encoded = layer(encoded, sizes)
        total = encoded.new_zeros(batch, 2 * self.width).index_add_(0, places % batch, encoded)
        state = torch.tanh_(self.first(total / lengths.unsqueeze(1)))
        query, output = state[:, : self.width].contiguous(), state[:, self.width :].contiguous()
        size = self.width // self.heads
        memory = encoded.new_zeros(source.numel(), 2 * self.width).index_copy_(0, places, self.remember(encoded))
        memory = memory.view(source.size(1), batch, 2, self.heads, size).permute(2, 1, 3, 0, 4)
        keys, values = (memory[0] * size**-0.5).transpose(2, 3).contiguous(), memory[1].contiguous()
        hidden = torch.zeros(batch, 1, 1, source.size(1)).masked_fill_(mask.logical_not()[:, None, None], float("-inf"))

        # Decode. ``rows`` are those that haven't ended yet.
        rows = torch.arange(batch)
        last = torch.full([batch], self.BOS)
        hypotheses = torch.full([batch, int(limits.max()) + 1], self.EOS)
        scores = torch.zeros(batch)
        steps = torch.zeros(batch)
        step = 0
        while rows.size(0) > 0:
            query = gated(self.query_input(last), self.query_recurrent(query), query)
            weights = torch.matmul(self.attend(query).view(-1, self.heads, 1, size), keys)
            context = torch.matmul(torch.softmax(weights + hidden, 3), values).view(-1, self.width)
            output = gated(self.output_input(torch.cat((query, context), 1)), self.output_recurrent(output), output)
            features = torch.tanh_(self.combine(torch.cat((output, context), 1)) + self.combine_embedded(last))
            logits = self.logits(features)
            if step == 0:
                logits[:, self.EOS] = float("-inf")  # none is empty
            best, last = logits.max(1)
            hypotheses[:, step].index_copy_(0, rows, last)
            scores.index_add_(0, rows, best - logits.logsumexp(1))
            step += 1
            steps.index_fill_(0, rows, float(step))
            kept = (last != self.EOS).logical_and_(limits > step).nonzero().squeeze(1)
            if kept.size(0) < rows.size(0):
                rows, last, limits = (
                    rows.index_select(0, kept),
                    last.index_select(0, kept),
                    limits.index_select(0, kept),
                )
                query, output, hidden = (
                    query.index_select(0, kept),
                    output.index_select(0, kept),
                    hidden.index_select(0, kept),
                )
                keys, values = keys.index_select(0, kept), values.index_select(0, kept)
        found: list[list[int]] = torch.empty_like(hypotheses).index_copy_(0, order, hypotheses)[:, : step + 1].tolist()
        means: list[float] = torch.empty_like(scores).index_copy_(0, order, scores / steps).tolist()
        return found, means
