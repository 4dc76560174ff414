"""Other networks than today's, from a folder to a queue and back: a notebook's, adopted; a Transformer, trained."""

import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from images import FIXTURES, ROOT, BuildModel, Version, push

from model.checkpoint import read_goldens

from .places import SENTENCE, Place

TUTORIAL = ROOT / "examples" / "tutorial" / "network"
TRANSFORMER = ROOT / "examples" / "transformer"
NOTEBOOK_SECONDS = 120  # of a processor


@pytest.fixture(scope="module")
def handed_over(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the notebook left its model, after it was run there from top to bottom."""
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copy(TUTORIAL.parent / "notebook.ipynb", folder)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "notebook.ipynb", "--output", "run"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < NOTEBOOK_SECONDS
    return folder


@pytest.fixture(scope="module")
def adopted(handed_over: Path, repository: str) -> Path:
    """The checkpoint that the README's page makes of it: every line of the page is run, one after the other."""
    for name, fixture in (("pairs.tsv", "pairs.tsv"), ("dev.jsonl", "dev.jsonl"), ("test.jsonl", "dev.jsonl")):
        shutil.copy(FIXTURES / fixture, handed_over / name)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "build")])
    environment = {**os.environ, "PYTHONPATH": paths, "DRAGOMAN_REPOSITORY": f"{repository}-page"}
    for code in page():
        ran = subprocess.run(
            code, shell=True, cwd=handed_over, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"{code}\n{ran.stdout}{ran.stderr}"
        if " translate " in code:
            assert ran.stdout == "i am going to sleep\n"
        if " adopt " in code:
            assert float(re.findall(r"dev_bleu: (\S+)", ran.stdout)[0]) > 80
        if " --version " in code:
            assert "BLEU on dev " in ran.stdout
    assert len(read_goldens(handed_over / "runs" / "two")) == 2
    return handed_over / "runs" / "one"


def page() -> Iterator[str]:
    """What the README's page on networks has a reader run, as lines of a shell; a training is cut short."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## A notebook's model becomes a version\n")[1].split("\n## ")[0]
    for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", section, re.MULTILINE):
        code = textwrap.dedent(block).strip()
        if code.startswith("from "):
            yield f"{sys.executable} -c {shlex.quote(code)}"
            continue
        lines = code.replace("\\\n", " ").replace("--minutes 100", "--epochs 2 --device cpu").splitlines()
        yield from (line.replace("build-model", f"{sys.executable} -m build_model", 1) for line in lines)


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
    reference = f"{place.registry}/{repository}:{number}"
    again = place.build_model("verify", reference, "--rebuild", *what, "--json")
    assert again.exit_code == 0, again.stdout
    assert again.object["rebuilt"] is True
    mixed = place.build_model("verify", reference, "--rebuild", *what[:2], "--json")
    assert "name both of one, --network DIR and --checkpoint DIR" in mixed.object["message"]
    ran = place.deploy(number, repository=repository)
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    (answer,) = place.ask(text)
    assert (answer.text, answer.error, answer.version) == (expected, None, number)
    assert answer.architecture == json.loads((checkpoint / "manifest.json").read_bytes())["architecture"]
    assert place.command("rollback", "--observe", "1").exit_code == 0
    assert place.ask(SENTENCE)[0].version == "1.0.0"
