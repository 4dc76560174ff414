"""The daemons of this machine that Dragoman needs: which answer already, and how the rest is started."""

import sys


class LocalError(Exception):
    """Why a service can't be brought up, in one line, with what to do about it."""


def say(line: str) -> None:
    print(f"deploy/local: {line}", file=sys.stderr, flush=True)
