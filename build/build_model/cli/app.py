"""The command line: the groups of commands, put together. It parses, calls, prints; nothing is decided here."""

from __future__ import annotations

from build_model.cli import (
    adopt,
    asking,
    build,
    config,
    doctor,
    history,
    moving,
    network,
    operation,
    prune,
    quarantine,
    render,
    report,
    start,
    status,
    training,
    translate,
    trust,
)

app = start.application()

app.callback(invoke_without_command=True)(build.build)
for each in (
    *(build, doctor, asking, moving, trust, operation, translate, status, prune, history),
    *(training, report, adopt, network, config),
):
    app.add_typer(each.group)
app.add_typer(quarantine.group, name="quarantine")
app.add_typer(render.group, name="render")


def main() -> None:
    """As ``start.main``, with all commands."""
    start.run(app)


if __name__ == "__main__":
    main()
