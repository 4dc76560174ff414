"""Where ``build-model`` starts: a command that answers from the registry imports no engine, no broker and no torch."""

from __future__ import annotations

import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from build_model import report
from build_model.cli import settings
from model.errors import DragomanError

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


class Misused(DragomanError):
    """An option or an argument that isn't there, is missing or can't be."""

    exit_code: ClassVar[int] = 2


_REFUSALS: tuple[type[Exception], ...] = tuple(  # of the Click in Typer, which says no name of theirs
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException" and issubclass(base, Exception)
)


class _Commands(TyperGroup):
    """Commands whose misuse is an object too where a script asked for one."""

    def main(self, args: Sequence[str] | None = None, **named: Any) -> Any:  # type: ignore[override]
        given = sys.argv[1:] if args is None else args
        if "--json" not in given:
            return super().main(args, **named)
        try:
            code = super().main(args, **{**named, "standalone_mode": False})
        except _REFUSALS as error:
            context, said = getattr(error, "ctx", None), getattr(error, "format_message", error.__str__)().rstrip(".")
            path = context.command_path if context else NAME
            report.print_error(Misused(f"{said}. `{path} --help` says what there is."), as_json=True)
            code = Misused.exit_code
        except typer.Abort:
            report.print_error(Misused("Nobody said yes, so nothing was done."), as_json=True)
            code = 1
        sys.exit(code if isinstance(code, int) else 0)


def application() -> typer.Typer:
    """The command line without commands."""
    return typer.Typer(
        name=NAME,
        cls=_Commands,
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
