"""The command line: the groups of commands, put together. It parses, calls, prints; nothing is decided here."""

from __future__ import annotations

import io
import logging
import os
import sys
from pathlib import Path

import typer

from build_model import report
from build_model.cli import (
    adopt,
    build,
    config,
    doctor,
    network,
    operation,
    quarantine,
    render,
    settings,
    status,
    store,
    training,
    translate,
    trust,
)

NAME = "build-model"
COMPLETING = "_BUILD_MODEL_COMPLETE"  # set by the shell's completion, as Typer names it

app = typer.Typer(
    name=NAME,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.callback(invoke_without_command=True)(build.build)
for each in (build, doctor, store, trust, operation, translate, status, training, adopt, network, config):
    app.add_typer(each.group)
app.add_typer(quarantine.group, name="quarantine")
app.add_typer(render.group, name="render")


def main() -> None:
    """The entry point of ``build-model``."""
    # Without a handler, Python prints pika's own account of a failed connection, traceback and all.
    logging.getLogger("pika").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 sees the rest
    if COMPLETING in os.environ:
        app(prog_name=NAME)  # a settings file that is wrong is no reason to complete nothing
    try:
        held = settings.defaults(settings.read(Path.cwd(), os.environ), typer.main.get_command(app))
    except settings.ConfigInvalid as error:
        report.print_error(error, as_json="--json" in sys.argv)
        sys.exit(error.exit_code)
    app(prog_name=NAME, default_map=held)


if __name__ == "__main__":
    main()
