"""Whether a network keeps to `model.contract`: each rule tried on it, in seconds, before anything relies on it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from build_model.training.variety import check_variety
from model.checkpoint import Vocabularies, load_checkpoint, stored
from model.contract import Hypothesis, Model, Unreadable, Vocabulary
from model.errors import NetworkInvalid
from model.folder import NETWORK, load_model
from model.search import greedy, ids_of, length_limit, pad, slots, take
from model.segment import LONGEST_CHARACTERS
from model.translator import Translator

_SIZE = 400  # ids of the vocabularies that are built for a check
_SEED = 1
_NOISE = 1e-4  # of the spread of the logits: a hundred times what the order of sums changes
_HALF = 0.2  # the same for weights in half precision
# The same of a network that is served with rounded numbers: the order of sums moves one to the next step, which moves
# others. With weights that were just drawn the largest of all differences comes to 0.6.
_STEP = 0.8
_ODD = ("", " ", "?", "...", "\0", "\ud800", "😀", "Ω≈ç√", "a" * 300, "1 234,56 €", "日本語", "l'", "⟦n1⟧", "x" * 5000)
_FEWEST_ROWS = 8
_SEARCHED = 32  # rows that both spellings of a search are tried on
_LEAST_LONG = 60  # ids: what the longest sentence has at least


@dataclass(frozen=True)
class Rule:
    """A rule that holds."""

    name: str


def check(folder: Path = NETWORK, checkpoint: Path | None = None) -> Iterator[Rule]:
    """Tries one rule after the other on a network's folder, and on a checkpoint of it where one is given.

    Yields:
        Each rule that holds.

    Raises:
        NetworkInvalid: one doesn't; the message says which, what was found, and what to do.
        GuardError: the checkpoint doesn't belong to the folder.
        ModelDull: the last rule doesn't hold: the checkpoint says the same to everything.
    """
    with one_thread():
        yield from _check(folder, checkpoint)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch, as the service has: for small products more cost more than they gain, on a busy machine
    five times the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _check(folder: Path, checkpoint: Path | None) -> Iterator[Rule]:
    model = load_model(folder)
    yield Rule("imports nothing from outside its folder, and says MODEL")
    _check_model(model, folder)
    yield Rule("MODEL names languages, an example and classes with all their methods")
    loaded = load_checkpoint(checkpoint, folder) if checkpoint else None
    texts = _texts(model, [golden.source for golden in loaded.goldens] if loaded else ())
    vocabularies = loaded.vocabularies if loaded else build_vocabularies(model, texts)
    for vocabulary in vocabularies[:1] if model.shared else vocabularies:
        _check_vocabulary(vocabulary, model, texts)
    yield Rule("vocabularies read any text, know their ids, and come back from JSON")
    network = loaded.network if loaded else build_network(model, vocabularies)
    rows = _rows(vocabularies[0], texts)
    if len(rows) < _FEWEST_ROWS:
        if not loaded:
            raise NetworkInvalid(
                "The vocabulary reads none of the sentences that it was built from, or hardly any. Mend encode."
            )
        rows = _made_rows(vocabularies[0])  # it knows whole words, and there are no goldens to take them from
    trial = _Trial(model, network, vocabularies, rows)
    for name, rule in trial.rules():
        rule()
        yield Rule(name)
    if loaded is not None:
        translator = Translator(loaded)
        _check_answers(translator)
        yield Rule("goldens are answered, alone and together")
        check_variety(translator, loaded.manifest.training)
        yield Rule("the model doesn't say the same to everything")


def build_vocabularies(model: Model, texts: Sequence[str]) -> Vocabularies:
    """Vocabularies of made-up text.

    Raises:
        NetworkInvalid: they can't be built.
    """
    names = (f"{model.source}-{model.target}",) if model.shared else (model.source, model.target)
    with _blamed("Vocabulary.build(language, texts, size)"):
        built = [model.vocabulary.build(name, texts, _SIZE) for name in names]
    return built[0], built[-1]


def build_network(model: Model, vocabularies: Vocabularies) -> Any:
    """The network of the config's defaults, its weights drawn from a seed, in ``eval()``.

    Raises:
        NetworkInvalid: it can't be built.
    """
    torch.manual_seed(_SEED)
    with _blamed("Network(config)"):
        config = model.config(source_vocabulary=len(vocabularies[0]), target_vocabulary=len(vocabularies[1]))
        network = model.network(config)
    if not isinstance(network, nn.Module):
        raise NetworkInvalid(f"{model.network.__name__} is no torch.nn.Module. Derive it from one.")
    settle = getattr(network, "settle", None)
    if callable(settle):
        settle()
    return network.eval()


class _Trial:
    """A network with sentences to try it on.

    Args:
        rows: ids of sentences of several lengths.
    """

    def __init__(self, model: Model, network: Any, vocabularies: Vocabularies, rows: Sequence[Sequence[int]]) -> None:
        self.model, self.network, self.rows = model, network, rows
        self.pad = vocabularies[0].pad
        self.ids = ids_of(*vocabularies, pads=model.pads)
        self.size = len(vocabularies[1])
        self.target = self._target(vocabularies[1])
        self.long = _longest(vocabularies[0], rows[0], model.example)

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
        with _blamed("Network.encode(source)"):
            found = self.network.encode(source)
        if not isinstance(found, tuple) or len(found) != 2:
            raise NetworkInvalid(f"encode returns {type(found).__name__}. Expected a pair: (memory, state).")
        for name, nested in zip(("memory", "state"), found, strict=True):
            self._check_nested(name, nested, source.size(0), "encode")
        memory, state = found
        with _blamed("Network.step(last, state, memory)"):
            stepped = self.network.step(torch.full((source.size(0),), self.ids.bos), state, memory)
        if not isinstance(stepped, tuple) or len(stepped) != 2:
            raise NetworkInvalid(f"step returns {type(stepped).__name__}. Expected a pair: (logits, state).")
        self._check_nested("state", stepped[1], source.size(0), "step")
        self._check_shape("step", stepped[0], (source.size(0), self.size))
        with _blamed("Network.forward(source, target)"):
            logits = self.network.forward(source, self.target.expand(source.size(0), -1))
        self._check_shape("forward", logits, (source.size(0), self.target.size(1), self.size))
        with _blamed("Network.step with rows picked out of memory and state"):
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
        with _blamed("Network.forward with weights in bf16 (make zeros with `weight.new_zeros(…)`)"):
            self._logits(self._batch(self.rows[:5]), other)

    @torch.inference_mode()
    def longest(self) -> None:
        """No table of positions is too short."""
        source = self._batch([self.long])
        with _blamed(f"Network.encode with a source of {len(self.long)} ids (a sentence may have so many)"):
            memory, state = self.network.encode(source)
        last, most = torch.full((1,), self.ids.bos), int(length_limit(torch.tensor(len(self.long))))
        for number in range(1, most + 1):
            with _blamed(
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
                    if not _same(plain, fast) and not self._nearly(self._batch([self.rows[number]]), plain, fast):
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
        random = Random(_SEED)
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


def _same(plain: Hypothesis, fast: Hypothesis) -> bool:
    return plain.ids == fast.ids


def _check_model(model: Model, folder: Path) -> None:
    if not model.shared and model.source == model.target:
        raise NetworkInvalid(
            f"MODEL's source and target are both {model.source!r}. Name two languages, or say shared=True."
        )
    for name, code in (("source", model.source), ("target", model.target)):
        if not (code.isalpha() and code.islower() and len(code) == 3):
            raise NetworkInvalid(
                f"MODEL's {name} is {code!r}. Expected the ISO 639-3 code of a language, such as 'fra'."
            )
    if not model.example.strip():
        raise NetworkInvalid("MODEL's example is empty. Give a short sentence of the source language.")
    parameters = getattr(model.config, "__dataclass_params__", None)
    if not is_dataclass(model.config) or not getattr(parameters, "frozen", False):
        raise NetworkInvalid(
            f"{model.config.__name__} is no frozen dataclass. Write `@dataclass(frozen=True)` above it."
        )
    names = [one.name for one in fields(model.config)]
    for name in ("source_vocabulary", "target_vocabulary"):
        if name not in names:
            raise NetworkInvalid(f"{model.config.__name__} has no field {name}. Its number of ids is filled in there.")
    for owner, methods in (
        (
            model.vocabulary,
            ("build", "encode", "decode", "to_json", "from_json", "__len__", "pad", "bos", "eos", "unk"),
        ),
        (model.network, ("encode", "step", "forward")),
    ):
        missing = [method for method in methods if not hasattr(owner, method) and method not in _annotated(owner)]
        if missing:
            raise NetworkInvalid(
                f"{owner.__name__} in {folder} has no {', '.join(missing)}. model/contract.py says what each must do."
            )


def _annotated(owner: type) -> set[str]:
    """Attributes that instances get in ``__init__`` can be announced by annotations."""
    return {name for base in owner.__mro__ for name in getattr(base, "__annotations__", {})}


def _check_vocabulary(vocabulary: Vocabulary, model: Model, texts: Sequence[str]) -> None:
    size = len(vocabulary)
    for text in (*texts, model.example, *_ODD):
        try:
            ids = vocabulary.encode(text)
        except Unreadable:
            continue
        except Exception as error:
            raise NetworkInvalid(
                f"Vocabulary.encode raises {type(error).__name__} ({error}) for {text[:40]!r}. Expected "
                f"ids for any text, or "
                "model.contract.Unreadable for one that it can't read."
            ) from error
        if not ids or not all(isinstance(id_, int) and 0 <= id_ < size for id_ in ids):
            raise NetworkInvalid(
                f"Vocabulary.encode gives {ids[:8]} for {text[:40]!r}. Expected at least one id, each "
                f"from 0 to {size - 1}."
            )
    for slot, id_ in slots(vocabulary).items():
        if vocabulary.encode(f"{slot}").count(id_) != 1 or slot not in vocabulary.decode([id_]):
            raise NetworkInvalid(
                f"The slot {slot} isn't one id that is given back literally. See `slots` in model/contract.py."
            )
    text = vocabulary.to_json()
    try:
        again = type(vocabulary).from_json(text)
    except Exception as error:
        raise NetworkInvalid(
            f"Vocabulary.from_json can't read what to_json wrote ({type(error).__name__}: {error})."
        ) from error
    if again.to_json() != text or any(_ids(again, one) != _ids(vocabulary, one) for one in texts):
        raise NetworkInvalid(
            "A vocabulary that went through to_json and from_json isn't the same. Store all of it, in order."
        )


def _check_answers(translator: Translator) -> None:
    translator.self_test()
    sources = [golden.source for golden in translator.goldens]
    together = [answer.text for answer in translator.translate(sources)]
    alone = [translator.translate([source])[0].text for source in sources]
    for source, one, other in zip(sources, together, alone, strict=True):
        if one != other:
            raise NetworkInvalid(f"{source!r} is translated as {other!r} alone and as {one!r} beside others.")


def _texts(model: Model, known: Sequence[str]) -> list[str]:
    """Made-up sentences of several lengths, of the example's words and of words made of its letters; ``known`` ones and
    others of their words before them."""
    random = Random(_SEED)
    if known:
        words = sorted({word for sentence in known for word in sentence.strip(" .!?").split()})
        mixed = [" ".join(random.choice(words) for _ in range(1 + number % 8)) for number in range(64)]
        return [*known, *mixed, *_texts(model, ())]
    words = [word for word in model.example.strip(" .!?").split() if word] or ["a"]
    letters = sorted({letter.lower() for word in words for letter in word if letter.isalpha()}) or list("abc")
    made = ["".join(random.choice(letters) for _ in range(random.randint(2, 5))) for _ in range(60)]
    sentences = [[random.choice([*words, *made]) for _ in range(1 + number % 8)] for number in range(96)]
    return [model.example, *(" ".join([*sentence[:-1], sentence[-1] + "."]) for sentence in sentences)]


def _rows(vocabulary: Vocabulary, texts: Sequence[str]) -> list[list[int]]:
    """The ids of the sentences that can be read, at most 64."""
    return [ids for text in texts if (ids := _ids(vocabulary, text))][:64]


def _made_rows(vocabulary: Vocabulary) -> list[list[int]]:
    """Ids drawn from a seed, in rows of several lengths."""
    random = Random(_SEED)
    special = {vocabulary.pad, vocabulary.bos, vocabulary.eos, vocabulary.unk, *slots(vocabulary).values()}
    usual = [id_ for id_ in range(len(vocabulary)) if id_ not in special]
    return [[*(random.choice(usual) for _ in range(1 + number % 8)), vocabulary.eos] for number in range(64)]


def _longest(vocabulary: Vocabulary, row: Sequence[int], example: str) -> list[int]:
    """The ids of the longest sentence that segmentation leaves: one word that nobody knows, or many."""
    texts = ("x" * LONGEST_CHARACTERS, (f"{example} " * LONGEST_CHARACTERS)[:LONGEST_CHARACTERS])
    read = [ids for text in texts if (ids := _ids(vocabulary, text))]
    return max([*read, [row[0]] * (_LEAST_LONG - 1) + [row[-1]]], key=len)


def _ids(vocabulary: Vocabulary, text: str) -> list[int] | None:
    try:
        return vocabulary.encode(text)
    except Unreadable:
        return None


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


class _blamed:  # noqa: N801 (read as a word: with _blamed(…))
    """An exception in the folder's code becomes one sentence that says what was called."""

    def __init__(self, called: str) -> None:
        self.called = called

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, NetworkInvalid) or not isinstance(error, Exception):
            return
        place = ""
        while trace is not None:
            name = Path(trace.tb_frame.f_code.co_filename)
            if "site-packages" not in name.parts and name != Path(__file__):
                place = f", at {name.parent.name}/{name.name}, line {trace.tb_lineno}"
            trace = trace.tb_next
        raise NetworkInvalid(
            f"{self.called} raises {type(error).__name__}: {error}{place}. model/contract.py says what it is given."
        ) from error
