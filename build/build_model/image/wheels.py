"""The locked wheels that the runtime image is made of, fetched by this host's pip."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from build_model.report import Progress
from model.errors import DragomanError

LOCKS = ("requirements/runtime.txt", "requirements/torch.txt")
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
TARGET = (
    *("--python-version", "3.11", "--implementation", "cp", "--only-binary", ":all:"),
    *(
        "--platform",
        "manylinux_2_28_x86_64",
        "--platform",
        "manylinux_2_17_x86_64",
        "--platform",
        "manylinux2014_x86_64",
    ),
)
"""What the wheels are for, whatever this host's own Python and system are: bookworm has glibc 2.36."""


class WheelsUnavailable(DragomanError):
    """pip can't fetch a locked wheel."""


def wheelhouse(root: Path, folder: Path, progress: Progress) -> Mapping[str, Path]:
    """Have this host's pip put the locked wheels into ``folder``; file name to file. WheelsUnavailable when it can't.

    torch's build for CPU comes from the sources that pip is configured for (a wheel folder, a mirror), else from
    PyTorch's own index, which is not even asked where it isn't needed: it may be out of reach.
    """
    progress.line("Fetching the locked wheels")
    runtime_lock, torch_lock = (str(root / name) for name in LOCKS)
    error = _download(folder, "--require-hashes", "-r", runtime_lock)
    if not error and _download(folder, "-r", torch_lock):
        error = _download(folder, "-r", torch_lock, "--index-url", TORCH_INDEX)
    if error:
        raise WheelsUnavailable(
            f"pip can't fetch the wheels of {' and '.join(LOCKS)}: {error}\n"
            "Check pip's sources (`pip config list`) and the network."
        )
    return {wheel.name: wheel for wheel in sorted(folder.glob("*.whl"))}


def _download(folder: Path, *arguments: str) -> str:
    """Empty when pip did it, else the last thing it said."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        *TARGET,
        *arguments,
    ]
    pip = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return (pip.stderr.strip() or "no output").splitlines()[-1] if pip.returncode else ""
