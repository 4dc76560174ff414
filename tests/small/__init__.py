"""The network of the engine's own tests: as small as can be, with slots and layers, trained in seconds. These tests
stay, whatever network a clone releases."""

from model.contract import Model

from .architecture import Config, Network
from .vocabulary import Words

MODEL = Model(
    source="fra",
    target="eng",
    example="Je vais dormir.",
    network=Network,
    config=Config,
    vocabulary=Words,
)
