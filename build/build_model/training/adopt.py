"""Adopting: the weights and vocabularies that a notebook saved become a checkpoint of its network's folder."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from build_model.training.assembly import assemble, settings_of
from build_model.training.check import check, one_thread
from build_model.training.completion import complete
from build_model.training.corpus import CorpusFormatError, Example, read_examples
from build_model.training.golden import choose_goldens
from build_model.training.pickled import read_pickle, read_weights
from build_model.training.variety import ModelDull
from model.checkpoint import Vocabularies, load_checkpoint, save_checkpoint
from model.contract import Model
from model.errors import DragomanError
from model.fingerprint import MANIFEST, Manifest, file_digest
from model.folder import load_model

_LISTED = 6  # names in a message


class WeightsMisfit(DragomanError):
    """Weights aren't those of the network that the folder, its config and the vocabularies build."""


class VocabulariesMisfit(DragomanError):
    """A file holds other vocabularies than the folder's MODEL has."""


class OutTaken(DragomanError):
    """The folder to write holds something that isn't an adopted checkpoint."""


@dataclass(frozen=True)
class Notebook:
    """What a notebook saved.

    Attributes:
        weights: files of state dicts, each with what stands before its names in the network's, or an empty text.
        vocabularies: one file with all of them, or one each, the source's first.
        settings: fields of the network's config, the numbers of ids aside.
    """

    weights: Sequence[tuple[str, Path]]
    vocabularies: Sequence[Path]
    settings: Mapping[str, Any] = field(default_factory=dict)


def adopt(notebook: Notebook, examples: Sequence[Example], out: Path, network: Path, name: str = "dev") -> Manifest:
    """Writes the checkpoint to ``out``: weights, vocabularies, goldens of ``examples``, scores where these have
    references.

    Args:
        name: what the manifest calls the examples.

    Raises:
        NetworkInvalid: the folder breaks a rule of `model.contract`, or the checkpoint does.
        PickleRefused, WeightsUnreadable: a file holds what isn't taken; nothing of it was run.
        VocabulariesMisfit, WeightsMisfit, SettingUnknown: parts don't belong together.
        OutTaken: something else is in ``out``.
    """
    if out.exists() and not _replaceable(out):
        raise OutTaken(f"{out} is there, and no adopted checkpoint. Name another folder: --out DIR.")
    for _ in check(network):
        pass  # a rule that doesn't hold is raised
    model = load_model(network)
    vocabularies = read_vocabularies(notebook.vocabularies, model)
    built = assemble(model, notebook.settings, vocabularies)
    _fill(built, _named(notebook.weights), model)
    files = [*(path for _, path in notebook.weights), *notebook.vocabularies]
    training = {"adopted": {path.name: file_digest(path) for path in files}}
    out.parent.mkdir(parents=True, exist_ok=True)
    with one_thread(), tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        trial = Path(scratch) / "checkpoint"
        save_checkpoint(built, vocabularies, trial, training=training, code=network)
        goldens = choose_goldens(load_checkpoint(trial, network), [example.source for example in examples])
        complete(trial, goldens, {name: examples}, network)
        with suppress(ModelDull):  # that is the build's to refuse
            for _ in check(network, trial):
                pass
        shutil.rmtree(out, ignore_errors=True)
        trial.rename(out)
    return Manifest.read(out)


def read_sources(path: Path) -> tuple[Example, ...]:
    """Sentences of the source language: one a line, with its translation behind a tab where there is one, or JSON lines
    as `evaluate` takes them.

    Raises:
        CorpusFormatError: it is missing, empty or no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise CorpusFormatError(f"{path} is not UTF-8 ({error.reason}). Convert the file to UTF-8.") from None
    except OSError as error:
        raise CorpusFormatError(f"{path}: {error.strerror or error}. Give an existing file.") from None
    kept = [line for line in lines if line.strip()]
    if not kept:
        raise CorpusFormatError(f"{path} is empty. Give sentences of the source language, one a line.")
    if kept[0].lstrip().startswith("{"):
        return read_examples(path)
    references: dict[str, dict[str, None]] = {}
    for line in kept:
        source, _, target = line.partition("\t")
        found = references.setdefault(source.strip(), {})
        if target.strip():
            found[target.partition("\t")[0].strip()] = None
    return tuple(Example(source, tuple(found)) for source, found in references.items())


def read_vocabularies(paths: Sequence[Path], model: Model) -> Vocabularies:
    """The source and target vocabulary that a notebook pickled, as they come back from JSON.

    Raises:
        PickleRefused: a file names anything else; nothing of it was run.
        VocabulariesMisfit: there are more or fewer, or they have other attributes than the folder's class reads.
    """
    wanted = 1 if model.shared else 2
    name = model.vocabulary.__name__
    found = [one for path in paths for one in _vocabularies(read_pickle(path, model.vocabulary), model)]
    if len(found) != wanted:
        raise VocabulariesMisfit(
            f"{', '.join(map(str, paths))}: {len(found)} of class {name} found, {wanted} expected. Pickle them alone, "
            "the source's first: pickle.dump((source, target), file)."
        )
    try:
        again = [model.vocabulary.from_json(one.to_json()) for one in found]
    except Exception as error:
        raise VocabulariesMisfit(
            f"A pickled {name} isn't what the folder's {name} expects ({type(error).__name__}: {error}). Let the "
            "folder's class be the notebook's: the same attributes, with the methods of model/contract.py beside them."
        ) from error
    return again[0], again[-1]


def _vocabularies(found: Any, model: Model) -> Iterator[Any]:
    """The vocabularies in what was pickled: it itself, or what a tuple, list or dict holds; the source's first."""
    if isinstance(found, model.vocabulary):
        yield found
        return
    if isinstance(found, Mapping):
        order = [key for key in (model.source, "source", model.target, "target") if key in found]
        found = [found[key] for key in (*order, *(key for key in found if key not in order))]
    if isinstance(found, list | tuple):
        yield from (one for one in found if isinstance(one, model.vocabulary))


def _named(weights: Sequence[tuple[str, Path]]) -> dict[str, Tensor]:
    """The tensors of all files, each under its name in the network."""
    tensors: dict[str, Tensor] = {}
    for before, path in weights:
        for key, tensor in read_weights(path).items():
            name = f"{before}.{key}" if before else key
            if name in tensors:
                raise WeightsMisfit(f"{path} holds {name} once more. Name each part: --weights PART=FILE.")
            tensors[name] = tensor
    return tensors


def _fill(network: Any, tensors: Mapping[str, Tensor], model: Model) -> None:
    """Loads the weights and sets the network to ``eval()``.

    Raises:
        WeightsMisfit: names or shapes are others, or a value is none.
    """
    own = network.state_dict()
    common = [name for name in own if name in tensors]
    shapes = [
        f"{name} ({list(tensors[name].shape)}, the network's is {list(own[name].shape)})"
        for name in common
        if tensors[name].shape != own[name].shape
    ]
    faults = [
        *_listed("lack", [name for name in own if name not in tensors]),
        *_listed("have names that the network hasn't:", [name for name in tensors if name not in own]),
        *_listed("have another shape:", shapes),
        *_listed("hold what is no number, or infinite:", [name for name in common if not _finite(tensors[name])]),
    ]
    if faults:
        settings = ", ".join(f"{name}={value}" for name, value in settings_of(model).items()) or "none"
        raise WeightsMisfit(
            f"The weights aren't those of {model.network.__name__}. They {'; they '.join(faults)}.\n"
            "--weights PART=FILE puts PART. before each name of a file, as the network's attribute is called; "
            f"--set NAME=VALUE sets the config as in the notebook (by default {settings}); the numbers of ids are the "
            "vocabularies'."
        )
    network.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()})
    if hasattr(network, "settle"):
        with torch.no_grad():
            network.settle()
    network.eval()


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())


def _listed(what: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return [f"{what} {', '.join(names[:_LISTED])}{more}"]


def _replaceable(out: Path) -> bool:
    """Whether a folder is empty or holds a checkpoint that was adopted, and nothing else."""
    if not out.is_dir():
        return False
    names = {path.name for path in out.iterdir()}
    if not names:
        return True
    if MANIFEST not in names:
        return False
    manifest = Manifest.read(out)
    return "adopted" in manifest.training and names <= {MANIFEST, *manifest.files()}
