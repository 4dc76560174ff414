"""A translator of `make peers` in a process of its own, one thread: reads sources and their batch size as a line of
JSON on standard input, again and again, and says each time what processor time they took.

    python peer.py translator       the released model of the clone that it runs in, text and all
    python peer.py ctranslate2      a Transformer of Firefox's tiny size with random weights, from ids to ids
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

LAYERS, HEADS, WIDTH, INNER, WORDS = (6, 2), 8, 256, 1536, 32_000
PIECES_A_WORD = 1.2  # of a vocabulary of that size, marks included
LONGEST = 512

Translate = Callable[[Sequence[str]], object]


def translator() -> Translate:
    """As the service uses it."""
    import model  # noqa: PLC0415 - of the clone that is the working directory
    from model.translator import Translator  # noqa: PLC0415

    found = Translator.load(Path(model.__file__).parent / "checkpoint", threads=1)
    return found.translate


def ctranslate2() -> Translate:
    """Greedy search in int8. Random weights never end a sentence, so it is told how many tokens to write: as many as
    were read."""
    import ctranslate2 as engine  # noqa: PLC0415
    import numpy  # noqa: PLC0415

    tokens = ["<unk>", "<s>", "</s>", *(f"t{number}" for number in range(WORDS - 3))]
    random = numpy.random.default_rng(1)
    with TemporaryDirectory() as folder:
        spec = _random_transformer(engine, numpy, random)
        spec.register_source_vocabulary(tokens)
        spec.register_target_vocabulary(tokens)
        spec.validate()
        spec.optimize(quantization="int8")
        spec.save(folder)
        found = engine.Translator(folder, device="cpu", compute_type="int8", inter_threads=1, intra_threads=1)

    def translate(texts: Sequence[str]) -> object:
        lengths = [max(2, round(PIECES_A_WORD * len(text.split()))) for text in texts]
        batch = [[*(tokens[number] for number in random.integers(3, WORDS, length)), "</s>"] for length in lengths]
        most = round(sum(lengths) / len(lengths))
        return found.translate_batch(batch, beam_size=1, min_decoding_length=most, max_decoding_length=most)

    return translate


def _random_transformer(engine, numpy, random):  # type: ignore[no-untyped-def]  # none of them has types
    spec = engine.specs.TransformerSpec.from_config(
        LAYERS, HEADS, pre_norm=False, activation=engine.specs.common_spec.Activation.RELU
    )

    def drawn(*shape: int):  # type: ignore[no-untyped-def]
        return (0.05 * random.standard_normal(shape)).astype(numpy.float32)

    def linear(layer, rows: int, columns: int) -> None:  # type: ignore[no-untyped-def]
        layer.weight, layer.bias = drawn(rows, columns), drawn(rows)

    def attention(layer, *rows: int) -> None:  # type: ignore[no-untyped-def]
        for part, size in zip(layer.linear, rows, strict=True):
            linear(part, size, WIDTH)
        norm(layer.layer_norm)

    def norm(layer) -> None:  # type: ignore[no-untyped-def]
        layer.gamma, layer.beta = numpy.ones(WIDTH, numpy.float32), numpy.zeros(WIDTH, numpy.float32)

    for block in (*spec.encoder.layer, *spec.decoder.layer):
        attention(block.self_attention, 3 * WIDTH, WIDTH)
        linear(block.ffn.linear_0, INNER, WIDTH)
        linear(block.ffn.linear_1, WIDTH, INNER)
        norm(block.ffn.layer_norm)
    for block in spec.decoder.layer:
        attention(block.attention, WIDTH, 2 * WIDTH, WIDTH)
    for side, embeddings in ((spec.encoder, spec.encoder.embeddings[0]), (spec.decoder, spec.decoder.embeddings)):
        embeddings.weight = drawn(WORDS, WIDTH)
        side.position_encodings.encodings = drawn(LONGEST, WIDTH)
        side.scale_embeddings = True
    linear(spec.decoder.projection, WORDS, WIDTH)
    return spec


def main() -> None:
    translate = {"translator": translator, "ctranslate2": ctranslate2}[sys.argv[1]]()
    translate(["Je vais dormir."])
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        texts, size = json.loads(line)
        seconds = []
        for start in range(0, len(texts), size):
            begin = time.process_time()
            translate(texts[start : start + size])
            seconds.append(time.process_time() - begin)
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
