"""Calibration: from the probability that a network gives its own words to the share of such translations that are good.

A network's mean probability says which of two translations is the better one, not how good either is: it is too sure of
text like its training text. Platt (1999): a logistic curve over the score, fitted on text that it wasn't trained on.
"""

import math
from collections.abc import Sequence

import torch
from sacrebleu.metrics.chrf import CHRF

from build_model.training.corpus import Example
from model.calibration import Calibration

GOOD = 60.0  # chrF against the best reference; at 60 a translation reads as right, with a word or an ending amiss
FEWEST = 50  # sentences; fewer say nothing about a share
RIDGE = 1e-3  # keeps the curve finite where good and bad don't overlap
STEPS = 50  # of Newton's method, which needs about six


def good(translation: str, example: Example) -> bool:
    """Whether a translation is good: as near to one of its references as a right one is."""
    return bool(CHRF().sentence_score(translation, list(example.references)).score >= GOOD)


def calibrate(scores: Sequence[float], rights: Sequence[bool]) -> Calibration | None:
    """The curve that fits best (most likely), or None where there are too few sentences, or all are alike.

    Args:
        scores: mean log probability of each translation's tokens, in nats.
        rights: whether each is good.
    """
    if len(scores) < FEWEST or len(set(rights)) < 2:
        return None
    features = torch.stack((torch.tensor(scores, dtype=torch.float64), torch.ones(len(scores), dtype=torch.float64)), 1)
    wanted = torch.tensor(rights, dtype=torch.float64)
    weights = torch.zeros(2, dtype=torch.float64)
    ridge = RIDGE * torch.eye(2, dtype=torch.float64)
    for _ in range(STEPS):
        shares = torch.sigmoid(features @ weights)
        gradient = features.T @ (shares - wanted) + ridge @ weights
        curvature = features.T @ (features * (shares * (1 - shares))[:, None]) + ridge
        step = torch.linalg.solve(curvature, gradient)
        weights = weights - step.clamp(-2, 2)  # far from the best a full step may overshoot
        if float(step.abs().max()) < 1e-9:
            break
    slope, offset = weights.tolist()
    if slope <= 0 or not math.isfinite(offset):  # surer and worse: no score is better than one that misleads
        return None
    return Calibration(slope=round(slope, 4), offset=round(offset, 4))
