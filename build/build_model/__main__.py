"""``python -m build_model``: the same as ``build-model``."""

from build_model.cli import main

main()
