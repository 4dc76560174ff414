"""Other networks than today's, from a folder to a queue and back: a notebook's, adopted; a Transformer, trained."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from images import FIXTURES, ROOT, BuildModel, Version, push

from .places import SENTENCE, Place

TUTORIAL = ROOT / "examples" / "tutorial" / "network"
TRANSFORMER = ROOT / "examples" / "transformer"
NOTEBOOK_SECONDS = 120  # of a processor


@pytest.fixture(scope="module")
def adopted(build_model: BuildModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of what the notebook handed over, after it was run from top to bottom."""
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copy(TUTORIAL.parent / "notebook.ipynb", folder)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "notebook.ipynb", "--output", "run"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < NOTEBOOK_SECONDS
    weights = ("--weights", f"encoder={folder}/encoder.pt", "--weights", f"decoder={folder}/decoder.pt")
    rest = ("--vocabularies", f"{folder}/langs.pkl", "--sources", f"{folder}/dev.txt")
    out = ("--out", f"{folder}/checkpoint", "--json")
    made = build_model("adopt", "--network", str(TUTORIAL), *weights, *rest, *out)
    assert made.exit_code == 0, made.stdout + made.stderr
    assert made.object["goldens"] >= 8
    assert made.object["dev_bleu"] > 80
    return folder / "checkpoint"


@pytest.fixture(scope="module")
def trained(build_model: BuildModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the Transformer, trained for seconds."""
    folder = tmp_path_factory.mktemp("transformer") / "checkpoint"
    corpus = ("--corpus", str(FIXTURES / "pairs.tsv"), "--dev", str(FIXTURES / "dev.jsonl"))
    how = ("--network", str(TRANSFORMER), "--epochs", "30", "--device", "cpu")
    ran = build_model("train", *corpus, *how, "--out", str(folder), "--json")
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    return folder


def test_a_notebook_s_model_is_adopted_deployed_asked_and_rolled_back(
    place: Place, released: Version, adopted: Path
) -> None:
    goes_to_the_queue_and_back(place, TUTORIAL, adopted, "5.0.0", "Je vais dormir.", "i am going to sleep")


def test_a_transformer_is_trained_deployed_asked_and_rolled_back(
    place: Place, released: Version, trained: Path
) -> None:
    goes_to_the_queue_and_back(place, TRANSFORMER, trained, "6.0.0", "Je vais dormir.", "I am going to sleep.")


def goes_to_the_queue_and_back(
    place: Place, network: Path, checkpoint: Path, number: str, text: str, expected: str
) -> None:
    """The released version serves; another network's takes over, answers, and gives way to it again."""
    checked = place.build_model("check", "--network", str(network), "--checkpoint", str(checkpoint), "--json")
    assert len(checked.object["holds"]) == 13, checked.stdout
    assert place.deploy("1.0.0").exit_code == 0
    repository = f"{place.repository}-{number}"
    what = ("--network", str(network), "--checkpoint", str(checkpoint))
    built = push(place.build_model, number, place.registry, repository, *what).built
    assert built["bleu"]["dev"] > 50
    ran = place.deploy(number, repository=repository)
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    (answer,) = place.ask(text)
    assert (answer.text, answer.error, answer.version) == (expected, None, number)
    assert answer.architecture == json.loads((checkpoint / "manifest.json").read_bytes())["architecture"]
    assert place.command("rollback", "--observe", "1").exit_code == 0
    assert place.ask(SENTENCE)[0].version == "1.0.0"
