"""GRU layers and the loss for training say what torch's say, gradients included."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from build_model.training.loss import embedded_loss
from build_model.training.recurrent import quicken


def outcome(gru: nn.GRU, inputs: Tensor, lengths: Tensor | None, state: Tensor | None) -> list[Tensor]:
    """Outputs, last state and every gradient."""
    inputs = inputs.clone().requires_grad_()
    for parameter in gru.parameters():
        parameter.grad = None
    read = inputs if lengths is None else pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    found, last = gru(read, state)
    if lengths is not None:
        found = pad_packed_sequence(found, batch_first=True)[0]
    (found * torch.linspace(-1, 1, found.numel()).view_as(found)).sum().backward()
    return [found, last, inputs.grad, *(parameter.grad for parameter in gru.parameters())]


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
@pytest.mark.parametrize("lengths", [None, [7, 3, 5, 1]], ids=["equal", "padded"])
def test_a_quick_layer_computes_what_torchs_does(bidirectional: bool, lengths: list[int] | None) -> None:
    torch.manual_seed(1)
    gru = nn.GRU(6, 8, bidirectional=bidirectional, batch_first=True)
    inputs, state = torch.randn(4, 7, 6), torch.randn(1 + bidirectional, 4, 8)
    given = None if lengths is None else torch.tensor(lengths)
    expected = outcome(gru, inputs, given, state)
    quicken(gru)
    for one, other in zip(outcome(gru, inputs, given, state), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_loss_is_cross_entropy_with_label_smoothing() -> None:
    torch.manual_seed(1)
    features, embedding = torch.randn(300, 16, requires_grad=True), torch.randn(40, 16, requires_grad=True)
    target = torch.randint(0, 40, (300,))
    expected = nn.functional.cross_entropy(features @ embedding.t(), target, label_smoothing=0.1)
    gradients = torch.autograd.grad(expected, (features, embedding))
    found = embedded_loss(features, embedding, target, 0.1)
    torch.testing.assert_close(found, expected)
    for one, other in zip(torch.autograd.grad(found, (features, embedding)), gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
