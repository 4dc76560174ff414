"""The errors of Dragoman: one base class, the rest named for the fact.

A message says what was found, what was expected, and ends with what mends it.
"""

from typing import ClassVar


class DragomanError(Exception):
    """Base of every error that a user is meant to read; the command line prints its message and no traceback."""

    exit_code: ClassVar[int] = 1


class GuardError(DragomanError):
    """The checkpoint and the code that is running don't belong together; the service ends before it connects."""

    exit_code: ClassVar[int] = 78


class ArchitectureMismatch(GuardError):
    """The architecture hash computed from code, config and tensors is not the one that the manifest records."""


class ChecksumMismatch(GuardError):
    """A file of the checkpoint is not the one whose sha256 the manifest records."""


class CheckpointFormatError(GuardError):
    """A file of the checkpoint is missing or can't be read as what it should be."""


class NetworkInvalid(GuardError):
    """A network's folder breaks a rule of `model.contract`."""


class GoldenMismatch(GuardError):
    """A golden sentence is no longer translated as it was when the checkpoint was made."""
