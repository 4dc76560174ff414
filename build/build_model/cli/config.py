"""What holds, and where it came from."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from build_model import report
from build_model.cli import settings
from build_model.cli.options import Json, reported

group = typer.Typer()


@group.command()
def config(context: typer.Context, as_json: Json = False) -> None:
    """Show the settings that hold here, and where each came from.

    In order of increasing precedence: **dragoman.toml** in this folder or above it (or `[tool.dragoman]` in
    pyproject.toml), **~/.config/dragoman/config.toml**, the environment, options. Passwords are not shown.
    """
    with reported(as_json=as_json):
        files = settings.read(Path.cwd(), os.environ)
        root = context.find_root().command
        settings.defaults(files, root)
        rows = settings.holding(files, root, os.environ)
        if as_json:
            found = {row.name: {"value": row.value, "origin": row.origin} for row in rows}
            report.print_object({"files": [str(file.path) for file in files], "settings": found})
            return
        report.print_table(("setting", "value", "from"), ((row.name, row.value, row.origin) for row in rows))
        for file in files:
            report.print_facts(f"read: {file.path}", ())
