"""What a network is, to Dragoman: one folder, whose ``__init__.py`` says ``MODEL = Model(...)``.

    network/
        __init__.py         MODEL, as below
        architecture.py     the network and its config      (any names; ``model/network/`` is an example,
        vocabulary.py       its text                         `build-model init DIR` writes another)

The folder is copied into the image and every file of it is in the architecture hash, so its code may import the
standard library, torch, tokenizers, safetensors, `model.contract`, `model.search`, and itself by relative imports
(``from .vocabulary import Lang``); nothing else. `build-model check --network DIR` tries each rule of this page on it
in seconds, and runs by itself before a training, an adoption and a build.

Shapes: ``batch`` rows, ``source_length`` and ``target_length`` positions; ids are int64. Text is any ``str``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

from torch import Tensor


class Unreadable(ValueError):
    """A vocabulary can't read a sentence; its text is answered with the fallback and ``x-error: unreadable``."""


class Vocabulary(Protocol):
    """One language's text to ids and back, or both languages' (``Model.shared``).

    Attributes:
        pad: id that fills a row after its text; a network with ``pads=False`` never sees it.
        bos: id that stands before the first target id.
        eos: id that ends a target.
        unk: id of what the vocabulary doesn't know, or None where nothing is unknown. No hypothesis holds it, or
            ``pad`` or ``bos``.
        slots: id of each placeholder that may stand in a sentence for what is carried over as it is: ``⟦n1⟧`` for a
            number, ``⟦x1⟧`` for a link or code, ``⟦p1⟧`` for a name, counted from 1. A hypothesis holds each slot of
            its source exactly once. Empty, or no such attribute: sentences come with all of their text.
    """

    pad: int
    bos: int
    eos: int
    unk: int | None

    @property
    def slots(self) -> Mapping[str, int]: ...

    def __len__(self) -> int:
        """The number of ids: they are 0 to this less 1."""

    @classmethod
    def build(cls, language: str, texts: Sequence[str], size: int) -> Self:
        """Learns a vocabulary of at most ``size`` ids from sentences as people write them.

        Args:
            language: ISO 639-3 code; of a shared vocabulary, both: ``fra-eng``.
        """

    def encode(self, sentence: str) -> list[int]:
        """The ids of a sentence, at least one, in the form in which the network reads a source and is taught a target:
        normalised here, and nowhere else; with ``eos`` at the end. A slot is one id.

        Raises:
            Unreadable: it can't be read; no other error, whatever the text.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without ``eos`` and special ids; a slot is given back literally."""

    def to_json(self) -> str:
        """Everything, as JSON: the same text for the same vocabulary."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of ``to_json``.

        Raises:
            ValueError, KeyError, TypeError: ``text`` isn't a vocabulary.
        """


class Network(Protocol):
    """A ``torch.nn.Module`` that is made of its config alone: ``Network(config)``.

    ``memory`` and ``state`` are any nesting of tuples, named tuples, lists and dicts of tensors whose first dimension
    is the batch: the search picks rows of them. Tensors that are computed once a source belong into the memory, what
    changes with each step into the state. A row's results must not depend on the other rows, so padding is masked
    (``source != pad``), or ``Model.pads`` is False.

    Two methods are optional. ``features(source, target)``, ``(batch, target_length, width)``, of a network whose logits
    are their products with ``embedding.weight``: a training takes it to make loss and gradient in fewer passes.
    ``settle()``, of a network that is served with rounded numbers: it rounds the weights before a checkpoint is saved,
    and again when one is loaded, since half precision is another rounding. Twice gives what once gives.

    All that the weights are is in ``state_dict()``; it is stored in half precision, integers as they are.
    """

    config: Any

    def encode(self, source: Tensor) -> tuple[Any, Any]:
        """``source (batch, source_length)``, no row empty, to ``(memory, state)``: what a search starts from.
        A row has up to as many ids as the vocabulary gives 300 characters, and a hypothesis ``2 * source_length + 6``:
        a table of positions has to be as long, or positions are computed."""

    def step(self, last: Tensor, state: Any, memory: Any) -> tuple[Tensor, Any]:
        """``last (batch)``, the ids before the ones that are predicted, ``bos`` at first, to
        ``(logits (batch, target_vocabulary), state)``. It must not write into the state that it is given."""

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """``source (batch, source_length)`` and ``target (batch, target_length)``, ``bos`` first, to the logits
        ``(batch, target_length, target_vocabulary)`` of the ids that follow each: what ``step`` says, one by one."""


class Hypothesis(NamedTuple):
    """What a search found for a row.

    Attributes:
        ids: without ``eos``.
        score: mean log probability of its ids, ``eos`` included, in nats.
    """

    ids: list[int]
    score: float


Search = Callable[[Tensor], list[Hypothesis]]
"""``source (batch, source_length)`` to the hypothesis of each row."""


@dataclass(frozen=True)
class Ids:
    """What ids mean to a search.

    Attributes:
        pad: in a source; None where rows have the same length.
        bos, eos: in a target.
        never: ids that no hypothesis holds.
        slots: target id of each source id that stands for a slot. A hypothesis holds those of its source, each once.
        marks: target ids without a letter or a digit: what a reader doesn't hear when words are repeated.
    """

    pad: int | None
    bos: int
    eos: int
    never: tuple[int, ...]
    slots: Mapping[int, int]
    marks: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Model:
    """What a network's folder says of itself.

    Attributes:
        source, target: ISO 639-3 codes of the languages; they name the image ``dragoman/fra-eng``.
        example: a sentence of the source language that any training learns; clients are shown it where their own text
            can't be translated.
        network, vocabulary: the classes.
        config: a frozen dataclass. ``source_vocabulary`` and ``target_vocabulary`` are filled in with the numbers of
            ids, every other field has a default and is an option of `train`: ``--set width=128``.
        shared: one vocabulary serves both languages.
        pads: sources of several lengths may stand in one batch. A network that doesn't mask padding says False; its
            sources are batched by equal length, which costs some speed and no change of the network.
        search: where a translation is neither searched greedily nor by beam: ``search(network, ids)`` gives the search.
        fast: the same for a search that finds what `model.search.greedy` finds, faster; it may give None where it
            can't (another processor, say).
    """

    source: str
    target: str
    example: str
    network: type[Any]
    config: type[Any]
    vocabulary: type[Any]
    shared: bool = False
    pads: bool = True
    search: Callable[[Any, Ids], Search] | None = None
    fast: Callable[[Any, Ids], Search | None] | None = None
