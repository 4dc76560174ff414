"""Training on a hand-written corpus: it learns, it resumes, it repeats, it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest

from build_model.training import training
from build_model.training.assembly import SettingUnknown
from build_model.training.corpus import Example, read_corpus, read_examples
from build_model.training.evaluation import evaluate
from build_model.training.mixture import Mixture, mix
from build_model.training.restamp import RestampRefused, restamp
from build_model.training.state import STATE, TrainingStateError
from build_model.training.training import METRICS, PLOT, Recipe, Step
from model.checkpoint import Golden, load_checkpoint, save_checkpoint
from model.fingerprint import MANIFEST, Manifest
from model.translator import Translator

ROOT = Path(__file__).parents[2]
FIXTURES, SMALL = ROOT / "tests" / "fixtures", ROOT / "tests" / "small"
train = partial(training.train, code=SMALL)
RECIPE = Recipe(epochs=80, source_vocabulary=800, settings={"width": 64})
Dev = dict[str, tuple[Example, ...]]


@pytest.fixture(scope="module")
def corpus() -> Mixture:
    return mix([read_corpus(str(FIXTURES / "pairs.tsv"), ("fra", "eng"))], ("fra", "eng"), slots=True)


@pytest.fixture(scope="module")
def dev() -> Dev:
    return {"dev": read_examples(FIXTURES / "dev.jsonl")}


@pytest.fixture(scope="module")
def trained(corpus: Mixture, dev: Dev, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "checkpoint"
    train(corpus, dev, RECIPE, folder)
    return folder


def losses(folder: Path) -> list[float]:
    found: list[float] = json.loads((folder / METRICS).read_bytes())["first_losses"]
    return found


def test_it_learns_a_small_corpus_by_heart(trained: Path, dev: Dev) -> None:
    translator = Translator.load(trained, SMALL)
    translator.self_test()
    scores = evaluate(translator, dev["dev"]).scores
    assert scores.bleu > 80
    assert asdict(scores) == load_checkpoint(trained, SMALL).manifest.training["scores"]["dev"]


def test_it_leaves_a_checkpoint_with_goldens_scores_metrics_and_a_plot(trained: Path) -> None:
    loaded = load_checkpoint(trained, SMALL)
    assert loaded.goldens
    assert loaded.manifest.outputs
    assert "nrefs" in loaded.manifest.training["scores"]["dev"]["bleu_signature"]
    assert losses(trained)[-1] < losses(trained)[0]
    assert (trained / PLOT).read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_losses_and_another_gives_others(corpus, dev, tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        train(corpus, dev, replace(RECIPE, epochs=2, seed=seed), tmp_path / name)
    assert losses(tmp_path / "one") == losses(tmp_path / "two")
    assert losses(tmp_path / "one") != losses(tmp_path / "three")


def test_a_stopped_training_goes_on_as_if_it_hadn_t_been(corpus, dev, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=3)
    train(corpus, dev, recipe, tmp_path / "whole")
    steps = iter(range(1000))
    train(corpus, dev, recipe, tmp_path / "parts", stopped=lambda: next(steps) >= 11)
    assert len(losses(tmp_path / "parts")) < len(losses(tmp_path / "whole"))
    train(corpus, dev, recipe, tmp_path / "parts", resume=True)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def test_progress_is_reported(corpus, dev, tmp_path: Path) -> None:
    events: list[object] = []
    train(corpus, dev, replace(RECIPE, epochs=4), tmp_path / "run", report=events.append)
    shown = [event for event in events if isinstance(event, Step)]
    assert shown
    assert all(0 < event.done <= 1 and event.tokens_per_second > 0 for event in shown)


def test_a_new_training_never_writes_over_an_old_one(trained: Path, corpus, dev) -> None:
    with pytest.raises(TrainingStateError, match="--resume"):
        train(corpus, dev, RECIPE, trained)


def test_resuming_what_never_started_is_refused(corpus, dev, tmp_path: Path) -> None:
    with pytest.raises(TrainingStateError, match="without --resume"):
        train(corpus, dev, RECIPE, tmp_path / "none", resume=True)


def test_a_setting_that_the_network_has_not_is_named(corpus, dev, tmp_path: Path) -> None:
    with pytest.raises(SettingUnknown, match=r"depth.*width"):
        train(corpus, dev, replace(RECIPE, settings={"depth": 3}), tmp_path / "run")


def test_resuming_with_another_recipe_is_refused_by_name(trained: Path, corpus, dev) -> None:
    with pytest.raises(TrainingStateError, match="seed"):
        train(corpus, dev, replace(RECIPE, seed=9), trained, resume=True)


def run_train(out: Path, *options: str) -> "subprocess.Popen[str]":
    command = [
        "train",
        "--corpus",
        str(FIXTURES / "pairs.tsv"),
        "--dev",
        str(FIXTURES / "dev.jsonl"),
        "--network",
        str(SMALL),
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "build_model.cli.app", *command, "--out", str(out), *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "build")])},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_training_that_was_interrupted_or_killed_resumes(tmp_path: Path, number: signal.Signals) -> None:
    first = run_train(tmp_path / "run", "--epochs", "5000")
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / STATE).exists():  # it is there from the first step on
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(2)  # into the training
    first.send_signal(number)
    message = first.communicate(timeout=120)[1]
    assert first.returncode == (0 if number is signal.SIGINT else -number)
    assert "Traceback" not in message
    if number is signal.SIGINT:
        assert Translator.load(tmp_path / "run", SMALL).translate(["Je vais dormir."])[0].text
    second = run_train(tmp_path / "run", "--epochs", "2", "--resume")
    assert second.communicate(timeout=120)[1].count("Traceback") == 0
    assert second.returncode == 0
    assert (tmp_path / "run" / STATE).exists()


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", tmp_path], check=False).returncode
    ):
        pytest.skip("a disk of 300 kB takes root and mount")
    try:
        run = run_train(tmp_path / "run", "--epochs", "2")
        message = run.communicate(timeout=120)[1]
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert run.returncode == 1
    assert "Traceback" not in message
    assert "Make room" in message


def test_restamp_accepts_code_that_changes_no_output(trained: Path, dev, tmp_path: Path) -> None:
    before = Manifest.read(trained)
    stale = replace(before, code={**before.code, "network/vocabulary.py": "0" * 64}, architecture="0" * 64)
    stale.write(trained)
    done = restamp(trained, dev["dev"], SMALL)
    assert (done.goldens, done.outputs) == (len(load_checkpoint(trained, SMALL).goldens), len(dev["dev"]))
    assert Manifest.read(trained) == before


def test_restamp_refuses_when_one_output_changes(trained: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(trained, SMALL)
    wrong = [*loaded.goldens[:-1], Golden(loaded.goldens[-1].source, "Something else.")]
    save_checkpoint(loaded.network, loaded.vocabularies, tmp_path / "wrong", goldens=wrong, code=SMALL)
    before = (tmp_path / "wrong" / MANIFEST).read_bytes()
    with pytest.raises(RestampRefused, match=r"Something else\."):
        restamp(tmp_path / "wrong", code=SMALL)
    assert (tmp_path / "wrong" / MANIFEST).read_bytes() == before


def test_restamp_refuses_when_a_dev_output_changes(trained: Path, dev) -> None:
    with pytest.raises(RestampRefused, match="one changed"):
        restamp(trained, dev["dev"][:-1], SMALL)


def test_restamp_refuses_with_nothing_to_compare(trained: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(trained, SMALL)
    save_checkpoint(loaded.network, loaded.vocabularies, tmp_path / "bare", code=SMALL)
    with pytest.raises(RestampRefused, match="--dev"):
        restamp(tmp_path / "bare", code=SMALL)
