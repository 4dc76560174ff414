"""What several suites share: `checkpoints.py`, `images.py`, `raw_headers.py`."""

import os

# The networks of the tests are tiny: a second thread of PyTorch gains nothing and waits for the first one by spinning.
# Beside other processes on two cores, a training of seconds became one of minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["checkpoints", "images", "raw_headers"]
