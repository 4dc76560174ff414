"""Products in half precision, for any network: the same answers, and a manifest that says whether they serve."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from build_model.training.check import build_network, build_vocabularies
from build_model.training.serving import decide
from model.checkpoint import RELEASED, Golden, load_checkpoint, save_checkpoint, stored
from model.contract import Model
from model.dynamic import Matrix, by_column, dynamic
from model.folder import load_model
from model.search import greedy, ids_of
from model.translator import Translator

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = {
    "start": EXAMPLES / "start",
    "transformer": EXAMPLES / "transformer",
    "tutorial": EXAMPLES / "tutorial" / "network",
}
TEXTS = ["Je vais dormir.", "Il dort.", "Elle est contente.", "Le chat mange la souris.", "Où est la gare ?"]


def served_in_half(model: Model, **settings: int) -> tuple[torch.nn.Module, tuple]:
    """A network with the weights that a checkpoint of it would hold, and its vocabularies."""
    vocabularies = build_vocabularies(model, TEXTS)
    network = build_network(model, vocabularies)
    network = model.network(replace(network.config, **settings)).eval()
    network.load_state_dict({name: stored(tensor) for name, tensor in network.state_dict().items()})
    return network, vocabularies


@pytest.mark.parametrize("name", FOLDERS)
def test_a_network_with_packed_matrices_finds_what_it_found(name: str) -> None:
    model = load_model(FOLDERS[name])
    network, vocabularies = served_in_half(model)
    packed = dynamic(network, least=1)
    assert packed is not None
    ids = ids_of(*vocabularies, pads=model.pads)
    for text in TEXTS:
        source = torch.tensor([vocabularies[0].encode(text)])
        plain, quick = greedy(network, ids, source), greedy(packed, ids, source)
        assert [one.ids for one in quick] == [one.ids for one in plain]
        assert quick[0].score == pytest.approx(plain[0].score, abs=1e-4)
    assert not any(isinstance(parameter, Matrix) for parameter in network.parameters())  # it was copied


def test_a_matrix_that_serves_two_layers_is_packed_with_the_bias_of_each() -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = torch.nn.Linear(80, 80), torch.nn.Linear(80, 80)
            self.other.weight = self.one.weight
            self.bare = torch.nn.Linear(80, 80, bias=False)
            self.bare.weight = self.one.weight

    tied = Tied().half().float().eval()
    packed, features = dynamic(tied, least=1), torch.randn(3, 80)
    for _ in range(2):
        for name in ("one", "other", "bare"):
            found, expected = getattr(packed, name)(features), getattr(tied, name)(features)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_a_network_of_small_matrices_is_left_alone() -> None:
    assert dynamic(torch.nn.Linear(8, 8)) is None


@pytest.mark.parametrize("name", FOLDERS)
def test_a_network_whose_matrices_lie_by_column_finds_what_it_found(name: str) -> None:
    model = load_model(FOLDERS[name])
    network, vocabularies = served_in_half(model)
    turned, ids = by_column(network), ids_of(*vocabularies, pads=model.pads)
    for text in TEXTS:
        source = torch.tensor([vocabularies[0].encode(text)])
        plain, quick = greedy(network, ids, source), greedy(turned, ids, source)
        assert [one.ids for one in quick] == [one.ids for one in plain]
        assert quick[0].score == pytest.approx(plain[0].score, abs=1e-4)
    pairs = list(zip(network.named_parameters(), turned.parameters(), strict=True))
    assert all(torch.equal(parameter, other) for (_, parameter), other in pairs)
    assert all(parameter.is_contiguous() for (_, parameter), _ in pairs)  # what is saved again is as it was
    assert any(not other.is_contiguous() for _, other in pairs)


@pytest.mark.parametrize("layer", [torch.nn.GRU, torch.nn.LSTM, torch.nn.RNN, torch.nn.TransformerEncoderLayer])
def test_every_layer_of_torch_s_gives_the_same_with_its_matrices_by_column(layer: Any) -> None:
    torch.manual_seed(1)
    one = layer(32, 4 if layer is torch.nn.TransformerEncoderLayer else 32).eval()
    features = torch.randn(5, 3, 32)
    with torch.inference_mode():
        found, expected = by_column(one)(features), one(features)
    same = zip(*((part if isinstance(part, tuple) else (part,)) for part in (found, expected)), strict=True)
    for given, wanted in [(a, b) for a, b in same if isinstance(a, torch.Tensor)]:
        torch.testing.assert_close(given, wanted)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of a Transformer with matrices worth packing, which learnt nothing, with one golden."""
    code = FOLDERS["transformer"]
    network, vocabularies = served_in_half(load_model(code), width=256)
    save_checkpoint(network, vocabularies, tmp_path, code=code)
    answer = Translator.load(tmp_path, code).translate([TEXTS[0]])[0].text
    save_checkpoint(network, vocabularies, tmp_path, goldens=[Golden(TEXTS[0], answer)], code=code)
    return tmp_path


@pytest.mark.parametrize("path", ["dynamic", "plain"])
def test_a_checkpoint_is_served_as_its_manifest_says(folder: Path, path: str) -> None:
    checkpoint = load_checkpoint(folder, FOLDERS["transformer"])
    assert Translator(checkpoint).path == "plain"
    translator = Translator(replace(checkpoint, manifest=replace(checkpoint.manifest, serving={"path": path})))
    assert (translator.path, translator.sentences_per_second) == (path, 0)
    translator.self_test()
    assert translator.sentences_per_second > 0


def test_which_path_serves_is_tried_and_its_speed_beside_the_plain_one_is_recorded(folder: Path) -> None:
    found = decide(folder, code=FOLDERS["transformer"])
    assert found is not None
    assert found["path"] in ("dynamic", "plain")
    assert found["sentences_per_second"] > 0
    assert found["times_plain"] == 1 if found["path"] == "plain" else found["times_plain"] >= 1.05


def test_products_that_change_a_golden_do_not_serve(folder: Path) -> None:
    code = FOLDERS["transformer"]
    checkpoint = load_checkpoint(folder, code)
    wrong = [Golden(TEXTS[0], "Something else.")]
    save_checkpoint(checkpoint.network, checkpoint.vocabularies, folder, goldens=wrong, code=code)
    found = decide(folder, code=code)
    assert found is not None
    assert found["path"] == "plain"


def test_the_released_checkpoint_says_how_it_is_served() -> None:
    checkpoint = load_checkpoint(RELEASED)
    assert checkpoint.manifest.serving is not None
    assert checkpoint.manifest.serving["path"] == Translator(checkpoint).path
