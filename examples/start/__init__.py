"""A network to start from: small, trained in seconds. `model/contract.py` says what each part must do."""

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
