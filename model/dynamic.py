"""Dynamic: any network with its large products in half precision, for one that brings no faster search of its own.

A checkpoint's weights are numbers of half precision, so packing them loses nothing; features stay in single precision,
products and sums too. What a network is asked doesn't change: its matrices say themselves how they are multiplied.
Whether a checkpoint is served so is decided when it is made, and stands in its manifest.

What isn't packed lies by column, in the order in which a product of a few rows reads it: the same numbers, and
products of 4 to 32 rows take up to half the time.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_LEAST = 2**18  # numbers in a matrix; a smaller one is multiplied as fast as it lies
# What multiplies by nothing but `linear`. An LSTM's kernel wants its weights by row and would turn them each time.
_MULTIPLYING = (nn.Linear, nn.Embedding, nn.GRU, nn.GRUCell)


def by_column(network: Any) -> Any:
    """A copy of ``network`` whose matrices lie in memory as products read them; their numbers are the same."""
    return _turn(copy.deepcopy(network))


def _turn(network: Any) -> Any:
    for module in network.modules():
        if isinstance(module, _MULTIPLYING):
            for parameter in module._parameters.values():
                if parameter is not None and parameter.dim() == 2 and not isinstance(parameter, Matrix):
                    parameter.data = parameter.data.t().contiguous().t()
    return network


def dynamic(network: Any, least: int = _LEAST) -> Any | None:
    """A copy of ``network`` whose matrices are packed; None where there are none, or the processor can't.

    Args:
        least: numbers in a matrix that is worth packing.
    """
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        return None
    prepared = copy.deepcopy(network)
    packed: dict[int, Matrix] = {}  # a matrix that several modules share is packed once
    for module in prepared.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None and parameter.dim() == 2 and parameter.numel() >= least:
                if id(parameter) not in packed:
                    packed[id(parameter)] = parameter.detach().as_subclass(Matrix)
                    packed[id(parameter)]._packed = {}
                module._parameters[name] = packed[id(parameter)]
        if isinstance(module, nn.RNNBase):
            module._flat_weights = [module._parameters[name] for name in module._flat_weights_names]
    return _turn(prepared).eval() if packed else None


class Matrix(Tensor):
    """A weight ``(out, in)`` that multiplies features from a packed copy of itself; otherwise a tensor like any."""

    _packed: dict[int, Any]  # by the bias that is added, which lives as long as the network

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        ours = _OURS.get(getattr(func, "__name__", ""))
        with torch._C.DisableTorchFunctionSubclass():
            return ours(*args, **(kwargs or {})) if ours else func(*args, **(kwargs or {}))

    def times(self, features: Tensor, bias: Tensor | None) -> Tensor:
        """``features (…, in)`` times the weight transposed, plus ``bias (out)``."""
        packed = self._packed.get(id(bias))
        if packed is None:
            plain = self.as_subclass(Tensor).contiguous()
            packed = self._packed[id(bias)] = torch.ops.quantized.linear_prepack_fp16(plain, bias)
        product: Tensor = torch.ops.quantized.linear_dynamic_fp16(features, packed)
        return product


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    lasting = bias is None or isinstance(bias, nn.Parameter)  # another bias is no part of the network
    if isinstance(weight, Matrix) and lasting and input.dtype == torch.float32 and input.numel():
        return weight.times(input, bias)
    return nn.functional.linear(input, weight, bias)


def _gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    return _gated(_linear(input, w_ih, b_ih), _linear(hx, w_hh, b_hh), hx)


def _gated(inputs: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
    """The state of a GRU after a step, as `torch.nn.GRU` defines it, ``(rows, width)``.

    Args:
        inputs, recurrent: ``(rows, 3 * width)``, the input and the state times their weights.
        state: ``(rows, width)``.
    """
    width = state.size(1)
    both = torch.sigmoid(inputs[:, : 2 * width] + recurrent[:, : 2 * width])
    new = torch.tanh(torch.addcmul(inputs[:, 2 * width :], both[:, :width], recurrent[:, 2 * width :]))
    return torch.lerp(new, state, both[:, width:])


def _gru(*args: Any) -> Any:
    """A layer that reads one position, as in a step; longer ones are torch's own."""
    if len(args) == 9 and not isinstance(args[2], Tensor):
        features, state, weights, biased, layers, _, _, both_ways, batch_first = args
        length = features.size(1 if batch_first else 0)
        if features.dim() == 3 and length == 1 and layers == 1 and not both_ways and biased:
            after = _gru_cell(features.squeeze(1 if batch_first else 0), state[0], *weights)
            return after.unsqueeze(1 if batch_first else 0), after[None]
    return torch._VF.gru(*args)


_OURS: dict[str, Callable[..., Any]] = {"linear": _linear, "gru_cell": _gru_cell, "gru": _gru}
