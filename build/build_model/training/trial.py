"""A network's numbers on trial: what each of its methods must do with them, whatever its weights are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from build_model.training.blame import blamed
from model.checkpoint import Vocabularies, stored
from model.contract import Hypothesis, Model, Vocabulary
from model.errors import NetworkInvalid
from model.search import greedy, ids_of, length_limit, pad, slots, take

SEED = 1
_NOISE = 1e-4  # of the spread of the logits: a hundred times what the order of sums changes
_HALF = 0.2  # the same for weights in half precision
# The same of a network that is served with rounded numbers: the order of sums moves one to the next step, which moves
# others. With weights that were just drawn the largest of all differences comes to 0.6.
_STEP = 0.8
_SEARCHED = 32  # rows that both spellings of a search are tried on


class Trial:
    """A network with sentences to try it on.

    Args:
        rows: ids of sentences of several lengths.
        long: ids of the longest that can come.
    """

    def __init__(
        self,
        model: Model,
        network: Any,
        vocabularies: Vocabularies,
        rows: Sequence[Sequence[int]],
        long: Sequence[int],
    ) -> None:
        self.model, self.network, self.rows, self.long = model, network, rows, long
        self.pad = vocabularies[0].pad
        self.ids = ids_of(*vocabularies, pads=model.pads)
        self.size = len(vocabularies[1])
        self.target = self._target(vocabularies[1])

    def rules(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "encode and step give tensors whose first dimension is the batch", self.shapes
        yield "eval() is in force: the same source gives the same logits twice", self.repeats
        yield "step after step says what forward says, and leaves its state alone", self.steps
        yield "a row's logits don't depend on its neighbours, in batches of 7 and 32", self.neighbours
        yield "half precision on disk loses nothing that matters", self.halves
        yield "a training in bf16 works: no tensor is made in another precision than the weights'", self.bfloat
        yield f"a source of {len(self.long)} ids, the longest that can come, is translated", self.longest
        yield "fast finds what the plain search finds", self.fast

    @torch.inference_mode()
    def shapes(self) -> None:
        """Rows can be picked out of memory and state, and logits are as wide as the vocabulary."""
        source = self._batch(self.rows[:5])
        with blamed("Network.encode(source)"):
            found = self.network.encode(source)
        if not isinstance(found, tuple) or len(found) != 2:
            raise NetworkInvalid(f"encode returns {type(found).__name__}. Expected a pair: (memory, state).")
        for name, nested in zip(("memory", "state"), found, strict=True):
            self._check_nested(name, nested, source.size(0), "encode")
        memory, state = found
        with blamed("Network.step(last, state, memory)"):
            stepped = self.network.step(torch.full((source.size(0),), self.ids.bos), state, memory)
        if not isinstance(stepped, tuple) or len(stepped) != 2:
            raise NetworkInvalid(f"step returns {type(stepped).__name__}. Expected a pair: (logits, state).")
        self._check_nested("state", stepped[1], source.size(0), "step")
        self._check_shape("step", stepped[0], (source.size(0), self.size))
        with blamed("Network.forward(source, target)"):
            logits = self.network.forward(source, self.target.expand(source.size(0), -1))
        self._check_shape("forward", logits, (source.size(0), self.target.size(1), self.size))
        with blamed("Network.step with rows picked out of memory and state"):
            index = torch.tensor([2, 0])
            self.network.step(torch.full((2,), self.ids.bos), take(stepped[1], index), take(memory, index))

    def repeats(self) -> None:
        """Nothing is drawn, and nothing is remembered from one call to the next."""
        source = self._batch(self.rows[:5])
        found = self._spread(self._logits(source) - self._logits(source))
        if found > 0:
            raise NetworkInvalid(
                f"The same source gives other logits the second time (by {found:.2g} of their spread), "
                f"though eval() was "
                "called. Drop features with nn.Dropout, or only `if self.training`; keep nothing between calls."
            )

    @torch.inference_mode()
    def steps(self) -> None:
        """What is trained is what is searched."""
        source = self._batch(self.rows[:5])
        target = self.target.expand(source.size(0), -1)
        expected = self.network.forward(source, target)
        memory, state = self.network.encode(source)
        for position in range(target.size(1)):
            before = _flat(state)
            copies = [tensor.clone() for tensor in before]
            logits, following = self.network.step(target[:, position], state, memory)
            if any(not torch.equal(one, other) for one, other in zip(before, copies, strict=True)):
                raise NetworkInvalid(
                    "step writes into the state that it is given. Return a new one, without `+=` or `[…] =`."
                )
            if self._spread(logits - expected[:, position], expected) > self._noise():
                raise NetworkInvalid(
                    f"step and forward disagree at position {position + 1} of the target, by "
                    f"{self._spread(logits - expected[:, position], expected):.2g} of the logits' "
                    f"spread. What is trained "
                    "(forward) must be what is searched (step): the same layers, and no position that sees a later one."
                )
            state = following

    def neighbours(self) -> None:
        """Padding is masked, or batches have no padding."""
        alone = [self._logits(self._batch([row]))[0] for row in self.rows]
        for size in (7, 32):
            for batch in self._batches(size):
                together = self._logits(self._batch([self.rows[number] for number in batch]))
                for number, logits in zip(batch, together, strict=True):
                    difference = self._spread(logits - alone[number], alone[number])
                    if difference > self._noise():
                        raise NetworkInvalid(
                            f"A sentence of {len(self.rows[number])} ids is answered otherwise beside "
                            f"others than alone: "
                            f"its logits differ by {difference:.2g} of their spread in a batch of {len(batch)}. "
                            + (
                                "Padding isn't masked. Two ways out: mask it (`source != pad`: in the encoder, before "
                                "each convolution, in the attention and where positions are averaged), or say "
                                "`pads=False` in MODEL, and sources are batched by equal length."
                                if self.model.pads
                                else "Nothing may be computed across the batch (BatchNorm, a mean over rows)."
                            )
                        )

    def halves(self) -> None:
        """What ``state_dict`` holds is all there is, and survives rounding."""
        before = self._logits(self._batch(self.rows[:5]))
        state = {name: stored(tensor) for name, tensor in self.network.state_dict().items()}
        other = self.model.network(self.network.config).eval()
        try:
            other.load_state_dict(state)
        except RuntimeError as error:
            raise NetworkInvalid(f"The network doesn't take its own state_dict(): {error}") from None
        if hasattr(other, "settle"):
            other.settle()  # as `load_checkpoint` does
        for name, tensor in state.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise NetworkInvalid(
                    f"{name} has values that half precision can't hold (above 65504, or none at all). A "
                    f"mask or a table "
                    "of positions isn't a weight: compute it, or register_buffer(…, persistent=False)."
                )
        after = self._spread(self._logits(self._batch(self.rows[:5]), other) - before, before)
        if after > (_STEP if hasattr(self.network, "settle") else _HALF):
            raise NetworkInvalid(
                f"Saved in half precision and loaded, the network says something else: its logits "
                f"differ by {after:.2g} of "
                "their spread. All that it knows must be in state_dict(), as parameters or buffers; numbers that half "
                "precision rounds (counts, positions) as integers."
            )

    def bfloat(self) -> None:
        """A training on a processor with products in bf16 runs on such a copy of the weights."""
        other = self.model.network(self.network.config).bfloat16()
        with blamed("Network.forward with weights in bf16 (make zeros with `weight.new_zeros(…)`)"):
            self._logits(self._batch(self.rows[:5]), other)

    @torch.inference_mode()
    def longest(self) -> None:
        """No table of positions is too short."""
        source = self._batch([self.long])
        with blamed(f"Network.encode with a source of {len(self.long)} ids (a sentence may have so many)"):
            memory, state = self.network.encode(source)
        last, most = torch.full((1,), self.ids.bos), int(length_limit(torch.tensor(len(self.long))))
        for number in range(1, most + 1):
            with blamed(
                f"Network.step, called for target id {number} of a source of {len(self.long)} (it may have {most})"
            ):
                logits, state = self.network.step(last, state, memory)
            last = logits.argmax(1)

    def fast(self) -> None:
        """Where there is a second spelling of the search, it is one of the same network."""
        if self.model.fast is None or (prepared := self.model.fast(self.network, self.ids)) is None:
            return
        for size in (1, 7, 32):
            for batch in self._batches(size):
                if batch[0] >= _SEARCHED:  # of 64: each length is among the first 32, and a search takes its time
                    continue
                source = self._batch([self.rows[number] for number in batch])
                for number, plain, fast in zip(
                    batch, greedy(self.network, self.ids, source), prepared(source), strict=True
                ):
                    if plain.ids != fast.ids and not self._nearly(self._batch([self.rows[number]]), plain, fast):
                        raise NetworkInvalid(
                            f"fast finds {fast.ids[:12]}… where the plain search finds "
                            f"{plain.ids[:12]}…, for the source "
                            f"{list(self.rows[number])[:12]}…. Change it with the network, or take `fast` out of MODEL."
                        )

    def _nearly(self, source: Tensor, plain: Hypothesis, found: Hypothesis) -> bool:
        """Whether rounded numbers explain that ``found`` isn't what the plain search finds: its first id is nearly as
        likely. Weights that were just drawn know nothing, so many ids are; goldens compare the two once more."""
        if not hasattr(self.network, "settle"):
            return False
        memory, state = self.network.encode(source)
        logits = self.network.step(torch.tensor([self.ids.bos]), state, memory)[0][0]
        return bool(logits[plain.ids[0]] - logits[found.ids[0]] < _STEP * logits.std())

    @torch.inference_mode()
    def _logits(self, source: Tensor, network: Any = None) -> Tensor:
        found: Tensor = (network or self.network).forward(source, self.target.expand(source.size(0), -1))
        return found.float()

    def _noise(self) -> float:
        return _STEP if hasattr(self.network, "settle") else _NOISE

    def _spread(self, difference: Tensor, among: Tensor | None = None) -> float:
        """The largest difference, as a share of how far the logits differ among themselves."""
        spread = 1.0 if among is None else max(float(among.float().std()), 1e-12)
        return float(difference.abs().max()) / spread

    def _batches(self, size: int) -> Iterator[list[int]]:
        numbers = list(range(len(self.rows)))
        if self.model.pads:
            groups = [numbers]
        else:
            lengths = sorted({len(row) for row in self.rows})
            groups = [[number for number in numbers if len(self.rows[number]) == length] for length in lengths]
        for group in groups:
            for start in range(0, len(group), size):
                yield group[start : start + size]

    def _batch(self, rows: Sequence[Sequence[int]]) -> Tensor:
        if not self.model.pads:  # as the service does
            shortest = min(map(len, rows))
            rows = [row[-shortest:] for row in rows]
        return pad(rows, self.pad)

    def _target(self, vocabulary: Vocabulary) -> Tensor:
        random = Random(SEED)
        special = {*self.ids.never, self.ids.eos, *slots(vocabulary).values()}
        usual = [id_ for id_ in range(self.size) if id_ not in special]
        return torch.tensor([[self.ids.bos, *(random.choice(usual) for _ in range(5))]])

    def _check_nested(self, name: str, nested: Any, batch: int, method: str) -> None:
        try:
            flat = _flat(nested)
        except TypeError as error:
            raise NetworkInvalid(
                f"The {name} that {method} returns holds {error}. Expected tuples, named tuples, lists "
                "and dicts of tensors. A number that changes with each step, such as a position, is a tensor with one "
                "for each row; a constant belongs into the config."
            ) from None
        for tensor in flat:
            if tensor.dim() == 0 or tensor.size(0) != batch:
                raise NetworkInvalid(
                    f"The {name} that {method} returns holds a tensor of shape {tuple(tensor.shape)}, "
                    f"for a batch of {batch}. "
                    "Its first dimension must be the batch: transpose what torch gives layers first "
                    "(`hidden[0]` of one "
                    "layer, `hidden.transpose(0, 1)` of several), and back where it is used."
                )

    def _check_shape(self, method: str, logits: Any, expected: tuple[int, ...]) -> None:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if found != expected:
            raise NetworkInvalid(f"The logits of {method} have shape {found}. Expected {expected}.")


def _flat(nested: Any) -> list[Tensor]:
    """The tensors of a nesting; TypeError, with its name, for something else in it."""
    if isinstance(nested, Tensor):
        return [nested]
    if nested is None:
        return []
    if isinstance(nested, Mapping):
        return [tensor for part in nested.values() for tensor in _flat(part)]
    if isinstance(nested, tuple | list):
        return [tensor for part in nested for tensor in _flat(part)]
    raise TypeError(f"a {type(nested).__name__}")
