"""Tests of the network that this repository releases, and of what its checkpoint says. A clone that has another one in
model/network has other tests for it; those of the engine are in tests/unit, and know a network of their own."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch, as in tests/unit

from fork import TODAYS

if not TODAYS:
    collect_ignore_glob = ["test_*.py"]
