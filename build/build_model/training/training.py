"""Training: a corpus to a checkpoint, resumable at any moment.

A training folder is a checkpoint folder as soon as the first dev score is in. Beside the checkpoint lie
``metrics.json``, ``training.png`` and ``training.safetensors``, the state that a later run goes on from. Nothing is
pickled.
"""

import ctypes
import json
import math
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its name everywhere)

from build_model.training.batching import batches
from build_model.training.corpus import Corpus, Example
from build_model.training.evaluation import Scores, evaluate, outputs_digest, record, score
from build_model.training.golden import choose_goldens
from build_model.training.noise import retype
from build_model.training.plot import plot_training
from model.checkpoint import load_checkpoint, save_checkpoint
from model.errors import CheckpointFormatError, DragomanError
from model.fingerprint import MANIFEST, lang_file
from model.network.architecture import Config, Seq2Seq
from model.network.normalize import normalize
from model.network.vocabulary import BOS, PAD, Lang
from model.search import greedy, pad
from model.translator import Translator, translate_sentences

STATE, METRICS, PLOT = "training.safetensors", "metrics.json", "training.png"
FIRST_LOSSES = 100  # recorded one by one, to compare two runs of the same seed
_SAVE_SECONDS = 120.0
_SCORED_APART = 0.05  # dev scores come at the ends of epochs, at least this share of the training apart
_LEAST_BATCHES = 8  # an epoch; a small corpus gets smaller batches, so that it takes enough steps
_SHOWN_SECONDS = 5.0
_SHOWN_STEPS = 20  # or after so many; the loss shown is their mean


class TrainingStateError(DragomanError):
    """There is no training to go on with, or another one than asked for, or a new one would write over it."""


class DiskFullError(DragomanError):
    """The training folder can't be written."""


class DeviceUnavailable(DragomanError):
    """The device that was asked for isn't there."""


@dataclass(frozen=True)
class Recipe:
    """How to train; what decides the first losses beside corpus and machine.

    Attributes:
        seed: of vocabulary noise, initial weights, order and dropout.
        minutes: length of the training over all of its runs, or None.
        epochs: the same in passes over the corpus, or None; one of the two is given.
        source_vocabulary, target_vocabulary: most tokens of each language.
        width: of the network.
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
    source_vocabulary: int = 6000
    target_vocabulary: int = 4000
    width: int = 256
    batch_tokens: int = 2560
    peak_rate: float = 1.5e-3
    warmup_steps: int = 400
    label_smoothing: float = 0.1
    averaging: float = 0.9995
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
    """A dev score; ``best`` says whether its weights became the checkpoint."""

    step: int
    epochs: float
    minutes: float
    scores: Scores
    best: bool


@dataclass(frozen=True)
class Stage:
    """Something that takes a while and is no step of the training."""

    name: str


@dataclass
class Position:
    """Where a training stands; it travels in the state file as JSON."""

    epoch: int = 1
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_bleu: float = -1.0
    scored: float = 0.0
    first_losses: list[float] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)
    dev: list[dict[str, Any]] = field(default_factory=list)


Report = Callable[[Step | DevScore | Stage], None]


def train(
    corpus: Corpus,
    dev: Sequence[Example],
    recipe: Recipe,
    folder: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    report: Report = lambda event: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Position:
    """Trains until the recipe's end, or until ``stopped()``, and leaves the best checkpoint on dev in ``folder``.

    Args:
        device: ``cpu``, ``cuda``, or ``auto`` for the best there is.
        resume: go on with the training in ``folder`` instead of starting one.
        report: called with progress and with dev scores.
        stopped: asked after each step.

    Raises:
        TrainingStateError: ``resume`` without a training of this corpus and recipe, or a new training over an old one.
        DiskFullError: the folder can't be written; what was written before stands.
        DeviceUnavailable: CUDA was asked for and isn't there.
    """
    return _Training(corpus, dev, recipe, folder, device=torch.device(_choose_device(device)), resume=resume).run(
        report, stopped
    )


class _Training:
    """One training: the weights, their average, the optimiser and the position."""

    def __init__(
        self,
        corpus: Corpus,
        dev: Sequence[Example],
        recipe: Recipe,
        folder: Path,
        *,
        device: torch.device,
        resume: bool,
    ) -> None:
        self.corpus, self.dev, self.recipe, self.folder, self.device = corpus, dev, recipe, folder, device
        self.identity = {**asdict(recipe), "minutes": None, "epochs": None, "corpus": corpus.sha256}
        state = self._find_state(resume)
        _keep_freed_memory()
        torch.manual_seed(recipe.seed)
        if resume:
            self.langs = (Lang.load(folder / lang_file("fra")), Lang.load(folder / lang_file("eng")))
        else:
            self.langs = self._build_langs()
        source, target = self.langs
        self.source_ids = [source.encode(text) for text, _ in corpus.pairs]
        self.target_ids = [target.encode(text) for _, text in corpus.pairs]
        config = Config(len(source), len(target), width=recipe.width)
        self.model = Seq2Seq(config).to(device)
        self.average = Seq2Seq(config).to(device).eval()
        self.average.load_state_dict(self.model.state_dict())
        self.names = [name for name, _ in self.model.named_parameters()]
        self.parameters = list(self.model.parameters())
        self.averaged = list(self.average.parameters())
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=recipe.peak_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.steps_per_epoch = 1
        self.position = Position()
        if resume:
            self._restore(state)

    def run(self, report: Report, stopped: Callable[[], bool]) -> Position:
        saved = time.monotonic()
        shown = _Shown()
        try:
            if self.position.step == 0:
                self._save()  # so that a kill in the first minutes can be resumed too
            while not self._finished() and not stopped():
                report(Stage(f"typing and batching the corpus for epoch {self.position.epoch}"))
                sources, order = self._epoch()
                self.steps_per_epoch = len(order)
                while self.position.batch < len(order) and not self._finished() and not stopped():
                    started = time.monotonic()
                    loss, tokens = self._step(sources, order[self.position.batch])
                    self.position.batch += 1
                    self.position.seconds += time.monotonic() - started
                    if shown.add(loss, tokens, time.monotonic() - started):
                        self.position.losses.append((self.position.step, shown.loss))
                        report(self._progress(shown))
                        shown = _Shown()
                    if time.monotonic() - saved > _SAVE_SECONDS:
                        self._save()
                        saved = time.monotonic()
                over = self.position.batch >= len(order)
                if over:
                    self.position.epoch, self.position.batch = self.position.epoch + 1, 0
                if self._finished() or (over and self._done() - self.position.scored >= _SCORED_APART):
                    self._score(report)
                self._save()
            if not self.position.dev:
                self._score(report)
            self._finish(report)
        except (OSError, SafetensorError) as error:
            raise DiskFullError(
                f"{self.folder} can't be written: {getattr(error, 'strerror', None) or error}. "
                "Make room there, then go on with --resume."
            ) from None
        return self.position

    def _step(self, sources: Sequence[Sequence[int]], batch: Sequence[int]) -> tuple[float, int]:
        """One update; returns the loss in nats a token and the number of source and target tokens."""
        source = pad([sources[number] for number in batch]).to(self.device)
        target = pad([self.target_ids[number] for number in batch]).to(self.device)
        inputs = torch.cat((target.new_full((len(batch), 1), BOS), target[:, :-1]), 1)
        self.position.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.model.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=_has_bfloat16(self.device)):
            logits = self.model(source, inputs)
        loss = F.cross_entropy(
            logits.float().flatten(0, 1),
            target.flatten(),
            ignore_index=PAD,
            label_smoothing=self.recipe.label_smoothing,
        )
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._average()
        value = loss.item()
        if len(self.position.first_losses) < FIRST_LOSSES:
            self.position.first_losses.append(value)
        return value, int((source != PAD).sum() + (target != PAD).sum())

    def _average(self) -> None:
        step = self.position.step
        decay = min(self.recipe.averaging, (1 + step) / (10 + step))  # short at first: early weights are soon forgotten
        torch._foreach_lerp_(
            [parameter.data for parameter in self.averaged],
            [parameter.data for parameter in self.parameters],
            1 - decay,
        )

    def _rate(self) -> float:
        """Linear warm-up over steps, then a cosine over what the recipe counts; so no clock decides the first steps."""
        recipe, step = self.recipe, self.position.step
        warmup = recipe.warmup_steps
        if recipe.epochs is not None:
            warmup = min(warmup, max(1, recipe.epochs * self.steps_per_epoch // 10))
        if step < warmup:
            return recipe.peak_rate * step / warmup
        return recipe.peak_rate * 0.5 * (1 + math.cos(math.pi * self._done()))

    def _done(self) -> float:
        """The share of the training that is behind, 0 to 1."""
        if self.recipe.minutes is not None:
            return min(1.0, self.position.seconds / (60 * self.recipe.minutes))
        return min(1.0, self._epochs() / (self.recipe.epochs or 1))

    def _epochs(self) -> float:
        """Passes over the corpus so far."""
        return self.position.epoch - 1 + self.position.batch / self.steps_per_epoch

    def _finished(self) -> bool:
        if self.recipe.minutes is not None:
            return self.position.seconds >= 60 * self.recipe.minutes
        return self.position.epoch > (self.recipe.epochs or 0)

    def _progress(self, shown: "_Shown") -> Step:
        done = self._done()
        return Step(
            step=self.position.step,
            epoch=self.position.epoch,
            loss=shown.loss,
            tokens_per_second=shown.tokens / shown.seconds,
            done=done,
            seconds_left=self.position.seconds * (1 - done) / done if done else math.inf,
        )

    def _epoch(self) -> tuple[list[list[int]], list[list[int]]]:
        """The sources as typed in this epoch, and its batches as numbers of pairs; both follow from seed and epoch."""
        random = Random(f"{self.recipe.seed}-{self.position.epoch}")
        sources = []
        for (text, _), ids in zip(self.corpus.pairs, self.source_ids, strict=True):
            typed = retype(text, random)
            sources.append(ids if typed == text else self.langs[0].encode(typed))
        lengths = [(len(source), len(target)) for source, target in zip(sources, self.target_ids, strict=True)]
        most_tokens = min(self.recipe.batch_tokens, sum(map(sum, lengths)) // _LEAST_BATCHES)
        return sources, batches(lengths, most_tokens, random)

    def _build_langs(self) -> tuple[Lang, Lang]:
        """Builds and saves both; the source one from text as it is typed, so that it knows words without accents."""
        random = Random(f"{self.recipe.seed}-vocabulary")
        sources = [retype(text, random) for text, _ in self.corpus.pairs]
        targets = [text for _, text in self.corpus.pairs]
        langs = (
            Lang.build("fra", sources, self.recipe.source_vocabulary),
            Lang.build("eng", targets, self.recipe.target_vocabulary),
        )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for lang in langs:
                lang.save(self.folder / lang_file(lang.code))
        except OSError as error:
            raise DiskFullError(f"{self.folder} can't be written: {error.strerror}. Choose another --out.") from None
        return langs

    def _score(self, report: Report) -> None:
        """Scores the averaged weights on dev; the best ones, rounded as they are stored, become the checkpoint."""
        report(Stage("scoring the dev set"))
        best_so_far = self.position.best_bleu
        rounded = Seq2Seq(self.average.config).eval()
        rounded.load_state_dict(
            {name: tensor.half().float().cpu() for name, tensor in self.average.state_dict().items()}
        )
        sources = [normalize(example.source) for example in self.dev]
        # Greedy is quick, and ranks alike.
        translations = translate_sentences(partial(greedy, rounded), self.langs, sources)
        scores = score(translations, self.dev)
        best = scores.bleu > best_so_far
        minutes = self.position.seconds / 60
        if best:
            self.position.best_bleu = scores.bleu
            save_checkpoint(rounded, self.langs, self.folder, training=self._training())
        event = DevScore(self.position.step, self._epochs(), minutes, scores, best)
        self.position.scored = self._done()
        self.position.dev.append({"step": event.step, "minutes": minutes, "bleu": scores.bleu, "chrf": scores.chrf})
        self._write_metrics()
        report(event)

    def _training(self) -> dict[str, Any]:
        """What the manifest says of how the weights came about."""
        return {
            "corpus": self.corpus.name,
            "corpus_sha256": self.corpus.sha256,
            "pairs": len(self.corpus.pairs),
            "seed": self.recipe.seed,
            "epochs": round(self._epochs(), 2),
            "steps": self.position.step,
            "commit": _commit(),
        }

    def _finish(self, report: Report) -> None:
        """Adds goldens, the outputs' digest and the scores to the best checkpoint, metrics and plot beside it."""
        report(Stage("choosing goldens and scoring the best checkpoint"))
        best = load_checkpoint(self.folder)
        translator = Translator(best)
        goldens = choose_goldens(best.model, best.langs, [example.source for example in self.dev])
        save_checkpoint(
            best.model,
            best.langs,
            self.folder,
            goldens=goldens,
            training=best.manifest.training,
            outputs=outputs_digest(translator, self.dev),
        )
        record(self.folder, "dev", evaluate(translator, self.dev).scores)
        self._write_metrics()
        plot_training(self.position.losses, self.position.dev, self.folder / PLOT)

    def _write_metrics(self) -> None:
        metrics = {"recipe": asdict(self.recipe), **asdict(self.position)}
        _replace(self.folder / METRICS, (json.dumps(metrics, indent=1) + "\n").encode())

    def _save(self) -> None:
        tensors = {"random": torch.get_rng_state()}
        for name, parameter, average in zip(self.names, self.parameters, self.averaged, strict=True):
            tensors |= {f"weights.{name}": parameter.data, f"average.{name}": average.data}
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = value
        stored = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        metadata = {
            "position": json.dumps(asdict(self.position)),
            "identity": json.dumps(self.identity, sort_keys=True),
        }
        partial = self.folder / (STATE + ".part")
        save_file(stored, partial, metadata)
        partial.replace(self.folder / STATE)

    def _find_state(self, resume: bool) -> Path:
        path = self.folder / STATE
        if resume and not path.exists():
            raise TrainingStateError(f"{self.folder} holds no training to go on with. Start one without --resume.")
        if not resume and path.exists():
            raise TrainingStateError(
                f"{self.folder} holds a training already. Go on with it: --resume; or choose another folder for --out."
            )
        if not resume and (self.folder / MANIFEST).exists():
            raise TrainingStateError(f"{self.folder} holds a checkpoint already. Choose another folder for --out.")
        return path

    def _restore(self, path: Path) -> None:
        try:
            with safe_open(path, "pt") as stored:
                metadata = stored.metadata()
                tensors: dict[str, Tensor] = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            found = json.loads(metadata["identity"])
            position = Position(**json.loads(metadata["position"]))
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointFormatError(
                f"{path} is not the state of a training ({error}). Start anew with another --out."
            ) from None
        if found != self.identity:
            other = sorted(key for key in self.identity if found.get(key) != self.identity[key])
            raise TrainingStateError(
                f"{path} is of a training with another {', '.join(other)}. Give it the same corpus and options, "
                "or start anew with another --out."
            )
        self.position = position
        for name, parameter, average in zip(self.names, self.parameters, self.averaged, strict=True):
            parameter.data.copy_(tensors[f"weights.{name}"])
            average.data.copy_(tensors[f"average.{name}"])
            prefix = "optimizer."
            keys = [key.split(".", 2)[1] for key in tensors if key.startswith(prefix) and key.split(".", 2)[2] == name]
            if keys:
                self.optimizer.state[parameter] = {
                    key: tensors[f"{prefix}{key}.{name}"].to(
                        self.device if key != "step" or parameter.is_cuda else "cpu"
                    )
                    for key in keys
                }
        torch.set_rng_state(tensors["random"])


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


def _choose_device(device: str) -> str:
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable("There is no CUDA device that torch can use. Train with --device cpu or auto.")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def _has_bfloat16(device: torch.device) -> bool:
    """Whether bf16 products are done in hardware; emulated ones are 100 times slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _keep_freed_memory() -> None:
    """Tells glibc to keep freed blocks: returning them to the kernel each step costs up to 40 % of the time."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc; numbers from malloc.h
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3
        for option, size in ((trim_threshold, 2**31 - 1), (top_pad, 2**28), (mmap_threshold, 2**30)):
            libc.mallopt(option, size)


def _replace(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_suffix(path.suffix + ".part")
    partial.write_bytes(data)
    partial.replace(path)
