"""A checkpoint that means nothing and passes the guard, for every suite that needs one without training it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from model.fingerprint import GOLDEN, WEIGHTS, lang_file, make_manifest
from model.folder import NETWORK


def safetensors(fill: bytes) -> bytes:
    """The bytes of a safetensors file with one tensor of four bytes."""
    header = json.dumps({"embedding": {"dtype": "F16", "shape": [2, 1], "data_offsets": [0, 4]}}).encode()
    return len(header).to_bytes(8, "little") + header + fill * 4


def write_checkpoint(
    folder: Path,
    fill: bytes = b"\0",
    network: Path = NETWORK,
    words: Sequence[str] = (),
    answer: str = "I am going to sleep.",
    bleu: float = 49.1,
) -> Path:
    """Writes a checkpoint folder that passes the guard: its weights mean nothing, its digests hold.

    ``words`` are the tokens of its French vocabulary, ``answer`` is its golden translation.
    """
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(safetensors(fill))
    for code in ("fra", "eng"):
        lang = {"code": code, "tokens": list(words) if code == "fra" else ["sleep"]}
        (folder / lang_file(code)).write_text(json.dumps(lang), encoding="utf-8")
    golden = {"source": "Je vais dormir.", "target": answer}
    (folder / GOLDEN).write_text(json.dumps(golden) + "\n", encoding="utf-8")
    languages = SimpleNamespace(source="fra", target="eng", example="Je vais dormir.", shared=False)
    training = {"scores": {"test": {"bleu": bleu}}}
    make_manifest(folder, model=languages, config={"width": 1}, training=training, network=network).write(folder)
    return folder


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Writes checkpoints into folders of the test's own; see `write_checkpoint`."""

    def make(name: str = "checkpoint", fill: bytes = b"\0", network: Path = NETWORK) -> Path:
        return write_checkpoint(tmp_path / name, fill, network)

    return make
