"""Checkpoints: what a notebook writes, a translator reads; what doesn't fit is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint import Golden, load_checkpoint, read_goldens, save_checkpoint
from model.errors import ArchitectureMismatch, GoldenMismatch
from model.fingerprint import MANIFEST, WEIGHTS, Manifest, architecture_hash, file_digest
from model.folder import load_model
from model.translator import Translator

TEXTS = ["Je vais dormir.", "Il dort.", "Elle dort.", "I'm going to sleep.", "He is asleep.", "She is asleep."]
SMALL = Path(__file__).parents[1] / "small"
MODEL = load_model(SMALL)
LANGS = MODEL.vocabulary.build("fra", TEXTS[:3], 400), MODEL.vocabulary.build("eng", TEXTS[3:], 400)


def untrained(width: int = 16) -> Any:
    torch.manual_seed(1)
    return MODEL.network(MODEL.config(len(LANGS[0]), len(LANGS[1]), width=width)).eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(untrained(), LANGS, tmp_path / "checkpoint", code=SMALL)
    return tmp_path / "checkpoint"


def rewrite(folder: Path, **changes: object) -> None:
    """Changes fields of the manifest and makes its hash right again, as a forger would."""
    stored = {**json.loads((folder / MANIFEST).read_bytes()), **changes}
    stored["architecture"] = architecture_hash(stored["code"], stored["config"], stored["tensors"])
    (folder / MANIFEST).write_text(json.dumps(stored), encoding="utf-8")


def test_a_notebook_s_model_translates_after_saving_and_loading(folder: Path) -> None:
    answers = Translator.load(folder, SMALL).translate(["Je vais dormir.", "Il dort. Elle dort."])
    assert [answer.error for answer in answers] == [None, None]
    assert any(answer.text for answer in answers)


def test_the_loaded_model_never_drops_out(folder: Path) -> None:
    assert not any(module.training for module in load_checkpoint(folder, SMALL).network.modules())


def test_weights_are_stored_in_half_precision_and_come_back_rounded(folder: Path) -> None:
    loaded = load_checkpoint(folder, SMALL).network.state_dict()
    for name, tensor in untrained().state_dict().items():
        assert torch.equal(loaded[name], tensor.half().float())
    assert all(entry.startswith("F16") for entry in Manifest.read(folder).tensors.values())


def test_saving_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    save_checkpoint(untrained(), LANGS, tmp_path / "again", code=SMALL)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_folder_holds_five_files_and_no_pickle(folder: Path) -> None:
    names = {"manifest.json", "weights.safetensors", "fra.lang.json", "eng.lang.json", "golden.jsonl"}
    assert {path.name for path in folder.iterdir()} == names


def test_a_vocabulary_of_another_training_is_refused_when_saving(tmp_path: Path) -> None:
    other = MODEL.vocabulary.build("fra", ["Un tout autre corpus, bien plus varié."] * 2, 400)
    with pytest.raises(ArchitectureMismatch, match="source_vocabulary"):
        save_checkpoint(untrained(), (other, LANGS[1]), tmp_path / "checkpoint", code=SMALL)


def test_a_config_that_builds_other_tensors_is_refused(folder: Path) -> None:
    rewrite(folder, config={**Manifest.read(folder).config, "width": 32})
    with pytest.raises(ArchitectureMismatch, match="don't fit the network"):
        load_checkpoint(folder, SMALL)


def test_a_config_with_more_layers_than_the_weights_is_refused(folder: Path) -> None:
    rewrite(folder, config={**Manifest.read(folder).config, "layers": 3})
    with pytest.raises(ArchitectureMismatch, match="lack"):
        load_checkpoint(folder, SMALL)


def test_a_config_that_builds_nothing_is_refused(folder: Path) -> None:
    rewrite(folder, config={**Manifest.read(folder).config, "depth": 3})
    with pytest.raises(ArchitectureMismatch, match="builds no network"):
        load_checkpoint(folder, SMALL)


def test_weights_of_another_width_are_refused_even_with_a_matching_checksum(folder: Path, tmp_path: Path) -> None:
    save_checkpoint(untrained(32), LANGS, tmp_path / "wide", code=SMALL)
    shutil.copyfile(tmp_path / "wide" / WEIGHTS, folder / WEIGHTS)
    stored = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps({**stored, "weights": file_digest(folder / WEIGHTS)}), encoding="utf-8")
    with pytest.raises(ArchitectureMismatch, match="tensor"):
        load_checkpoint(folder, SMALL)


def test_goldens_are_translated_in_the_self_test(tmp_path: Path) -> None:
    save_checkpoint(untrained(), LANGS, tmp_path / "one", code=SMALL)
    answer = Translator.load(tmp_path / "one", SMALL).translate(["Il dort."])[0].text
    save_checkpoint(untrained(), LANGS, tmp_path / "right", goldens=[Golden("Il dort.", answer)], code=SMALL)
    save_checkpoint(untrained(), LANGS, tmp_path / "wrong", goldens=[Golden("Il dort.", "He sleeps.")], code=SMALL)
    assert read_goldens(tmp_path / "right") == (Golden("Il dort.", answer),)
    Translator.load(tmp_path / "right", SMALL).self_test()
    with pytest.raises(GoldenMismatch) as refused:
        Translator.load(tmp_path / "wrong", SMALL).self_test()
    assert "Il dort." in str(refused.value)
    assert "He sleeps." in str(refused.value)
