"""`build-model adopt`: what a notebook saved becomes a checkpoint like any other; what doesn't fit is said."""

import json
import pickle
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import notebook
import pytest
import torch
from notebook import HIDDEN, PAIRS, TUTORIAL

from build_model.image import artifact
from build_model.training import golden, variety
from build_model.training.adopt import (
    Notebook,
    OutTaken,
    VocabulariesMisfit,
    WeightsMisfit,
    adopt,
    read_sources,
    read_vocabularies,
)
from build_model.training.check import check
from build_model.training.corpus import CorpusFormatError, Example
from build_model.training.golden import choose_goldens, shake
from model.checkpoint import load_checkpoint, read_goldens, save_checkpoint
from model.fingerprint import Manifest
from model.folder import load_model
from model.translator import Translator

MODEL = load_model(TUTORIAL)
DEV = tuple(Example(source, (target.lower().rstrip("."),)) for source, target in PAIRS)
SETTINGS = {"hidden_size": HIDDEN}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where a notebook left its model."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook.leave(*notebook.trained(), folder)
    return folder


@pytest.fixture(scope="module")
def adopted(saved: Path) -> Path:
    adopt(left(saved), DEV, saved / "runs" / "x", TUTORIAL)
    return saved / "runs" / "x"


def left(folder: Path, **changes: Any) -> Notebook:
    weights = [("encoder", folder / "encoder.pt"), ("decoder", folder / "decoder.pt")]
    return replace(Notebook(weights, [folder / "langs.pkl"], SETTINGS), **changes)


def test_state_dicts_and_langs_become_a_checkpoint_that_translates(adopted: Path) -> None:
    translator = Translator.load(adopted, TUTORIAL)
    translator.self_test()
    assert translator.translate(["Elle va dormir."])[0].text == "she is going to sleep"
    assert len(translator.goldens) == 32
    training = Manifest.read(adopted).training
    assert set(training["adopted"]) == {"encoder.pt", "decoder.pt", "langs.pkl"}
    assert training["scores"]["dev"]["bleu"] > 50
    assert "dull" not in training
    assert not [path.name for path in adopted.iterdir() if path.suffix in {".pt", ".pkl"}]


def test_an_adopted_checkpoint_keeps_to_every_rule_and_a_build_takes_it(adopted: Path) -> None:
    names = [rule.name for rule in check(TUTORIAL, adopted)]
    assert names[-2:] == ["goldens are answered, alone and together", "the model doesn't say the same to everything"]
    artifact.check(adopted, TUTORIAL)


def test_adopting_again_writes_over_what_was_adopted_and_over_nothing_else(adopted: Path, tmp_path: Path) -> None:
    shutil.copytree(adopted, tmp_path / "x")
    (tmp_path / "x" / "notes.txt").touch()
    with pytest.raises(OutTaken, match="--out DIR"):
        adopt(left(tmp_path), DEV, tmp_path / "x", TUTORIAL)
    (tmp_path / "x" / "notes.txt").unlink()
    with pytest.raises(WeightsMisfit):
        adopt(left(adopted.parents[1], settings={}), DEV, tmp_path / "x", TUTORIAL)
    assert Manifest.read(tmp_path / "x") == Manifest.read(adopted)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    "held", [lambda a, b: (a, b), lambda a, b: [a, b, ["pairs"]], lambda a, b: {"eng": b, "fra": a, "pairs": []}]
)
def test_vocabularies_are_found_in_a_pair_a_list_or_by_language(
    saved: Path, tmp_path: Path, held: Any, protocol: int
) -> None:
    source, target = read_vocabularies([saved / "langs.pkl"], MODEL)
    (tmp_path / "langs.pkl").write_bytes(notebook.as_of_main(held(source, target), protocol))
    found = read_vocabularies([tmp_path / "langs.pkl"], MODEL)
    assert [one.to_json() for one in found] == [source.to_json(), target.to_json()]
    assert type(found[0]) is MODEL.vocabulary


def test_one_vocabulary_where_two_are_expected_is_said(saved: Path, tmp_path: Path) -> None:
    source, _ = read_vocabularies([saved / "langs.pkl"], MODEL)
    (tmp_path / "langs.pkl").write_bytes(notebook.as_of_main(source, 4))
    with pytest.raises(VocabulariesMisfit, match="1 of class Lang found, 2 expected"):
        read_vocabularies([tmp_path / "langs.pkl"], MODEL)
    again = [tmp_path / "langs.pkl"] * 2
    assert [one.name for one in read_vocabularies(again, MODEL)] == ["fra", "fra"]


def test_a_lang_with_other_attributes_is_said(tmp_path: Path) -> None:
    lang = MODEL.vocabulary("fra")
    del lang.index2word
    lang.n_words = 5
    (tmp_path / "langs.pkl").write_bytes(pickle.dumps((lang, lang)))
    with pytest.raises(VocabulariesMisfit, match=r"AttributeError.*index2word"):
        read_vocabularies([tmp_path / "langs.pkl"], MODEL)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings": {}}, r"another shape: encoder\.embedding\.weight \(\[\d+, 32\], the network's is \[\d+, 128\]\)"),
        ({"settings": {}}, r"by default hidden_size=128"),
        ({"weights": ("encoder",)}, r"They lack decoder\.embedding\.weight.* and \d+ more"),
        ({"weights": ("", "decoder")}, r"lack encoder.*have names that the network hasn't: embedding\.weight"),
        ({"weights": ("encoder", "encoder")}, r"decoder\.pt holds encoder\.embedding\.weight once more"),
    ],
)
def test_weights_of_another_network_are_said_with_what_to_do(
    saved: Path, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    if "weights" in changed:
        files = (saved / "encoder.pt", saved / "decoder.pt")
        changed["weights"] = list(zip(changed["weights"], files, strict=False))
    with pytest.raises(WeightsMisfit, match=f"(?s){said}"):
        adopt(left(saved, **changed), DEV, tmp_path / "x", TUTORIAL)


def test_weights_that_are_no_numbers_are_said(saved: Path, tmp_path: Path) -> None:
    state = torch.load(saved / "encoder.pt", weights_only=True)
    state["gru.bias_ih_l0"][0] = float("nan")
    torch.save(state, tmp_path / "encoder.pt")
    weights = [("encoder", tmp_path / "encoder.pt"), ("decoder", saved / "decoder.pt")]
    with pytest.raises(WeightsMisfit, match=r"no number, or infinite: encoder\.gru\.bias_ih_l0"):
        adopt(left(saved, weights=weights), DEV, tmp_path / "x", TUTORIAL)


def test_sources_are_lines_with_translations_behind_tabs_or_as_json(tmp_path: Path) -> None:
    file = tmp_path / "dev.txt"
    file.write_text("Il dort.\nElle dort.\n\nIl dort.\n", encoding="utf-8")
    assert read_sources(file) == (Example("Il dort.", ()), Example("Elle dort.", ()))
    file.write_text("Il dort.\tHe sleeps.\tCC-BY\nIl dort.\tHe is asleep.\n", encoding="utf-8")
    assert read_sources(file) == (Example("Il dort.", ("He sleeps.", "He is asleep.")),)
    file.write_text(json.dumps({"src": "Il dort.", "refs": ["He sleeps."]}), encoding="utf-8")
    assert read_sources(file) == (Example("Il dort.", ("He sleeps.",)),)
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(CorpusFormatError, match="one a line"):
        read_sources(file)


# Goldens


def test_goldens_are_the_same_alone_in_batches_and_with_shaken_weights(adopted: Path) -> None:
    checkpoint = load_checkpoint(adopted, TUTORIAL)
    wanted = {one.source: one.target for one in read_goldens(adopted)}
    for seed in range(2):
        translator = Translator(shake(checkpoint, seed))
        for size in (1, 7, 32):
            assert answers(translator, list(wanted), size) == list(wanted.values())


def test_weights_shaken_by_their_own_size_leave_hardly_a_golden(adopted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = load_checkpoint(adopted, TUTORIAL)
    sources = [source for source, _ in PAIRS]
    before = len(choose_goldens(checkpoint, sources))
    monkeypatch.setattr(golden.shake, "__defaults__", (1.0,))
    assert len(choose_goldens(checkpoint, sources)) < before / 4


def test_a_sentence_that_the_vocabulary_cannot_read_spoils_no_other(adopted: Path) -> None:
    checkpoint = load_checkpoint(adopted, TUTORIAL)
    (found,) = choose_goldens(checkpoint, ["Zut alors.", "Il va dormir.", "Où est la clé rouge ?"])
    assert found.target == "he is going to sleep"


# A model that says the same to everything


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that says "i do not know" to everything."""
    folder = tmp_path_factory.mktemp("dull")
    notebook.leave(*notebook.trained([(source, "I do not know.") for source, _ in PAIRS], 8), folder)
    adopt(left(folder), DEV, folder / "x", TUTORIAL)
    return folder / "x"


def test_a_model_that_says_the_same_to_everything_is_refused_a_build_and_allowed_one(same: Path) -> None:
    said = r"says 'i do not know\.?' to 60 of 60 different sentences: it has learned nothing .*--allow-poor"
    with pytest.raises(variety.ModelDull, match=said):
        artifact.check(same, TUTORIAL)
    artifact.check(same, TUTORIAL, poor=True)


def test_it_is_told_too_where_nothing_was_recorded(same: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(same, TUTORIAL)
    save_checkpoint(loaded.network, loaded.vocabularies, tmp_path / "x", goldens=loaded.goldens, code=TUTORIAL)
    with pytest.raises(variety.ModelDull, match="i do not know"):
        artifact.check(tmp_path / "x", TUTORIAL)


def test_answers_that_differ_are_not_dull_and_few_say_nothing() -> None:
    assert variety.dull({"a": "x", "b": "y", "c": "z", "d": "x", "e": "w"}) is None
    assert variety.dull({"a": "x", "b": "x", "c": "x"}) is None
    assert variety.dull({"a": "x", "b": "x", "c": "x", "d": "y"}) == variety.Dull("x", 3, 4)


def answers(translator: Translator, sources: Sequence[str], size: int) -> list[str]:
    batches = [sources[start : start + size] for start in range(0, len(sources), size)]
    return [answer.text for batch in batches for answer in translator.translate(batch)]
