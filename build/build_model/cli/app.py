"""The command line: the groups of commands, put together. It parses, calls, prints; nothing is decided here."""

from __future__ import annotations

import io
import logging
import sys

import typer

from build_model.cli import build, operation, quarantine, render, status, store, training

app = typer.Typer(
    name="build-model",
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.callback(invoke_without_command=True)(build.build)
for group in (build.group, store.group, operation.group, status.group, training.group):
    app.add_typer(group)
app.add_typer(quarantine.group, name="quarantine")
app.add_typer(render.group, name="render")


def main() -> None:
    """The entry point of ``build-model``."""
    # Without a handler, Python prints pika's own account of a failed connection, traceback and all.
    logging.getLogger("pika").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 sees the rest
    app(prog_name="build-model")


if __name__ == "__main__":
    main()
