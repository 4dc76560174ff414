"""Today's network, and the example of `model.contract`."""

from model.contract import Model

from .architecture import Config, Seq2Seq
from .fast import greedy_search
from .vocabulary import Lang

MODEL = Model(
    source="fra",
    target="eng",
    example="Je vais dormir.",
    network=Seq2Seq,
    config=Config,
    vocabulary=Lang,
    shared=True,
    fast=greedy_search,
)
