"""Training: a mixture of corpora to a checkpoint, resumable at any moment.

A training folder is a checkpoint folder as soon as the first dev score is in. Beside the checkpoint lie
``metrics.json``, ``training.png`` and ``training.safetensors``, the state that a later run goes on from.
"""

import copy
import json
import math
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors import SafetensorError

from build_model.training.assembly import assemble
from build_model.training.completion import complete
from build_model.training.corpus import Example
from build_model.training.evaluation import Scores, evaluate
from build_model.training.golden import choose_goldens
from build_model.training.mixture import Mixture
from build_model.training.noise import retype
from build_model.training.plot import plot_training
from build_model.training.rounds import Plan, Rounds
from build_model.training.schedule import Schedule
from build_model.training.state import Position, State, average_into, check_folder
from build_model.training.step import Stepper, choose_device
from model.checkpoint import Vocabularies, load_checkpoint, load_vocabularies, save_checkpoint
from model.errors import DragomanError
from model.fingerprint import lang_file, lang_names
from model.folder import NETWORK, load_model
from model.translator import Translator

METRICS, PLOT, CANDIDATE = "metrics.json", "training.png", "candidate"
FIRST_LOSSES = 100  # recorded one by one, to compare two runs of the same seed
_SAVE_SECONDS = 120.0
_SCORED_APART = 0.05  # dev scores come at the ends of rounds, at least this share of the training apart
_VOCABULARY_PAIRS = 600_000  # drawn for the vocabulary
_SHOWN_SECONDS = 5.0
_SHOWN_STEPS = 20  # or after so many; the loss shown is their mean


class DiskFullError(DragomanError):
    """The training folder can't be written."""


@dataclass(frozen=True)
class Recipe:
    """How to train; what decides the first losses beside corpus and machine.

    Attributes:
        seed: of vocabulary noise, initial weights, order and dropout.
        minutes: length of the training over all of its runs, or None.
        epochs: the same in passes over the corpora, or None; one of the two is given.
        source_vocabulary, target_vocabulary: most tokens of each language; a shared vocabulary has the source's number.
        settings: fields of the network's config, the numbers of tokens aside.
        batch_tokens: source and target tokens a batch, padding included.
        peak_rate: Adam's learning rate after the warm-up; it falls to 0 along a cosine.
        warmup_steps: steps until ``peak_rate``, or a tenth of the training where that is less.
        label_smoothing: share of the probability spread over all tokens (Szegedy et al. 2016).
        averaging: decay a step of the moving average of the weights, which is what is evaluated and kept.
        clip_norm: largest norm of a gradient.
    """

    seed: int = 1
    minutes: float | None = None
    epochs: int | None = None
    source_vocabulary: int = 8000
    target_vocabulary: int = 8000
    settings: Mapping[str, Any] = field(default_factory=dict)
    batch_tokens: int = 5120
    peak_rate: float = 1.6e-3
    warmup_steps: int = 400
    label_smoothing: float = 0.1
    averaging: float = 0.9993
    clip_norm: float = 1.0


@dataclass(frozen=True)
class Step:
    """Progress after some steps. ``done`` is 0 to 1; ``seconds_left`` estimates the rest of the training."""

    step: int
    epoch: int
    loss: float
    tokens_per_second: float
    done: float
    seconds_left: float


@dataclass(frozen=True)
class DevScore:
    """Scores on the dev sets by name; ``best`` says whether these weights became the checkpoint."""

    step: int
    epochs: float
    minutes: float
    scores: Mapping[str, Scores]
    best: bool


@dataclass(frozen=True)
class Stage:
    """Something that takes a while and is no step of the training."""

    name: str


Report = Callable[[Step | DevScore | Stage], None]


def train(
    mixture: Mixture,
    dev: Mapping[str, Sequence[Example]],
    recipe: Recipe,
    folder: Path,
    *,
    code: Path = NETWORK,
    device: str = "auto",
    resume: bool = False,
    report: Report = lambda event: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Position:
    """Trains until the recipe's end, or until ``stopped()``, and leaves the best checkpoint on dev in ``folder``.

    Args:
        dev: sets by name; the best checkpoint has the best mean of their BLEU scores. The first chooses the goldens.
        code: the network's folder.
        device: ``cpu``, ``cuda``, or ``auto`` for the best there is.
        resume: go on with the training in ``folder`` instead of starting one.
        report: called with progress and with dev scores.
        stopped: asked after each step.

    Raises:
        TrainingStateError: ``resume`` without a training of this corpus and recipe, or a new training over an old one.
        SettingUnknown: a setting of the recipe isn't one of the network's.
        DiskFullError: the folder can't be written; what was written before stands.
        DeviceUnavailable: CUDA was asked for and isn't there.
    """
    check_folder(folder, resume=resume)
    training = _Training(mixture, dev, recipe, folder, code, choose_device(device), resume=resume)
    try:
        return training.run(report, stopped)
    except (OSError, SafetensorError) as error:
        raise DiskFullError(
            f"{folder} can't be written: {getattr(error, 'strerror', None) or error}. "
            "Make room there, then go on with --resume."
        ) from None
    finally:
        training.rounds.close()


class _Training:
    """One training, from its parts: rounds, steps, schedule, state."""

    def __init__(
        self,
        mixture: Mixture,
        dev: Mapping[str, Sequence[Example]],
        recipe: Recipe,
        folder: Path,
        code: Path,
        device: torch.device,
        *,
        resume: bool,
    ) -> None:
        self.mixture, self.dev, self.recipe, self.folder, self.code = mixture, dev, recipe, folder, code
        self.model = load_model(code)
        torch.manual_seed(recipe.seed)
        self.vocabularies = load_vocabularies(folder, self.model) if resume else self._build_vocabularies()
        source, target = self.vocabularies
        network = assemble(self.model, recipe.settings, self.vocabularies).to(device)
        average = assemble(self.model, recipe.settings, self.vocabularies).to(device).eval()
        average.load_state_dict(network.state_dict())
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=recipe.peak_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        identity = {**asdict(recipe), "minutes": None, "epochs": None, "corpus": mixture.sha256}
        self.state = State(network, average, optimizer, identity)
        self.position = self.state.restore(folder) if resume else Position()
        self.step = Stepper(
            network,
            optimizer,
            pads=(source.pad, target.pad),
            bos=target.bos,
            smoothing=recipe.label_smoothing,
            clip_norm=recipe.clip_norm,
        )
        self.schedule = Schedule(recipe.minutes, recipe.epochs, recipe.peak_rate, recipe.warmup_steps)
        texts = tuple(vocabulary.to_json() for vocabulary in self.vocabularies)
        languages = (self.model.source, self.model.target)
        self.rounds = Rounds(Plan(mixture, languages, texts, code, self.model.pads, recipe.batch_tokens, recipe.seed))
        self.batches = len(self.rounds.get(self.position.round))

    def run(self, report: Report, stopped: Callable[[], bool]) -> Position:
        saved = time.monotonic()
        shown = _Shown()
        if self.position.step == 0:
            self.state.save(self.folder, self.position)  # so that a kill in the first minutes can be resumed too
        while self._done() < 1 and not stopped():
            report(Stage(f"drawing and encoding round {self.position.round}"))
            batches = self.rounds.get(self.position.round)
            self.batches = len(batches)
            while self.position.batch < len(batches) and self._done() < 1 and not stopped():
                started = time.monotonic()
                loss, tokens = self._take(batches[self.position.batch])
                seconds = time.monotonic() - started
                self.position.seconds += seconds
                if shown.add(loss, tokens, seconds):
                    self.position.losses.append((self.position.step, shown.loss))
                    report(self._progress(shown))
                    shown = _Shown()
                if time.monotonic() - saved > _SAVE_SECONDS:
                    self.state.save(self.folder, self.position)
                    saved = time.monotonic()
            over = self.position.batch >= len(batches)
            if over:
                self.position.round, self.position.batch = self.position.round + 1, 0
                self.position.pairs += self.rounds.pairs
            if self._done() >= 1 or (over and self._done() - self.position.scored >= _SCORED_APART):
                self._score(report)
            self.state.save(self.folder, self.position)
        if not self.position.dev:
            self._score(report)
        self._finish(report)
        return self.position

    def _take(self, batch: Any) -> tuple[float, int]:
        """A step on a batch; returns the loss in nats a token and the number of tokens."""
        position = self.position
        position.step += 1
        steps_per_epoch = self.batches * self.mixture.pairs / self.rounds.pairs
        loss, tokens = self.step(batch, self.schedule.rate(position.step, self._done(), steps_per_epoch))
        average_into(
            list(self.state.average.parameters()),
            list(self.state.network.parameters()),
            position.step,
            self.recipe.averaging,
        )
        position.batch += 1
        if len(position.first_losses) < FIRST_LOSSES:
            position.first_losses.append(loss)
        return loss, tokens

    def _done(self) -> float:
        return self.schedule.done(self.position.seconds, self._epochs())

    def _epochs(self) -> float:
        """Passes over the corpora so far, by the number of pairs."""
        inside = self.position.batch / self.batches * self.rounds.pairs
        return (self.position.pairs + inside) / self.mixture.pairs

    def _progress(self, shown: "_Shown") -> Step:
        done = self._done()
        return Step(
            step=self.position.step,
            epoch=int(self._epochs()) + 1,
            loss=shown.loss,
            tokens_per_second=shown.tokens / shown.seconds,
            done=done,
            seconds_left=self.position.seconds * (1 - done) / done if done else math.inf,
        )

    def _build_vocabularies(self) -> Vocabularies:
        """Builds and saves them; of sources as they are typed, so that words without accents are known."""
        model, recipe = self.model, self.recipe
        random = Random(f"{recipe.seed}-vocabulary")
        pairs = self.mixture.draw(min(self.mixture.pairs, _VOCABULARY_PAIRS), random)
        sources = [retype(text, random, model.source) for text, _ in pairs]
        targets = [text for _, text in pairs]
        if model.shared:
            shared = model.vocabulary.build(
                f"{model.source}-{model.target}", sources + targets, recipe.source_vocabulary
            )
            found: Vocabularies = (shared, shared)
        else:
            found = (
                model.vocabulary.build(model.source, sources, recipe.source_vocabulary),
                model.vocabulary.build(model.target, targets, recipe.target_vocabulary),
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, vocabulary in zip(lang_names(model), found, strict=False):
                (self.folder / lang_file(name)).write_text(vocabulary.to_json(), encoding="utf-8", newline="\n")
        except OSError as error:
            raise DiskFullError(f"{self.folder} can't be written: {error.strerror}. Choose another --out.") from None
        return found

    def _score(self, report: Report) -> None:
        """Scores the averaged weights, as they are stored, on the dev sets; the best become the checkpoint."""
        report(Stage("scoring the dev sets"))
        candidate = self.folder / CANDIDATE
        kept: Any = copy.deepcopy(self.state.average)
        if hasattr(kept, "settle"):
            kept.settle()
        save_checkpoint(kept, self.vocabularies, candidate, training=self._training(), code=self.code)
        translator = Translator.load(candidate, self.code)
        scores = {name: evaluate(translator, examples).scores for name, examples in self.dev.items()}
        mean = sum(each.bleu for each in scores.values()) / len(scores)
        best = mean > self.position.best
        if best:
            self.position.best = mean
            for path in candidate.iterdir():
                path.replace(self.folder / path.name)
        shutil.rmtree(candidate)
        minutes = self.position.seconds / 60
        event = DevScore(self.position.step, self._epochs(), minutes, scores, best)
        self.position.scored = self._done()
        shown = {name: {"bleu": each.bleu, "chrf": each.chrf} for name, each in scores.items()}
        chrf = sum(each.chrf for each in scores.values()) / len(scores)
        self.position.dev.append({"step": event.step, "minutes": minutes, "bleu": mean, "chrf": chrf, "sets": shown})
        self._write_metrics()
        report(event)

    def _training(self) -> dict[str, Any]:
        """What the manifest says of how the weights came about."""
        parts = [
            {"name": part.corpus.name, "sha256": part.corpus.sha256, "pairs": len(part.kept), "share": part.share}
            for part in self.mixture.parts
        ]
        return {
            "corpus": self.mixture.name,
            "corpus_sha256": self.mixture.sha256,
            "corpora": parts,
            "pairs": self.mixture.pairs,
            "seed": self.recipe.seed,
            "epochs": round(self._epochs(), 2),
            "minutes": round(self.position.seconds / 60, 1),
            "steps": self.position.step,
            "commit": _commit(),
        }

    def _finish(self, report: Report) -> None:
        """Adds goldens, the outputs' digest and the scores to the best checkpoint, metrics and plot beside it."""
        report(Stage("choosing goldens and scoring the best checkpoint"))
        best = load_checkpoint(self.folder, self.code)
        first = next(iter(self.dev.values()))
        goldens = choose_goldens(best, [example.source for example in first])
        complete(self.folder, goldens, self.dev, self.code)
        self._write_metrics()
        plot_training(self.position.losses, self.position.dev, self.folder / PLOT)

    def _write_metrics(self) -> None:
        metrics = {"recipe": asdict(self.recipe), **asdict(self.position)}
        path = self.folder / METRICS
        partial = path.with_suffix(path.suffix + ".part")
        partial.write_bytes((json.dumps(metrics, indent=1) + "\n").encode())
        partial.replace(path)


class _Shown:
    """The mean loss and the speed over the last steps."""

    def __init__(self) -> None:
        self._losses: list[float] = []
        self.tokens = 0
        self.seconds = 0.0

    @property
    def loss(self) -> float:
        return sum(self._losses) / len(self._losses)

    def add(self, loss: float, tokens: int, seconds: float) -> bool:
        """Counts a step; true when it is time to show."""
        self._losses.append(loss)
        self.tokens += tokens
        self.seconds += seconds
        return len(self._losses) >= _SHOWN_STEPS or self.seconds >= _SHOWN_SECONDS


def _commit() -> str | None:
    """The commit of the code that is running; None outside a repository."""
    try:
        found = subprocess.run(
            ["git", "-C", Path(__file__).parent, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
