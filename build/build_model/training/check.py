"""Whether a network keeps to `model.contract`: each rule tried on it, in seconds, before anything relies on it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import nn

from build_model.training.blame import blamed
from build_model.training.trial import SEED, Trial
from build_model.training.variety import check_variety
from model.checkpoint import Vocabularies, load_checkpoint
from model.contract import Model, Unreadable, Vocabulary
from model.errors import NetworkInvalid
from model.folder import NETWORK, load_model
from model.search import slots
from model.segment import LONGEST_CHARACTERS
from model.translator import Translator

_SIZE = 400  # ids of the vocabularies that are built for a check
_ODD = ("", " ", "?", "...", "\0", "\ud800", "😀", "Ω≈ç√", "a" * 300, "1 234,56 €", "日本語", "l'", "⟦n1⟧", "x" * 5000)
_FEWEST_ROWS = 8
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
    trial = Trial(model, network, vocabularies, rows, _longest(vocabularies[0], rows[0], model.example))
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
    with blamed("Vocabulary.build(language, texts, size)"):
        built = [model.vocabulary.build(name, texts, _SIZE) for name in names]
    return built[0], built[-1]


def build_network(model: Model, vocabularies: Vocabularies) -> Any:
    """The network of the config's defaults, its weights drawn from a seed, in ``eval()``.

    Raises:
        NetworkInvalid: it can't be built.
    """
    torch.manual_seed(SEED)
    with blamed("Network(config)"):
        config = model.config(source_vocabulary=len(vocabularies[0]), target_vocabulary=len(vocabularies[1]))
        network = model.network(config)
    if not isinstance(network, nn.Module):
        raise NetworkInvalid(f"{model.network.__name__} is no torch.nn.Module. Derive it from one.")
    settle = getattr(network, "settle", None)
    if callable(settle):
        settle()
    return network.eval()


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
    random = Random(SEED)
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
    random = Random(SEED)
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
