"""What several suites share: `images.py`."""

pytest_plugins = ["images"]
