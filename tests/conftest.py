"""What several suites share: `images.py`, and how they run beside each other."""

import os
from pathlib import Path

import pytest

# The networks of the tests are tiny: a second thread of PyTorch gains nothing and waits for the first one by spinning.
# Beside other processes on two cores, a training of seconds became one of minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["images"]

IMAGES = tuple(Path(__file__).parent / suite for suite in ("black_box", "faults"))
"""The suites that share images and the engine."""


@pytest.hookimpl(tryfirst=True)  # before the plugin reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run in several processes, those of images are one after the other in one of them, first to last; the
    others use the time in which these wait."""
    for item in items:
        if any(item.path.is_relative_to(suite) for suite in IMAGES):
            item.add_marker(pytest.mark.xdist_group("images"))
