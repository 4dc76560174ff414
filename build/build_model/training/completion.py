"""What a checkpoint is given when its weights stand: goldens, the digest of its outputs, scores, calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from build_model.training import variety
from build_model.training.calibration import calibrate, good
from build_model.training.corpus import Example
from build_model.training.evaluation import evaluate, outputs_digest, record
from build_model.training.serving import decide
from model.checkpoint import Golden, load_checkpoint, save_checkpoint
from model.fingerprint import Manifest
from model.folder import NETWORK
from model.translator import Translator


def complete(
    folder: Path, goldens: Sequence[Golden], dev: Mapping[str, Sequence[Example]], code: Path = NETWORK
) -> Manifest:
    """Gives a checkpoint its goldens, the digest of its outputs on the first dev set, its scores on all that have
    references, the calibration of its replies' scores, what it says to most of them where that is the same, and the
    search that serves it."""
    best = load_checkpoint(folder, code)
    translator = Translator(best)
    save_checkpoint(
        best.network,
        best.vocabularies,
        folder,
        goldens=goldens,
        training=best.manifest.training,
        outputs=outputs_digest(translator, next(iter(dev.values()))),
        code=code,
    )
    surenesses, rights = [], []
    answers: dict[str, str] = {}
    for name, examples in dev.items():
        if not all(example.references for example in examples):
            sources = [example.source for example in examples]
            told = translator.translate(sources)
            answers |= {source: one.text for source, one in zip(sources, told, strict=True) if one.error is None}
            continue
        found = evaluate(translator, examples)
        record(folder, name, found.scores)
        for text, sureness, example in zip(found.translations, found.surenesses, examples, strict=True):
            if sureness is not None:
                answers[example.source] = text
                surenesses.append(sureness)
                rights.append(good(text, example))
    fitted = calibrate(surenesses, rights)
    dull = variety.dull(answers)
    manifest = Manifest.read(folder)
    training = {name: value for name, value in manifest.training.items() if name != "dull"}
    manifest = replace(
        manifest,
        training={**training, **variety.facts(dull)},
        calibration=asdict(fitted) if fitted else None,
    )
    manifest.write(folder)
    manifest = replace(manifest, serving=decide(folder, next(iter(dev.values())), code))
    manifest.write(folder)
    return manifest
