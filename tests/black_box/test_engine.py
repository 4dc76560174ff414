"""Errors inside the engine's streams are errors: the SDK's own methods overlook them."""

import struct

import pytest
from images import Version

from build_model.engine import Engine, EngineFailed, ImageMissing
from build_model.image.context import pack
from build_model.report import silent


def test_a_build_step_that_fails_is_an_error_with_the_engines_last_words(engine: Engine, released: Version) -> None:
    dockerfile = f'FROM {released.built["image"]}\nRUN ["python3", "-c", "raise SystemExit(\'no such luck\')"]\n'
    with pack({"Dockerfile": dockerfile.encode()}) as context, pytest.raises(EngineFailed) as error:
        engine.build(context, tags=[], progress=silent())
    assert "returned a non-zero code: 1" in str(error.value)
    assert "no such luck" in str(error.value)


def test_a_push_to_a_registry_that_does_not_answer_is_an_error(engine: Engine, released: Version) -> None:
    reference = "127.0.0.1:1/dragoman/unreachable:1.0.0"
    engine.tag(released.built["image"], reference)
    try:
        with pytest.raises(EngineFailed, match="connection refused"):
            engine.push(reference, silent())
    finally:
        engine.client.images.remove(reference)


def test_a_pull_of_a_tag_that_is_not_there_is_an_error_though_an_older_image_is(
    engine: Engine, released: Version, registry: str
) -> None:
    reference = f"{registry}/dragoman/never-pushed:1.0.0"
    engine.tag(released.built["image"], reference)
    try:
        with pytest.raises((EngineFailed, ImageMissing), match=r"not found|unknown"):
            engine.pull(reference, silent())
    finally:
        engine.client.images.remove(reference)


def test_a_program_for_another_machine_is_named_as_that_with_what_to_do(engine: Engine, released: Version) -> None:
    ident, executable, aarch64 = b"\x7fELF\x02\x01\x01".ljust(16, b"\0"), 2, 183
    program = ident + struct.pack("<HHIQQQIHHHHHH", executable, aarch64, 1, 0x400078, 64, 0, 0, 64, 56, 0, 64, 0, 0)
    mode = 'RUN ["python3", "-c", "import os; os.chmod(\'/program\', 0o755)"]'
    dockerfile = f"FROM {released.built['image']}\nUSER 0\nCOPY program /program\n{mode}\n"
    with pack({"Dockerfile": dockerfile.encode(), "program": program}) as context:
        image = engine.build(context, tags=[], progress=silent())
    try:
        said = engine.run_to_end(image, ["/program"], network="none", seconds=60).log
    except EngineFailed as error:  # newer engines say so when it starts
        said = str(error)
    finally:
        engine.client.images.remove(image, force=True)
    assert "binfmt" in said, said
    assert "linux/amd64" in said
