"""The network of the PyTorch tutorial's design: encoder, additive attention, decoder. No masks."""

from model.contract import Model

from .architecture import Config, Translator
from .vocabulary import Lang

MODEL = Model(
    source="fra",
    target="eng",
    example="Je vais dormir.",
    network=Translator,
    config=Config,
    vocabulary=Lang,
    pads=False,  # nothing in it knows padding: sources are batched by equal length
)
