"""A Transformer (Vaswani et al. 2017): the example of a network whose state grows, its keys and values so far."""

from model.contract import Model

from .architecture import Config, Transformer
from .vocabulary import Words

MODEL = Model(
    source="fra",
    target="eng",
    example="Je vais dormir.",
    network=Transformer,
    config=Config,
    vocabulary=Words,
)
