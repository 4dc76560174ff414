"""The entry point of ``build-model``, and of ``python -m build_model``."""

import sys
import warnings

from build_model import STOPPED

OURS = ("build_model", "dragoman", "model")
INSTALL = "Install it: `make setup` in a clone, else pip install 'dragoman[training]'."


def main() -> None:
    """Runs the command line. Ctrl-C is one line from the first moment on: importing the rest takes a second."""
    # torch says so wherever numpy, which the demo doesn't install, isn't there.
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
    try:
        from build_model.cli import start  # noqa: PLC0415

        start.main()
    except KeyboardInterrupt:
        print(f"Interrupted: {STOPPED}", file=sys.stderr)
        sys.exit(130)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OURS:
            raise
        print(f"ToolsMissing: {package} isn't installed, which this command needs. {INSTALL}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
