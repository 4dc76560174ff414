"""Debian's packages of what is missing."""

import os
import shutil
from pathlib import Path

from daemons import LocalError, say
from daemons.cause import cause
from daemons.process import run

INSTALL_SECONDS = 900.0


def install(what: str, otherwise: str, programs: dict[str, str], log_path: Path) -> None:
    """Installs the Debian packages, named beside their program, whose program is missing. Needs root on Debian."""
    packages = sorted({package for program, package in programs.items() if not shutil.which(program)})
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise LocalError(f"no {what} answers, and without apt-get none can be installed: {otherwise}")
    if os.geteuid() != 0:
        raise LocalError(f"no {what} answers, and only root can `apt-get install {' '.join(packages)}`: {otherwise}")
    say(f"installing Debian's {', '.join(packages)}")
    noninteractive = {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        result = run(["apt-get", "--quiet", *arguments], INSTALL_SECONDS, noninteractive)
        with log_path.open("a") as log:
            log.write(result.stdout + result.stderr)
        if result.returncode != 0:
            why = cause(result.stderr or result.stdout)
            raise LocalError(f"`apt-get {' '.join(arguments)}` failed: {why} (log: {log_path})")
