"""The loss of a network that scores tokens by their embedding: its largest product once forward and twice backward.

Scores of every token at every position are by far the largest tensor of a training step. Written with
`torch.nn.functional.cross_entropy` it is read and written a dozen times; here it is made, exponentiated, scaled and
multiplied, in the precision of the features.
"""

from typing import Any

import torch
from torch import Tensor

_ROWS = 256  # positions that are scored together, so that their scores stay in the processor's cache


def embedded_loss(features: Tensor, embedding: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Mean cross-entropy in nats a token of ``features (tokens, width) @ embedding.T``, with label smoothing
    (Szegedy et al. 2016).

    Args:
        embedding: ``(vocabulary, width)``.
        target: ``(tokens)``, the ids that are right.
        smoothing: share of the probability spread over all ids.
    """
    loss: Tensor = _Loss.apply(features, embedding, target, smoothing)  # type: ignore[no-untyped-call]
    return loss / len(target)


class _Loss(torch.autograd.Function):
    """The sum over tokens; gradients are made with it, since their parts are at hand.

    With ``p`` the probabilities and ``e`` the smoothing, the gradient of a score is ``p - e / vocabulary``, and
    ``1 - e`` less where it is the target's. The constant part is the same for every token, so it is taken off the
    products instead of the scores.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, embedding: Tensor, target: Tensor, smoothing: float) -> Tensor:
        tokens, size = len(features), len(embedding)
        shares = features.new_empty(tokens, size)
        found, sums = torch.empty(tokens), torch.empty(tokens)
        for start in range(0, tokens, _ROWS):
            rows = slice(start, start + _ROWS)
            scores = torch.mm(features[rows], embedding.t(), out=shares[rows])
            found[rows] = scores.gather(1, target[rows, None])[:, 0].float()
            sums[rows] = scores.exp_().sum(1, dtype=torch.float32)
            scores.mul_((1 / sums[rows, None]).to(scores.dtype))
        places = torch.arange(tokens).mul_(size).add_(target)
        flat = shares.view(-1)
        flat[places] -= 1 - smoothing
        embeddings = embedding.sum(0, dtype=torch.float32)
        total = features.sum(0, dtype=torch.float32)
        spread = smoothing / size
        loss = (sums.log() - (1 - smoothing) * found).sum() - spread * (total @ embeddings)
        of_features = torch.mm(shares, embedding).sub_((spread * embeddings).to(features.dtype))
        of_embedding = torch.mm(features.t().contiguous(), shares).t().contiguous()
        ctx.save_for_backward(of_features, of_embedding.sub_((spread * total).to(embedding.dtype)))
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        of_features, of_embedding = ctx.saved_tensors
        return of_features * gradient.item(), of_embedding * gradient.item(), None, None
