"""The network of `architecture.py` prepared to be searched greedily on a processor: the same arithmetic, rearranged.

One TorchScript function goes from source ids to hypothesis ids: no Python a token, and the interpreter's lock is free
all the while for the thread that talks to the broker. What is multiplied:

    the products of an embedding with what reads it    a table, one row a token
    states and features that stand on a grid           whole numbers of 7 bits, with weights of 8 bits a row: exact sums
    the attention's context                            packed weights in half precision; products and sums in single
    tokens of several sources                          without padding, those of one position beside each other

It is written for one network: whoever changes `architecture.py` changes this file too, or takes ``fast`` out of
``MODEL``; `build-model check` compares the two.
"""

import warnings
from math import gcd
from typing import Final

import torch
from torch import Tensor, nn

from model.contract import Hypothesis, Ids, Search
from model.search import length_limit, rest

from .architecture import STEPS, Seq2Seq
from .vocabulary import BOS, EOS, PAD

_PART = 64  # logits whose largest is sought at once


@torch.inference_mode()
def greedy_search(network: Seq2Seq, ids: Ids) -> Search | None:
    """What `search.greedy` does with this network, prepared; None where the processor has no products with weights in
    half precision or in bytes."""
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        return None
    # Not specialised to the shapes it sees first: that takes 0.3 s, and every batch has another shape.
    torch._C._jit_set_profiling_mode(False)
    compiled = torch.jit.script(Greedy(network, ids).eval())

    @torch.inference_mode()
    def search(source: Tensor) -> list[Hypothesis]:
        rows, scores = compiled(source, length_limit((source != PAD).sum(1)))
        found = [Hypothesis(row[: row.index(EOS)], score) for row, score in zip(rows, scores, strict=True)]
        return [
            one._replace(ids=one.ids + rest(one.ids, given, ids))
            for one, given in zip(found, source.tolist(), strict=True)
        ]

    return search


class Product(nn.Module):
    """``features (rows, in)`` times packed ``weight (out, in)`` transposed, plus ``bias (out)`` where there is one."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.packed = torch.ops.quantized.linear_prepack_fp16(weight.contiguous(), bias)

    def forward(self, features: Tensor) -> Tensor:
        product: Tensor = torch.ops.quantized.linear_dynamic_fp16(features, self.packed)
        return product


class GridProduct(nn.Module):
    """The same for features on the grid of `architecture.on_grid`; each row of the weight is rounded to multiples of a
    127th of its largest."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None, largest: float = 1.0) -> None:
        super().__init__()
        self.scale: Final[float] = largest / STEPS
        self.zero: Final[int] = STEPS + 1
        scales = weight.abs().amax(1).clamp_min(1e-8).double() / 127
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*quantized tensor creation")
            rounded = torch.quantize_per_channel(
                weight.contiguous(), scales, torch.zeros(len(scales), dtype=torch.long), 0, torch.qint8
            )
        self.packed = torch.ops.quantized.linear_prepack(rounded, bias)

    def forward(self, features: Tensor) -> Tensor:
        product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            features, self.scale, self.zero, self.packed
        )
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
        self.recurrent = GridProduct(*parameters(gru, "hh", layer))

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
    """A bidirectional recurrent layer of the encoder: the first of an embedding, the others of what is on the grid."""

    def __init__(self, gru: nn.GRU, number: int, embedding: Tensor) -> None:
        super().__init__()
        names = ("l0", "l0_reverse")
        weight, bias = (torch.cat(both) for both in zip(*(parameters(gru, "ih", name) for name in names), strict=True))
        self.input = GridProduct(weight, bias, float(number)) if number else Table(embedding, weight, bias)
        self.forwards = Direction(gru, names[0], backwards=False)
        self.backwards = Direction(gru, names[1], backwards=True)

    def forward(self, source: Tensor, sizes: list[int]) -> Tensor:
        """Ids ``(tokens)`` or features ``(tokens, 2 * width)``, position after position, to features.

        Args:
            sizes: rows that have a token at each position.
        """
        forwards, backwards = self.input(source).chunk(2, dim=1)
        return torch.cat((self.forwards(forwards.split(sizes)), self.backwards(backwards.split(sizes))), 1)


def on_grid(features: Tensor, steps: float) -> Tensor:
    """`architecture.on_grid` with ``steps`` to 1."""
    return torch.round(features * steps) * (1 / steps)


class Greedy(nn.Module):
    """Source ids to hypothesis ids, the best id at each step."""

    PAD: Final[int] = PAD  # TorchScript sees no globals
    BOS: Final[int] = BOS
    EOS: Final[int] = EOS
    STEPS: Final[float] = float(STEPS)
    slots_read: Tensor
    slots_written: Tensor
    never: Tensor
    always_never: Tensor

    def __init__(self, model: Seq2Seq, ids: Ids) -> None:
        super().__init__()
        encoder, decoder = model.encoder, model.decoder
        attention, query, output = decoder.attention, decoder.query, decoder.output
        width = model.config.width
        self.width: Final[int] = width
        self.heads: Final[int] = attention.heads
        embedding = model.embedding.weight

        layers = [
            Layer(layer, number, embedding) for number, layer in enumerate(encoder.layers) if isinstance(layer, nn.GRU)
        ]
        self.first_layer, self.layers = layers[0], nn.ModuleList(layers[1:])
        self.largest: Final[float] = float(len(layers))
        self.remember = GridProduct(
            torch.cat((attention.key.weight, attention.value.weight)),
            torch.cat((torch.zeros(width), attention.value.bias)),
            float(len(layers)),
        )
        self.first = Product(decoder.first.weight, decoder.first.bias)
        self.query_input = Table(embedding, *parameters(query, "ih"))
        self.query_recurrent = GridProduct(*parameters(query, "hh"))
        weight, bias = parameters(output, "ih")
        self.query_reads = GridProduct(
            torch.cat((attention.query.weight, weight[:, :width])), torch.cat((torch.zeros(width), bias))
        )
        self.context_reads = Product(torch.cat((weight[:, width:], decoder.combine.weight[:, width : 2 * width])))
        self.output_recurrent = GridProduct(*parameters(output, "hh"))
        self.combine = GridProduct(decoder.combine.weight[:, :width])
        self.combine_embedded = Table(embedding, decoder.combine.weight[:, 2 * width :], decoder.combine.bias)
        self.logits = GridProduct(embedding)
        self.part: Final[int] = gcd(len(embedding), _PART)
        self.register_buffer("never", torch.tensor([*ids.never, *ids.slots.values()]))
        self.register_buffer("always_never", torch.tensor(ids.never))
        self.register_buffer("slots_read", torch.tensor(sorted(ids.slots), dtype=torch.long))
        self.register_buffer(
            "slots_written", torch.tensor([ids.slots[id_] for id_ in sorted(ids.slots)], dtype=torch.long)
        )

    def forward(  # noqa: PLR0915 (TorchScript: one function without Python's calls)
        self, source: Tensor, limits: Tensor
    ) -> tuple[list[list[int]], list[float]]:
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
        owed = source.unsqueeze(2).eq(self.slots_read).sum(1)
        owing = bool(owed.any())

        # Encode. ``places`` says where each token is in a tensor (source_length, batch).
        by_position = mask.t()
        sizes: list[int] = by_position.sum(1).tolist()
        places = by_position.flatten().nonzero().squeeze(1)
        encoded = self.first_layer(source.t().flatten().index_select(0, places), sizes)
        largest = 1.0
        for layer in self.layers:
            encoded = on_grid(encoded, self.STEPS / largest)
            encoded = encoded + layer(encoded, sizes)
            largest += 1.0
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
            from_query = self.query_reads(query)
            weights = torch.matmul(from_query[:, : self.width].reshape(-1, self.heads, 1, size), keys)
            context = torch.matmul(torch.softmax(weights + hidden, 3), values).view(-1, self.width)
            from_context = self.context_reads(context)
            inputs = from_query[:, self.width :] + from_context[:, : 3 * self.width]
            output = gated(inputs, self.output_recurrent(output), output)
            features = self.combine(output) + from_context[:, 3 * self.width :] + self.combine_embedded(last)
            logits = self.logits(torch.tanh_(features))
            if step == 0:
                logits.select(1, self.EOS).fill_(float("-inf"))  # none is empty
            if owing:
                logits.index_fill_(1, self.always_never, float("-inf"))
                end = logits.select(1, self.EOS).clone()
                held = logits.index_select(1, self.slots_written).masked_fill_(owed <= 0, float("-inf"))
                logits.index_copy_(1, self.slots_written, held)
                owes = owed.sum(1) > 0
                logits.select(1, self.EOS).masked_fill_(owes, float("-inf"))
                # As `model.search` restricts it: an end that comes too early is all that is owed.
                early = owes.logical_and_(end > logits.amax(1))
                if bool(early.any()):
                    slots = torch.full_like(logits, float("-inf")).index_copy_(1, self.slots_written, held)
                    logits = torch.where(early.unsqueeze(1), slots, logits)
            else:
                logits.index_fill_(1, self.never, float("-inf"))
            # The place of the largest of 8,000 takes far longer than their largest alone: it is sought in one part.
            parts = logits.view(rows.size(0), -1, self.part)
            best, part = parts.amax(2).max(1)
            within = parts.gather(1, part.view(-1, 1, 1).expand(-1, 1, self.part)).squeeze(1)
            last = part * self.part + within.max(1)[1]
            hypotheses[:, step].index_copy_(0, rows, last)
            scores.index_add_(0, rows, logits.sub_(best.unsqueeze(1)).exp_().sum(1).log_().neg_())
            if owing:
                owed = owed - last.unsqueeze(1).eq(self.slots_written).long()
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
                keys, values, owed = (
                    keys.index_select(0, kept),
                    values.index_select(0, kept),
                    owed.index_select(0, kept),
                )
        found: list[list[int]] = torch.empty_like(hypotheses).index_copy_(0, order, hypotheses)[:, : step + 1].tolist()
        means: list[float] = torch.empty_like(scores).index_copy_(0, order, scores / steps).tolist()
        return found, means
