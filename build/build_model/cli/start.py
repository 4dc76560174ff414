"""Where ``build-model`` starts: a command that answers from the registry imports no engine, no broker and no torch."""

from __future__ import annotations

import importlib
import io
import logging
import os
import sys
from pathlib import Path

import typer

from build_model import report
from build_model.cli import settings

NAME = "build-model"
COMPLETING = "_BUILD_MODEL_COMPLETE"  # set by the shell's completion, as Typer names it
QUICK = {
    **dict.fromkeys(("list", "inspect", "diff", "compatible"), "asking"),
    **dict.fromkeys(("pull", "copy", "export", "import", "promote"), "moving"),
    "history": "history",
    "prune": "prune",
}
"""The commands that nobody should wait for, and the module that has each. The others come with all that there is."""


def main() -> None:
    """The entry point of ``build-model``."""
    command = next(iter(sys.argv[1:]), "")
    if command in QUICK and COMPLETING not in os.environ:
        run(alone(QUICK[command]), whole=False)
        return
    from build_model.cli.app import app  # noqa: PLC0415 (the point of this module)

    run(app)


def alone(module: str) -> typer.Typer:
    """The command line with the commands of one module of this package."""
    app = application()
    app.callback()(_nothing_more)
    app.add_typer(importlib.import_module(f"build_model.cli.{module}").group)
    return app


def application() -> typer.Typer:
    """The command line without commands."""
    return typer.Typer(
        name=NAME,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def run(app: typer.Typer, *, whole: bool = True) -> None:
    """Run ``app``, with what the settings files say; where it isn't the ``whole``, tables of other commands may be."""
    # Without a handler, Python prints pika's own account of a failed connection, traceback and all.
    logging.getLogger("pika").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 sees the rest
    if COMPLETING in os.environ:
        app(prog_name=NAME)  # a settings file that is wrong is no reason to complete nothing
    try:
        files = settings.read(Path.cwd(), os.environ)
        held = settings.defaults(files, typer.main.get_command(app), whole=whole)
    except settings.ConfigInvalid as error:
        report.print_error(error, as_json="--json" in sys.argv)
        sys.exit(error.exit_code)
    app(prog_name=NAME, default_map=held)


def _nothing_more() -> None:
    """Cast a translation model into one container image, and take it from there to a queue."""
